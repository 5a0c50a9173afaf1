"""Grids: where their places lie, how noise is shared between them, and how fields are read at them."""

from types import SimpleNamespace
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor

from inrkit import Draws, Grid, GridObservation, SampleGrid, UsageError, grid_centers, jitter, parse_size
from inrkit.core.resolution import shown_sizes
from inrkit.nn.grid import interpolated


def observation(size: tuple[int, ...], rows: int = 2, index: Tensor | None = None) -> GridObservation:
    shape = size if index is None else (len(index),)
    return GridObservation(torch.zeros(rows, 3, *shape), Grid(size, index))


def shared(ours: GridObservation, query: GridObservation) -> tuple[Tensor, Tensor]:
    """Noise of ours, and what the query sees of it."""
    noise = torch.randn(ours.values.shape)
    return noise, ours.share_noise(noise, query, Draws(0, len(ours)))


# ------------------------------------------------------------------------------------------------- coordinates


@pytest.mark.parametrize("size", [(5,), (4, 6), (2, 3, 4)])
def test_coords_of_a_part_are_part_of_the_coords(size: tuple[int, ...]) -> None:
    """Law: any stretch of places has, bit for bit, the coordinates it has in the whole."""
    grid = Grid(size)
    whole = grid.coords(0, grid.count)
    assert torch.equal(whole[0], grid_centers(size))
    for start, stop in ((0, 1), (1, 4), (grid.count - 2, grid.count)):
        assert torch.equal(grid.coords(start, stop), whole[:, start:stop])


@pytest.mark.parametrize("size", [(9,), (4, 6), (2, 3, 4)])
def test_coords_of_a_subset_are_those_of_its_cells(size: tuple[int, ...]) -> None:
    """Law: an index picks, bit for bit, the coordinates of the cells it names."""
    index = torch.tensor([7, 0, 3])
    part = Grid(size, index)
    assert part.count == 3
    assert torch.equal(part.coords(0, 3)[0], grid_centers(size)[index])
    assert torch.equal(part.coords(1, 3)[0], grid_centers(size)[index[1:]])


@pytest.mark.parametrize("n", [10, 33, 64, 100])
def test_any_size_agrees_with_itself(n: int) -> None:
    """Law: whole and part agree bit for bit at sizes whose fractions are not exact."""
    grid = Grid((n, n + 1))
    whole = grid.coords(0, grid.count)
    parts = [grid.coords(a, min(a + 37, grid.count)) for a in range(0, grid.count, 37)]
    assert torch.equal(torch.cat(parts, 1), whole)


def test_rows_of_a_grid() -> None:
    """Only jitter that differs from row to row is cut."""
    plain = Grid((4,))
    assert plain.rows(slice(0, 1)) is plain
    one = Grid((4,), jitter=torch.randn(1, 4, 1))
    assert one.rows(slice(2, 3)) is one
    each = Grid((4,), jitter=torch.randn(3, 4, 1))
    assert each.jitter is not None
    cut = each.rows(torch.tensor([2, 0])).jitter
    assert cut is not None
    assert torch.equal(cut, each.jitter[[2, 0]])


def test_grid_moves_as_a_whole() -> None:
    """Index and jitter go to the device with the grid, and coordinates are made there."""
    grid = Grid((4,), torch.tensor([1, 2]), torch.zeros(1, 2, 1)).to("meta")
    assert grid.index is not None
    assert grid.index.is_meta
    assert grid.jitter is not None
    assert grid.jitter.is_meta
    assert Grid((4,)).to("meta").coords(0, 4).is_meta


# ------------------------------------------------------------------------------------------------- jitter


@pytest.mark.parametrize("per_row", [True, False])
def test_jitter_is_fifteen_percent_of_a_pixel(per_row: bool) -> None:
    """Variational coordinates: standard deviation .15 pixel, clipped at .25 pixel, without a drift (ANR)."""
    n, rows = 64, 4
    moved = jitter(Grid((n, n)), Draws(0, rows), per_row=per_row)
    assert moved.jitter is not None
    assert moved.jitter.shape == (rows if per_row else 1, n * n, 2)
    pixels = moved.jitter * n / 2
    assert float(pixels.abs().max()) == pytest.approx(0.25)
    assert abs(float(pixels.mean())) < 0.005
    clipped = (0.15 * torch.randn(200_000)).clamp(-0.25, 0.25)
    assert float(pixels.std()) == pytest.approx(float(clipped.std()), rel=0.02)
    inside = pixels[pixels.abs() < 0.15]
    assert len(inside) / pixels.numel() == pytest.approx(0.683, abs=0.02)


def test_jitter_is_measured_on_the_longest_axis() -> None:
    """On a 16 x 64 grid no place moves by more than a quarter of a 64th of the axis."""
    moved = jitter(Grid((16, 64)), Draws(0, 1), per_row=False)
    assert moved.jitter is not None
    assert float(moved.jitter.abs().max()) == pytest.approx(0.5 / 64)


