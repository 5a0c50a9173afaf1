"""`.inr`: one encoded or generated signal in one file, which renders without the hyper-network and runs no code.

A safetensors file of `params.NAME` and `state.NAME`, with everything else as JSON in its metadata and a sha256 over
both.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from inrkit.errors import DataError
from inrkit.storage import atomic, jsontext, tensorfile

FORMAT = "inrkit-inr"
VERSION = "2"
_PICTURES = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"RIFF": "WAV or WebP"}
"""What people give in place of an .inr file, by how it begins."""
_TEXTS = ("function", "modality")
_MAPPINGS = ("modality_options", "readout", "provenance")


@attrs.frozen(eq=False, kw_only=True, repr=False)
class InrFile:
    """One signal: what its function and its read-out need, and where it came from.

    ``params`` have no batch axis; ``function_state`` are the function's own weights, shared by all signals. Mappings
    hold what JSON can hold, and tuples in them come back as lists.
    """

    params: Mapping[str, Tensor]
    function: str
    function_state: Mapping[str, Tensor] = attrs.field(factory=dict)
    modality: str
    modality_options: Mapping[str, Any] = attrs.field(factory=dict)
    readout: Mapping[str, Any] = attrs.field(factory=dict)
    t: float = 0.0
    provenance: Mapping[str, Any] = attrs.field(factory=dict)

    def __repr__(self) -> str:
        count = sum(value.numel() for value in self.params.values())
        return f"<InrFile of '{self.modality}': {self.function} with {count:,} params, made at noise level {self.t:g}>"


def save_inr(path: Path | str, inr: InrFile) -> Path:
    """Write the file atomically, replacing what was there."""
    atomic.write_bytes(Path(path), pack_inr(inr, what=str(path)))
    return Path(path)


def pack_inr(inr: InrFile, *, what: str = "INR") -> bytes:
    """The bytes of the file, for whoever keeps an INR within something else."""
    groups = {"params.": inr.params, "state.": inr.function_state}
    tensors = {prefix + name: tensor for prefix, group in groups.items() for name, tensor in group.items()}
    for name, tensor in tensors.items():
        tensorfile.check(name, tensor, what=what)
    _check_params(inr, what)
    plain = {name: getattr(inr, name) for name in (*_TEXTS, *_MAPPINGS)} | {"t": float(inr.t)}
    _check_plain(plain, origin=what)
    text = jsontext.encode(plain, what=Path(what).name)
    metadata = {"format": FORMAT, "version": VERSION, "inr": text.decode(), "sha256": _digest(text, tensors)}
    return tensorfile.pack(tensors, metadata, what=what)


def load_inr(path: Path | str) -> InrFile:
    """The signal at ``path``; `DataError` for a foreign, cut off or altered file."""
    return unpack_inr(atomic.read_regular_file(Path(path).resolve()), origin=str(path))


def unpack_inr(data: bytes, *, origin: str) -> InrFile:
    """The inverse of `pack_inr`; ``origin`` is what messages call the bytes."""
    if atomic.may_be_pickle(data[:8]):
        raise DataError(f"{origin}: expected an .inr file, found what may hold a pickle; it is never opened")
    for begin, kind in _PICTURES.items():
        if data.startswith(begin):
            hint = f"'inrkit encode RUN {origin}' makes one"
            raise DataError(f"{origin}: expected an .inr file, found a {kind} file; {hint}")
    tensors, metadata = tensorfile.unpack(data, origin=origin)
    if (found := metadata.get("format", "none")) != FORMAT:
        raise DataError(f"{origin}: expected format '{FORMAT}', found '{found}'; not an .inr file")
    if metadata.get("version") != VERSION:
        raise atomic.other_version(origin, VERSION, metadata.get("version"))
    text = metadata.get("inr", "").encode()
    expected, digest = metadata.get("sha256", "none"), _digest(text, tensors)
    if expected != digest:
        raise atomic.altered(origin, expected, digest)
    plain = jsontext.decode(text, origin=origin)
    _check_plain(plain, origin=origin)
    params, state = (
        {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        for prefix in ("params.", "state.")
    )
    inr = InrFile(params=params, function_state=state, **plain)
    _check_params(inr, origin)
    return inr


def _check_params(inr: InrFile, origin: str) -> None:
    """`DataError` unless the params are what a function can be bound to."""
    for name, tensor in inr.params.items():
        if not tensor.is_floating_point():
            raise DataError(f"{origin}: expected floating-point params, found '{name}' of {tensor.dtype}")
        if bad := int((~tensor.isfinite()).sum()):
            found = f"{bad} of {tensor.numel()} in '{name}' that are not"
            raise DataError(f"{origin}: expected finite params, found {found}")


def _check_plain(plain: Any, *, origin: str) -> None:
    if not isinstance(plain, dict) or plain.keys() != {*_TEXTS, *_MAPPINGS, "t"}:
        raise DataError(f"{origin}: expected {', '.join((*_TEXTS, *_MAPPINGS, 't'))}, found other entries")
    for name in _TEXTS:
        if not isinstance(plain[name], str) or not plain[name]:
            raise DataError(f"{origin}: expected text as '{name}', found {plain[name]!r}")
    for name in _MAPPINGS:
        if not isinstance(plain[name], Mapping):
            raise DataError(f"{origin}: expected a mapping as '{name}', found {type(plain[name]).__name__}")
    if type(plain["t"]) is not float or not math.isfinite(plain["t"]):
        raise DataError(f"{origin}: expected a finite number as 't', found {plain['t']!r}")


def _digest(text: bytes, tensors: Mapping[str, Tensor]) -> str:
    """sha256 of the metadata and of each tensor's name, type, shape and bytes, in the order of the names."""
    parts: list[atomic.Bytes] = [len(text).to_bytes(8, "little"), text]
    for name in sorted(tensors):
        plain = tensors[name].detach().cpu().resolve_conj().resolve_neg().contiguous()
        facts = jsontext.encode([name, str(plain.dtype), list(plain.shape)], what=name)
        parts += [facts, plain.reshape(-1).view(torch.uint8).numpy().data]
    return atomic.sha256(*parts)
