"""Edits: what is known stays, whatever the network does; what it makes up follows the data."""

import math
from collections.abc import Mapping

import pytest
import torch
from gaussian import MEAN, STD, linear_pipeline, observed, transformer_pipeline
from torch import Tensor, nn
from torch.nn import functional as F

from inrkit import (
    ChannelMean,
    Denoise,
    DirectReadout,
    Draws,
    KnownCells,
    LiteralReadout,
    Measured,
    Observation,
    Operator,
    PatchMeans,
    Readout,
    Restore,
    Stroke,
    TwoHeadedReadout,
    UsageError,
    descending,
    interpolate,
    noise_level,
)
from inrkit.core.edit.between import noise_between, slerp

SHAPE = (3, 8, 12)
TAPS = torch.rand(3, 1, 3, 3, generator=torch.Generator().manual_seed(1)) / 9


def blurred(values: Tensor) -> Tensor:
    """A blur of which every second cell is kept."""
    return F.conv2d(values, TAPS.to(values), groups=3, padding=1)[..., ::2, ::2]


OPERATORS: dict[str, Operator] = {
    "cells": KnownCells(torch.rand(SHAPE[1:], generator=torch.Generator().manual_seed(0)) < 0.5),
    "patches": PatchMeans(4),
    "channels": ChannelMean(),
    "measured": Measured(blurred, SHAPE),
    "measured patches": Measured(lambda values: F.avg_pool2d(values, 2), SHAPE),
}


@pytest.fixture(params=OPERATORS, ids=str)
def operator(request: pytest.FixtureRequest) -> Operator:
    return OPERATORS[request.param]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------------------------------------- operators


def test_what_is_inserted_is_measured(operator: Operator) -> None:
    """A (x + A⁺ (y - A x)) = y."""
    x, y = random(2, *SHAPE), operator.apply(random(2, *SHAPE, seed=1))
    found = operator.apply(operator.project(x, y))
    assert (found - y).abs().max() < 1e-5


def test_inserting_is_an_orthogonal_projection(operator: Operator) -> None:
    """Twice is once; and what is added is orthogonal to all that is not known, so no smaller change would do."""
    x, other = random(2, *SHAPE), random(2, *SHAPE, seed=1)
    y = operator.apply(random(2, *SHAPE, seed=2))
    once = operator.project(x, y)
    assert (operator.project(once, y) - once).abs().max() < 1e-4
    unknown = other - operator.pseudo_inverse(operator.apply(other))
    assert operator.apply(unknown).abs().max() < 1e-5
    products = ((once - x) * unknown).flatten(1).sum(1)
    assert products.abs().max() < 1e-3


def test_rows_are_measured_and_lifted_alone(operator: Operator) -> None:
    """Law: rows do not see each other."""
    x, y = random(3, *SHAPE), operator.apply(random(3, *SHAPE, seed=1))
    whole = operator.project(x, y)
    parts = torch.cat([operator.project(x[i : i + 1], y[i : i + 1]) for i in range(3)])
    assert (whole - parts).abs().max() < 1e-5


@pytest.mark.parametrize("size", [(12,), (6, 9), (3, 6, 12)])
def test_patches_have_as_many_axes_as_the_signal(size: tuple[int, ...]) -> None:
    """Means over 3 cells along every axis, as pooling gives them."""
    pool = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[len(size)]
    x = random(2, 4, *size)
    assert torch.allclose(PatchMeans(3).apply(x), pool(x, 3), atol=1e-6)


def test_luma_is_what_grey_pictures_show() -> None:
    """The weights sum to 1: where all channels are equal, their mean is that value, and white stays white."""
    grey = random(2, 1, 4, 4)
    assert torch.allclose(ChannelMean().apply(grey.expand(-1, 3, -1, -1)), grey, atol=1e-6)
    red = torch.tensor([1.0, 0, 0])[None, :, None, None]
    assert ChannelMean().apply(red).item() == pytest.approx(0.2989, abs=1e-4)