def test_jitter_moves_the_coords_of_a_subset() -> None:
    """Jitter of a subset belongs to its places."""
    grid = jitter(Grid((8, 8), torch.tensor([3, 60])), Draws(0, 3), per_row=True)
    assert grid.jitter is not None
    coords = grid.coords(0, 2)
    assert coords.shape == (3, 2, 2)
    assert torch.equal(coords, grid_centers((8, 8))[[3, 60]] + grid.jitter)
    assert torch.equal(grid.coords(1, 2), coords[:, 1:])


def test_jitter_of_a_part_of_the_batch() -> None:
    """Law: a row's jitter does not depend on how the batch is split."""
    whole = jitter(Grid((8,)), Draws(0, 4), per_row=True).jitter
    part = jitter(Grid((8,)), Draws(0, 4, start=1, stop=3), per_row=True).jitter
    assert whole is not None
    assert part is not None
    assert torch.equal(whole[1:3], part)


# ------------------------------------------------------------------------------------------------- shared noise


def test_same_grid_same_noise() -> None:
    """Law: on the same grid support and query see the same noise."""
    noise, found = shared(observation((4, 6)), observation((4, 6)))
    assert torch.equal(found, noise)


@pytest.mark.parametrize("part", [None, torch.tensor([3, 60, 9])])
def test_values_at_jittered_places_are_those_of_a_parabola(part: torch.Tensor | None) -> None:
    """Away from the borders they are those of the function itself where it is of degree two in each coordinate."""
    grid = jitter(Grid((8, 12), part), Draws(0, 3), per_row=True)

    def f(x: torch.Tensor) -> torch.Tensor:
        x, y = x.unbind(-1)
        return torch.stack([x + 2 * y**2, 1 - 3 * x**2 + y], -2)

    values = f(grid_centers((8, 12))[None]).unflatten(2, (8, 12))
    found = interpolated(values, grid, (False, False))
    assert found.shape == ((3, 2, 8, 12) if part is None else (3, 2, 3))
    inner = torch.zeros(8, 12, dtype=torch.bool)
    inner[1:-1, 1:-1] = True
    kept = inner.flatten() if part is None else inner.flatten()[part]
    assert torch.allclose(found.flatten(2)[:, :, kept], f(grid.coords(0, grid.count))[:, :, kept], atol=1e-6)


def test_values_without_jitter_are_those_of_the_cells() -> None:
    """Exactly; and what is constant stays so wherever it is read, to the borders."""
    values = torch.randn(2, 3, 6)
    assert torch.equal(interpolated(values, Grid((6,)), (False,)), values)
    moved = jitter(Grid((6,)), Draws(0, 2), per_row=True)
    constant = torch.full((2, 3, 6), 0.3)
    assert torch.allclose(interpolated(constant, moved, (False,)), constant)


def test_values_at_jittered_places_go_on_around_a_closed_axis() -> None:
    """Law: turning the circle turns what is read."""
    values, moved = torch.randn(1, 1, 6), jitter(Grid((6,)), Draws(0, 1), per_row=True)
    assert moved.jitter is not None
    turned = attrs.evolve(moved, jitter=moved.jitter.roll(2, 1))
    found = interpolated(values, moved, (True,))
    assert torch.allclose(interpolated(values.roll(2, 2), turned, (True,)), found.roll(2, 2))


def test_jittered_query_keeps_the_noise() -> None:
    """Jitter moves a place within its cell: its noise stays."""
    ours = observation((4, 6))
    query = GridObservation(ours.values, jitter(ours.where, Draws(0, 2), per_row=True))
    noise, found = shared(ours, query)
    assert torch.equal(found, noise)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_finer_grid_repeats_the_noise(factor: int) -> None:
    """On a finer grid all places in a cell of the support share its noise."""
    noise, found = shared(observation((4, 6)), observation((4 * factor, 6 * factor)))
    assert torch.equal(found, noise.repeat_interleave(factor, 2).repeat_interleave(factor, 3))


def test_subset_picks_the_noise() -> None:
    """A query of some cells sees their noise."""
    index = torch.tensor([5, 0, 23])
    noise, found = shared(observation((4, 6)), observation((4, 6), index=index))
    assert torch.equal(found, noise.flatten(2)[:, :, index])


def test_subset_of_a_finer_grid() -> None:
    """Subset and refinement together."""
    index = torch.tensor([0, 17, 95, 40])
    noise, found = shared(observation((4, 6)), observation((8, 12), index=index))
    fine = noise.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(found, fine.flatten(2)[:, :, index])


