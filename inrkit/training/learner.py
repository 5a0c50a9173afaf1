"""What learns: the pipeline with its optimizer, its averages and its place in the run; and one step of it."""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, final

import attrs
import torch
from torch import Tensor, nn

from inrkit.config.parts import training_features
from inrkit.config.phases import ScheduledPhase, at
from inrkit.config.resolve import Resolved
from inrkit.core.draws import seed_of
from inrkit.core.gradient import gradient_norms
from inrkit.core.guide import drop_labels
from inrkit.core.modality import Signals
from inrkit.core.objective.base import Loss, Step
from inrkit.core.objective.distance import Compare
from inrkit.core.observation import Batch
from inrkit.core.shard import is_sharded, part_of, rows_of, whole
from inrkit.core.train import Average, ConstantEMA, PowerEMA, backward_step, check_finite, clip_gradients
from inrkit.errors import DataError, DivergedError, PluginError
from inrkit.machine import randomness
from inrkit.machine.precision import autocast
from inrkit.machine.processes import Ranks
from inrkit.machine.randomness import preserve_random_state
from inrkit.machine.sharding import average_whole, norm_of
from inrkit.metrics.feature import FeatureNetwork
from inrkit.metrics.perceptual import training_distance
from inrkit.plugins import load_plugins
from inrkit.storage import atomic
from inrkit.storage.checkpoint import Checkpoint
from inrkit.storage.weights import put_average, put_weights
from inrkit.training.loader import Ahead
from inrkit.training.optimizer import Optimizer, learning_rate
from inrkit.training.order import Order, Rows
from inrkit.training.teachers import Teachers, new_pipeline, shard_pipeline

Result = TypeVar("Result")

_LATELY, _LEAST_SKIPS = 100, 10
"""With nan = "skip", a run stops where more than half of so many last steps, and at least so many, were skipped."""


