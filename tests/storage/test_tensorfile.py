"""Tensors come back with their bits, types, shapes and aliases."""

import pytest
import torch

from inrkit.errors import DataError
from inrkit.storage import tensorfile

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (5, 7)])
def test_bits_types_and_shapes_come_back(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    """unpack(pack(x)) is x for every type and shape, with the metadata."""
    tensor = (torch.randn(shape) * 10).to(dtype)
    tensors, metadata = tensorfile.unpack(tensorfile.pack({"x": tensor}, {"a": "b"}), origin="x")
    assert tensors["x"].dtype == dtype
    assert torch.equal(tensors["x"], tensor)
    assert metadata == {"a": "b"}
    tensors["x"].zero_()  # writable, and not the caller's
    assert shape != (5, 7) or dtype == torch.bool or tensor.any()


def test_views_of_one_memory_are_stored_apart() -> None:
    """Transposed, overlapping, expanded and gapped views keep their values."""
    base = torch.randn(6, 6)
    views = {"t": base.T, "a": base[:3], "b": base[2:], "s": base[::2, ::3], "e": base[:1].expand(4, 6), "base": base}
    views |= {"flat": base.view(-1), "grad": torch.nn.Parameter(base[1:3])}
    tensors, _ = tensorfile.unpack(tensorfile.pack(views), origin="x")
    assert tensors.keys() == views.keys()
    assert all(torch.equal(tensors[name], views[name]) for name in views)


def test_aliases_are_stored_once_and_come_back_as_aliases() -> None:
    """Tied weights stay tied and take their room once."""
    weight = torch.randn(100, 100)
    data = tensorfile.pack({"a": weight, "b": weight, "c": weight[:]})
    tensors, metadata = tensorfile.unpack(data, origin="x")
    assert len(data) < 1.1 * weight.numel() * 4
    assert tensors["a"] is tensors["b"]
    assert torch.equal(tensors["c"], weight)
    assert metadata == {}


def test_what_is_no_dense_tensor_is_refused() -> None:
    """Numbers, sparse and value-less tensors are named."""
    for tensor in (3, torch.eye(3).to_sparse(), torch.empty(3, device="meta")):
        with pytest.raises(DataError, match="'x'"):
            tensorfile.pack({"x": tensor})


def bomb(length: int, header: bytes = b"{}") -> bytes:
    return length.to_bytes(8, "little") + header


@pytest.mark.parametrize("data", [b"", b"abc", bomb(2**60), bomb(3), bomb(17 << 20, bytes(18 << 20)), bomb(2, b"[]")])
def test_headers_are_measured_before_they_are_parsed(data: bytes) -> None:
    """A header longer than the file or than the limit, and one that is no mapping, are refused."""
    with pytest.raises(DataError):
        tensorfile.unpack(data, origin="x")


@pytest.mark.parametrize(
    "header",
    [
        b'{"x":{"dtype":"F32","shape":[1000000000,1000000000],"data_offsets":[0,4]}}',
        b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,400]}}',
        b'{"x":{"dtype":"NO","shape":[1],"data_offsets":[0,4]}}',
        b'{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
        b'{"x":3}',
        b'{"__metadata__":{"aliases":"{\\"y\\":\\"nowhere\\"}"},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        b'{"__metadata__":{"aliases":"[1]"},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        b'{"__metadata__":{"aliases":"{\\"y\\":[]}"},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        b'{"__metadata__":[],"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
    ],
)
def test_lying_headers_are_data_errors(header: bytes) -> None:
    """Shapes, offsets, types and aliases that fit nothing there are refused."""
    with pytest.raises(DataError):
        tensorfile.unpack(bomb(len(header), header) + bytes(4), origin="x")


def test_too_many_names_are_refused_before_they_are_looked_at() -> None:
    """A header is short, but what is made of each name is not."""
    names = {f"n{i}": torch.empty(0) for i in range(20_001)}
    with pytest.raises(DataError, match="x: expected at most 20,000 tensors, found 20,0"):
        tensorfile.unpack(tensorfile.pack(names), origin="x")
