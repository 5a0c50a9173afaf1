"""Weights from files of the user: safetensors, or arrays of NumPy; read, checked and put in place, never unpickled."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import attrs
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from inrkit import DataError, UsageError, option


@attrs.frozen(kw_only=True)
class WeightsOptions:
    """Which weights."""

    weights: str | None = attrs.field(
        default=None,
        metadata={"help": "file with the weights of the network, .safetensors or .npz (required)", "path": True},
    )
    sha256: str | None = option(None, "SHA-256 that the file must have; none: not checked")


def read(options: WeightsOptions, name: str) -> tuple[Path, dict[str, Tensor]]:
    """The file and what it holds."""
    if options.weights is None:
        raise UsageError(f"'{name}' needs the file of its weights; give '--weights FILE.safetensors'")
    path = Path(options.weights).expanduser()
    return path, tensors_of(path, name, options.sha256)


def tensors_of(path: Path, name: str, sha256: str | None = None) -> dict[str, Tensor]:
    """All numbers of a file as float32, all of them finite; counters are left out."""
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise DataError(f"{path}: expected weights of '{name}', found a folder, a pipe or a device")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: expected weights of '{name}', found {error.strerror}") from error
    found = hashlib.sha256(data).hexdigest()
    if sha256 not in (None, found):
        raise DataError(f"{path}: expected sha256 {sha256}, found {found}; these are other weights")
    try:
        tensors = _arrays(data) if path.suffix == ".npz" else load(data)
    except (SafetensorError, ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        kind = "an .npz file" if path.suffix == ".npz" else "a safetensors file"
        reason = "a PyTorch file, which is a pickle; docs/evaluation.md says how to convert it"
        if not data.startswith((b"PK\x03\x04", b"\x80")) or path.suffix == ".npz":
            reason = " ".join(str(error).split())[:160]
        raise DataError(f"{path}: expected {kind} with weights of '{name}', found {reason}") from error
    floats = {key: tensor.float() for key, tensor in tensors.items() if tensor.is_floating_point()}
    if broken := [key for key, tensor in floats.items() if not tensor.isfinite().all()]:
        raise DataError(f"{path}: expected finite weights of '{name}', found NaN or infinity in '{broken[0]}'")
    return floats


def put(network: nn.Module, tensors: Mapping[str, Tensor], path: Path, name: str) -> None:
    """The weights into a network that is fixed from then on; each has its place and its shape."""
    wanted = {key: tuple(t.shape) for key, t in network.state_dict().items() if not key.endswith("_tracked")}
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    for key, shape in wanted.items():
        if found.get(key) != shape:
            there = f"of shape {found[key]}" if key in found else "missing"
            raise DataError(f"{path}: expected weights of '{name}' with '{key}' of shape {shape}, found it {there}")
    if odd := sorted(found.keys() - wanted):
        raise DataError(f"{path}: expected weights of '{name}', found '{odd[0]}', which it does not have")
    network.load_state_dict(dict(tensors), strict=False)
    network.eval().requires_grad_(False)


def _arrays(data: bytes) -> dict[str, Tensor]:
    with np.load(io.BytesIO(data), allow_pickle=False) as opened:
        return {key: torch.from_numpy(opened[key]) for key in opened.files}
