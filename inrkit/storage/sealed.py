"""Folders of files that are whole or absent: a manifest, written last, has the size and sha256 of each, and its own.

A folder is written into `.tmp-NAME-PID` beside its place, every file synced, and then renamed.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from inrkit.errors import DataError
from inrkit.storage import atomic, fileerror, jsontext

MANIFEST = "manifest.json"

_LIMIT = 16 << 20


def write(target: Path, contents: Mapping[str, tuple[int, Iterable[atomic.Bytes]]], body: Mapping[str, Any]) -> None:
    """Files of these sizes and pieces by name, and a manifest that also holds ``body``; what was there is replaced."""
    unfinished = target.parent / atomic.temporary_name(target.name)
    with fileerror.disk_errors(target, needed=sum(size for size, _ in contents.values())):
        try:
            atomic.remove(unfinished)
            atomic.make_folder(unfinished)
            written = {name: atomic.write_new_file(unfinished / name, parts) for name, (_, parts) in contents.items()}
            files = {name: {"sha256": digest, "size": size} for name, (digest, size) in written.items()}
            atomic.write_new_file(unfinished / MANIFEST, [seal({**body, "files": files})])
            atomic.sync_folder(unfinished)
            _put_in_place(unfinished, target)
        except BaseException:
            with contextlib.suppress(OSError):
                atomic.remove(unfinished)
            raise


def seal(body: Mapping[str, Any]) -> bytes:
    """A manifest with the hash of itself."""
    return jsontext.encode({**body, "sha256": atomic.sha256(jsontext.encode(body, what="manifest"))}, what="manifest")


def read_manifest(folder: Path, form: str, version: int, is_file: Callable[[str], object]) -> dict[str, Any]:
    """What a manifest holds, and ``files``: each one's "size" and "sha256" by its name, which ``is_file`` allows."""
    file = folder / MANIFEST
    data = atomic.read_regular_file(file, limit=_LIMIT)
    body = jsontext.decode(data, origin=str(file))
    if not isinstance(body, dict) or body.get("format") != form:
        raise DataError(f"{file}: expected the manifest of an '{form}', found something else")
    if body.get("version") != version:
        raise fileerror.other_version(file, version, body.get("version"))
    sealed = body.pop("sha256", None)
    if seal(body) != data:
        raise fileerror.altered(file, str(sealed), atomic.sha256(jsontext.encode(body, what="manifest")))
    try:
        body |= {"step": int(body["step"]), "meta": dict(body["meta"]), "files": dict(body["files"])}
        facts = [(name, type(fact["size"]), type(fact["sha256"])) for name, fact in body["files"].items()]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file}: expected step, meta and files, found a manifest without") from error
    if not all(is_file(name) and kinds == [int, str] for name, *kinds in facts):
        raise DataError(f"{file}: expected plain file names with size and sha256, found others; not to be trusted")
    return body


def verify(folder: Path, files: Mapping[str, Mapping[str, Any]], *, deep: bool = True) -> None:
    """Manifest and sizes agree; and, if ``deep``, every byte does. Read piece by piece, for weights may be large."""
    for name, facts in files.items():
        file = folder / name
        if file.is_symlink() or not file.is_file():
            raise DataError(f"{file}: expected an ordinary file of {facts['size']} bytes, found none")
        if (size := file.stat().st_size) != facts["size"]:
            raise DataError(f"{file}: expected {facts['size']} bytes, found {size}; the file is cut off or altered")
        if deep and (found := atomic.sha256_file(file)) != facts["sha256"]:
            raise fileerror.altered(file, facts["sha256"], found)


def read(folder: Path, name: str, files: Mapping[str, Mapping[str, Any]]) -> bytes:
    """One file, whose hash is compared with what is used of it."""
    data = atomic.read_regular_file(folder / name, limit=files[name]["size"])
    if (found := atomic.sha256(data)) != files[name]["sha256"]:
        raise fileerror.altered(folder / name, files[name]["sha256"], found)
    return data


def _put_in_place(unfinished: Path, target: Path) -> None:
    aside = target.parent / atomic.temporary_name(f"aside-{target.name}")
    occupied = target.exists()
    if occupied:
        atomic.remove(aside)
        atomic.rename(target, aside)
    try:
        atomic.rename(unfinished, target)
    except BaseException:
        if occupied:
            atomic.rename(aside, target)
        raise
    atomic.sync_folder(target.parent)
    atomic.remove(aside)