@final
class Learner:
    """A pipeline in training; ``order`` is there to name the signals that are at fault."""

    def __init__(
        self, resolved: Resolved, ranks: Ranks, device: torch.device, precision: str, order: Order | None = None
    ) -> None:
        self.resolved, self.ranks, self.device, self.precision = resolved, ranks, device, precision
        config = self.config = resolved.config
        self.modality, self.phases = resolved.modality, resolved.phases
        self.rows = self.rows_at(0)
        self.sharded = config.shard and ranks.world > 1
        self.pipeline = new_pipeline(resolved, torch.device("cpu") if self.sharded else device)
        if self.sharded:
            shard_pipeline(self.pipeline, device)
        self.teachers = Teachers(resolved, device, sharded=self.sharded)
        self.features = _compared_by(training_features(config.features, config.features_options), device)
        self.optimizer = self._optimizer(self.phases[0])
        self.ema = self._average()
        self.order = order
        self.step = 0
        self.skipped = 0
        self.gradient_norms: dict[str, float] = {}
        self._lately: list[int] = []
        self._phase: ScheduledPhase | None = None
        self._student: nn.Module = self.pipeline
        randomness.seed_everything(config.seed, "rank", ranks.rank)

    def start_from(self, checkpoint: Checkpoint) -> None:
        """The averaged weights of another run, at which our own averages begin; it may have been told no guidance."""
        put_average(self.pipeline, checkpoint, begins=".guidance.")
        self.ema = self._average()

    def rows_at(self, step: int) -> Rows:
        """How the batch of a step is divided."""
        size = at(self.phases, min(step, self.config.steps - 1)).batch_size
        return Rows(size, self.ranks.rank, self.ranks.world, self.config.accumulate)

    def _optimizer(self, phase: ScheduledPhase) -> Optimizer:
        config = attrs.evolve(self.config, optimizer=phase.optimizer)
        return Optimizer(config, self.pipeline, self.precision, self.ranks)

    def _average(self) -> Average:
        decay = self.config.ema_decay
        return ConstantEMA(self.pipeline, decay) if decay else PowerEMA(self.pipeline, self.config.ema)

    def state(self) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
        """For the checkpoint: all that is needed to go on as if never stopped. All processes call this together."""
        captured = self.ranks.gather(randomness.capture(self.device))
        tensors = {
            "model": dict(self.pipeline.state_dict()),
            "ema": dict(self.ema.tensors),
            "optimizer": self.optimizer.tensors(),
            "random": {f"{rank}.{name}": t for rank, (states, _) in enumerate(captured) for name, t in states.items()},
        }
        tensors |= {name: dict(module.state_dict()) for name, module in self.teachers.modules.items()}
        return tensors, {
            "step": self.step,
            "skipped": self.skipped,
            "skipped_lately": self._lately,
            "ema_updates": self.ema.updates,
            "precision": self.precision,
            "random": [plain for _, plain in captured],
        }

    def load(self, checkpoint: Checkpoint) -> None:
        """Puts a state back. With another number of processes, only the global random states start anew."""
        tensors, state, rank = checkpoint.tensors, checkpoint.state, self.ranks.rank
        try:
            put_weights(self.pipeline, tensors["model"], checkpoint.path)
            for name, module in self.teachers.modules.items():
                put_weights(module, tensors[name], checkpoint.path)
            for name, average in self.ema.tensors.items():
                part_of(average).copy_(rows_of(tensors["ema"][name], average))
            self.step, self.skipped = int(state["step"]), int(state["skipped"])
            self._lately, self.ema.updates = list(state["skipped_lately"]), int(state["ema_updates"])
            self.optimizer = self._optimizer(at(self.phases, max(0, self.step - 1)))
            self.optimizer.load(tensors["optimizer"])
            if len(state["random"]) == self.ranks.world:
                ours = {n.partition(".")[2]: t for n, t in tensors["random"].items() if n.startswith(f"{rank}.")}
                randomness.restore(ours, state["random"][rank], self.device)
        except KeyError as error:
            text = f"{checkpoint.path}: expected {error}, found none; the checkpoint is of another kind"
            raise DataError(text) from error

    @torch.no_grad()
    def put_average(self, whole_pipeline: nn.Module | None) -> None:
        """The averaged weights, into a pipeline that is not sharded. All processes call this; the first one has it."""
        own = {} if whole_pipeline is None else whole_pipeline.state_dict()
        for name, value in {**self.pipeline.state_dict(), **self.ema.tensors}.items():
            full = whole(value)
            if own:
                own[name].copy_(full)

    def release(self) -> None:
        """Lets go of what ties us to other processes."""
        self._phase, self._student = None, self.pipeline

    def enter_phase(self) -> ScheduledPhase:
        """The phase of the present step, with only its weights learning."""
        phase = at(self.phases, self.step)
        if phase is not self._phase:
            if self.step == phase.start:
                self.teachers.begin(phase, self.pipeline, self.ema)
            phase.freeze(self.pipeline)
            if phase.optimizer != self.optimizer.kind:
                self.optimizer = self._optimizer(phase)
            self._phase, self.rows = phase, self.rows_at(self.step)
            self._student = self.pipeline if self.sharded else self.ranks.wrap(self.pipeline)
        return phase

    def learn(
        self, phase: ScheduledPhase, signals: Iterator[Signals], *, stop: bool, measured: bool = False
    ) -> tuple[dict[str, float] | None, bool]:
        """One step: the gradient of the global batch, and the weights moved by it if it is finite.

        Returns "loss", "loss/NAME" for each of its terms and "norm" of the gradient before clipping, over the whole
        global batch, or None if it is skipped; and whether any process was asked to stop. If ``measured``, the first
        process leaves the norms of the gradient's parts over its first rows in ``gradient_norms``.
        """
        student = self._in_precision(self._student)
        teacher: Any = self._in_precision(self.teachers(phase, self.step, self.pipeline))
        model = self.teachers.diffusion
        diffusion = None if model is None else self._in_precision(model.estimate)
        seed, parts = seed_of(self.config.seed, "train", self.step), list(self.rows)
        losses, batches = [], []
        for i, part in enumerate(parts):
            draws = self.rows.draws(seed, part, self.device)
            batch = self.modality.observe(next(signals), draws, training=True)
            if not isinstance(batch, Batch):
                origin = load_plugins().origin("modality", self.modality.name)
                raise PluginError(f"{origin}: 'observe' must return an `inrkit.Batch` (got {batch!r})")
            batch = drop_labels(batch, draws.fork("label"), self.config.label_dropout)
            with self._exchange(last=i == len(parts) - 1):
                progress, together = phase.progress(self.step), self.sharded
                chance = draws.fork("loss")
                step = Step(student, teacher, batch, chance, progress, diffusion, together, self.features)
                losses.append(backward_step(phase.objective, step, share=1 / len(parts)))
            if measured and i == 0:
                self._measure(phase, step, losses[0])
            batches.append(batch)
        norm = self._exchanged(phase)
        terms = {name: torch.stack([loss.terms[name] for loss in losses]).mean() for name in losses[0].terms}
        total = torch.stack([loss.total.detach() for loss in losses]).mean()
        if isinstance(signals, Ahead) and self.device.type != "cpu":
            signals.fetch()  # the device is busy with what was queued; only then do we wait for it, once a step
        values, stops = self._means(total, terms, norm, stop=stop)
        finite = math.isfinite(values["loss"]) and math.isfinite(values["norm"])
        if finite:
            self.optimizer.step(learning_rate(self.config, self.step, phase.lr))
            (self.ema.update if phase.ema else self.ema.restart)(self.pipeline)
            self.teachers.follow(phase, self.step, self.pipeline)
        else:
            self._skip(lambda: self._blame(batches, losses, {"total": total, **terms}))
        self.optimizer.zero()
        self.step += 1
        return values if finite else None, stops

    def check_health(self) -> None:
        """Weights and averages are finite, and everybody's the same: no broken checkpoint follows a good one."""
        found = ""
        try:
            check_finite(dict(self.pipeline.named_parameters()), "weight", self.step)
            check_finite(self.ema.tensors, "averaged weight", self.step)
        except DivergedError as error:
            found = str(error)
        if any(all_found := self.ranks.gather(found)):
            raise DivergedError(max(all_found))
        if self.ranks.world > 1:
            everywhere = (p.detach() for p in self.ema.tensors.values() if not is_sharded(p))
            bytes_of = (p.cpu().contiguous().view(-1).view(torch.uint8) for p in everywhere)
            if len(set(self.ranks.gather(atomic.sha256(*(part.numpy().data for part in bytes_of))))) > 1:
                raise DivergedError(
                    f"step {self.step}: the processes no longer hold the same weights; go on from the last checkpoint"
                )

    def _measure(self, phase: ScheduledPhase, step: Step, loss: Loss) -> None:
        """The gradient by noise level and by loss; no number of the run depends on whether this is done."""
        self.gradient_norms = {}
        if loss.t is not None and self.ranks.first and not self.sharded:
            alone: Any = self._in_precision(self.pipeline)  # other processes do not take part
            with preserve_random_state(self.device):
                self.gradient_norms = gradient_norms(
                    phase.objective, attrs.evolve(step, student=alone), self.pipeline.parameters(), loss.t
                )

    def _in_precision(self, call: Callable[..., Result]) -> Callable[..., Result]:
        """A pass through a network under autocast; losses and backward passes are outside of it."""

        def forward(*args: Any, **kwargs: Any) -> Result:
            with autocast(self.precision, self.device):
                return call(*args, **kwargs)

        return forward

    def _exchange(self, *, last: bool) -> contextlib.AbstractContextManager[None]:
        """Gradients are exchanged between processes once, with the last micro-batch."""
        wait: Callable[[], contextlib.AbstractContextManager[None]] | None = getattr(self._student, "no_sync", None)
        return contextlib.nullcontext() if last or wait is None else wait()

    def _exchanged(self, phase: ScheduledPhase) -> Tensor:
        """The gradients are those of the global batch, and clipped; the norm that they had."""
        if self.ranks.world > 1:
            self._check_all_used(phase)
        if not self.sharded:
            return clip_gradients(self.pipeline.parameters(), self.config.clip)
        average_whole(self.ranks, self.pipeline.parameters())
        return clip_gradients(self.pipeline.parameters(), self.config.clip, functools.partial(norm_of, self.ranks))

    def _check_all_used(self, phase: ScheduledPhase) -> None:
        """Several processes average the gradients of all weights together: each must have one."""
        unused = [name for name, p in self.pipeline.named_parameters() if p.requires_grad and p.grad is None]
        if unused:
            raise PluginError(
                f"'{unused[0]}' (of {len(unused)} weights) has no gradient in phase '{phase.name}'; with several "
                "processes every weight that trains must be used: train with one process, or let the modality use it"
            )

    def _means(
        self, total: Tensor, terms: dict[str, Tensor], norm: Tensor, *, stop: bool
    ) -> tuple[dict[str, float], bool]:
        """Means over the processes; one transfer from the device for all of them."""
        names = ["loss", *(f"loss/{name}" for name in terms), "norm"]
        numbers = torch.stack([total, *terms.values(), norm]).cpu().double()  # the norm is everybody's already
        numbers = nn.functional.pad(numbers, (0, 1), value=float(stop))
        *means, stopping = (self.ranks.sum(numbers) / self.ranks.world).tolist()
        return dict(zip(names, means, strict=True)), stopping > 0

    def _skip(self, blame: Callable[[], str]) -> None:
        """Leaves the weights as they are; an error where that is not allowed, is of no use, or happens all the time."""
        finite = all(bool(torch.isfinite(part_of(p)).all()) for p in self.pipeline.parameters())
        if self.config.nan == "stop" or not all(self.ranks.gather(finite)):
            raise DivergedError(blame())
        self.skipped += 1
        self._lately = [step for step in self._lately if step > self.step - _LATELY] + [self.step]
        steps = min(_LATELY, self.step + 1)
        if len(self._lately) > max(_LEAST_SKIPS, steps // 2):
            raise DivergedError(f"{len(self._lately)} of the last {steps} steps were skipped; the last one: {blame()}")

    def _blame(self, batches: list[Batch], losses: list[Loss], terms: dict[str, Tensor]) -> str:
        """The first thing that is not finite, causes before effects, among all processes."""
        named = list(self.pipeline.named_parameters())
        parts = ("support", "query")
        observed = {f"{of} {i}": getattr(batch, of).values for of in parts for i, batch in enumerate(batches)}
        targets = {f"target {i}": loss.target for i, loss in enumerate(losses) if loss.target is not None}
        suspects: list[tuple[str, Mapping[str, Tensor]]] = [
            ("weight", dict(named)),
            ("batch", observed),
            ("the teacher's output", targets),
            ("loss term", terms),
            ("gradient", {name: p.grad for name, p in named if p.grad is not None}),
        ]
        found = (len(suspects), f"step {self.step}: the gradient's norm is not finite; try a lower 'lr'")
        for rank, (what, tensors) in enumerate(suspects):
            try:
                check_finite(tensors, what, self.step, self._bad_data(batches) if what == "batch" else "")
            except DivergedError as error:
                found = (rank, str(error))
                break
        return min(self.ranks.gather(found))[1]

    def _bad_data(self, batches: list[Batch]) -> str:
        """Which signal is at fault, and what to do about it."""
        advice = 'the data are the cause: repair them, or leave out such steps with nan = "skip"'
        for part, batch in zip(self.rows, batches, strict=True):
            finite = batch.support.values.isfinite().flatten(1).all(1) & batch.query.values.isfinite().flatten(1).all(1)
            if self.order is not None and not finite.all():
                number = self.order.numbers(self.step, *part)[int((~finite).nonzero()[0])]
                return f"signal {number} of the training data is the first; {advice}"
        return advice


def _compared_by(network: FeatureNetwork | None, device: torch.device) -> Compare | None:
    """The distance of pictures by this network."""
    return None if network is None else functools.partial(training_distance, network.to(device))
