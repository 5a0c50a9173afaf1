"""Where coordinates live: features without seams."""

import math

import pytest
import torch

from inrkit import FourierFeatures, UsageError, closed_axes, features_for, grid_centers, make_function, on_sphere
from inrkit import position_embedding as embedding


def test_spaces_say_which_axes_are_closed() -> None:
    """One word for all axes, or one each; the sphere is closed in longitude."""
    assert closed_axes("line", 3) == (False, False, False)
    assert closed_axes("circle", 2) == (True, True)
    assert closed_axes("line,circle", 2) == (False, True)
    assert closed_axes("sphere", 2) == (False, True)


@pytest.mark.parametrize(("space", "axes"), [("torus", 2), ("sphere", 3), ("line,circle", 3), ("sphere,line", 2)])
def test_what_is_no_space_is_refused(space: str, axes: int) -> None:
    """Unknown words, and numbers of axes that do not fit."""
    with pytest.raises(UsageError, match="space"):
        closed_axes(space, axes)


def test_lines_have_the_usual_features() -> None:
    """Nothing changes where nothing is closed."""
    x = torch.rand(7, 2) * 2 - 1
    assert torch.equal(features_for("line", 2, 16, 8.0)(x), FourierFeatures(2, 16, 8.0)(x))


def test_a_closed_axis_has_no_seam() -> None:
    """A whole turn further is the same place; along an open axis it is another."""
    features, x = features_for("line,circle", 2, 32, 10.0), torch.rand(9, 2) * 2 - 1
    assert torch.allclose(features(x), features(x + torch.tensor([0.0, 2.0])), atol=1e-4)
    assert float((features(x) - features(x + torch.tensor([2.0, 0.0]))).abs().max()) > 0.1


def test_the_sphere_has_no_seam_and_no_poles() -> None:
    """Across the date line, and at a pole at any longitude, features are those of one place."""
    features = features_for("sphere", 2, 32, 16.0)
    latitude = torch.linspace(-1, 1, 9)
    west, east = (torch.stack([latitude, torch.full((9,), side)], 1) for side in (-1.0, 1.0))
    assert torch.allclose(features(west), features(east), atol=1e-4)
    pole = torch.stack([torch.full((9,), -1.0), latitude], 1)
    assert torch.allclose(features(pole), features(pole[:1]).expand(9, -1), atol=1e-4)
    assert features(pole).shape == (9, 32)


def test_places_on_the_sphere() -> None:
    """North is up, the first meridian points along x, and east of it lies y; all have length 1."""
    places = on_sphere(torch.tensor([[-1.0, 0.3], [0.0, 0.0], [0.0, 0.5]]))
    assert torch.allclose(places, torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]), atol=1e-6)
    assert torch.allclose(on_sphere(torch.rand(20, 2) * 2 - 1).norm(dim=1), torch.ones(20))


def test_neighbours_across_the_seam_resemble_each_other() -> None:
    """Embeddings of the first and the last column are as alike as those of any other neighbours."""
    grid = embedding((4, 16), 64, "line,circle").reshape(4, 16, 64)
    alike = torch.nn.functional.cosine_similarity(grid, grid.roll(1, 1), dim=2)
    assert torch.allclose(alike, alike[:, :1].expand(4, 16), atol=1e-4)
    assert torch.equal(embedding((4, 16), 64), embedding((4, 16), 64, "line"))


@pytest.mark.parametrize("function", ["anr", "windows"])
def test_functions_on_closed_axes_are_seamless(function: str) -> None:
    """Whatever the tokens, the field just before the end of a closed axis goes on at its beginning."""
    made = make_function(function, {"space": "line,circle", "patch": 4}, axes=2, channels=1, size=(8, 16))
    (shape,) = made.param_shapes.values()
    x = torch.stack([torch.linspace(-1, 1, 11), torch.ones(11)], 1)[None]
    params = {"tokens": torch.randn(2, *shape)}
    made.requires_grad_(False)
    before, after = made(params, x * torch.tensor([1, 1 - 1e-6])), made(params, x * torch.tensor([1, -1 + 1e-6]))
    assert float((before - after).abs().max()) < 1e-3 * float(before.abs().max())


def test_sphere_tokens_start_where_they_lie() -> None:
    """On the sphere, too, a place attends most to the token right there."""
    made = make_function("anr", {"space": "sphere", "patch": 4, "width": 96}, axes=2, channels=1, size=(16, 32))
    centers = grid_centers((4, 8))
    alike = made.features(centers) @ made.token_positions().T
    assert alike.argmax(1).tolist() == list(range(32))
    assert math.isclose(float(alike[0, 0]), 48, rel_tol=0.02)
