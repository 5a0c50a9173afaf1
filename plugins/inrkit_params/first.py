"""The first stage, as a file of params carries it: what turns a vector back into a signal."""

import base64
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import attrs
import torch
from torch import Tensor

from inrkit import DataError, Display, InrFile, Measure, Params, Store, open_inr, unpack_inr

SPREAD = 0.5
"""Standard deviation of every entry of the observed vectors, like that of the values of other signals."""


@final
@attrs.frozen(eq=False)
class First:
    """The modality, function and read-out that params of a file belong to, and the statistics of the params.

    Args:
        inr: The mean of the params, as a complete INR.
        mean, std: Of each entry, (D,).
        display: Of the signals' own modality.
        measure: What becomes of the params.
    """

    inr: InrFile
    mean: Tensor
    std: Tensor
    display: Display
    measure: Measure

    def params(self, vectors: Tensor) -> Params:
        """Vectors (B, D) cut into params (B, *shape)."""
        shapes = {name: self.inr.params[name].shape for name in sorted(self.inr.params)}
        parts = vectors.split([shape.numel() for shape in shapes.values()], dim=1)
        return {name: part.unflatten(1, shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}

    def scaled(self, vectors: Tensor) -> Tensor:
        """Every entry with mean 0 and standard deviation `SPREAD` over the data set."""
        return (vectors - self.mean.to(vectors)) / self.std.to(vectors) * SPREAD

    def unscaled(self, values: Tensor) -> Tensor:
        """The inverse of `scaled`."""
        return values / SPREAD * self.std.to(values) + self.mean.to(values)

    @torch.no_grad()
    def show(self, values: Tensor, where: Any) -> Tensor:
        """What the INRs of scaled vectors (B, D) show, in their own modality."""
        self.measure.function.to(values.device)
        t = torch.full((len(values),), self.inr.t, device=values.device)
        return self.measure(self.params(self.unscaled(values.float())), where, t)

    def file(self, vector: Tensor, provenance: Mapping[str, Any]) -> InrFile:
        """The INR of one vector (D,), unscaled, which renders without any run."""
        params = {name: value[0].contiguous() for name, value in self.params(vector[None]).items()}
        return attrs.evolve(self.inr, params=params, provenance={**provenance, "first": dict(self.inr.provenance)})


def vector_of(params: Params) -> Tensor:
    """Params without a batch axis as one vector (D,), in the order of their names."""
    return torch.cat([params[name].flatten() for name in sorted(params)]).float()


def open_first(store: Store) -> First:
    """The first stage of a file of params, opened once in a process."""
    return _open(str(store.path), store.sha256)


@functools.lru_cache(maxsize=4)
def _open(path: str, digest: str) -> First:
    attributes = Store(path).attributes
    mean, std = (_inr(path, attributes, name) for name in ("mean", "std"))
    opened = open_inr(mean)
    return First(mean, vector_of(mean.params), vector_of(std.params), opened.modality.display, opened.measure)


def _inr(path: str, attributes: Mapping[str, Any], name: str) -> InrFile:
    try:
        data = base64.b64decode(attributes[name], validate=True)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: expected the '{name}' of its params as an INR file, found none") from error
    return unpack_inr(data, origin=f"{Path(path).name} ({name})")