def test_conjugate_gradients_find_the_same_as_a_formula() -> None:
    """A⁺ of a function that is only known by what it does agrees with that of patch means."""
    y = random(2, 3, 4, 6)
    found = OPERATORS["measured patches"].pseudo_inverse(y)
    assert torch.allclose(found, PatchMeans(2).pseudo_inverse(y), atol=1e-5)


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (KnownCells(torch.zeros(8, 8)), "must have the size of the signal, 12 x 8 .got 8 x 8"),
        (KnownCells(torch.ones(8, 12)), "nothing to fill in"),
        (PatchMeans(3), "must divide the size of the signal, 12 x 8"),
        (ChannelMean((0.5, 0.5)), "one for each of 3 channels .got 2"),
        (Measured(torch.clone, (3, 4, 4)), r"for values of shape \(3, 4, 4\)"),
    ],
)
def test_what_does_not_fit_is_named(operator: Operator, message: str) -> None:
    """Masks of another size, factors that do not divide, other channels: one line."""
    with pytest.raises(UsageError, match=message):
        operator.check(SHAPE)


def test_impossible_operators_are_refused() -> None:
    """A factor below 2; a function with an offset."""
    with pytest.raises(UsageError, match="at least 2"):
        PatchMeans(1)
    with pytest.raises(UsageError, match="must be linear"):
        Measured(lambda x: x + 1, SHAPE)


# ---------------------------------------------------------------------------------------------- restoring


