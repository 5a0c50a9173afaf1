"""Tensors in fewer bits, and back: what is a matrix or more is rounded, vectors and integers stay as they are."""

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from inrkit.errors import DataError, UsageError

Dtype: TypeAlias = Literal["fp32", "bf16", "int8"]
"""fp32: as they are. bf16: 16 bits. int8: 8 bits, and for each row along the last axis the scale of it in fp32."""
DTYPES: tuple[str, ...] = get_args(Dtype)
SCALE = "scale."
"""What the name of a tensor's scales begins with."""


def rounded(tensors: Mapping[str, Tensor], dtype: str) -> dict[str, Tensor]:
    """Tensors by name, those with two axes or more in fewer bits."""
    if dtype not in DTYPES:
        raise UsageError(f"'dtype' must be one of {', '.join(DTYPES)} (got {dtype!r})")
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if dtype == "fp32" or tensor.ndim < 2 or not tensor.is_floating_point():
            found[name] = tensor
        elif dtype == "bf16":
            found[name] = tensor.to(torch.bfloat16)
        else:
            scale = tensor.detach().float().abs().amax(-1, keepdim=True) / 127
            scale = torch.where(scale > 0, scale, 1.0)
            found[name], found[SCALE + name] = (tensor / scale).round().to(torch.int8), scale
    return found


def restored(tensors: Mapping[str, Tensor], *, origin: str) -> dict[str, Tensor]:
    """What `rounded` gave as numbers of at least 32 bits; `DataError` where scales and numbers do not fit together."""
    scales = {name.removeprefix(SCALE): tensor for name, tensor in tensors.items() if name.startswith(SCALE)}
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith(SCALE):
            continue
        scale = scales.pop(name, None)
        if scale is not None:
            wanted = (*tensor.shape[:-1], 1)
            if tensor.dtype != torch.int8 or scale.dtype != torch.float32 or tuple(scale.shape) != wanted:
                seen = f"{scale.dtype} {tuple(scale.shape)} beside {tensor.dtype}"
                raise DataError(f"{origin}: expected scales of '{name}', float32 {wanted} beside int8, found {seen}")
            found[name] = tensor * scale
        else:
            found[name] = tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor
    if scales:
        raise DataError(f"{origin}: expected scales of tensors that are there, found those of '{next(iter(scales))}'")
    return found
