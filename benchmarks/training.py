"""Speed of training steps of the image model, as a fraction of the machine's matrix-multiply rate.

    python benchmarks/training.py [--width 0 128 256 512] [--optimizer adamw] [--threads 2] [--rounds 7] [--json]

A step is the whole of it: observing, teacher and student forward, backward, clipping, optimizer, moving average.
Counted are the operations that the mathematics needs, halfway through the curriculum: those in matrix products of the
student's forward and backward pass for all rows and of the teacher's forward pass for rows with r > 0, and none of the
optimizer's. "of matmul" is that number divided by the time and by the rate of square matrix products in the same
precision, both medians of this run; "optimizer" is the optimizer's share of the time.

The reference is the plain fp32 implementation in reference.py, with the same weights, chance and optimizer; before
anything is timed its loss has to agree with ours. Steps take turns with it. "x passes" compares what is left of both
without the optimizers: torch's Muon multiplies in bf16, which is slow where a processor has no instructions for it;
there ``--precision fp32 --optimizer adamw`` compares whole steps.
"""

import argparse
import functools
import itertools
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import torch
from measure import begin, in_turns, matmul_rates, now, options, report
from model import configured, loosened, reference_of
from reference import Reference, move_average
from torch import Tensor

import inrkit
from inrkit.core.draws import Draws, seed_of
from inrkit.core.objective.inrct import Inrct
from inrkit.machine.processes import Ranks
from inrkit.machine.speed import operations
from inrkit.training.learner import Learner
from inrkit.training.optimizer import hidden_matrices, learning_rate

CPU = torch.device("cpu")
TOLERANCE = {"fp32": 1e-3, "bf16": 3e-2}
PROGRESS = 0.5


class PlainTraining:
    """Training steps of the reference, with torch's optimizers as they come."""

    def __init__(self, reference: Reference, learner: Learner, signals: inrkit.Signals) -> None:
        self.reference, self.learner, self.signals = reference, learner, signals
        self.average = [p.detach().clone() for p in reference.parameters()]
        self.optimizers = list(optimizers(learner.config, reference))

    def loss(self) -> Tensor:
        learner, phase, draws = self.learner, self.learner.enter_phase(), chance(self.learner)
        assert isinstance(phase.objective, Inrct)
        batch = learner.modality.observe(self.signals, draws, training=True)
        return self.reference.loss(batch, draws.fork("loss"), phase.objective, phase.progress(learner.step))

    def step(self) -> float:
        learner, loss = self.learner, self.loss()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.reference.parameters(), learner.config.clip)
        self.move(learning_rate(learner.config, learner.step))
        move_average(self.average, self.reference.parameters(), 0.99)
        return loss.item()

    def move(self, lr: float) -> None:
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
            optimizer.zero_grad()


def optimizers(config: inrkit.RunConfig, model: torch.nn.Module) -> Iterator[torch.optim.Optimizer]:
    """The config's optimizer, without fused or grouped updates."""
    weights = list(model.parameters())
    common: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.optimizer == "radam":
        yield torch.optim.RAdam(weights, decoupled_weight_decay=True, foreach=False, **common)
        return
    if config.optimizer == "muon":
        hidden = set(hidden_matrices(model))
        matrices = [p for p in weights if p in hidden]
        yield torch.optim.Muon(matrices, adjust_lr_fn="match_rms_adamw", ns_steps=4, **common)
        weights = [p for p in weights if p not in hidden]
    yield torch.optim.AdamW(weights, foreach=False, **common)


def chance(learner: Learner) -> Draws:
    """The draws of the learner's next step."""
    return learner.rows.draws(seed_of(learner.config.seed, "train", learner.step), (0, learner.rows.total), CPU)


def halfway(resolved: inrkit.Resolved, precision: str) -> Learner:
    """A learner in the middle of the last phase, with weights that are not those of the start."""
    learner = Learner(resolved, Ranks(), CPU, precision)
    last = learner.phases[-1]
    learner.step = last.start + int(PROGRESS * (last.stop - last.start))
    loosened(learner.pipeline)
    return learner


