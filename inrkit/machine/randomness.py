"""The random states that training could touch. Our own chance comes from `Draws`; a plugin's layers may use these."""

import contextlib
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inrkit.core.draws import seed_of


def seed_everything(*parts: int | str) -> None:
    """Seeds Python's, numpy's and torch's global generators, each with a number that depends on all parts."""
    seed = seed_of(*parts)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def capture(device: torch.device) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All global random states, as tensors and JSON."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    tensors = {
        "torch": torch.get_rng_state(),
        "python": torch.tensor(words, dtype=torch.int64),
        "numpy": torch.from_numpy(np.asarray(keys).astype(np.int64)),
    }
    if device.type != "cpu":
        tensors[device.type] = torch.get_device_module(device).get_rng_state(*_place(device))
    return tensors, {"python": [version, gauss], "numpy": [str(name), int(position), int(has_gauss), float(cached)]}


def restore(tensors: Mapping[str, Tensor], plain: Mapping[str, Any], device: torch.device) -> None:
    """Puts captured states back; that of another kind of device than ours is left out."""
    version, gauss = plain["python"]
    name, position, has_gauss, cached = plain["numpy"]
    random.setstate((version, tuple(tensors["python"].tolist()), gauss))
    np.random.set_state((name, tensors["numpy"].numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(tensors["torch"])
    if device.type != "cpu" and device.type in tensors:
        torch.get_device_module(device).set_rng_state(tensors[device.type], *_place(device))


def _place(device: torch.device) -> tuple[torch.device, ...]:
    """What a device's module is told of which one is meant; there is only one MPS."""
    return () if device.type == "mps" else (device,)


@contextlib.contextmanager
def preserve_random_state(device: torch.device) -> Iterator[None]:
    """Whatever happens inside leaves the random states as they were."""
    tensors, plain = capture(device)
    try:
        yield
    finally:
        restore(tensors, plain, device)
