"""Classes that are forgotten in training, and classes that sampling leans towards."""

import pytest
import torch
from gaussian import Lookup, batch_of, observed, transformer_pipeline
from torch import Tensor

from inrkit import (
    Denoiser,
    DirectReadout,
    Draws,
    Level,
    LiteralReadout,
    Measure,
    Observation,
    Params,
    Pipeline,
    Preconditioning,
    Readout,
    SampleGrid,
    UsageError,
    sample,
)
from inrkit.core.guide import NO_CLASS, Guided, drop_labels
from inrkit.core.karras import karras_levels
from inrkit.core.sample import ConsistencySampler, EulerSampler, HeunSampler, Sampler

LABEL = torch.tensor([0, 1, 2])
TEMPLATE = observed(torch.zeros(3, 1, 4))


class Classes(Denoiser):
    """Shows 10 (1 + label) everywhere, so 0 without a class; remembers the labels of each pass."""

    def __init__(self) -> None:
        super().__init__()
        self.labels: list[list[int]] = []

    def forward(self, observation: Observation, level: Level, label: Tensor | None = None) -> Params:
        label = torch.full((len(observation),), NO_CLASS) if label is None else label
        self.labels.append(label.tolist())
        return {"values": 10.0 * (1 + label)[:, None, None].expand(-1, 4, 1)}


def classes(readout: Readout | None = None) -> tuple[Pipeline, Classes]:
    denoiser = Classes()
    return Pipeline(denoiser, Measure(Lookup(4), SampleGrid(), Preconditioning(), readout or DirectReadout())), denoiser


# ---------------------------------------------------------------------------------------------- label dropout


def test_a_share_of_the_labels_is_dropped() -> None:
    """As many as asked for, to "no class"; the others stay."""
    label = torch.arange(4000) % 7
    dropped = drop_labels(batch_of(torch.zeros(4000, 1, 2), label), Draws(0, 4000), 0.1).label
    assert dropped is not None
    gone = dropped == NO_CLASS
    assert float(gone.float().mean()) == pytest.approx(0.1, abs=0.02)
    assert torch.equal(dropped[~gone], label[~gone])


def test_dropped_labels_do_not_depend_on_how_the_batch_is_split() -> None:
    """Law: a global row keeps or loses its label whoever holds it."""
    label = torch.arange(64)
    whole = drop_labels(batch_of(torch.zeros(64, 1, 2), label), Draws(5, 64), 0.5).label
    parts = [
        drop_labels(batch_of(torch.zeros(b - a, 1, 2), label[a:b]), Draws(5, 64, start=a, stop=b), 0.5).label
        for a, b in ((0, 16), (16, 64))
    ]
    assert whole is not None
    assert torch.equal(torch.cat([part for part in parts if part is not None]), whole)


def test_nothing_is_drawn_without_dropout() -> None:
    """A share of 0 leaves the batch, and the stream of chance, alone."""
    draws, batch = Draws(0, 3), batch_of(torch.zeros(3, 1, 2), LABEL)
    assert drop_labels(batch, draws, 0.0) is batch
    assert torch.equal(draws.normal(), Draws(0, 3).normal())


def test_dropping_labels_that_are_not_there_is_refused() -> None:
    """One line that says what to do."""
    with pytest.raises(UsageError, match="'label_dropout' needs labels"):
        drop_labels(batch_of(torch.zeros(3, 1, 2)), Draws(0, 3), 0.1)


# ---------------------------------------------------------------------------------------------- guidance


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0, 3.5])
def test_guidance_combines_two_answers(weight: float) -> None:
    """f_w = f(c) + (w - 1) (f(c) - f(none)), by hand: the network shows 10 (1 + c), f nearly that at t = 80."""
    pipeline, denoiser = classes(DirectReadout(width=1e-6))
    found = Guided(pipeline.estimate, LABEL, weight)((TEMPLATE,), 80.0)[0].values[:, 0, 0]
    assert torch.allclose(found, weight * 10.0 * (1 + LABEL))
    assert denoiser.labels == [[0, 1, 2], [-1, -1, -1]]


def test_weight_one_is_the_network_itself() -> None:
    """Law: w = 1 costs one pass and gives the very same numbers."""
    pipeline = transformer_pipeline(classes=3)
    template = observed(torch.zeros(3, 1, 8))
    plain = sample(pipeline, template, Draws(0, 3), times=(80, 1), label=LABEL)
    guided = sample(pipeline, template, Draws(0, 3), times=(80, 1), label=LABEL, guidance=1.0)
    assert torch.equal(plain.signal, guided.signal)


