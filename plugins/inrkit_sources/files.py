"""Files of a user as they are: imported once, into a store beside them."""

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final
from urllib.parse import unquote

import attrs

from inrkit import (
    DataError,
    InrkitError,
    Modality,
    Progress,
    ResourceError,
    Source,
    SourceOpener,
    Store,
    StoreWriter,
    UsageError,
    cache_folder,
    folded,
    load_plugins,
    parse_options,
)

_STAMP = "_files"  # an attribute that tells users nothing
_SPLIT = "split_file="
_SIZE = "64"  # cells along each axis, for signals of several sizes
_NAMED = 3  # files that were left out, with the reason
_SHOWN = 160  # letters of a reason, where there are several
_EVERY = 5.0  # seconds between two lines of progress


@final
class FilesOpener(SourceOpener):
    """``files://PATH?OPTION=VALUE&...``: a folder, an archive or a file, as `inrkit data import` reads it.

    The first importer of the modality that can read it does, or the one that ``format`` names; the other options are
    the importer's. What cannot be read is left out, and signals of several sizes are brought to 64 cells along each
    axis, unless the options say otherwise; both are said. The store lies beside PATH, or in the user's
    cache folder where nothing can be written there, and is written anew when the files
    have changed; where they are gone it stands for them.
    """

    name = "files"

    def absolute(self, address: str) -> str:
        path, mark, query = address.partition("?")
        return f"{_absolute(path)}{mark}{'&'.join(map(_found_anywhere, query.split('&')))}"

    def open(self, address: str, modality: Modality, split: str) -> Source:
        text, _, query = address.partition("?")
        path, options = Path(unquote(text)).expanduser(), [unquote(part) for part in query.split("&") if part]
        beside, cached = _places(path.absolute(), modality.name, options)
        if not path.exists():
            if not beside.exists() and not cached.exists():
                raise DataError(f"{path}: expected a folder or a file, found none; check the path")
            return modality.source(beside if beside.exists() else cached, split)  # it has all that was in the files
        named = [Path(text.partition("=")[2]) for text in options if text.startswith(_SPLIT)]
        stamp, writable = _stamp(path, named), os.access(beside.parent, os.W_OK)
        store = beside if writable or _is_fresh(beside, stamp) else cached
        if not _is_fresh(store, stamp):
            where = f"{store.name}, beside it" if writable else f"{store}: nothing can be written beside it"
            _say(f"importing {path.name} into {where}")
            store.parent.mkdir(parents=True, exist_ok=True)
            for line in _import(path, store, modality, options, stamp):
                _say(line)
        return modality.source(store, split)


def _say(text: str) -> None:
    print(folded(f"inrkit: {text}", sys.stderr), file=sys.stderr)


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _found_anywhere(option: str) -> str:
    """An option of an address; the path of a split file becomes absolute."""
    return f"{_SPLIT}{_absolute(option.removeprefix(_SPLIT))}" if option.startswith(_SPLIT) else option


def _places(path: Path, modality: str, options: Sequence[str]) -> tuple[Path, Path]:
    """Where the store is kept, beside the path or else in the user's cache folder: other options make another one."""
    mark = f"-{_short('&'.join(options))}" if options else ""
    name = f"{path.name}.{modality}{mark}.h5"
    return path.with_name(name), cache_folder() / "imports" / _short(str(path)) / name


def _short(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8]


def _stamp(path: Path, beside: Sequence[Path]) -> dict[str, str]:
    """What changes when a file is added, removed or replaced, in the path or ``beside`` it."""
    seen = hashlib.sha256()
    inside = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    for file in [*inside, *filter(Path.is_file, beside)]:
        found = file.stat()
        seen.update(
            f"{os.path.relpath(file, path.parent)} {found.st_size} {found.st_mtime_ns}\n".encode(errors="replace")
        )
    return {"sha256": seen.hexdigest()}


def _is_fresh(store: Path, stamp: dict[str, str]) -> bool:
    with contextlib.suppress(DataError):  # where it is damaged, and written anew
        return store.exists() and Store(store).attributes.get(_STAMP) == stamp
    return False


def _import(path: Path, store: Path, modality: Modality, options: Sequence[str], stamp: dict[str, str]) -> list[str]:
    """Writes the store; what is to be said of it."""
    registry, reasons = load_plugins(), []
    chosen = [text.partition("=")[2] for text in options if text.startswith("format=")]
    texts = [text for text in options if not text.startswith("format=")]
    for name in chosen or registry.importers:
        importer = registry.importer(name)
        if importer.modality != modality.name:
            if chosen:
                raise UsageError(f"'{name}' imports signals of '{importer.modality}', expected '{modality.name}'")
            continue
        for more in _ways(importer.Options, texts, getattr(modality, "axes", 2)):
            try:
                with StoreWriter(store, modality.name, overwrite=True) as out:
                    parsed: Any = parse_options(importer.Options, [*texts, *more], origin="files://")
                    importer().run(path, out, parsed, _told())
                    out.attributes[_STAMP] = stamp
                return _said(path, out, more)
            except ResourceError:  # of the store, and not of what is read
                raise
            except InrkitError as error:
                reason = str(error)
                if chosen and isinstance(error, UsageError):
                    raise
        reasons.append(f"{name}: {reason[:_SHOWN]}")
    if not reasons:
        raise UsageError(f"no importer reads files of '{modality.name}'; import them with a program of your own")
    if chosen:
        raise DataError(reason)
    raise DataError(
        f"{path}: expected files that one of {len(reasons)} importers can read, found that none can "
        f"({'; '.join(reasons)}); options stand in the address, as in 'files://{path.name}?size=32x32'"
    )


def _ways(cls: type, texts: Sequence[str], axes: int) -> list[list[str]]:
    """Options to try in turn: all that can be read; and if that is of several sizes, at one of them."""
    given = {text.partition("=")[0] for text in texts}
    free = [name for name in ("skip_broken", "size") if name in attrs.fields_dict(cls) and name not in given]
    first = ["skip_broken=true"] if "skip_broken" in free else []
    return [first, [*first, "size=" + "x".join([_SIZE] * axes)]] if "size" in free else [first]


def _said(path: Path, out: StoreWriter, more: Sequence[str]) -> list[str]:
    """How many signals there are, and what was done to them or left out."""
    lines = [f"{len(out)} items of {path.name} in {out.path.name}"]
    for text in more:
        if text.startswith("size="):
            lines.append(f"brought from several sizes to {text[5:]}; another: --data 'files://{path.name}?size=WxH'")
    if out.skipped:
        others = [f"and {len(out.skipped) - _NAMED} more"] if len(out.skipped) > _NAMED else []
        lines.append(f"{len(out.skipped)} left out: {'; '.join([*out.skipped[:_NAMED], *others])}")
    return [*lines, *out.remarks[:20]]


def _told() -> Progress:
    """Says on stderr how far a long import is."""
    last = time.monotonic()

    def progress(done: int, total: int | None = None, what: str = "") -> None:
        nonlocal last
        if time.monotonic() - last > _EVERY:
            last = time.monotonic()
            _say(f"{what or 'read'} {done}{'' if total is None else f' of {total}'}")

    return progress