def step_of(learner: Learner, signals: inrkit.Signals) -> float:
    """One step at the same place of the curriculum as all others."""
    at = learner.step
    values, _ = learner.learn(learner.enter_phase(), itertools.repeat(signals), stop=False)
    learner.step = at
    assert values is not None, "the loss is not finite"
    return values["loss"]


def needed(learner: Learner, signals: inrkit.Signals) -> int:
    """Operations of one step's forward and backward passes."""
    phase, draws = learner.enter_phase(), chance(learner)
    batch = learner.modality.observe(signals, draws, training=True)

    def passes() -> None:
        pipeline, progress = learner.pipeline, phase.progress(learner.step)
        loss = phase.objective.loss(inrkit.Step(pipeline, pipeline, batch, draws.fork("loss"), progress))
        loss.total.backward()

    counted = operations(passes)
    learner.optimizer.zero()
    return counted


def agree(ours: Callable[[], float], plain: float, precision: str) -> None:
    """Stops when our loss is not the reference's, within what the precision allows."""
    found = ours()
    difference = abs(found - plain) / abs(plain)
    assert difference < TOLERANCE[precision], f"{precision}: loss {found}, the reference has {plain}"


def timed(owner: object, name: str) -> list[float]:
    """The seconds of each call of a method from now on."""
    call, spent = getattr(owner, name), list[float]()

    def measured(*arguments: Any) -> None:
        began = now()
        call(*arguments)
        spent.append(now() - began)

    setattr(owner, name, measured)
    return spent


def measure(width: int, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of the table for one width; 0 is the preset's own."""
    batch = chosen.batch
    resolved = configured(width, batch_size=batch, optimizer=chosen.optimizer)
    signals = resolved.source("train").read(range(batch))
    learners = {name: halfway(resolved, name) for name in chosen.precision}
    first = next(iter(learners.values()))
    reference = reference_of(resolved, first.pipeline)
    training = PlainTraining(reference, halfway(resolved, "fp32"), signals)
    plain = training.loss().item()
    work = needed(first, signals)
    steps = {name: functools.partial(step_of, learner, signals) for name, learner in learners.items()}
    for name, step in steps.items():
        agree(step, plain, name)

    rates = matmul_rates(chosen.matmul, list({"fp32", *chosen.precision}))
    spent = {name: timed(learner.optimizer, "step") for name, learner in learners.items()}
    spent["reference"] = timed(training, "move")
    seconds = in_turns({"reference": training.step, **steps}, chosen.rounds)
    moving = {name: statistics.median(values) for name, values in spent.items()}
    passes = {name: seconds[name] - moving[name] for name in seconds}
    count = sum(p.numel() for p in reference.parameters())
    return [
        {
            "width": resolved.modality.options.width,
            "weights/M": count / 1e6,
            "what": name if name == "reference" else f"inrkit {name}",
            "ms/step": 1000 * seconds[name],
            "images/s": batch / seconds[name],
            "GFLOP": work / 1e9,
            "GFLOP/s": work / seconds[name] / 1e9,
            "of matmul": work / seconds[name] / rates["bf16" if name == "bf16" else "fp32"],
            "optimizer": moving[name] / seconds[name],
            "x reference": seconds["reference"] / seconds[name],
            "x passes": passes["reference"] / passes[name],
        }
        for name in seconds
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = options(__doc__, rounds=7)
    parser.add_argument("--width", type=int, nargs="+", default=[0, 128, 256, 512], help="0: the preset [%(default)s]")
    parser.add_argument("--batch", type=int, default=64, help="rows in a step [%(default)s]")
    parser.add_argument("--optimizer", default="muon", choices=["muon", "adamw", "radam"], help="[%(default)s]")
    chosen = parser.parse_args(arguments)
    begin(chosen)
    rates = matmul_rates(chosen.matmul, chosen.precision)
    rows = [row for width in chosen.width for row in measure(width, chosen)]
    facts: dict[str, Any] = {"threads": chosen.threads}
    facts |= {f"matmul {name} GFLOP/s": rate / 1e9 for name, rate in rates.items()}
    report(f"training, {chosen.batch} images of 32x32 a step", rows, facts, as_json=chosen.json)


if __name__ == "__main__":
    main()