def test_weight_zero_forgets_the_class() -> None:
    """Law: w = 0 gives the values of "no class"."""
    pipeline = transformer_pipeline(classes=3)
    x, t = observed(torch.randn(3, 1, 8)), torch.full((3,), 2.0)
    free = pipeline(x, t).observation.values
    assert torch.allclose(Guided(pipeline.estimate, LABEL, 0.0)((x,), t)[0].values, free, atol=1e-5)


@pytest.mark.parametrize(
    ("sampler", "times", "guided", "plain"),
    [
        (ConsistencySampler(), (80.0,), 1, 1),
        (ConsistencySampler(), (80.0, 0.8), 2, 1),
        (EulerSampler(), (80.0, 0.8, 0.01), 2, 2),
        (HeunSampler(), (80.0, 0.8, 0.01), 4, 2),
    ],
)
def test_what_is_guided(sampler: Sampler, times: tuple[float, ...], guided: int, plain: int) -> None:
    """Every step of consistency sampling, whose mixture is encoded; the whole ODE but for its last pass."""
    pipeline, denoiser = classes()
    found = sample(pipeline, TEMPLATE, Draws(0, 3), times=times, sampler=sampler, label=LABEL, guidance=2.0)
    assert denoiser.labels == [[0, 1, 2], [-1, -1, -1]] * guided + [[0, 1, 2]] * plain
    assert (found.t == 0).all()


def test_the_guided_sample_is_what_is_encoded() -> None:
    """f of the encoding, at t = 0, is f_w itself, whatever the INR then shows."""
    pipeline, _ = classes(DirectReadout(width=1e-6))
    found = sample(pipeline, TEMPLATE, Draws(0, 3), label=LABEL, guidance=3.0)
    assert torch.allclose(found.observation.values[:, 0, 0], 30.0 * (1 + LABEL))


def test_guidance_of_two_gaussians() -> None:
    """Closed form: classes N(±1, s²) of equal weight; guided by w, the mean given x_t at large t is w times ±1.

    There the class says everything and x_t nothing, and without a class the mean is 0.
    """

    class TwoMeans(Denoiser):
        def forward(self, observation: Observation, level: Level, label: Tensor | None = None) -> Params:
            assert label is not None
            mean = torch.where(label == NO_CLASS, 0.0, 2.0 * label - 1)[:, None, None]
            t, s2 = torch.exp(4 * level.noise_level)[:, None, None], 0.01
            x = (observation.values * (0.25 + t**2).sqrt()).transpose(1, 2)
            both = torch.tanh(x / (s2 + t**2))  # of the two classes, the mean of the means given x_t
            mean = torch.where((label == NO_CLASS)[:, None, None], both, mean)
            return {"values": mean + s2 / (s2 + t**2) * (x - mean)}

    readout = DirectReadout(width=1e-6)
    pipeline = Pipeline(TwoMeans(), Measure(Lookup(1), SampleGrid(), Preconditioning(t_min=1e-4), readout))
    label, template = torch.tensor([0, 1]).repeat(500), observed(torch.zeros(1000, 1, 1))
    first = sample(pipeline, template, Draws(0, 1000), label=label, guidance=3.0).observation.values.flatten()
    assert torch.allclose(first[label == 1], torch.tensor(3.0), atol=0.2)
    assert torch.allclose(first[label == 0], torch.tensor(-3.0), atol=0.2)
    times = karras_levels(18, 0.01).tolist()
    for weight in (1.0, 3.0):
        found = sample(
            pipeline, template, Draws(0, 1000), times=times, sampler=HeunSampler(), label=label, guidance=weight
        ).observation.values.flatten()
        assert float(found[label == 1].mean()) == pytest.approx(1.0, abs=0.1 if weight == 1 else 0.6)
        assert bool((found[label == 1] > 0).all())


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_impossible_weights_are_refused(weight: float) -> None:
    """A number from 0."""
    with pytest.raises(UsageError, match="'guidance' must be a number from 0"):
        Guided(classes()[0].estimate, LABEL, weight)


def test_guidance_without_a_class_is_refused() -> None:
    """There is nothing to lead towards."""
    with pytest.raises(UsageError, match="needs a class, and there is no label"):
        sample(classes()[0], TEMPLATE, Draws(0, 3), guidance=2.0)


def test_literal_samples_are_encoded_with_their_class() -> None:
    """The last encoding knows the class as well."""
    pipeline, denoiser = classes(LiteralReadout())
    sample(pipeline, TEMPLATE, Draws(0, 3), times=(80.0, 0.8), label=LABEL)
    assert denoiser.labels == [[0, 1, 2]] * 3
