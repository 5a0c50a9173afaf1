"""Checks of what a plugin offers besides modalities: objectives, samplers, sources, trackers, features.

An objective and a sampler are tried on a small pipeline of their own; a tracker on a run directory that is thrown away;
a network on small pictures; a source on the modality and the address that its author gives.
"""

import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, final

import attrs
import torch
from torch import Tensor

from inrkit.config.toml import structure, unstructure
from inrkit.core.draws import Draws
from inrkit.core.objective.base import Loss, Step
from inrkit.core.pipeline import Pipeline
from inrkit.core.sample import Sampler, check_times, sample
from inrkit.errors import UsageError
from inrkit.gridded.modality import GridModality
from inrkit.machine.randomness import preserve_random_state
from inrkit.metrics.feature import FeatureNetwork, extract
from inrkit.plugins import load_plugins
from inrkit.plugins.registry import KINDS
from inrkit.storage.opener import SourceOpener
from inrkit.testing.check import (
    Check,
    NotAskedError,
    expect,
    expect_alike,
    expect_chance_alone,
    expect_finite,
    expect_shape,
    law,
    refused,
)
from inrkit.testing.subject import ROWS, Subject
from inrkit.training.tracker import Tracker

_SMALL = {"width": 16, "heads": 2, "hidden": 16, "depth": 1, "decoder_depth": 1, "inr_width": 16, "inr_inner": 16}


class _Tones(GridModality):
    """Tones, to try an objective or a sampler on."""

    name, summary, axes = "tones", "tones", 1

    def invent(self, chance: torch.Generator) -> Callable[[Tensor], Tensor]:
        frequency, phase = torch.rand(2, generator=chance)
        return lambda x: torch.sin(3 * (1 + frequency) * x + 6 * phase)


@final
@attrs.define(eq=False, slots=False)
class Piece:
    """Something of one kind, and what its checks need.

    Args:
        kind: "objective", "sampler", "source", "tracker" or "feature".
        target: Its name, or its class.
        options: Of an objective or a network.
        expected_failures: Names of checks that cannot pass, with the reason.
    """

    kind: str
    _target: str | type[Any]
    _options: Mapping[str, Any] | None = attrs.field(default=None, kw_only=True)
    _expected_failures: Mapping[str, str] | None = attrs.field(default=None, kw_only=True)

    @property
    def known_failures(self) -> Mapping[str, str]:
        return self._expected_failures or {}

    @cached_property
    def cls(self) -> Any:
        target = self._target
        return KINDS[self.kind].load(load_plugins(), target) if isinstance(target, str) else target

    @cached_property
    def made(self) -> Any:
        """The thing itself, with these options."""
        settings = KINDS[self.kind].settings(self.cls)
        if settings is None:
            return self.cls()
        options: Any = structure(settings, self._options or {}, table="options")
        return self.cls.build(options) if self.kind == "feature" else options

    @cached_property
    def tones(self) -> Subject:
        """A small modality with a pipeline and signals."""
        return Subject(_Tones, options={**_SMALL, "count": 40})

    def build(self, seed: int) -> Pipeline:
        """A pipeline as the objective needs it; of two times for a sampler, which may ask it for one or for both."""
        pipeline = self.tones.build(seed=seed)
        if self.kind == "sampler" or self.made.needs_until:
            with preserve_random_state(torch.device("cpu")):
                pipeline.denoiser.take_until()
        return pipeline

    def loss(
        self, student: Pipeline, progress: float = 0.5, rows: range = range(ROWS), teacher: Pipeline | None = None
    ) -> Loss:
        """The loss of some rows of one batch; the teacher has weights of its own."""
        teacher = self.build(1) if teacher is None else teacher
        batch = self.tones.observe(training=True).rows(slice(rows.start, rows.stop))
        draws = Draws(7, ROWS, start=rows.start, stop=rows.stop)
        distilled = None if self.made.distils is None else teacher.estimate
        found: Loss = self.made.loss(Step(student, teacher, batch, draws, progress, distilled))
        return found


PIECE_CHECKS: dict[str, dict[str, Check]] = {
    kind: {} for kind in ("objective", "sampler", "source", "tracker", "feature")
}
"""All checks of each kind, by name."""


@law(PIECE_CHECKS["objective"])
def loss_is_finite(piece: Piece) -> None:
    """The loss is one finite number at every progress of a run, and so is each of its named terms."""
    student = piece.build(0)
    for progress in (0.0, 0.5, 1.0):
        loss = piece.loss(student, progress)
        expect_shape(loss.total, (), "the loss")
        expect_finite(loss.total, f"the loss at progress {progress}")
        for name, term in loss.terms.items():
            expect_finite(term, f"'{name}' at progress {progress}")


@law(PIECE_CHECKS["objective"])
def gradient_reaches_the_student_alone(piece: Piece) -> None:
    """Its gradient is finite and reaches the denoiser; the teacher has none."""
    student, teacher = piece.build(0), piece.build(1)
    piece.loss(student, teacher=teacher).total.backward()
    expect(all(p.grad is None for p in teacher.parameters()), "expected no gradient for the teacher")
    found = [p.grad for p in student.denoiser.parameters() if p.grad is not None]
    expect(any(bool(grad.any()) for grad in found), "expected a gradient of the denoiser, found none")
    for grad in found:
        expect_finite(grad, "the gradient")


