"""A step of training on a device: the host waits for it once, at its end; what stays there; what is computed twice."""

import functools
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from spoilt import GRID, Waves
from test_testing import IMAGE, NERF
from torch import Tensor
from toy import ToyModality

import inrkit
from inrkit import Modality, Signals, Source, UsageError
from inrkit.config.resolve import resolve
from inrkit.evaluation.evaluate import evaluate
from inrkit.machine.processes import Ranks
from inrkit.testing import Strangers
from inrkit.training.blocks import blocks_of, prepare_blocks
from inrkit.training.learner import Learner
from inrkit.training.loader import kept_signals, read_ahead
from inrkit.training.order import Order, Rows

OBJECTIVES = ("inrct", "ect", "ict", "ct", "cm-func", "diffusion", "reconstruction", "meanflow")
WINDOWS = {**GRID, "size": [16, 16], "function": "windows"}
CHANGES = {"shift": 0.1, "flip": True, "gain": 3.0, "rotate": 9.0, "scale": 1.2, "colour": 0.2, "cutout": 0.3}
LABELS = {**IMAGE, **CHANGES, "classes": 8, "query_points": 20, "augment_labels": True, "augment_share": 0.5}
GRID_OF_VALUES = {"count": 40, "size": [16, 16], "function": "grid", "denoiser": "unet"}

CASES: list[tuple[str | type[Modality], dict[str, Any]]] = [
    *((ToyModality, {"objective": objective}) for objective in OBJECTIVES),
    (ToyModality, {"objective": "inrct", "device_data": 0, "recompute": True, "accumulate": 2}),
    (Waves, {"options": GRID, "optimizer": "adamw", "teacher_ema": 0.9}),
    ("image", {"options": IMAGE, "optimizer": "muon"}),
    ("image", {"options": LABELS, "label_dropout": 0.1}),
    ("image", {"options": WINDOWS}),
    ("image", {"options": GRID_OF_VALUES}),
    ("nerf", {"options": NERF}),
]


def learner_of(modality: str | type[Modality], device: torch.device, **keys: Any) -> tuple[Learner, Any]:
    """A learner in its last phase, and its signals."""
    flags = {"batch_size": 4, "device": device.type, "steps": 40, "warmup_share": 0.0, "precision": "fp32", **keys}
    resolved = resolve(modality, None, flags=flags)
    source = resolved.source("train")
    order = Order(len(source), 4, 0)
    learner = Learner(resolved, Ranks(), device, "fp32", order)
    learner.step = 30
    memory = resolved.config.device_data << 20
    return learner, read_ahead(source, order, learner.rows_at, range(30, 40), 0, device, memory)


@pytest.mark.parametrize(("modality", "keys"), CASES)
def test_the_host_waits_once_in_a_step(modality: str | type[Modality], keys: dict[str, Any]) -> None:
    """For the losses and the norm, together, when all of the step but the update is queued."""
    with Strangers() as strangers:
        learner, signals = learner_of(modality, strangers.device, **keys)
        learner.learn(learner.enter_phase(), signals, stop=False)
        strangers.waits.clear()
        values, _ = learner.learn(learner.enter_phase(), signals, stop=False)
    assert values is not None
    assert len(strangers.waits) == 1, strangers.waits
    assert "learner.py" in strangers.waits[0]


def test_distilling_does_not_wait_either(tmp_path: Path) -> None:
    """The teacher's ODE step is on the device too."""
    inrkit.train(modality=ToyModality, out=tmp_path / "run", objective="diffusion", steps=2, progress=False)
    with Strangers() as strangers:
        options = {"teacher": str(tmp_path / "run")}
        learner, signals = learner_of(ToyModality, strangers.device, objective="cd", objective_options=options)
        learner.learn(learner.enter_phase(), signals, stop=False)
        strangers.waits.clear()
        learner.learn(learner.enter_phase(), signals, stop=False)
    assert len(strangers.waits) == 1, strangers.waits


class Counted(Source):
    """Signals that are their own numbers; remembers what was read."""

    facts: ClassVar = {}

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __len__(self) -> int:
        return 6

    def read(self, numbers: Any) -> Signals:
        self.asked += numbers
        return {"values": torch.tensor(numbers, dtype=torch.float32)[:, None].expand(-1, 3)}


@pytest.mark.parametrize(("memory", "reads"), [(6 * 12, 6), (6 * 12 - 1, 36)])
def test_a_small_data_set_stays_on_the_device(memory: int, reads: int) -> None:
    """Each signal is read once, and every step still gets its own; a larger data set is read again and again."""
    order, source = Order(6, 4, 0), Counted()
    with Strangers() as strangers:
        read = read_ahead(source, order, lambda _: Rows(4), range(9), 0, strangers.device, memory)
        found = [signals["values"] for signals in read]
        assert all(values.device == strangers.device for values in found)
        assert [values[:, 0].tolist() for values in found] == [order.numbers(step) for step in range(9)]
    assert len(source.asked) == reads + 1  # and one to know how large they are