def exact_pipeline() -> nn.Module:
    """The consistency function of the Gaussian toy in place of a trained pipeline: no edit has a better one."""

    class Exact(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = linear_pipeline(DirectReadout())
            self.readout, self.preconditioning = self.inner.readout, self.inner.preconditioning

        def forward(self, noisy: Observation, t: Tensor, label: Tensor | None = None) -> object:
            gain = STD / (STD**2 + t[:, None, None] ** 2).sqrt()
            values = MEAN + gain * (noisy.values - MEAN)
            return type(self.inner(noisy, t))({"values": values}, t, noisy.with_values(values), values, self)

        def encode(self, noisy: Observation, label: Tensor | None = None) -> object:
            return self(noisy, torch.zeros(len(noisy)), label)

        def show(self, params: Mapping[str, Tensor], where: object, t: Tensor) -> Tensor:
            return params["values"]

    return Exact()


READOUTS = [LiteralReadout(), TwoHeadedReadout(), DirectReadout()]
EIGHT: dict[str, Operator] = {
    "cells": KnownCells(torch.arange(8) % 3 == 0),
    "patches": PatchMeans(2),
    "measured": Measured(lambda x: F.avg_pool1d(x, 3), (1, 8)),
}


@pytest.mark.parametrize("readout", READOUTS, ids=lambda readout: readout.name)
@pytest.mark.parametrize("name", EIGHT)
def test_the_known_part_stays(name: str, readout: Readout) -> None:
    """Law: with any network, A of the edited values is A of the given ones to 1e-5; the rest of them is not used."""
    pipeline, operator = transformer_pipeline(readout), EIGHT[name]
    values = random(3, 1, 8).clamp(-0.9, 0.9)
    edited = Restore(operator)(pipeline, observed(values), Draws(1, 3))
    found = edited.observation.values
    assert (operator.apply(found) - operator.apply(values)).abs().max() < 1e-5
    known_only = operator.pseudo_inverse(operator.apply(values))
    again = Restore(operator)(pipeline, observed(known_only), Draws(1, 3))
    assert torch.allclose(found, again.observation.values, atol=1e-4)
    assert (found - values).abs().max() > 1e-2


def test_edited_values_stay_in_range_where_they_can() -> None:
    """Patch means within the range leave room for values within it, and those are found."""
    means = torch.tensor([[[0.98, -0.98, 0.5, -0.9]]]).repeat_interleave(2, -1)
    edited = Restore(PatchMeans(2))(transformer_pipeline(), observed(means), Draws(3, 1))
    assert edited.observation.values.abs().max() < 1.02


def test_the_answer_is_the_inr_of_the_edited_signal() -> None:
    """Params are those of the encode of the edited values, so that a file of them can be kept."""
    pipeline = transformer_pipeline()
    edited = Restore(EIGHT["cells"])(pipeline, observed(random(2, 1, 8)), Draws(0, 2))
    encoded = pipeline.encode(edited.observation)
    for name, value in edited.params.items():
        assert torch.allclose(value, encoded.params[name], atol=1e-5)
    assert torch.allclose(edited.signal, encoded.signal, atol=1e-5)


def test_what_is_invented_follows_the_data() -> None:
    """Independent Gaussian values, the exact function: one is given, the other is distributed as ever."""
    given = torch.tensor([0.9, 5.0]).expand(6000, 1, 2)  # the second is not looked at
    mask = torch.tensor([True, False])
    found = Restore(KnownCells(mask), (80.0, 2.0, 0.5))(exact_pipeline(), observed(given), Draws(0, 6000))  # type: ignore[arg-type]
    values = found.observation.values[:, 0]
    assert torch.allclose(values[:, 0], torch.full((6000,), 0.9), atol=1e-6)
    # Values beyond [-1, 1] are cut off, as those of signals are.
    drawn = (MEAN[1] + STD[1] * random(200_000)).clamp(-1, 1)
    assert values[:, 1].mean() == pytest.approx(float(drawn.mean()), abs=0.04)
    assert values[:, 1].std() == pytest.approx(float(drawn.std()), abs=0.04)


def test_equal_draws_give_equal_edits_and_others_do_not() -> None:
    """Law: an edit is a function of its draws, row by row, however the batch is split."""
    pipeline, edit = transformer_pipeline(), Restore(EIGHT["cells"], (80.0, 1.0))
    ends = observed(random(4, 1, 8))
    whole = edit(pipeline, ends, Draws(1, 4)).observation.values
    part = edit(pipeline, ends.rows(slice(1, 3)), Draws(1, 4, start=1, stop=3)).observation.values
    assert torch.allclose(whole[1:3], part, atol=1e-5)
    assert not torch.equal(whole, edit(pipeline, ends, Draws(2, 4)).observation.values)


@pytest.mark.parametrize("times", [(), (1.0, 2.0), (1.0, 1.0), (1.0, 0.0)])
def test_times_must_descend(times: tuple[float, ...]) -> None:
    """Noisiest first, as in sampling."""
    with pytest.raises(UsageError, match="positive and descend"):
        Restore(PatchMeans(2), times)


def test_levels_descend_evenly() -> None:
    """Equal ratios from the first to the last; a last that is not below the first is refused."""
    assert descending(8.0, 1.0, 4) == pytest.approx((8, 4, 2, 1))
    assert descending(8.0, 1.0, 1) == (8.0,)
    with pytest.raises(UsageError, match="descend from a first to a last"):
        descending(1.0, 1.0, 3)


# ---------------------------------------------------------------------------------------------- noise and strokes


@pytest.mark.parametrize("size", [(4096,), (64, 64), (16, 16, 16)])
@pytest.mark.parametrize("level", [0.03, 0.3])
def test_noise_is_estimated_on_any_number_of_axes(size: tuple[int, ...], level: float) -> None:
    """White noise on a smooth signal with an edge, within a tenth."""
    ramp = torch.linspace(-1, 1, size[0]).reshape(1, 1, -1, *[1] * (len(size) - 1)).expand(2, 1, *size).clone()
    ramp[:, :, size[0] // 2 :] += 0.7
    found = noise_level(ramp + level * random(2, 1, *size))
    assert found.tolist() == pytest.approx([level] * 2, rel=0.1)


def test_denoising_is_one_pass_at_the_level() -> None:
    """With the exact function of Gaussian data, f(x_t, t) by its formula, at the level given."""
    noisy = observed(MEAN + random(5, 1, 2))
    found = Denoise(0.7)(exact_pipeline(), noisy, Draws(0, 5))  # type: ignore[arg-type]
    expected = MEAN + STD / (STD**2 + 0.49).sqrt() * (noisy.values - MEAN)
    assert torch.allclose(found.observation.values, expected, atol=1e-6)
    assert found.t.tolist() == pytest.approx([0.7] * 5)


@pytest.mark.parametrize("readout", READOUTS, ids=lambda readout: readout.name)
def test_what_denoising_gives_is_what_its_inr_shows(readout: Readout) -> None:
    """Nothing of the noise is let through beside the INR, whatever the read-out."""
    noisy = observed(random(2, 1, 8))
    for edit in (Denoise(), Denoise(0.4), Stroke((1.0, 0.3))):
        found = edit(transformer_pipeline(readout), noisy, Draws(0, 2))
        shown = found.at(noisy.where)
        assert torch.allclose(found.observation.values, shown, atol=1e-6)


def test_strokes_stay_where_little_noise_hides_them() -> None:
    """The exact function answers with nearly the drawing at a low level and with anything at a high one."""
    drawing = observed(MEAN + STD * random(2000, 1, 2))
    distances = []
    for level in (0.05, 0.3, 20.0):
        found = Stroke((level,))(exact_pipeline(), drawing, Draws(5, 2000)).observation.values  # type: ignore[arg-type]
        distances.append(float((found - drawing.values).square().mean().sqrt()))
    assert distances[0] < 0.1 < distances[1] < distances[2]


# ---------------------------------------------------------------------------------------------- between


@pytest.mark.parametrize("readout", READOUTS, ids=lambda readout: readout.name)
def test_params_go_straight_from_one_encode_to_the_other(readout: Readout) -> None:
    """The ends are the encodes themselves; the middle has the mean of their params."""
    pipeline, ends = transformer_pipeline(readout), observed(random(2, 1, 8))
    encoded, found = pipeline.encode(ends), interpolate(pipeline, ends, 5)
    assert torch.allclose(found.signal[[0, 4]], encoded.signal, atol=1e-5)
    for name, value in found.params.items():
        assert torch.allclose(value[2], encoded.params[name].mean(0), atol=1e-5)
    assert torch.equal(found.observation.values, found.signal)


def test_in_noise_the_ends_are_denoised_signals() -> None:
    """The same noise at both ends; between them the mixed signals take it."""
    pipeline, ends = exact_pipeline(), observed(MEAN + 0.2 * random(2, 1, 2))
    found = interpolate(pipeline, ends, 3, Draws(4, 2), level=0.5).signal  # type: ignore[arg-type]
    noise = Draws(4, 2).normal(1, 2)[0]
    gain = STD / (STD**2 + 0.25).sqrt()
    for row, share in zip(found, (0.0, 0.5, 1.0), strict=True):
        mixed = torch.lerp(ends.values[0], ends.values[1], share)
        assert torch.allclose(row, MEAN + gain * (mixed + 0.5 * noise - MEAN), atol=1e-5)


def test_impossible_ways_are_refused() -> None:
    """Two signals, two steps, and noise that is some."""
    pipeline, two = transformer_pipeline(), observed(random(2, 1, 8))
    with pytest.raises(UsageError, match="two signals and at least 2 steps"):
        interpolate(pipeline, observed(random(3, 1, 8)), 3)
    with pytest.raises(UsageError, match="two signals and at least 2 steps"):
        interpolate(pipeline, two, 1)
    with pytest.raises(UsageError, match="'level' must be > 0"):
        interpolate(pipeline, two, 3, Draws(0, 2), level=0.0)


def test_noise_from_one_to_another() -> None:
    """The ends are drawn, and what lies between is as long as they are."""
    like = torch.zeros(1, 2, 40)
    way, ends = noise_between(Draws(3, 2), 5, like), Draws(3, 2).normal(2, 40)
    torch.testing.assert_close(way[[0, -1]], ends)
    lengths = way.flatten(1).norm(dim=1)
    assert ends.flatten(1).norm(dim=1).min() * 0.95 < lengths.min()
    assert lengths.max() < ends.flatten(1).norm(dim=1).max() * 1.05
    with pytest.raises(UsageError, match="at least 2 steps"):
        noise_between(Draws(3, 2), 1, like)


def test_slerp_stays_on_the_sphere() -> None:
    """Between noises of equal length the length stays; the ends are the ends."""
    a, b = random(2, 100)
    b = b * a.norm() / b.norm()
    assert slerp(a, b, 0.3).norm() == pytest.approx(float(a.norm()), rel=1e-4)
    assert torch.allclose(slerp(a, b, 0.0), a, atol=1e-5)
    assert torch.allclose(slerp(a, b, 1.0), b, atol=1e-5)
    assert math.isclose(float(slerp(a, a, 0.5).norm()), float(a.norm()), rel_tol=1e-5)
