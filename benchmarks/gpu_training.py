"""Training steps on a GPU: the 64-pixel preset of 145 M parameters, in each number format.

    python benchmarks/gpu_training.py [--device auto] [--batch 128] [--smoke] [--json]

A step is the whole of it, in the middle of the run's last phase: observing, teacher and student, clipping, optimizer,
moving average. Counted are the operations in the matrix products of the student's and the teacher's passes. "of matmul"
is that number divided by the time and by the rate of square matrix products of the same format in this run. "GB" is the
most memory that tensors had at once, "reserved GB" what torch took from the device for them.
"""

import argparse
import itertools
from typing import Any

import torch
from accelerator import FORMATS, Format, Rows, formats_on, median_seconds, product_rates, resolved_for, run
from torch.nn.attention import SDPBackend, sdpa_kernel

import inrkit
from inrkit.core.draws import seed_of
from inrkit.machine.memory import forget_peak, peak_memory
from inrkit.machine.precision import autocast
from inrkit.machine.processes import Ranks
from inrkit.machine.speed import operations
from inrkit.training.learner import Learner
from inrkit.training.loader import read_ahead
from inrkit.training.order import Order

BATCH, SMALL_BATCH = 128, 8
COUNTED = (8, 16)
"""Rows of the batches in which operations are counted: in all others they grow as from the first to the second."""


def main(arguments: list[str] | None = None) -> None:
    run(__doc__, measure, arguments)


def measure(chosen: argparse.Namespace, device: torch.device, rows: Rows) -> None:
    batch = SMALL_BATCH if chosen.smoke else BATCH
    resolved = resolved_for("image", "celeba-64", device, smoke=chosen.smoke, batch_size=batch)
    signals = on_device(resolved.source("train").read(range(batch)), device)
    rates, work = product_rates(device, smoke=chosen.smoke), 0.0
    rows.add(what="matrix products", **{f"{name} TFLOP/s": rate / 1e12 for name, rate in rates.items()})
    with rows.attempt("counting operations"):
        work = work_of_a_step(resolved, signals, device, batch)
    for name in sorted(formats_on(device)):  # bf16, which matters most, first
        with rows.attempt(name, least=15):
            found = timed(resolved, signals, FORMATS[name], device, smoke=chosen.smoke)
            speed = work / found["ms/step"] * 1000
            figures = {"TFLOP/step": work / 1e12, "TFLOP/s": speed / 1e12, "of matmul": speed / rates[name]}
            rows.add(figure="P2", what=name, batch=batch, **found, **figures)
    for what, resident in (("bf16, signals stay on the device", 1 << 40), ("bf16, signals are read in each step", 0)):
        with rows.attempt(what, least=15):
            rows.add(what=what, batch=batch, **with_reader(resolved, device, resident, smoke=chosen.smoke))
    for other in (batch // 4, 2 * batch):
        with rows.attempt(f"bf16, batch {other}", least=15):
            evolved = resolved.evolve(batch_size=other)
            repeated = {name: value.repeat(2, *[1] * (value.ndim - 1))[:other] for name, value in signals.items()}
            found = timed(evolved, repeated, FORMATS["bf16"], device, smoke=chosen.smoke)
            rows.add(what="bf16", batch=other, **found)


def on_device(signals: inrkit.Signals, device: torch.device) -> dict[str, torch.Tensor]:
    return {name: value.to(device) for name, value in signals.items()}


def halfway(resolved: inrkit.Resolved, device: torch.device, precision: str) -> Learner:
    """A learner in the middle of its last phase."""
    learner = Learner(resolved, Ranks(), device, precision)
    last = learner.phases[-1]
    learner.step = (last.start + last.stop) // 2
    return learner


def timed(
    resolved: inrkit.Resolved, signals: inrkit.Signals, form: Format, device: torch.device, *, smoke: bool
) -> dict[str, Any]:
    """Median milliseconds of a step on the same signals, and its memory."""
    torch.set_float32_matmul_precision(form.products)
    learner, losses = halfway(resolved, device, form.precision), list[float]()
    repeated = itertools.repeat(signals)

    def step() -> None:
        values, _ = learner.learn(learner.enter_phase(), repeated, stop=False)
        losses.append(float("nan") if values is None else values["loss"])

    step()
    forget_peak(device)
    seconds = median_seconds(step, device, 2 if smoke else 10)
    batch = resolved.config.batch_size
    found = {
        "M parameters": sum(p.numel() for p in learner.pipeline.parameters()) / 1e6,
        "ms/step": 1000 * seconds,
        "images/s": batch / seconds,
        "GB": (peak_memory(device) or 0) / 1e9,
        "first loss": losses[0],
        "last loss": losses[-1],
    }
    if device.type == "cuda":
        found["reserved GB"] = torch.cuda.max_memory_reserved(device) / 1e9
    learner.release()
    return found


def with_reader(resolved: inrkit.Resolved, device: torch.device, resident: int, *, smoke: bool) -> dict[str, Any]:
    """The same as a run does it, which reads the signals of each step, here from memory, and brings them to the device.

    Args:
        resident: Bytes that a data set may have to stay on the device.
    """
    learner, steps = halfway(resolved, device, "bf16"), 2 if smoke else 20
    source = Remembered(resolved.source("train"), resolved.config.batch_size)
    order = Order(len(source), resolved.config.batch_size, 0)
    signals = read_ahead(source, order, learner.rows_at, range(steps + 4), 0, device, resident)
    seconds = median_seconds(lambda: learner.learn(learner.enter_phase(), signals, stop=False), device, steps)
    learner.release()
    return {"ms/step": 1000 * seconds, "images/s": resolved.config.batch_size / seconds}


class Remembered(inrkit.Source):
    """Some signals of a source, drawn once."""

    def __init__(self, source: inrkit.Source, count: int) -> None:
        self.signals, self.count, self._facts = source.read(range(count)), count, source.facts

    def __len__(self) -> int:
        return self.count

    def read(self, numbers: Any) -> inrkit.Signals:
        return {name: value[list(numbers)] for name, value in self.signals.items()}

    @property
    def facts(self) -> Any:
        return self._facts


def work_of_a_step(resolved: inrkit.Resolved, signals: inrkit.Signals, device: torch.device, batch: int) -> float:
    """Operations of a step's forward and backward passes, as two smaller batches tell."""
    few, more = (passes(resolved.evolve(batch_size=count), signals, device, count) for count in COUNTED)
    return few + (batch - COUNTED[0]) / (COUNTED[1] - COUNTED[0]) * (more - few)


def passes(resolved: inrkit.Resolved, signals: inrkit.Signals, device: torch.device, count: int) -> float:
    """Operations of both passes for the first ``count`` signals; attention is made of products that can be counted."""
    learner = halfway(resolved, device, "bf16")
    phase, draws = learner.enter_phase(), learner.rows.draws(seed_of(0, "count"), (0, count), device)
    some = {name: value.repeat(2, *[1] * (value.ndim - 1))[:count] for name, value in signals.items()}
    batch = learner.modality.observe(some, draws, training=True)

    def both() -> None:
        with sdpa_kernel(SDPBackend.MATH):
            with autocast("bf16", device):
                step = inrkit.Step(learner.pipeline, learner.pipeline, batch, draws, phase.progress(learner.step))
                loss = phase.objective.loss(step)
            loss.total.backward()

    return float(operations(both))


if __name__ == "__main__":
    main()
