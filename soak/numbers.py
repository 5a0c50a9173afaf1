"""Numbers that are none, at random places of training; and twenty thousand steps in flat memory."""

import math
import os
import random
import re
from pathlib import Path
from typing import Any, final

from inrkit.errors import DivergedError
from soak.child import Child, command, inrkit
from soak.interrupting import undisturbed_run
from soak.killing import same_run
from soak.prepared import IMAGE
from soak.stage import Stage, is_plain, require

PLACES = ("weight", "gradient", "answer", "average")


def spoil(place: str, step: int, value: float, seed: int) -> None:
    """From now on this process' training meets ``value`` somewhere in ``place`` at a step."""
    import torch

    from inrkit.training.learner import Learner

    learn, chance = Learner.learn, random.Random(seed)

    def put(tensor: "torch.Tensor") -> None:
        flat = tensor.detach().view(-1)
        flat[chance.randrange(flat.numel())] = value

    def spoilt(self: Any, phase: Any, signals: Any, **kwargs: Any) -> Any:
        if self.step == step:
            weights = list(self.pipeline.parameters())
            if place == "weight":
                put(chance.choice(weights).data)
            elif place == "average":
                put(self.ema.tensors[chance.choice(sorted(self.ema.tensors))])
            elif place == "gradient":
                chance.choice(weights).register_hook(lambda gradient: gradient * value)
            else:
                denoiser = self.pipeline.denoiser
                denoiser.register_forward_hook(
                    lambda _, __, found: {name: part * value for name, part in found.items()}
                )
        return learn(self, phase, signals, **kwargs)

    setattr(Learner, "learn", spoilt)  # noqa: B010  # of this process alone


@final
class Numbers(Stage):
    """A case is a place, a step and a value."""

    name = "numbers"
    summary = "NaN and infinities in a weight, a gradient, a network's answer or an average, at a random step"
    count = 120

    def case(self, number: int, folder: Path) -> str:
        place, chance = PLACES[number % len(PLACES)], self.chance(number)
        step, value = chance.randrange(self.given.steps), chance.choice([math.nan, math.inf, -math.inf])
        ended = inrkit(folder, *self.given.disturbed, before=lambda: spoil(place, step, value, number))
        is_plain(ended, DivergedError.exit_code)
        require(bool(re.search(r"step \d+", ended.err)), "expected the step to be named", ended)
        is_plain(inrkit(folder, *self.given.disturbed), 0)
        same_run(folder / "run", undisturbed_run(self.given))
        return f"{place}: named, and resumed from numbers"


@final
class Endurance(Stage):
    """The only case is a long run, whose memory and open files are looked at from outside."""

    name = "endurance"
    summary = "20,000 steps in flat memory, with as many open files at the end as at the beginning"
    count = 1
    steps, slope = 20_000, 1 << 20
    """In all; and the bytes that a thousand steps may add."""

    def case(self, number: int, folder: Path) -> str:
        steps = max(200, round(self.steps * self.scale))
        often = ["--set", "save_every=500", "--set", "sample_every=500"]
        child = Child(command(*IMAGE, *often, "--steps", steps, "--out", "run"), folder)
        seen: list[tuple[int, int, int]] = []
        while child.wait(0.2) is None:
            if (now := _look(child.pid, folder / "run" / "metrics.jsonl")) is not None:
                seen.append(now)
        is_plain(child.end(), 0)
        later = [one for one in seen if steps / 4 < one[0] <= steps * 0.98]  # the report comes after the last step
        if len(later) < 2:
            return f"{steps} steps, too few to measure"
        growth = 1000 * (later[-1][1] - later[0][1]) / max(1, later[-1][0] - later[0][0])
        require(growth < self.slope or steps < 2000, f"{growth / 1024:.0f} KiB more for each 1,000 steps")
        require(later[-1][2] <= max(one[2] for one in later[: len(later) // 2]), "more and more files are open")
        return f"{steps} steps: {growth / 1024:.0f} KiB for each 1,000 steps, {later[-1][2]} open files"


def _look(pid: int, metrics: Path) -> tuple[int, int, int] | None:
    """The last step that was logged, bytes of memory and open files."""
    try:
        status, files = Path(f"/proc/{pid}/status").read_text(), len(os.listdir(f"/proc/{pid}/fd"))
        with metrics.open("rb") as file:
            file.seek(max(0, metrics.stat().st_size - 4096))
            steps = re.findall(rb'"step": ?(\d+)', file.read())
    except OSError:
        return None
    memory = re.search(r"VmRSS:\s+(\d+)", status)
    return (int(steps[-1]), 1024 * int(memory[1]), files) if memory and steps else None
