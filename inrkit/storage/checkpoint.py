"""Checkpoints: folders `step-NNNNNNNN` of safetensors and JSON, whole or absent, and verified before they are parsed.

    step-00000100/
      model.safetensors ema.safetensors ...   one per group of tensors
      state.json                              counters, random states, data cursor, offsets
      manifest.json                           format, step, meta, size and sha256 of each file, and its own sha256

A checkpoint is written into `.tmp-step-...-PID` beside its place, the manifest last, every file synced, and then
renamed; older ones go only after the new one has been read back. Which one is the latest is found by looking, never
stored.
"""

import contextlib
import logging
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
from torch import Tensor

from inrkit.errors import DataError, InrkitError, UsageError
from inrkit.storage import atomic, fileerror, foreign, jsontext, sealed, tensorfile
from inrkit.storage.sealed import MANIFEST

FORMAT = "inrkit-checkpoint"
VERSION = 2
STATE = "state.json"

_STEP = re.compile(r"step-(\d{8,})")
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")
_FILE = re.compile(rf"{_KEY.pattern}\.safetensors|state\.json")  # no path that leads out of the folder
_PICKLES = {".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin"}


@attrs.frozen(eq=False)
class Checkpoint:
    """What one checkpoint holds: ``tensors[group][name]``, JSON ``state``, and its manifest's ``meta``.

    The tensors lie on the disk, and what is used of them is read then: a process that holds some rows reads no others.
    """

    path: Path
    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]
    meta: Mapping[str, Any]


def save_checkpoint(
    directory: Path,
    step: int,
    tensors: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    meta: Mapping[str, Any],
    keep: int = 2,
    protect: Collection[int] = (),
) -> Path:
    """Write `directory/step-NNNNNNNN` and prune to the ``keep`` newest and the steps in ``protect``; returns its path.

    Whatever happens meanwhile, an intact checkpoint that was there before, or the new one, is there afterwards. A
    checkpoint of the same step is replaced. One tensor is in memory at a time; where several processes hold rows of it,
    the others call `tensorfile.give` for each group meanwhile.
    """
    if step < 0 or keep < 2:
        raise UsageError(f"'step' must be >= 0 (got {step}) and 'keep' >= 2 (got {keep})")
    contents = _contents(tensors, state)
    target = directory / f"step-{step:08d}"
    sealed.write(target, contents, {"format": FORMAT, "version": VERSION, "step": step, "meta": dict(meta)})
    _verify(target)
    prune(directory, keep=keep, protect={step, *protect})
    return target


def load_checkpoint(path: Path, *, verified: bool = False) -> Checkpoint:
    """The checkpoint at ``path``; `DataError` names what differs and offers another.

    Every byte is verified first, unless another process of the run has just ``verified`` it.
    """
    _refuse_foreign(path)
    try:
        return _load(path, verified=verified)
    except DataError as error:
        raise DataError(f"{error}; {_offer(path.parent, besides=path.name)}") from error


def list_checkpoints(directory: Path) -> list[Path]:
    """The folders `step-N` with a manifest, oldest first. Nothing in them has been verified."""
    if not directory.is_dir():
        return []
    steps = [(int(match[1]), path) for path in directory.iterdir() if (match := _STEP.fullmatch(path.name))]
    return [path for _, path in sorted(steps) if not path.is_symlink() and (path / MANIFEST).is_file()]


