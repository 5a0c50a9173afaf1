"""Named tensors as safetensors and back: as bytes, or in a file that is written and read one tensor at a time.

Two names for one tensor (aliases) are stored once and come back as aliases. What several processes hold rows of is
stored whole, so that a file does not depend on their number; all of them then take part in `pieces`, which gathers one
tensor at a time. The header is looked at before a file is handed to the parser. Flipped bits are the caller's to
notice, by a hash.
"""

import collections
import functools
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from inrkit.core.shard import is_sharded, whole
from inrkit.errors import DataError
from inrkit.storage import atomic, fileerror, jsontext

_HEADER_LIMIT = 16 << 20
_MOST_NAMES = 20_000
_ALIASES = "aliases"


def pack(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None, *, what: str = "tensors") -> bytes:
    """Safetensors bytes holding the tensors and a mapping from text to text."""
    return b"".join(pieces(tensors, metadata, what=what)[1])


def pieces(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None, *, what: str = "tensors"
) -> tuple[int, Iterator[atomic.Bytes]]:
    """The size of such a file, and what it consists of, one tensor in memory at a time."""
    kept: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    first: dict[object, str] = {}
    for name, tensor in tensors.items():
        check(name, tensor, what=what)
        # Whether two shards are one tensor, not every process could tell.
        same = first.setdefault(_identity(tensor) if tensor.numel() and not is_sharded(tensor) else name, name)
        if same != name:
            aliases[name] = same
        else:
            kept[name] = tensor
    # The largest types first, so that all are aligned.
    names = sorted(kept, key=lambda name: (-kept[name].element_size(), name))
    header: dict[str, Any] = {}
    if metadata or aliases:
        also = {_ALIASES: jsontext.encode(aliases, what=what).decode()} if aliases else {}
        header["__metadata__"] = {**(metadata or {}), **also}
    end = 0
    for name in names:
        start, end = end, end + kept[name].numel() * kept[name].element_size()
        kind = _name_of(kept[name].dtype, what)
        header[name] = {"dtype": kind, "shape": list(kept[name].shape), "data_offsets": [start, end]}
    text = jsontext.encode(header, what=what, sort=False)
    text += b" " * (-len(text) % 8)
    begin = len(text).to_bytes(8, "little") + text
    return len(begin) + end, _data(begin, [kept[name] for name in names])


def _data(header: bytes, tensors: list[Tensor]) -> Iterator[atomic.Bytes]:
    yield header
    for tensor in tensors:
        plain = whole(tensor.detach()).cpu().resolve_conj().resolve_neg().contiguous()
        if plain.numel():
            yield plain.view(-1).view(torch.uint8).numpy().data


def give(tensors: Mapping[str, Tensor]) -> None:
    """The part of the other processes in what the first one writes."""
    collections.deque(pieces({name: tensor for name, tensor in tensors.items() if is_sharded(tensor)})[1], maxlen=0)


def unpack(data: bytes, *, origin: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of safetensors bytes; `DataError` for anything malformed."""
    header = _read_header(io.BytesIO(data).read, len(data), origin)
    return _joined(header, lambda: safetensors.torch.load(data), origin)


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file. They lie on the disk, and what is used of them is read then; changes stay in memory."""

    def tensors() -> dict[str, Tensor]:
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping

    with fileerror.disk_errors(path), open(path, "rb") as file:
        header = _read_header(file.read, path.stat().st_size, str(path))
    return _joined(header, tensors, str(path))[0]


def _joined(
    header: Mapping[str, Any], load: Callable[[], dict[str, Tensor]], origin: str
) -> tuple[dict[str, Tensor], dict[str, str]]:
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise DataError(f"{origin}: expected metadata from text to text, found something else")
    try:
        tensors = load()
    except (safetensors.SafetensorError, KeyError, ValueError, RuntimeError, AssertionError, AttributeError) as error:
        raise DataError(f"{origin}: expected whole safetensors data, found damage ({str(error)[:120]})") from error
    aliases = jsontext.decode(metadata.get(_ALIASES, "{}").encode(), origin=f"{origin} (aliases)")
    if not isinstance(aliases, dict) or not all(type(to) is str and to in tensors for to in aliases.values()):
        raise DataError(f"{origin}: expected aliases of stored tensors, found others")
    tensors.update({name: tensors[target] for name, target in aliases.items()})
    return tensors, {key: text for key, text in metadata.items() if key != _ALIASES}


def _read_header(read: Callable[[int], bytes], size: int, origin: str) -> dict[str, Any]:
    """The JSON header, after its announced length has been compared with what is there."""
    if size < 8:
        raise DataError(f"{origin}: expected safetensors data, found {size} bytes; the file is cut off or foreign")
    length, limit = int.from_bytes(read(8), "little"), min(size - 8, _HEADER_LIMIT)
    if length > limit:
        raise DataError(f"{origin}: expected a header of at most {limit} bytes, found one announced as {length} bytes")
    header = jsontext.decode(read(length), origin=f"{origin} (header)")
    if not isinstance(header, dict):
        raise DataError(f"{origin}: expected a safetensors header, found {type(header).__name__}")
    if len(header) > _MOST_NAMES:
        raise DataError(f"{origin}: expected at most {_MOST_NAMES:,} tensors, found {len(header):,}")
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


@functools.cache
def _name_of(dtype: torch.dtype, what: str) -> str:
    """What safetensors calls a type."""
    try:
        data = safetensors.torch.save({"x": torch.empty(0, dtype=dtype)})
    except (safetensors.SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise DataError(f"{what}: tensors of {dtype} cannot be stored ({str(error)[:120]})") from error
    return str(_read_header(io.BytesIO(data).read, len(data), what)["x"]["dtype"])
