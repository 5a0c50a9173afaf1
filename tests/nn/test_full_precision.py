"""In mixed precision what tells the noise level, and the first and last layers, compute in fp32 all the same."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from inrkit import (
    ColumnHead,
    Condition,
    ConditionedNorm,
    Grid,
    GridHead,
    GridObservation,
    Level,
    PatchTokenizer,
    TokenHead,
    full_precision,
    noise_level_features,
)

CPU = torch.device("cpu")


def condition() -> Callable[[], Tensor]:
    made = Condition(16, classes=3)
    made.take_until()
    made.take_guidance()
    made.take_augmentation(2)
    for weight in made.parameters():
        nn.init.normal_(weight)
    level = Level(torch.randn(4), torch.randn(4), torch.rand(4))
    label, augmentation = torch.tensor([0, 2, -1, 1]), torch.randn(4, 2)
    return lambda: made(level, label, augmentation)


def modulated() -> Callable[[], Tensor]:
    made = ConditionedNorm(8)
    nn.init.normal_(made.adaLN_modulation[1].weight)
    x, told = torch.randn(2, 5, 8), torch.randn(2, 8)
    return lambda: made(x, told)


def tokens() -> Callable[[], Tensor]:
    made, observation = PatchTokenizer((8,), 3, 2, 16), GridObservation(torch.randn(2, 3, 8), Grid((8,)))
    return lambda: made(observation)


def read_by(head: nn.Module, count: int) -> Callable[[], Tensor]:
    seen = torch.randn(2, count, 16)
    return lambda: head(seen)


@pytest.mark.parametrize(
    "part",
    [
        condition,
        modulated,
        tokens,
        lambda: read_by(TokenHead((4, 6), 16), 4),
        lambda: read_by(ColumnHead((5, 8), 16, groups=4), 4),
        lambda: read_by(GridHead((3, 8, 8), 16), 64),
    ],
    ids=["condition", "modulation", "patches", "tokens", "columns", "grid"],
)
def test_nothing_is_rounded(part: Callable[[], Callable[[], Tensor]]) -> None:
    """Law: under autocast their answer is the same to the last bit as without it."""
    call = part()
    with torch.autocast("cpu", torch.bfloat16):
        half = call()
    assert half.dtype is torch.float32
    assert torch.equal(half, call())


def test_it_ends_where_it_ended() -> None:
    """Products around it are in bf16 still, those inside are not; without autocast nothing changes."""
    layer, x = nn.Linear(4, 4), torch.randn(2, 4)
    with torch.autocast("cpu", torch.bfloat16):
        with full_precision(CPU):
            assert layer(x).dtype is torch.float32
        assert layer(x).dtype is torch.bfloat16
    with full_precision(CPU):
        assert layer(x).dtype is torch.float32
        assert not torch.is_autocast_enabled("cpu")


def test_devices_without_autocast() -> None:
    """Where a model is only counted there is none, and nothing to leave."""
    with torch.autocast("cpu", torch.bfloat16), full_precision(torch.device("meta")):
        assert torch.is_autocast_enabled("cpu")


def test_noise_levels_that_are_near_each_other_are_told_apart() -> None:
    """Of t and t (1 - 1/256) the condition says two things; in bf16 most of what it is made of would be the same."""
    made, t = Condition(16), torch.exp(torch.linspace(-5, 4, 50))
    nearer = t * (1 - 1 / 256)
    levels = [Level(x.log() / 4) for x in (t, nearer)]
    with torch.no_grad():
        exact = made(levels[0]) - made(levels[1])
        with torch.autocast("cpu", torch.bfloat16):
            found = made(levels[0]) - made(levels[1])
        rounded = made.bfloat16()
        features = [noise_level_features(level.noise_level, made.level[0].in_features).bfloat16() for level in levels]
        half = (rounded.level(features[0]) - rounded.level(features[1])).float()
    assert torch.equal(found, exact)
    assert (half - exact).norm() > exact.norm()