@law(PIECE_CHECKS["objective"])
def parts_add_up_to_the_whole(piece: Piece) -> None:
    """Rows are weighed one by one: over parts of a batch, each by its share, the loss is that of the whole batch."""
    student = piece.build(0)
    with torch.no_grad():
        whole = piece.loss(student).total
        parts = [piece.loss(student, rows=range(i, i + 1)).total / ROWS for i in range(ROWS)]
    expect_alike(torch.stack(parts).sum(), whole, "the loss of a batch in parts", 1e-3)


@law(PIECE_CHECKS["objective"])
def chance_comes_from_draws_alone(piece: Piece) -> None:
    """Equal draws give an equal loss, and torch's global generator is left as it is."""
    student = piece.build(0)
    before = torch.get_rng_state()
    with torch.no_grad():
        one, two = (piece.loss(student).total for _ in range(2))
    expect_alike(one, two, "the loss of the same rows, twice", 1e-6)
    expect_chance_alone(before)


@law(PIECE_CHECKS["objective"])
def its_sampler_exists(piece: Piece) -> None:
    """What it trains can be sampled: its ``sampler`` is the name of one."""
    load_plugins().sampler(piece.cls.sampler)


@law(PIECE_CHECKS["sampler"])
def times_descend(piece: Piece) -> None:
    """So many noise levels as steps are asked for, positive and descending; some number of steps by default."""
    check_times(piece.made.times())
    for steps in (1, 2, 3, 8):
        times = piece.made.times(steps)
        check_times(times)
        expect(len(times) == steps, f"expected {steps} noise levels, found {len(times)}")


@law(PIECE_CHECKS["sampler"])
def passes_are_honest(piece: Piece) -> None:
    """The network is asked as often as ``passes`` says."""
    pipeline, asked = piece.build(0), [0]
    pipeline.denoiser.register_forward_hook(lambda *_: asked.__setitem__(0, asked[0] + 1))
    for steps in (1, 2, 5):
        asked[0] = 0
        _sampled(piece, pipeline, steps)
        expect(asked[0] == piece.made.passes(steps), f"{steps} steps: {piece.made.passes(steps)} said, {asked[0]} made")


@law(PIECE_CHECKS["sampler"])
def samples_follow_from_their_draws(piece: Piece) -> None:
    """Samples are finite, the same draws give the same ones, and other rows of a batch do not change them."""
    pipeline = piece.build(0)
    whole = _sampled(piece, pipeline, 3)
    expect_finite(whole, "samples")
    expect_alike(_sampled(piece, pipeline, 3), whole, "samples of the same draws", 1e-6)
    expect_alike(_sampled(piece, pipeline, 3, start=1), whole[1:], "samples of two rows of three", 1e-3)


def _sampled(piece: Piece, pipeline: Pipeline, steps: int, start: int = 0) -> Tensor:
    sampler: Sampler = piece.made
    draws, template = Draws(3, 3, start=start), piece.tones.modality.template(3 - start)
    return sample(pipeline, template, draws, times=sampler.times(steps), sampler=sampler).observation.values


@law(PIECE_CHECKS["source"])
def unknown_addresses_are_refused(piece: Piece) -> None:
    """An address where nothing is ends in one of inrkit's errors, and keeps its meaning in another folder."""
    opener: SourceOpener = piece.made
    with refused("opening an address without anything"):
        opener.open(opener.absolute("surely/not/there"), piece.tones.modality, "train")


@law(PIECE_CHECKS["tracker"])
def a_run_can_be_followed_and_gone_on_with(piece: Piece) -> None:
    """It takes a config, numbers and pictures from a first and a second process of a run, and changes none of them."""
    config, values, picture = (
        unstructure(piece.tones.resolved.config),
        {"loss": 0.5, "heldout/psnr": 20.0},
        torch.rand(3, 9, 12),
    )
    kept, before = picture.clone(), torch.get_rng_state()
    with tempfile.TemporaryDirectory() as folder:
        for step in (0, 10):
            tracker: Tracker = piece.cls()
            try:
                tracker.start(Path(folder), config, step)
            except UsageError as error:
                raise NotAskedError(str(error)) from error
            tracker.log(step + 5, values)
            tracker.picture(step + 5, "samples", picture)
            tracker.finish()
    expect(values == {"loss": 0.5, "heldout/psnr": 20.0}, "expected the numbers to be left alone")
    expect(torch.equal(picture, kept), "expected the picture to be left alone")
    expect_chance_alone(before)


@law(PIECE_CHECKS["feature"])
def features_are_of_each_row_alone(piece: Piece) -> None:
    """So many finite features as ``dim`` says for each picture, whichever others stand beside it, twice the same."""
    try:
        network: FeatureNetwork = piece.made
    except UsageError as error:
        raise NotAskedError(str(error)) from error
    for size in ((32, 32), (64, 48), (8, 8)):
        pictures = torch.rand(5, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
        found = extract(network, pictures)
        expect_shape(found, (5, network.dim), f"features of pictures {size}")
        expect_finite(found, f"features of pictures {size}")
        expect_alike(extract(network, pictures[2:4]), found[2:4], "features of two pictures of five", 1e-4)
        expect(not any(p.requires_grad for p in network.parameters()), "expected weights that are fixed")
