"""Signals measured on a regular grid of any number of axes: sound, pictures, volumes."""

import math
from collections.abc import Sequence
from typing import Any, final

import attrs
import torch
from torch import Tensor

from inrkit.core.draws import Draws
from inrkit.core.inr import Field
from inrkit.core.observation import Observation
from inrkit.core.transform import Transform
from inrkit.errors import UsageError
from inrkit.nn.fourier import center, grid_centers

_CPU = torch.device("cpu")


@final
@attrs.frozen(eq=False)
class Grid:
    """Places on a grid over [-1, 1] on each axis.

    Args:
        size: Cells on each axis.
        index: Flat numbers of the cells that are meant, (P,), the same for all rows; None for all of them.
        jitter: Offsets from the cells' centers, (B or 1, P, axes); None for the exact centers.
        device: Where the coordinates are made.
    """

    size: tuple[int, ...]
    index: Tensor | None = None
    jitter: Tensor | None = None
    device: torch.device = _CPU

    @property
    def count(self) -> int:
        return math.prod(self.size) if self.index is None else len(self.index)

    def coords(self, start: int, stop: int) -> Tensor:
        """Coordinates of the places numbered ``start`` to ``stop``, (B or 1, stop - start, axes)."""
        if self.index is None and start == 0 and stop == self.count:
            centers = grid_centers(self.size, self.device)
        else:
            whole = torch.arange(start, stop, device=self.device) if self.index is None else self.index[start:stop]
            parts = unravel(whole, self.size)
            centers = torch.stack([center(i, n) for i, n in zip(parts, self.size, strict=True)], dim=-1)
        return centers[None] if self.jitter is None else centers + self.jitter[:, start:stop]

    def rows(self, index: Tensor | slice) -> "Grid":
        """The places of some rows: only jitter differs from row to row."""
        if self.jitter is None or len(self.jitter) == 1:
            return self
        return attrs.evolve(self, jitter=self.jitter[index])

    def to(self, device: torch.device | str) -> "Grid":
        index = None if self.index is None else self.index.to(device)
        jitter = None if self.jitter is None else self.jitter.to(device)
        return Grid(self.size, index, jitter, torch.device(device))


@final
@attrs.frozen(eq=False)
class GridObservation(Observation):
    """Values on a grid: (B, C, *size), or (B, C, P) when ``where`` names some of the cells."""

    where: Grid

    def share_noise(self, noise: Tensor, query: Observation, draws: Draws) -> Tensor:
        """Each place of the query takes the noise of the cell of ours that it lies in.

        For the same grid that is the same noise; on a finer grid neighbours share it.
        """
        ours, where = self.where, query.where
        if where.size == ours.size and where.index is ours.index:
            return noise
        if ours.index is not None:
            raise UsageError("the support must be a whole grid for the query to share its noise")
        fine = torch.arange(where.count, device=noise.device) if where.index is None else where.index
        parts = unravel(fine, where.size)
        flat = torch.zeros_like(fine)
        for i, n_query, n in zip(parts, where.size, ours.size, strict=True):
            flat = flat * n + (2 * i + 1) * n // (2 * n_query)  # the cell that holds its center
        return noise.flatten(2)[:, :, flat].reshape(query.values.shape)


@final
class SampleGrid(Transform):
    """Reads the field at the places of a `Grid`: the transform of everything that is measured point by point.

    Args:
        chunk: With gradients off, places in flight at a time, those of all rows together; bounds the memory at any
            size and for any number of rows. Small chunks stay in the processor's caches and are up to three times
            faster than all at once; below 256 places of a row calling the field costs more than that gains. A GPU has
            131,072 places in flight, if ``chunk`` is not more.
    """

    def __init__(self, chunk: int = 4096) -> None:
        self.chunk = chunk

    def __call__(self, field: Field, where: Any) -> Tensor:
        grid: Grid = where
        if torch.is_grad_enabled():
            values = field(grid.coords(0, grid.count)).transpose(1, 2)
        else:
            values = self._by_chunks(field, grid)
        return values if grid.index is not None else values.unflatten(2, grid.size)

    def _by_chunks(self, field: Field, grid: Grid) -> Tensor:
        chunk = self.chunk if torch.device(grid.device).type == "cpu" else max(self.chunk, _ON_DEVICE)
        least = min(chunk, _LEAST)
        stop = min(least, grid.count)
        part = field(grid.coords(0, stop))  # (B, P, C): only now the number of rows is known
        if stop == grid.count:
            return part.transpose(1, 2)
        values = part.new_empty(len(part), part.shape[2], grid.count)
        values[:, :, :stop] = part.transpose(1, 2)
        step = max(least, chunk // max(1, len(part)))
        for start in range(stop, grid.count, step):
            stop = min(start + step, grid.count)
            values[:, :, start:stop] = field(grid.coords(start, stop)).transpose(1, 2)
        return values


_LEAST = 256
_ON_DEVICE = 1 << 17


def unravel(index: Tensor, size: tuple[int, ...]) -> list[Tensor]:
    """The place on each axis of flat numbers of cells, last axis fastest.

    As `torch.unravel_index`, whose first call spends a quarter of a second on importing torch's compiler.
    """
    parts = []
    for n in reversed(size):
        parts.append(index % n)
        index = index // n
    return parts[::-1]


def jitter(grid: Grid, draws: Draws, *, per_row: bool) -> Grid:
    """Variational coordinates (ANR), for training: 0.3 n z clipped to ± n / 2 on every axis, n = 1 / max(size).

    That is a standard deviation of .15 and at most .25 of a cell of the longest axis. ``per_row`` = False draws once
    for all rows, which lets the function work out its features of the coordinates once.
    """
    limit = 1 / max(grid.size)
    shape = (grid.count, len(grid.size))
    z = draws.normal(*shape) if per_row else draws.shared_normal(*shape)[None]
    return attrs.evolve(grid, jitter=(0.3 * limit * z).clamp(-0.5 * limit, 0.5 * limit))


def interpolated(whole: Tensor, where: Grid, closed: Sequence[bool]) -> Tensor:
    """Values (B, C, *size) of all cells, read at the jittered places: (B, C, P) where these are only some cells.

    On each axis by the parabola through a cell and its two neighbours. An axis that is ``closed`` goes on at its other
    end; elsewhere the outermost cells are repeated.
    """
    index = where.index

    def chosen(values: Tensor) -> Tensor:
        return values.flatten(2) if index is None else values.flatten(2)[:, :, index]

    found = chosen(whole)
    moves = () if where.jitter is None else where.jitter.unbind(-1)
    for axis, (n, far) in enumerate(zip(where.size, moves, strict=False)):
        cells = torch.arange(n, device=whole.device)
        beside = [(cells + step) % n if closed[axis] else (cells + step).clamp(0, n - 1) for step in (-1, 1)]
        before, after = (whole.index_select(2 + axis, at) for at in beside)
        slope, bend = (after - before) / 2, after - 2 * whole + before
        moved = far[:, None] * (n / 2)  # in cells
        found = found + moved * (chosen(slope) + moved / 2 * chosen(bend))
    return found if index is not None else found.unflatten(2, where.size)