def test_signals_that_stay_are_read_by_other_processes_too() -> None:
    """These read ahead only what is new by then."""
    order = Order(6, 4, 0)
    numbers = [order.numbers(step) for step in range(9)]
    found = kept_signals(Counted(), iter(numbers), 1, torch.device("cpu"), 100)
    assert [signals["values"][:, 0].tolist() for signals in found] == numbers


def test_what_cannot_be_read_ahead_is_told_when_it_is_asked_for() -> None:
    """Reading the next signals early does not stop the step before them."""
    resolved = resolve(ToyModality, None, flags={"options": {"missing": 5}, "batch_size": 4})
    source = resolved.source("train")
    order = Order(len(source), 4, 0)
    bad = next(step for step in range(20) if 5 in order.numbers(step))
    signals = read_ahead(source, order, lambda _: Rows(4), range(bad - 1, 20), 0, torch.device("cpu"))
    signals.fetch()
    assert next(signals)
    signals.fetch()
    with pytest.raises(inrkit.DataError, match="signal 5"):
        next(signals)


def after(modality: str | type[Modality], **keys: Any) -> tuple[list[dict[str, float] | None], list[Tensor], int]:
    """Losses and weights after three steps, and the bytes that the first one's forward pass kept."""
    learner, signals = learner_of(modality, torch.device("cpu"), **keys)
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        losses = [learner.learn(learner.enter_phase(), signals, stop=False)[0]]
    losses += [learner.learn(learner.enter_phase(), signals, stop=False)[0] for _ in range(2)]
    return losses, [p.detach() for p in learner.pipeline.parameters()], sum(kept.values())


@pytest.mark.parametrize(
    ("modality", "keys"),
    [(ToyModality, {"options": {"dropout": 0.5}}), ("image", {"options": {**IMAGE, "dropout": 0.3, "depth": 3}})],
)
def test_computing_activations_again_changes_no_number(modality: str | type[Modality], keys: dict[str, Any]) -> None:
    """Dropout masks included, and less is kept in between."""
    losses, weights, kept = after(modality, **keys)
    again, moved, fewer = after(modality, **keys, recompute=True)
    assert again == losses
    assert all(torch.equal(a, b) for a, b in zip(weights, moved, strict=True))
    assert fewer < kept


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method.*:DeprecationWarning")  # torch's own, when it compiles
def test_blocks_are_the_outermost_parts_of_lists() -> None:
    """A block within a block is computed with it."""
    inner = torch.nn.ModuleList([torch.nn.Linear(2, 2)])
    block = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    block.add_module("inner", inner)
    model = torch.nn.Module()
    model.add_module("blocks", torch.nn.ModuleList([block, torch.nn.ModuleList([torch.nn.Linear(2, 2)])]))
    found = list(blocks_of(model))
    assert found[0] is block
    assert len(found) == 2
    names = list(model.state_dict())
    prepare_blocks(model, compiled=True, recomputed=True)
    assert list(model.state_dict()) == names


def test_everything_is_measured_on_the_device(tmp_path: Path) -> None:
    """All figures of an evaluation, and the report."""
    with Strangers():
        model = inrkit.train(modality=ToyModality, out=tmp_path / "run", steps=2, device="cuda", progress=False)
        assert model.device.type == "cuda"
        assert evaluate(model, n=16)["memorisation"]
    assert (tmp_path / "run" / "report.html").exists()


def test_a_device_that_is_not_there_is_refused() -> None:
    """In one line, before anything is written."""
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(UsageError, match="no device 'cuda': found 0"):
            inrkit.train(modality=ToyModality, out=Path(folder) / "run", device="cuda", progress=False)
        assert not (Path(folder) / "run").exists()


@pytest.mark.filterwarnings("ignore")  # torch's own, while it traces
def test_compiled_blocks_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to rounding, with and without activations being computed again; traced here, but not handed to a compiler."""
    losses, _, _ = after(ToyModality)
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    for recompute in (False, True):
        found, _, _ = after(ToyModality, compile=True, recompute=recompute)
        assert [loss and loss["loss"] for loss in found] == pytest.approx([loss and loss["loss"] for loss in losses])


def test_a_machine_that_cannot_compile_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In one line, instead of a compiler's."""

    class InvalidCompilerError(RuntimeError):
        __module__ = "torch._inductor.exc"

    def broken(forward: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            raise InvalidCompilerError("No working C++ compiler found\nin c++")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(inrkit.ResourceError, match=r"'compile' = true needs a C\+\+ compiler.*No working") as error:
        inrkit.train(modality=ToyModality, out=tmp_path / "run", steps=2, compile=True, progress=False)
    assert "\n" not in str(error.value)
