"""Occupancy grids: what they must not miss, what they leave out, one for each object of a batch."""

import torch
from torch import Tensor

from inrkit_nerf.occupancy import Occupancy, occupancy_of

LOW, HIGH = torch.tensor([-1.0, -0.5, -0.5]), torch.tensor([1.0, 0.5, 0.5])
CENTRES = torch.tensor([[-0.5, 0.0, 0.0], [0.6, 0.1, 0.0], [0.0, -0.2, 0.2]])
RADII = torch.tensor([0.2, 0.1, 0.3])
DENSE, EMPTY = 5.0, -60.0
SEEN = 0.0  # a raw density that shows: exp(-20 softplus(-3)) of the light passes a unit of length


def balls(points: Tensor) -> Tensor:
    """Raw answers for three objects with the hardest of edges, each a ball elsewhere; the colour is the place."""
    inside = (points - CENTRES[:, None]).norm(dim=-1) < RADII[:, None]
    return torch.cat([torch.where(inside, DENSE, EMPTY)[..., None], points.expand(3, -1, -1)], -1)


def made(side: int = 24) -> Occupancy:
    return occupancy_of(balls, LOW, HIGH, side)


def some_points(count: int = 20_000) -> Tensor:
    return LOW + torch.rand(1, count, 1, 3) * (HIGH - LOW)


def test_nothing_that_is_there_is_missed() -> None:
    """Law: wherever an object has density its own grid says that there may be some, however hard its edge."""
    points = some_points()
    there = balls(points[:, :, 0])[..., 0] == DENSE
    assert bool((made().at(points).most[..., 0][there] > SEEN).all())


def test_empty_space_is_known_as_such() -> None:
    """Law: two cells away from an object its grid is empty, whatever the other objects do."""
    points, grid = some_points(), made()
    away = (points[:, :, 0] - CENTRES[:, None]).norm(dim=-1) > RADII[:, None] + 3 * 2 / 24
    assert bool((grid.at(points).most[..., 0][away] < SEEN - 2).all())


def test_what_changes_evenly_is_known_exactly() -> None:
    """Law: answers that are linear in the place are found between the middles of cells, and nothing is in doubt."""
    slope = torch.tensor([[1.0, -2.0], [0.5, 3.0], [2.0, 1.0]])
    grid = occupancy_of(lambda points: points @ slope, LOW, HIGH, 16)
    points = 0.6 * some_points(500)  # at the faces answers go on as in the last cells
    guess = grid.at(points)
    assert torch.allclose(guess.raw, points @ slope, atol=1e-4)
    assert torch.allclose(guess.least, guess.raw[..., 0], atol=0.05)
    assert torch.allclose(guess.most, guess.raw[..., 0], atol=0.05)


def test_doubt_contains_what_is_there() -> None:
    """Law: a smooth field's density lies between what is said at least and at most, nearly everywhere."""
    waves = torch.randn(3, 32) * 4
    weights = torch.randn(1, 32, 1)

    def field(points: Tensor) -> Tensor:
        return torch.sin(points @ waves) @ weights

    points = 0.95 * some_points()
    guess, truth = occupancy_of(field, LOW, HIGH, 24).at(points), field(points[:, :, 0])[..., None, 0]
    assert float(((guess.least <= truth) & (truth <= guess.most)).float().mean()) > 0.97


def test_a_grid_too_coarse_for_a_field_is_not_trusted() -> None:
    """Law: where waves are shorter than cells, anything may be anywhere."""
    grid = occupancy_of(lambda points: 30 * torch.sin(points * 90).prod(-1, keepdim=True), LOW, HIGH, 16)
    assert bool((grid.at(some_points()).most > 100).all())
    assert bool((grid.at(some_points()).least < -100).all())


def test_objects_alone_and_in_a_batch() -> None:
    """Law: an object's grid does not depend on what else is in the batch."""
    cells = made().cells
    for row in range(3):
        alone = occupancy_of(lambda points, row=row: balls(points)[row : row + 1], LOW, HIGH, 24)
        assert torch.equal(alone.cells[0], cells[row])


def test_points_of_each_object() -> None:
    """Law: points may be an object's own; they are looked up in its own grid."""
    points = CENTRES[:, None, None] + torch.zeros(3, 4, 1, 3)
    assert bool((made().at(points).most > SEEN).all())
    assert not bool((made().at(points[[1, 2, 0]]).most > SEEN).any())


def test_edges_belong_to_the_box() -> None:
    """Law: points on the faces of the box, and a rounding error beyond, are looked up in the cells beside them."""
    full = occupancy_of(lambda points: points.new_full((1, points.shape[1], 4), 9.0), LOW, HIGH, 5)
    assert torch.equal(
        full.at(torch.stack([LOW - 1e-6, HIGH + 1e-6])[None, :, None]).raw, torch.full((1, 2, 1, 4), 9.0)
    )


def test_what_is_not_a_number_is_not_empty() -> None:
    """Law: a broken field is seen to be broken, not taken for an empty one."""
    grid = occupancy_of(lambda points: points.new_full((1, points.shape[1], 4), torch.nan), LOW, HIGH, 4)
    assert bool(grid.at(some_points(10)).most.isnan().all())
