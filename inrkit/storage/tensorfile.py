"""Named tensors as safetensors bytes and back.

safetensors refuses tensors that share memory or have gaps, and says nothing about flipped bits. Here aliases (two names
for one tensor) are stored once and come back as aliases, other views are copied, and the header is looked at before the
bytes are handed to the parser. Flipped bits are the caller's to notice, by a hash.
"""

from collections.abc import Mapping
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from inrkit.errors import DataError
from inrkit.storage import jsontext

_HEADER_LIMIT = 16 << 20
_ALIASES = "aliases"


def pack(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None, *, what: str = "tensors") -> bytes:
    """Safetensors bytes holding the tensors and a mapping from text to text."""
    kept: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    first: dict[object, str] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        check(name, tensor, what=what)
        same = first.setdefault(_identity(tensor) if tensor.numel() else name, name)
        if same != name:
            aliases[name] = same
        else:
            kept[name] = _own_memory(tensor, storages)
    if aliases:
        metadata = {**(metadata or {}), _ALIASES: jsontext.encode(aliases, what=what).decode()}
    try:
        return safetensors.torch.save(kept, dict(metadata) if metadata else None)
    except (safetensors.SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise DataError(f"{what}: these tensors cannot be stored ({str(error)[:120]})") from error


def unpack(data: bytes, *, origin: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of safetensors bytes; `DataError` for anything malformed."""
    metadata = _read_header(data, origin).get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise DataError(f"{origin}: expected metadata from text to text, found something else")
    try:
        tensors = safetensors.torch.load(data)
    except (safetensors.SafetensorError, KeyError, ValueError, RuntimeError, AssertionError, AttributeError) as error:
        raise DataError(f"{origin}: expected whole safetensors data, found damage ({str(error)[:120]})") from error
    aliases = jsontext.decode(metadata.get(_ALIASES, "{}").encode(), origin=f"{origin} (aliases)")
    if not isinstance(aliases, dict) or not all(type(to) is str and to in tensors for to in aliases.values()):
        raise DataError(f"{origin}: expected aliases of stored tensors, found others")
    tensors.update({name: tensors[target] for name, target in aliases.items()})
    return tensors, {key: text for key, text in metadata.items() if key != _ALIASES}


def _read_header(data: bytes, origin: str) -> dict[str, Any]:
    """The JSON header, after its announced length has been compared with what is there."""
    if len(data) < 8:
        raise DataError(f"{origin}: expected safetensors data, found {len(data)} bytes; the file is cut off or foreign")
    length, limit = int.from_bytes(data[:8], "little"), min(len(data) - 8, _HEADER_LIMIT)
    if length > limit:
        raise DataError(f"{origin}: expected a header of at most {limit} bytes, found one announced as {length} bytes")
    header = jsontext.decode(data[8 : 8 + length], origin=f"{origin} (header)")
    if not isinstance(header, dict):
        raise DataError(f"{origin}: expected a safetensors header, found {type(header).__name__}")
    return header


def check(name: Any, tensor: Any, *, what: str) -> None:
    """`DataError` unless this is a name and a dense tensor with values."""
    if type(name) is not str or not name or name == "__metadata__":
        raise DataError(f"{what}: expected non-empty text as tensor names, found {name!r}")
    if not isinstance(tensor, Tensor):
        raise DataError(f"{what}: expected a tensor at '{name}', found {type(tensor).__name__}")
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
        raise DataError(f"{what}: expected a dense tensor with values at '{name}', found a {tensor.layout} one")


def _identity(tensor: Tensor) -> object:
    """Equal for two tensors that are the same view of the same memory."""
    view = (tensor.dtype, tensor.shape, tensor.stride(), tensor.is_conj(), tensor.is_neg())
    return tensor.device, tensor.data_ptr(), view


def _own_memory(tensor: Tensor, storages: set[int]) -> Tensor:
    """The tensor on the CPU, contiguous, in memory that no other stored tensor touches."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    storage = plain.untyped_storage()
    if plain.numel() and (storage.data_ptr() in storages or storage.nbytes() != plain.numel() * plain.element_size()):
        plain = plain.clone(memory_format=torch.contiguous_format)
    storages.add(plain.untyped_storage().data_ptr())
    return plain