def latest_checkpoint(directory: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest intact checkpoint, and why each newer one was passed over; None only where there are none at all.

    Where there are some and all are damaged, `DataError`: training must not begin anew unnoticed.
    """
    skipped: list[str] = []
    for path in reversed(list_checkpoints(directory)):
        try:
            return _load(path), skipped
        except InrkitError as error:
            if not path.exists():  # whoever trains beside us has removed it, and there are newer ones
                return latest_checkpoint(directory)
            if not isinstance(error, DataError):
                raise
            skipped.append(str(error))
    if skipped:
        raise DataError(f"{directory}: no intact checkpoint among {len(skipped)}: {'; '.join(skipped)}")
    return None, skipped


def newest_checkpoint(directory: Path) -> Checkpoint | None:
    """The newest intact checkpoint; of each newer one that is passed over it is said in a line why."""
    found, passed_over = latest_checkpoint(directory)
    for reason in passed_over:
        logging.getLogger("inrkit").warning("passed over a damaged checkpoint: %s", reason)
    return found


def clean_stale(directory: Path, name: str | None = None) -> list[Path]:
    """Remove what ended processes left unfinished; call it at start, holding the run's lock. Returns what was removed.

    A checkpoint that was set aside for one of the same step, but whose successor never came, is put back.

    Args:
        name: Only what was to be the folder of this name, or was set aside for it.
    """
    removed = []
    for path, what in atomic.stale_temporaries(directory):
        if name not in (None, what.removeprefix("aside-")):
            continue
        with fileerror.disk_errors(path):
            home = directory / what.removeprefix("aside-")
            if what.startswith("aside-") and not home.exists():
                atomic.rename(path, home)
            else:
                atomic.remove(path)
                removed.append(path)
    return removed


def prune(directory: Path, *, keep: int = 2, protect: Collection[int] = ()) -> list[Path]:
    """Remove checkpoints older than the ``keep`` newest whole ones, but no step in ``protect``; returns the removed."""
    if keep < 2:
        raise UsageError(f"'keep' must be >= 2, so that one damaged checkpoint is never the last one (got {keep})")
    found = list_checkpoints(directory)
    whole = [path for path in found if _looks_whole(path)]
    kept = {f"step-{step:08d}" for step in protect}
    older = found[: found.index(whole[-keep])] if len(whole) > keep else []
    return _removed([path for path in older if path.name not in kept])


def remove_newer(directory: Path, step: int) -> list[Path]:
    """Remove the checkpoints after the one of this step, newest first; returns them."""
    found, last = list_checkpoints(directory), directory / f"step-{step:08d}"
    if last not in found:
        raise DataError(f"{last}: expected a checkpoint to go back to, found none")
    return _removed(found[: found.index(last) : -1])


def _removed(paths: list[Path]) -> list[Path]:
    for path in paths:
        with fileerror.disk_errors(path):
            # Renamed first: a crash half-way must not leave something that looks like a checkpoint.
            doomed = path.parent / atomic.temporary_name(f"old-{path.name}")
            atomic.remove(doomed)
            atomic.rename(path, doomed)
            atomic.remove(doomed)
    return paths


def _contents(
    tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]
) -> dict[str, tuple[int, Iterable[atomic.Bytes]]]:
    """Size and pieces of the files by name."""
    if wrong := [key for key in tensors if not _KEY.fullmatch(key)]:
        raise UsageError(f"expected letters, digits, '_' and '-' as a group of tensors, found {wrong[0]!r}")
    # A state may hold "best so far = infinity"; its order is kept.
    text = jsontext.encode(dict(state), what="state", finite=False, sort=False)
    groups = {f"{key}.safetensors": tensorfile.pieces(group, what=key) for key, group in tensors.items()}
    return {**groups, STATE: (len(text), [text])}


def _load(path: Path, *, verified: bool = False) -> Checkpoint:
    step, meta, files = _read_manifest(path)
    sealed.verify(path, files, deep=not verified)
    state = {} if STATE not in files else jsontext.decode(sealed.read(path, STATE, files), origin=str(path / STATE))
    if not isinstance(state, dict):
        raise DataError(f"{path / STATE}: expected a mapping, found {type(state).__name__}")
    groups = {name.removesuffix(".safetensors"): path / name for name in files if name != STATE}
    return Checkpoint(path, step, {group: tensorfile.read(file) for group, file in groups.items()}, state, meta)


def _verify(path: Path, *, deep: bool = True) -> None:
    sealed.verify(path, _read_manifest(path)[2], deep=deep)


def _looks_whole(path: Path) -> bool:
    """Cheap, where reading everything is not."""
    with contextlib.suppress(DataError):
        _verify(path, deep=False)
        return True
    return False


def _read_manifest(path: Path) -> tuple[int, dict[str, Any], dict[str, dict[str, Any]]]:
    """(step, meta, files): each file's "size" and "sha256" by its name."""
    body = sealed.read_manifest(path, FORMAT, VERSION, _FILE.fullmatch)
    if (match := _STEP.fullmatch(path.name)) and int(match[1]) != body["step"]:
        raise DataError(f"{path}: expected step {int(match[1])} from the name, found step {body['step']} inside")
    return body["step"], body["meta"], body["files"]


def _refuse_foreign(path: Path) -> None:
    """Say what a path is that cannot be a checkpoint, looking at no more than its first bytes."""
    wanted = f"{path}: expected a checkpoint folder with {MANIFEST}"
    if path.is_dir():
        if not (path / MANIFEST).is_file():
            raise DataError(f"{wanted}, found none; {_offer(path, path / 'checkpoints')}")
        return
    if not path.exists():
        raise DataError(f"{wanted}, found nothing; {_offer(path.parent)}")
    with fileerror.disk_errors(path), open(path, "rb") as file:
        magic = file.read(8)
    if path.suffix.lower() in _PICKLES or foreign.may_be_pickle(magic):
        raise DataError(f"{wanted}, found what may hold a pickle, which can run any program and is never opened")
    raise DataError(f"{wanted}, found a file")


def _offer(*directories: Path, besides: str = "") -> str:
    """Names the newest intact checkpoint of the first directory that has one."""
    for path in [path for directory in directories for path in reversed(list_checkpoints(directory))]:
        with contextlib.suppress(DataError):
            if path.name != besides:
                _verify(path)
                return f"the newest intact one is {path}"
    return "no intact one lies beside it"
