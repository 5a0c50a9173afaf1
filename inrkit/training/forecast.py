"""What a run would take, told before it begins: by a few of its steps, which are thrown away. Nothing is written."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import attrs
import torch
from torch import Tensor

from inrkit.config.phases import ScheduledPhase
from inrkit.config.resolve import Resolved
from inrkit.config.run import RunConfig
from inrkit.core.modality import Modality
from inrkit.machine.memory import forget_peak, peak_memory
from inrkit.machine.precision import choose_device, choose_precision, tf32
from inrkit.machine.processes import Ranks
from inrkit.machine.randomness import preserve_random_state
from inrkit.machine.speed import Operations, matmul_rates, synchronize
from inrkit.training.fits import check_memory
from inrkit.training.order import Rows
from inrkit.training.run import machine_errors, resolve_run
from inrkit.training.trial import Trial

_SHARE = 0.75  # of a phase: late, when its teacher is asked about most rows
_FEW = 2  # rows of the first steps
_PATIENCE = 3.0  # seconds: of a step that would take longer, only so many rows are taken as fit


@final
@attrs.frozen
class Forecast:
    """What `inrkit.dry_run` finds out about a run.

    Attributes:
        device, precision, threads: What would compute, and in which number format.
        matmul: Operations a second of square matrix products on this device, by number format.
        parameters: Weights of "denoiser" and "function".
        operations: Of one step, in matrix products and convolutions: "forward", "backward", "teacher", "optimizer".
        seconds: Of one step.
        steps, batch_size: Of the run.
        measured_rows, rows: Signals in the largest step that was taken, and in one pass of the run's steps; where they
            differ, seconds, operations and the peak of memory are extrapolated.
        memory: Bytes of "weights", "gradients", "optimizer" and "averages", all counted, and measured "peak" of the
            process (of an accelerator: of what torch holds there), where the system says.
        checkpoint, checkpoints: Bytes of one, and how many there are at most, while the newest is being written.
    """

    device: str
    precision: str
    threads: int
    matmul: Mapping[str, float]
    parameters: Mapping[str, int]
    operations: Mapping[str, float]
    seconds: float
    steps: int
    batch_size: int
    measured_rows: int
    rows: int
    memory: Mapping[str, int | None]
    checkpoint: int
    checkpoints: int

    @property
    def share(self) -> float:
        """Of the rate of matrix products in the same number format."""
        return sum(self.operations.values()) / self.seconds / self.matmul[self.precision]

    @property
    def hours(self) -> float:
        """Of all steps; sheets of samples, held-out figures and the report come on top."""
        return self.seconds * (self.steps / 3600)

    def of_steps(self, steps: int) -> "Forecast":
        """The same of a longer or shorter run."""
        return attrs.evolve(self, steps=steps)

    def figures(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        disk = self.checkpoint * self.checkpoints
        return {**attrs.asdict(self), "share": self.share, "hours": self.hours, "disk": disk}


def dry_run(
    config: Resolved | RunConfig | Path | str | None = None,
    *,
    modality: str | type[Modality] | None = None,
    preset: str | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    **values: Any,
) -> Forecast:
    """Says what `inrkit.train` would take on this machine with the same arguments, in seconds rather than minutes.

    `inrkit.dry_run(preset="celeba-64", ...).hours`. A large model's step is not waited for: it is
    extrapolated from steps of fewer signals. Of several processes, it tells what one alone would take.
    """
    resolved = resolve_run(config, modality, preset, overrides, values)
    keys = resolved.config
    with machine_errors(keys):
        device = choose_device(keys.device)
        check_memory(resolved, device)
        with preserve_random_state(device), tf32(device):
            precision, rates = choose_precision(keys.precision, device), matmul_rates(device)
            trial = Trial(resolved, Ranks(), device, precision)
            learner, phases = trial.learner, trial.learner.phases
            rows = keys.batch_size // keys.accumulate
            watch = _Watch(device)
            costs = [_cost(trial, watch, phase, phase.batch_size // keys.accumulate) for phase in phases]
            tensors, _ = learner.state()
            learner.release()
    shares = [(phase.stop - phase.start) / keys.steps for phase in phases]
    pipeline, names = learner.pipeline, ("forward", "backward", "teacher", "optimizer")
    passes = {name: 1 if name == "optimizer" else keys.accumulate for name in names}
    weights = _bytes(tensors["model"])
    return Forecast(
        device=str(device),
        precision=precision,
        threads=torch.get_num_threads(),
        matmul=rates,
        parameters={
            part: sum(p.numel() for p in getattr(pipeline, part).parameters()) for part in ("denoiser", "function")
        },
        operations={
            name: passes[name] * sum(s * c.operations.get(name, 0) for s, c in zip(shares, costs, strict=True))
            for name in names
        },
        seconds=sum(
            s * (c.optimizer + keys.accumulate * (c.seconds - c.optimizer)) for s, c in zip(shares, costs, strict=True)
        ),
        steps=keys.steps,
        batch_size=keys.batch_size,
        measured_rows=min(cost.measured for cost in costs),
        rows=rows,
        memory={
            "weights": weights,
            "gradients": _bytes({name: p for name, p in pipeline.named_parameters() if p.requires_grad}),
            "optimizer": _bytes(tensors["optimizer"]),
            "averages": _bytes(tensors["ema"]) + _bytes(tensors.get("teacher", {})),
            "peak": None if any(c.peak is None for c in costs) else int(max(c.peak or 0 for c in costs)),
        },
        checkpoint=sum(map(_bytes, tensors.values())),
        checkpoints=keys.keep + 1 + (keys.early_stop > 0),
    )


def _bytes(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


@attrs.frozen
class _Cost:
    """Of one step: seconds, those of its optimizer, operations by part, and the peak of memory."""

    measured: int
    seconds: float
    optimizer: float
    operations: Mapping[str, float]
    peak: float | None


class _Watch:
    """Knows when the optimizers are at work, and how long they were."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds, self.running = device, 0.0, False
        self._watched: Sequence[torch.optim.Optimizer] = ()

    def watch(self, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """Those of a phase, which may be the same as before."""
        if optimizers is self._watched:
            return
        self._watched = optimizers
        for optimizer in optimizers:
            optimizer.register_step_pre_hook(lambda *_: self._turn(begins=True))
            optimizer.register_step_post_hook(lambda *_: self._turn(begins=False))

    def _turn(self, *, begins: bool) -> None:
        synchronize(self.device)
        now = time.perf_counter()
        self.running = begins
        self.seconds += -now if begins else now

    def time(self, step: Callable[[], object]) -> tuple[float, float]:
        """Seconds of a step, and of its optimizers."""
        self.seconds = 0.0
        synchronize(self.device)
        began = time.perf_counter()
        step()
        synchronize(self.device)
        return time.perf_counter() - began, self.seconds


def _cost(trial: Trial, watch: _Watch, phase: ScheduledPhase, rows: int) -> _Cost:
    """Of a step of so many rows: measured if it is quick, else from two of fewer rows."""
    learner, few = trial.learner, min(_FEW, rows)
    take = trial.step(phase, _SHARE)
    watch.watch(learner.optimizer.parts)

    def of_rows(count: int, *, tries: int) -> _Cost:
        learner.rows = Rows(count)
        forget_peak(learner.device)
        with Operations(lambda: watch.running) as counter:
            times = [watch.time(take)]
        times += [watch.time(take) for _ in range(tries)]
        seconds, optimizer = min(times)
        return _Cost(count, seconds, optimizer, counter.by_part, peak_memory(learner.device))

    small = of_rows(few, tries=1)
    each = max(1e-9, (small.seconds - small.optimizer) / few)
    fit = int((_PATIENCE - small.optimizer) / each)
    if few == rows or fit >= rows:
        return of_rows(rows, tries=2)
    large = of_rows(min(rows, max(fit, 2 * few)), tries=0)
    more = (rows - large.measured) / (large.measured - few)

    def at(a: float, b: float) -> float:
        return b + more * max(0.0, b - a)

    return _Cost(
        large.measured,
        large.optimizer + at(small.seconds - small.optimizer, large.seconds - large.optimizer),
        large.optimizer,
        {key: n if key == "optimizer" else n * rows / large.measured for key, n in large.operations.items()},
        None if small.peak is None or large.peak is None else at(small.peak, large.peak),
    )
