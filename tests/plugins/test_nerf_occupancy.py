"""Occupancy grids: what they must not miss, one for each object of a batch."""

import torch
from torch import Tensor

from inrkit_nerf.occupancy import Occupancy, occupancy_of

LOW, HIGH = torch.tensor([-1.0, -0.5, -0.5]), torch.tensor([1.0, 0.5, 0.5])
CENTRES = torch.tensor([[-0.5, 0.0, 0.0], [0.6, 0.1, 0.0], [0.0, -0.2, 0.2]])
RADII = torch.tensor([0.2, 0.1, 0.3])


def balls(points: Tensor) -> Tensor:
    """The density of three objects, each a ball elsewhere."""
    return 50.0 * ((points - CENTRES[:, None]).norm(dim=-1) < RADII[:, None])


def made(side: int = 24) -> Occupancy:
    return occupancy_of(balls, LOW, HIGH, side, torch.device("cpu"))


def some_points(count: int = 20_000) -> Tensor:
    return LOW + torch.rand(1, count, 3) * (HIGH - LOW)


def test_nothing_that_is_there_is_missed() -> None:
    """Law: wherever an object has density its own grid says so."""
    points = some_points()
    assert bool(made().at(points)[balls(points) > 0].all())


def test_empty_space_is_known_as_such() -> None:
    """Law: two cells away from an object its grid is empty, whatever the other objects do."""
    points, grid = some_points(), made()
    away = (points - CENTRES[:, None]).norm(dim=-1) > RADII[:, None] + 3 * 2 / 24
    assert not bool(grid.at(points)[away].any())


def test_objects_alone_and_in_a_batch() -> None:
    """Law: an object's grid does not depend on what else is in the batch."""
    cells = made().cells
    for row in range(3):
        alone = occupancy_of(lambda points, row=row: balls(points)[row : row + 1], LOW, HIGH, 24, torch.device("cpu"))
        assert torch.equal(alone.cells[0], cells[row])


def test_points_of_each_object() -> None:
    """Law: points may be an object's own; they are looked up in its own grid."""
    points = CENTRES[:, None] + torch.zeros(3, 4, 3)
    assert bool(made().at(points).all())
    assert not bool(made().at(points[[1, 2, 0]]).any())


def test_edges_belong_to_the_box() -> None:
    """Law: points on the faces of the box, and a rounding error beyond, are looked up in the cells beside them."""
    full = occupancy_of(lambda points: points.new_full((1, points.shape[1]), 9.0), LOW, HIGH, 5, torch.device("cpu"))
    assert bool(full.at(torch.stack([LOW - 1e-6, HIGH + 1e-6])[None]).all())


def test_what_is_not_a_number_is_not_empty() -> None:
    """Law: a broken field is seen to be broken, not taken for an empty one."""
    grid = occupancy_of(
        lambda points: points.new_full((1, points.shape[1]), torch.nan), LOW, HIGH, 4, torch.device("cpu")
    )
    assert bool(grid.cells.all())
