"""Phases that differ in more than their objective: optimizer, rate, batch, averages."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from toy import ToyModality
from toy_run import train_toy

from inrkit import ConstantEMA, PowerEMA, UsageError
from inrkit.config.phases import signals_seen
from inrkit.config.resolve import Resolved, resolve
from inrkit.storage.checkpoint import list_checkpoints, load_checkpoint

PHASES: list[dict[str, Any]] = [
    {"objective": "reconstruction", "share": 0.4, "optimizer": "adamw", "lr": 0.02, "batch_size": 4, "ema": False},
    {"objective": "inrct", "share": 0.6, "teacher_ema": 0.9},
]


def resolved(**values: Any) -> Resolved:
    return resolve(ToyModality, flags={"steps": 10, "save_every": 1, "keep": 99, **values})


def tensors(run: Path, group: str, step: int) -> dict[str, torch.Tensor]:
    found = {int(path.name.rpartition("-")[2]): path for path in list_checkpoints(run / "checkpoints")}
    return dict(load_checkpoint(found[step]).tensors[group])


def test_a_phase_has_what_it_says_and_the_rest_of_the_run() -> None:
    """Optimizer, rate, batch and teacher; what is not said is the run's own."""
    first, second = resolved(phases=PHASES, teacher_ema=0.5, lr=0.01).phases
    assert (first.optimizer, first.lr, first.batch_size, first.ema) == ("adamw", 0.02, 4, False)
    assert (second.optimizer, second.lr, second.batch_size, second.ema) == ("radam", 0.01, 8, True)
    assert (first.decay(0), second.decay(5)) == (0.5, 0.9)
    none = [{"objective": "ct", "share": 1.0, "teacher_ema": 0.0}]
    assert resolved(phases=none, teacher_ema=0.5).phases[0].decay(3) == 0


def test_signals_are_counted_by_the_batches_of_phases() -> None:
    """Law: what is seen grows by the batch size of each step's phase."""
    phases = resolved(phases=PHASES).phases
    seen = [signals_seen(phases, step) for step in range(13)]
    assert seen == [0, 4, 8, 12, 16, 24, 32, 40, 48, 56, 64, 72, 80]


def test_a_run_in_unequal_phases(tmp_path: Path) -> None:
    """The log counts signals, rates are the phases' own, the second optimizer begins anew, averages where told to."""
    values = {"steps": 10, "save_every": 1, "keep": 99, "log_every": 1, "schedule": "constant", "warmup": 0}
    train_toy(tmp_path, phases=PHASES, lr=0.01, **values)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    logged = [(line["seen"], line["lr"]) for line in lines if "lr" in line]
    assert logged == [*((4 * n, 0.02) for n in range(1, 5)), *((16 + 8 * n, 0.01) for n in range(1, 7))]
    states = {name for name in tensors(tmp_path, "optimizer", 5) if name.startswith("step:")}
    assert {float(tensors(tmp_path, "optimizer", 5)[name]) for name in states} == {1.0}
    model, average = tensors(tmp_path, "model", 4), tensors(tmp_path, "ema", 4)
    assert all(torch.equal(average[name], model[name]) for name in average)
    model, average = tensors(tmp_path, "model", 7), tensors(tmp_path, "ema", 7)
    assert not all(torch.equal(average[name], model[name]) for name in average)


def test_the_teacher_can_follow_ever_more_slowly() -> None:
    """Rising: μ(k) = exp(s0 ln μ0 / (N(k) - 1)) by iterations, as Consistency Models have it; s0 = 2, s1 = 150."""
    (phase,) = resolved(objective="ect", teacher_ema=0.9, teacher_schedule="rising", steps=1000).phases
    assert phase.decay(0) == pytest.approx(0.81)
    assert phase.decay(999) == pytest.approx(math.exp(2 * math.log(0.9) / 150), abs=1e-5)
    decays = [phase.decay(step) for step in range(0, 1000, 50)]
    assert decays == sorted(decays)


def test_a_phase_of_the_objective_of_the_run_has_its_options() -> None:
    """So that one key changes them; what a phase says itself wins."""
    phases = [PHASES[0], {**PHASES[1], "options": {"lambda_diff": 1.0}}]
    config = resolved(phases=phases, objective_options={"lambda_recon": 3.0, "lambda_diff": 2.0}).config
    assert (config.phases[1].options["lambda_recon"], config.phases[1].options["lambda_diff"]) == (3.0, 1.0)
    assert "lambda_recon" not in config.phases[0].options


def test_another_objective_has_no_phases_of_the_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    """They belong to the objective that the preset names."""
    monkeypatch.setattr(ToyModality, "presets", {"phased": {"phases": PHASES}})
    assert [phase.name for phase in resolve(ToyModality).phases] == ["reconstruction", "inrct"]
    assert [phase.name for phase in resolve(ToyModality, flags={"objective": "ect"}).phases] == ["ect"]


@pytest.mark.parametrize(("key", "value"), [("lr", -1.0), ("batch_size", 0), ("teacher_ema", 1.0), ("optimizer", "x")])
def test_mistakes_in_a_phase_are_named(key: str, value: object) -> None:
    """With the place in the list."""
    with pytest.raises(UsageError, match=rf"phases.*{key}"):
        resolved(phases=[{**PHASES[0], key: value}, PHASES[1]])


def test_a_constant_decay() -> None:
    """Law: x̄ <- β x̄ + (1 - β) x, from the first weights on; starting anew forgets them."""
    model = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        ema = ConstantEMA(model, 0.75)
        start = float(model.weight.detach())
        for _ in range(2):
            model.weight.add_(1.0)
            ema.update(model)
    expected = start + 0.25 * 2 + 0.75 * 0.25 * 1
    assert float(ema.tensors["weight"]) == pytest.approx(expected)
    ema.restart(model)
    assert float(ema.tensors["weight"]) == float(model.weight.detach())
    assert PowerEMA(model).updates == ema.updates == 0
