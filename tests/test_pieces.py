"""The laws of objectives, samplers, sources, trackers and features: ours keep them; what breaks one is found by it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import attrs
import pytest
import torch
from torch import Tensor

from inrkit import (
    FeatureNetwork,
    Loss,
    Modality,
    Objective,
    Observation,
    Sampler,
    Source,
    SourceOpener,
    Step,
    Tracker,
    load_plugins,
)
from inrkit.testing import PIECE_CHECKS, Case, cases_of, checks_of


@attrs.frozen
class Honest(Objective):
    """Reconstruction by the squared distance."""

    name = "honest"

    def loss(self, step: Step) -> Loss:
        level = torch.full((len(step.batch),), 0.5)
        answer = step.student(step.batch.support, level, step.batch.query)
        error = (answer.observation.values - step.batch.query.values).square().flatten(1).mean(1)
        with torch.no_grad():
            step.teacher(step.batch.support, level, step.batch.query)
        return Loss(self.changed(error, step), {"all": error.mean()})

    def changed(self, error: Tensor, step: Step) -> Tensor:
        return error.mean()


class NotFinite(Honest):
    def changed(self, error: Tensor, step: Step) -> Tensor:
        return error.mean() / (step.progress - 0.5)


class Detached(Honest):
    def changed(self, error: Tensor, step: Step) -> Tensor:
        return error.detach().mean().requires_grad_()


class BatchWise(Honest):
    def changed(self, error: Tensor, step: Step) -> Tensor:
        return error.sum()


class Random(Honest):
    def changed(self, error: Tensor, step: Step) -> Tensor:
        return error.mean() * torch.rand(())


class Unsampled(Honest):
    sampler = "nobody"


class Straight(Sampler):
    """Jumps to f, without fresh noise."""

    name = "straight"

    def times(self, steps: int | None = None, middle: float = 0.8) -> tuple[float, ...]:
        return tuple(80 * 0.1**i for i in range(steps or 1))

    def step(self, f: Any, noisy: Observation, t: float, r: float, draws: Any) -> Observation:
        (clean,) = f((noisy,), t)
        return noisy.with_values(clean.values + r / t * (noisy.values - clean.values))


class Rising(Straight):
    def times(self, steps: int | None = None, middle: float = 0.8) -> tuple[float, ...]:
        return tuple(1.0 + i for i in range(steps or 1))


class Twice(Straight):
    def step(self, f: Any, noisy: Observation, t: float, r: float, draws: Any) -> Observation:
        f((noisy,), t)
        return super().step(f, noisy, t, r, draws)


class Noisy(Straight):
    def step(self, f: Any, noisy: Observation, t: float, r: float, draws: Any) -> Observation:
        moved = super().step(f, noisy, t, r, draws)
        return moved.with_values(moved.values + torch.randn_like(moved.values))


class Opener(SourceOpener):
    name = "odd"

    def open(self, address: str, modality: Modality, split: str) -> Source:
        raise KeyError(address)


class Seeding(Tracker):
    name = "seeding"

    def start(self, run: Path, config: Mapping[str, Any], step: int) -> None:
        torch.manual_seed(0)

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def picture(self, step: int, name: str, values: Tensor) -> None: ...

    def finish(self) -> None: ...


@attrs.frozen
class Nothing:
    """No options."""


class Centred(FeatureNetwork):
    """Sees the other rows."""

    name, Options, dim = "centred", Nothing, 3

    @classmethod
    def build(cls, options: Any) -> Self:
        return cls()

    def forward(self, values: Tensor) -> Tensor:
        return (values - values.mean(0)).flatten(2).mean(2)


SPOILT: list[tuple[str, type[Any], str]] = [
    ("objective", NotFinite, "loss_is_finite"),
    ("objective", Detached, "gradient_reaches_the_student_alone"),
    ("objective", BatchWise, "parts_add_up_to_the_whole"),
    ("objective", Random, "chance_comes_from_draws_alone"),
    ("objective", Unsampled, "its_sampler_exists"),
    ("sampler", Rising, "times_descend"),
    ("sampler", Twice, "passes_are_honest"),
    ("sampler", Noisy, "samples_follow_from_their_draws"),
    ("source", Opener, "unknown_addresses_are_refused"),
    ("tracker", Seeding, "a_run_can_be_followed_and_gone_on_with"),
    ("feature", Centred, "features_are_of_each_row_alone"),
]


@pytest.mark.parametrize(("kind", "cls", "law"), SPOILT, ids=lambda value: getattr(value, "__name__", value))
def test_a_law_that_is_broken_is_found_to_be(kind: str, cls: type[Any], law: str) -> None:
    """Each is broken by one of these, and by name."""
    (case,) = (case for case in cases_of(cls, kind=kind) if case.name == law)
    result = case.result()
    assert result.state == "failed", result
    assert result.reason


def test_every_law_is_broken_by_someone() -> None:
    """A law that nothing breaks holds nothing."""
    assert {(kind, law) for kind, _, law in SPOILT} == {
        (kind, name) for kind, checks in PIECE_CHECKS.items() for name in checks
    }


@pytest.mark.parametrize("check", [*checks_of(Honest, kind="objective"), *checks_of(Straight, kind="sampler")])
def test_what_is_honest_keeps_every_law(check: Case) -> None:
    """The same code as that which is spoilt."""
    check()


ENTRIES = [entry for entry in load_plugins().entries() if entry.kind in PIECE_CHECKS]
OURS = [case for entry in ENTRIES for case in checks_of(entry.name, kind=entry.kind)]


@pytest.mark.parametrize("check", OURS)
def test_our_own_keep_every_law(check: Case) -> None:
    """Objectives, samplers, sources and trackers; a network that wants weights is not asked without them."""
    check()