@pytest.mark.parametrize(
    ("ours", "query"), [((3,), (4,)), ((4,), (3,)), ((3, 5), (7, 4)), ((6,), (2,)), ((2, 2), (5, 3))]
)
def test_noise_is_that_of_the_cell_a_center_lies_in(ours: tuple[int, ...], query: tuple[int, ...]) -> None:
    """Law: whatever the two sizes, a place sees the noise of the cell that holds its center."""
    noise, found = shared(observation(ours), observation(query))
    places = grid_centers(query).double()
    flat = torch.zeros(len(places), dtype=torch.long)
    for axis, n in enumerate(ours):
        flat = flat * n + ((places[:, axis] + 1) / 2 * n + 1e-6).floor().long()
    assert torch.equal(found.flatten(2), noise.flatten(2)[:, :, flat])


def test_partial_support_is_refused() -> None:
    """A support of some cells only has no noise to give to other places."""
    ours = observation((4, 6), index=torch.tensor([1, 2]))
    with pytest.raises(UsageError, match="support must be a whole grid"):
        shared(ours, observation((4, 6)))
    noise, found = shared(ours, ours)
    assert torch.equal(noise, found)


# ------------------------------------------------------------------------------------------------- reading fields


def wave(coords: Tensor) -> Tensor:
    """Two channels for two rows."""
    rows = torch.tensor([1.0, 2.0])[:, None, None]
    s = coords.sum(-1, keepdim=True) * rows
    return torch.cat([s.sin(), s.cos()], -1)


@pytest.mark.parametrize("size", [(7,), (4, 6), (2, 3, 4)])
def test_values_are_laid_out_like_an_observation(size: tuple[int, ...]) -> None:
    """Values (B, C, *size): each place shows the field at its coordinates."""
    values = SampleGrid()(wave, Grid(size))
    assert values.shape == (2, 2, *size)
    assert torch.equal(values.flatten(2).transpose(1, 2), wave(grid_centers(size)[None]))


def test_subset_values() -> None:
    """For a subset, (B, C, P): those of the whole at its places."""
    index = torch.tensor([9, 2, 2, 0])
    part = SampleGrid()(wave, Grid((4, 6), index))
    assert torch.equal(part, SampleGrid()(wave, Grid((4, 6))).flatten(2)[:, :, index])


@pytest.mark.parametrize("chunk", [1, 5, 24, 100])
@pytest.mark.parametrize("index", [None, torch.tensor([3, 1, 20, 4, 4, 7, 0])])
@pytest.mark.parametrize("moved", [False, True])
def test_chunks_change_nothing(chunk: int, index: Tensor | None, moved: bool) -> None:
    """Law: reading by chunks gives the same values, and never more places at once than the chunk."""
    grid = Grid((4, 6), index)
    grid = jitter(grid, Draws(0, 2), per_row=True) if moved else grid
    largest = 0

    def watched(coords: Tensor) -> Tensor:
        nonlocal largest
        largest = max(largest, coords.shape[1])
        return wave(coords)

    with torch.no_grad():
        found = SampleGrid(chunk)(watched, grid)
        assert torch.equal(found, SampleGrid()(wave, grid))
    assert largest <= chunk


def test_gradients_see_all_places_at_once() -> None:
    """With gradients on, one pass of the field, differentiable."""
    scale = torch.tensor(2.0, requires_grad=True)
    calls = []

    def field(coords: Tensor) -> Tensor:
        calls.append(coords.shape[1])
        return wave(coords) * scale

    SampleGrid(5)(field, Grid((4, 6))).sum().backward()
    assert calls == [24]
    assert scale.grad is not None


# ------------------------------------------------------------------------------------------------- sizes as text


@pytest.mark.parametrize(
    ("text", "axes", "size"),
    [
        ("640x480", 2, (480, 640)),
        ("64", 2, (64, 64)),
        ("64X32", 2, (32, 64)),
        ("2x3x4", 3, (4, 3, 2)),
        ("16", 3, (16, 16, 16)),
        ("44100", 1, (44100,)),
    ],
)
def test_parse_size(text: str, axes: int, size: tuple[int, ...]) -> None:
    """Width x height, as people write it, becomes height, width; one number stands for all axes."""
    assert parse_size(text, axes) == size


@pytest.mark.parametrize(
    ("stored", "trained", "said"),
    [
        ([480, 640], (480, 640), "640 x 480"),
        ([128, 128], (64, 64), "128 x 128, trained at 64 x 64"),
        ([5, 7], [16, 16], "7 x 5, enlarged to 16 x 16"),
        ([100, 100], None, "100 x 100"),
        (None, (8, 8), ""),
    ],
)
def test_what_training_does_to_sizes_is_said(stored: Any, trained: Any, said: str) -> None:
    """How large signals are in their data, and at what size a model learns them."""
    assert shown_sizes({"size": stored}, SimpleNamespace(size=trained)) == said


@pytest.mark.parametrize("text", ["", "x", "64x", "x64", "0x4", "-1", "1.5", "64x64x64", "big", "64*64", "6 4"])
def test_impossible_size_is_refused(text: str) -> None:
    """Anything else is answered with an example of a size."""
    with pytest.raises(UsageError, match=r"a size is 2 positive numbers such as 64x64.*got"):
        parse_size(text, 2)
