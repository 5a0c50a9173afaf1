"""`.inr`: encoded or generated signals in one file, which render without the hyper-network; reading runs no code.

A safetensors file of `params.NAME`, a row for each signal, and `state.NAME`, the function's own weights, which all
share; everything else is JSON in its metadata, beside a sha256 of the whole. docs/inr.md describes each byte.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from inrkit.errors import DataError, UsageError
from inrkit.storage import atomic, fileerror, foreign, jsontext, reference, rounding, tensorfile

FORMAT = "inrkit-inr"
VERSION = "3"
_UNSIGNED = "0" * 64
_TEXTS = ("function", "modality")
_MAPPINGS = ("built_with", "modality_options", "readout", "provenance")
_LISTS = ("t", "provenances")
_SHARED = ("function", "built_with", "modality", "modality_options", "readout")


@attrs.frozen(eq=False, kw_only=True, repr=False)
class InrFile:
    """One signal: what its function and its read-out need, and where it came from.

    ``params`` have no batch axis; ``function_state`` are the function's own weights, shared by all signals, and
    ``built_with`` is what built it, if it was built by name: ``name``, ``options``, ``axes``, ``channels``, ``size``.
    Mappings hold what JSON can hold, and tuples in them come back as lists.
    """

    params: Mapping[str, Tensor]
    function: str
    function_state: Mapping[str, Tensor] = attrs.field(factory=dict)
    built_with: Mapping[str, Any] = attrs.field(factory=dict)
    modality: str
    modality_options: Mapping[str, Any] = attrs.field(factory=dict)
    readout: Mapping[str, Any] = attrs.field(factory=dict)
    t: float = 0.0
    provenance: Mapping[str, Any] = attrs.field(factory=dict)

    def __repr__(self) -> str:
        count = sum(value.numel() for value in self.params.values())
        return f"<InrFile of '{self.modality}': {self.function} with {count:,} params, made at noise level {self.t:g}>"


def save_inr(
    path: Path | str,
    inr: InrFile | Sequence[InrFile],
    dtype: rounding.Dtype = "fp32",
    function_of: str | None = None,
) -> Path:
    """Write one signal, or several of one function, to a file; atomically, replacing what was there.

    Args:
        dtype: Of the numbers in the file: "fp32", "bf16" with half the bytes, or "int8" with a quarter.
        function_of: The name of an installed model that made it, such as "faces". The file then leaves out the weights
            that all signals share, and opens only where that model is installed.
    """
    atomic.write_bytes(Path(path), pack_inr(inr, dtype, function_of, what=str(path)))
    return Path(path)


def pack_inr(
    inr: InrFile | Sequence[InrFile],
    dtype: rounding.Dtype = "fp32",
    function_of: str | None = None,
    *,
    what: str = "INR",
) -> bytes:
    """The bytes of the file, for whoever keeps an INR within something else."""
    inrs = [inr] if isinstance(inr, InrFile) else list(inr)
    _check_alike(inrs, what)
    for each in inrs:
        _check_params(each, what)
    first = inrs[0]
    params = {name: torch.stack([each.params[name] for each in inrs]) for name in first.params}
    # A vector of one signal is a matrix of all: whether it is rounded does not depend on their number.
    vectors = {f"params.{name}": value for name, value in params.items() if value.ndim < 3}
    matrices = {f"params.{name}": value for name, value in params.items() if value.ndim >= 3}
    if function_of is None:
        matrices |= {f"state.{name}": value for name, value in first.function_state.items()}
    for name, tensor in matrices.items():
        tensorfile.check(name, tensor, what=what)
    common = _common([each.provenance for each in inrs], what)
    plain: dict[str, Any] = {name: getattr(first, name) for name in _SHARED}
    plain |= {"t": [float(each.t) for each in inrs], "provenance": common}
    plain["provenances"] = [{k: v for k, v in each.provenance.items() if k not in common} for each in inrs]
    _check_plain(plain, origin=what)
    if function_of is not None:
        plain["function_of"] = reference.refer(function_of, first.function_state, what)
    metadata = {"format": FORMAT, "version": VERSION, "sha256": _UNSIGNED}
    metadata["inr"] = jsontext.encode(plain, what=Path(what).name).decode()
    data = tensorfile.pack({**vectors, **rounding.rounded(matrices, dtype)}, metadata, what=what)
    return data.replace(_signature(_UNSIGNED), _signature(atomic.sha256(data)), 1)


def load_inr(path: Path | str, row: int | None = None) -> InrFile:
    """The signal at ``path``, or of several in the file that of a row; `DataError` for a foreign or altered file."""
    return _chosen(load_inrs(path), row, str(path))


def load_inrs(path: Path | str) -> list[InrFile]:
    """All signals in the file at ``path``."""
    return unpack_inrs(atomic.read_regular_file(Path(path).resolve()), origin=str(path))


def unpack_inr(data: bytes, row: int | None = None, *, origin: str) -> InrFile:
    """The inverse of `pack_inr` for one signal; ``origin`` is what messages call the bytes."""
    return _chosen(unpack_inrs(data, origin=origin), row, origin)


def unpack_inrs(data: bytes, *, origin: str) -> list[InrFile]:
    """The inverse of `pack_inr`."""
    if foreign.may_be_pickle(data[:8]):
        raise DataError(f"{origin}: expected an .inr file, found what may hold a pickle; it is never opened")
    if kind := foreign.signal_kind(data):
        hint = f"'inrkit encode RUN {origin}' makes one"
        raise DataError(f"{origin}: expected an .inr file, found a {kind} file; {hint}")
    tensors, metadata = tensorfile.unpack(data, origin=origin)
    if (found := metadata.get("format", "none")) != FORMAT:
        raise DataError(f"{origin}: expected format '{FORMAT}', found '{found}'; not an .inr file")
    if metadata.get("version") != VERSION:
        raise fileerror.other_version(origin, VERSION, metadata.get("version"))
    expected = metadata.get("sha256", "none")
    digest = atomic.sha256(data.replace(_signature(expected), _signature(_UNSIGNED), 1))
    if expected != digest:
        raise fileerror.altered(origin, expected, digest)
    plain = jsontext.decode(metadata.get("inr", "").encode(), origin=origin)
    left_out = plain.pop("function_of", None) if isinstance(plain, dict) else None
    _check_plain(plain, origin=origin)
    params, state = (
        {name.removeprefix(prefix): value for name, value in group.items() if name.startswith(prefix)}
        for group in [rounding.restored(tensors, origin=origin)]
        for prefix in ("params.", "state.")
    )
    if left_out is not None:
        state = reference.resolve(left_out, origin)
    levels, provenances = plain.pop("t"), plain.pop("provenances")
    if wrong := [name for name, value in params.items() if value.shape[:1] != (len(levels),)]:
        raise DataError(
            f"{origin}: expected {len(levels)} rows of '{wrong[0]}', found shape {tuple(params[wrong[0]].shape)}"
        )
    common = plain.pop("provenance")
    inrs = [
        InrFile(
            params={name: value[i] for name, value in params.items()},
            function_state=state,
            t=t,
            provenance={**common, **own},
            **plain,
        )
        for i, (t, own) in enumerate(zip(levels, provenances, strict=True))
    ]
    for each in inrs:
        _check_params(each, origin)
    return inrs


def _chosen(inrs: list[InrFile], row: int | None, origin: str) -> InrFile:
    if row is None and len(inrs) > 1:
        raise UsageError(f"{origin}: it holds {len(inrs)} signals; choose one of the rows 0 to {len(inrs) - 1}")
    if not 0 <= (row or 0) < len(inrs):
        raise UsageError(f"{origin}: it holds {len(inrs)} signal(s), rows 0 to {len(inrs) - 1} (got row {row})")
    return inrs[row or 0]


def _signature(digest: str) -> bytes:
    """How the digest stands in the header, where it is the first text of this form."""
    return f'"sha256":"{digest}"'.encode()


def _common(provenances: Sequence[Mapping[str, Any]], what: str) -> dict[str, Any]:
    """What all of them say alike."""
    texts = [{key: jsontext.encode(p[key], what=what) for key in p if type(key) is str} for p in provenances]
    return {
        key: value
        for key, value in provenances[0].items()
        if type(key) is str and all(text.get(key) == texts[0][key] for text in texts)
    }


def _check_alike(inrs: Sequence[InrFile], what: str) -> None:
    """`DataError` unless there are signals, all of one function."""
    if not inrs:
        raise DataError(f"{what}: expected at least one signal, found none")
    first = inrs[0]
    for row, each in enumerate(inrs[1:], 1):
        wrong = [name for name in _SHARED if getattr(each, name) != getattr(first, name)]
        state, own = first.function_state, each.function_state
        if own is not state and (own.keys() != state.keys() or any(not torch.equal(own[k], state[k]) for k in state)):
            wrong.append("function_state")
        if {k: v.shape for k, v in each.params.items()} != {k: v.shape for k, v in first.params.items()}:
            wrong.append("params")
        if wrong:
            raise DataError(
                f"{what}: expected signals of one function, found another '{wrong[0]}' in signal {row}; "
                "save it in a file of its own"
            )


def _check_params(inr: InrFile, origin: str) -> None:
    """`DataError` unless the params are what a function can be bound to."""
    for name, tensor in inr.params.items():
        tensorfile.check(name, tensor, what=origin)
        if not tensor.is_floating_point():
            raise DataError(f"{origin}: expected floating-point params, found '{name}' of {tensor.dtype}")
        if bad := int((~tensor.isfinite()).sum()):
            found = f"{bad} of {tensor.numel()} in '{name}' that are not"
            raise DataError(f"{origin}: expected finite params, found {found}")


def _check_plain(plain: Any, *, origin: str) -> None:
    names = (*_TEXTS, *_MAPPINGS, *_LISTS)
    if not isinstance(plain, dict) or plain.keys() != {*names}:
        raise DataError(f"{origin}: expected {', '.join(names)}, found other entries")
    for name in _TEXTS:
        if not isinstance(plain[name], str) or not plain[name]:
            raise DataError(f"{origin}: expected text as '{name}', found {plain[name]!r}")
    for name in _MAPPINGS:
        if not isinstance(plain[name], Mapping):
            raise DataError(f"{origin}: expected a mapping as '{name}', found {type(plain[name]).__name__}")
    levels, provenances = (plain[name] for name in _LISTS)
    if not isinstance(levels, list) or not levels or not all(type(t) is float and math.isfinite(t) for t in levels):
        raise DataError(f"{origin}: expected a list of finite numbers as 't', found {levels!r}")
    if not isinstance(provenances, list) or not all(isinstance(each, Mapping) for each in provenances):
        raise DataError(f"{origin}: expected a list of mappings as 'provenances', found {provenances!r:.80}")
    if len(levels) != len(provenances):
        raise DataError(f"{origin}: expected a provenance for each of {len(levels)} signals, found {len(provenances)}")
