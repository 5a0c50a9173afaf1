"""The function `windows`: overlapping windows with a dictionary of shared waves."""

import itertools

import pytest
import torch

from inrkit import UsageError, grid_centers, load_plugins, make_function


def windows(size: tuple[int, ...], channels: int = 1, **options: int) -> torch.nn.Module:
    return make_function(
        "windows", {"patch": 4, "width": 6, "hidden": 8, **options}, axes=len(size), channels=channels, size=size
    )


@pytest.mark.parametrize("size", [(32,), (16, 8), (8, 8, 12)])
def test_linear_in_the_tokens(size: tuple[int, ...]) -> None:
    """f of a sum is the sum, for any number of axes and channels; of nothing it is silence."""
    function = windows(size, channels=2)
    (shape,) = function.param_shapes.values()
    a, b = torch.randn(2, 3, *shape)
    x = torch.rand(1, 20, len(size)) * 2 - 1

    def f(tokens: torch.Tensor) -> torch.Tensor:
        return function({"tokens": tokens}, x)

    assert f(a).shape == (3, 20, 2)
    assert torch.allclose(f(a + b), f(a) + f(b), atol=1e-5)
    assert not f(torch.zeros_like(a)).any()


def test_places_of_rows_and_shared_places_agree() -> None:
    """The same coordinates give the same values, whether they stand there once or for each row."""
    function, x = windows((16, 16)), torch.rand(1, 9, 2) * 2 - 1
    tokens = torch.randn(4, 16, 6)
    assert torch.allclose(function({"tokens": tokens}, x), function({"tokens": tokens}, x.expand(4, -1, -1)), atol=1e-6)


def test_a_token_is_seen_near_it_and_nowhere_else() -> None:
    """It reaches to the centers of the neighbouring cells; there it has faded, and the field is continuous."""
    function = windows((32,))
    tokens = torch.zeros(1, 8, 6)
    tokens[0, 3] = 1
    x = grid_centers((512,))[None]
    values = function({"tokens": tokens}, x)[0, :, 0].detach()
    center, reach = -1 + 2 * 3.5 / 8, 2 / 8
    assert not values[(x[0, :, 0] - center).abs() >= reach].any()
    assert values[(x[0, :, 0] - center).abs() < reach / 2].any()
    assert float(values.diff().abs().max()) < 0.2 * float(values.abs().max())


def test_windows_add_up_to_one() -> None:
    """With a dictionary of the constant 1 and equal tokens the field is constant."""
    function = windows((8, 8))
    waves = torch.nn.Linear(function.waves[0].in_features, 6)
    torch.nn.init.zeros_(waves.weight)
    torch.nn.init.ones_(waves.bias)
    function.waves = waves
    values = function({"tokens": torch.full((1, 4, 6), 0.5)}, torch.rand(1, 50, 2) * 2 - 1)
    assert torch.allclose(values, torch.full_like(values, 3.0), atol=1e-5)


def test_it_can_fit_any_signal_of_its_band() -> None:
    """As many waves as cells to a window suffice: least squares over tokens leaves next to nothing."""
    torch.manual_seed(1)
    function = windows((64,), patch=8, width=24, hidden=32)
    x = grid_centers((64,))[None]
    eye = torch.eye(8 * 24).reshape(-1, 8, 24)
    basis = function({"tokens": eye}, x)[:, :, 0].T.detach().double()  # (64, tokens * width)
    noise = torch.randn(64, 1, dtype=torch.float64)
    fitted = basis @ torch.linalg.lstsq(basis, noise, driver="gelsd").solution
    assert float((fitted - noise).square().mean()) < 1e-6


def test_too_small_a_grid_is_refused() -> None:
    """There has to be room for a window."""
    with pytest.raises(UsageError, match="needs a grid of at least 4 cells along 2 axes"):
        windows((16, 3))


def test_it_is_offered_by_name() -> None:
    """Its tokens have places, so that a hyper-network can start localized."""
    cls = load_plugins().function("windows")
    assert cls.head == "tokens"
    for size in itertools.product((8, 16), repeat=2):
        assert windows(size).token_grid == (size[0] // 4, size[1] // 4)
