"""What only a GPU can show: the same program there, bit for bit where it is promised, and close to a processor else.

`INRKIT_TEST_DEVICE=cpu pytest -m gpu` tries the tests themselves where there is none.
"""

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from test_testing import IMAGE, NERF
from toy import ToyModality
from toy_run import fingerprint, train_toy

import inrkit
from inrkit.cli import main
from inrkit.config.resolve import resolve
from inrkit.inference.model import Model
from inrkit.machine.memory import forget_peak, peak_memory
from inrkit.machine.precision import choose_device, choose_precision
from inrkit.machine.processes import Ranks
from inrkit.storage.checkpoint import load_checkpoint, save_checkpoint
from inrkit.testing import CHECKS, Subject
from inrkit.testing import device as checks_of_device
from inrkit.training.learner import Learner
from inrkit.training.loader import read_ahead
from inrkit.training.order import Order

pytestmark = pytest.mark.gpu

OPTIONS: dict[str, dict[str, Any]] = {"image": IMAGE, "nerf": NERF}
OBJECTIVES: dict[str, dict[str, Any]] = {
    "inrct": {},
    "reconstruction": {},
    "ect": {},
    "ict": {"objective_options": {"s0": 3, "s1": 24}},
    "ct": {"objective_options": {"s1": 20}},
    "cm-func": {"objective_options": {"s1": 20}},
    "diffusion": {},
    "meanflow": {},
}


@pytest.fixture
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's convolutions and products without TF32, to be compared with a processor's."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def learner_of(modality: Any, gpu: torch.device, precision: str = "fp32", **values: Any) -> Learner:
    flags = {"batch_size": 8, "steps": 20, "device": str(gpu), **values}
    return Learner(resolve(modality, None, flags=flags), Ranks(), gpu, precision)


def next_loss(learner: Learner) -> float:
    """Of a step on the first signals."""
    source = learner.resolved.source("train")
    values, _ = learner.learn(learner.enter_phase(), iter([source.read(range(8))]), stop=False)
    assert values is not None
    return values["loss"]


def close(there: torch.Tensor, here: torch.Tensor, tolerance: float = 2e-3) -> bool:
    """Whether a GPU's numbers are a processor's, but for the order of sums."""
    return bool((there.cpu() - here).abs().max() <= tolerance * here.abs().max().clamp_min(1))


# ---------------------------------------------------------------------------------------------- training


def test_auto_is_the_gpu_and_what_suits_it(gpu: torch.device, tmp_path: Path) -> None:
    """A run that is told nothing trains on the device, and a longer one goes on there."""
    model = train_toy(tmp_path, precision="auto", device="auto")
    assert model.device.type == choose_device("auto").type
    assert choose_precision("auto", gpu) in ("fp32", "bf16")
    assert train_toy(tmp_path, precision="auto", device="auto", steps=24, extend=True).step == 24


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_objective_learns_there(gpu: torch.device, objective: str, precision: str) -> None:
    """Each from its first step, in both number formats; they agree as far as bf16 goes."""
    values = {"objective": objective, **OBJECTIVES[objective], "options": {"dropout": 0.0}}
    losses = [next_loss(learner_of(ToyModality, gpu, name, **values)) for name in ("fp32", precision)]
    assert losses[1] == pytest.approx(losses[0], rel=0.1 if precision == "bf16" else 1e-6)


@pytest.mark.parametrize("optimizer", ["radam", "adamw", "muon"])
def test_an_optimizer_moves_weights_as_on_a_processor(gpu: torch.device, optimizer: str, full_precision: None) -> None:
    """Three steps of the image model from the same weights on the same, noiseless batches."""
    found = []
    for device in (gpu, torch.device("cpu")):
        learner = learner_of("image", device, optimizer=optimizer, objective="reconstruction", options=IMAGE, warmup=1)
        for value in learner.pipeline.parameters():
            value.grad = torch.linspace(-1, 1, value.numel(), device=device).view_as(value)
        for _ in range(3):
            learner.optimizer.step(1e-2)
        found.append(torch.cat([p.detach().flatten().cpu() for p in learner.pipeline.parameters()]))
    assert close(found[0], found[1])


@pytest.mark.parametrize("keys", [{}, {"workers": 1}, {"precision": "bf16"}, {"teacher_ema": 0.9}])
def test_resume_is_exact_there(gpu: torch.device, tmp_path: Path, keys: dict[str, Any]) -> None:
    """Weights, averages, optimizer, random states of the device and metrics, bit for bit."""
    whole, again = tmp_path / "whole", tmp_path / "again"
    values = {"device": str(gpu), "save_every": 5, "keep": 9, **keys}
    train_toy(whole, **values)
    shutil.copytree(whole, again)
    for step in (15, 20):
        shutil.rmtree(again / "checkpoints" / f"step-{step:08d}")
    train_toy(again, **values)
    assert fingerprint(again) == fingerprint(whole)


@pytest.mark.parametrize("modality", OPTIONS)
def test_the_state_of_a_learner_is_all_of_it(gpu: torch.device, tmp_path: Path, modality: str) -> None:
    """Saved, read and loaded into another learner, it takes the same next step."""
    first = learner_of(modality, gpu, options=OPTIONS[modality])
    next_loss(first)
    tensors, state = first.state()
    path = save_checkpoint(tmp_path, 1, tensors, state, {}, keep=2)
    second = learner_of(modality, gpu, options=OPTIONS[modality], seed=1)
    second.config = first.config
    second.load(load_checkpoint(path))
    assert next_loss(second) == next_loss(first)
    assert all(
        torch.equal(a, b) for a, b in zip(first.pipeline.parameters(), second.pipeline.parameters(), strict=True)
    )


def test_a_run_moves_between_devices(gpu: torch.device, tmp_path: Path) -> None:
    """Begun on one and finished on the other, both ways."""
    for number, (first, then) in enumerate([(str(gpu), "cpu"), ("cpu", str(gpu))]):
        run = tmp_path / str(number)
        train_toy(run, device=first, steps=10)
        model = train_toy(run, device=then, steps=20, extend=True)
        assert model.step == 20
        assert all(bool(p.isfinite().all()) for p in model.pipeline.parameters())


@pytest.mark.parametrize("workers", [0, 1])
def test_signals_arrive_whole_and_pinned(gpu: torch.device, workers: int) -> None:
    """Read here or by another process, they are the source's, on the device or in memory that it can read."""
    source = resolve("image", None, flags={"options": IMAGE}).source("train")
    learner = learner_of("image", gpu, options=IMAGE)
    order = Order(len(source), 8, 0)
    for step, signals in enumerate(read_ahead(source, order, learner.rows_at, range(3), workers, gpu)):
        for name, value in source.read(order.numbers(step)).items():
            assert torch.equal(signals[name].cpu(), value)
            if gpu.type == "cuda" and workers:
                assert signals[name].is_pinned() or signals[name].is_cuda


@pytest.mark.parametrize("key", ["compile", "recompute"])
def test_blocks_may_be_compiled_or_computed_twice(gpu: torch.device, key: str) -> None:
    """The loss of the first step and of one after it is the same, but for the order of sums in compiled ones."""
    if key == "compile" and gpu.type == "cpu":
        pytest.skip("compiling for a processor takes minutes")
    values: dict[str, Any] = {"options": {"dropout": 0.0}}
    plain, other = learner_of(ToyModality, gpu, **values), learner_of(ToyModality, gpu, **values, **{key: True})
    for _ in range(2):
        assert next_loss(other) == pytest.approx(next_loss(plain), rel=1e-3)


def test_memory_is_the_devices(gpu: torch.device) -> None:
    """The peak that a run logs is what torch held there."""
    forget_peak(gpu)
    kept = torch.zeros(1 << 22, device=gpu)
    assert (peak_memory(gpu) or 0) >= kept.numel() * 4


# ---------------------------------------------------------------------------------------------- a trained model


@pytest.mark.parametrize("check", ["training_stays_on_its_device", "a_model_stays_on_its_device"])
@pytest.mark.parametrize("modality", OPTIONS)
def test_every_pass_runs_there(gpu: torch.device, monkeypatch: pytest.MonkeyPatch, modality: str, check: str) -> None:
    """The checks that find mixed devices on a pretended one, on the real one: train, encode, sample, edit, evaluate."""
    if gpu.type == "cuda":
        monkeypatch.setattr(checks_of_device, "on_the_device", contextlib.nullcontext)
    request = {"size": "8", "orbit": "2"} if modality == "nerf" else None
    CHECKS[check].function(Subject(modality, options=OPTIONS[modality], request=request))


@pytest.mark.parametrize("modality", OPTIONS)
def test_a_model_answers_alike_on_both(gpu: torch.device, tmp_path: Path, modality: str, full_precision: None) -> None:
    """Samples, encodings, an edit and a larger render of one checkpoint; chance is the same."""
    values: dict[str, Any] = {"steps": 2, "batch_size": 4, "device": str(gpu), "progress": False, "precision": "fp32"}
    run = tmp_path / "run"
    inrkit.train(modality=modality, out=run, options=OPTIONS[modality], on_end=lambda *_: None, **values)
    there, here = (Model.load(run, device=device) for device in (str(gpu), "cpu"))
    signals = here.modality.source(None, "test").read(range(2))
    request = {"size": "24x24"}
    for ask in (
        lambda model: model.sample(3, seed=1).signal,
        lambda model: model.sample(3, seed=1, times=(80.0, 1.0)).signal,
        lambda model: model.encode(signals).signal,
        lambda model: model.edit(signals, inrkit.Denoise(0.3), seed=1).signal,
        lambda model: torch.cat([model.encode(signals).at(where) for where in model.places(request)]),
    ):
        assert close(ask(there), ask(here))
    stored = inrkit.load_inr(inrkit.save_inr(tmp_path / "one.inr", there.inr(there.encode(signals), 0)))
    on_gpu, on_host = (inrkit.open_inr(stored, device).render(request)[0] for device in (str(gpu), "cpu"))
    assert close(torch.as_tensor(on_gpu), torch.as_tensor(on_host))


@pytest.mark.parametrize("modality", OPTIONS)
def test_every_command_runs_there(gpu: torch.device, tmp_path: Path, modality: str) -> None:
    """From training to figures, as a user would call them."""
    run, device = str(tmp_path / "run"), ["--device", str(gpu)]
    flags = ["--modality", modality, "--steps", "2", "--batch-size", "8", "--no-progress", *device]
    toml = [part for name, value in OPTIONS[modality].items() for part in ("--set", f"options.{name}={_toml(value)}")]
    new = tmp_path / "new"
    larger = ["--orbit", "2", "--size", "16x16"] if modality == "nerf" else ["--size", "40x40"]
    picture = tmp_path / ("turn.gif" if modality == "nerf" else "large.png")
    commands = [
        ["train", "--out", run, *flags, *toml],
        ["sample", run, "-n", "2", "-o", str(new), *device],
        ["sample", run, "-n", "2", "--steps", "2", "-o", str(tmp_path / "two"), *device],
        ["render", str(new / "0000.inr"), *larger, "-o", str(picture), *device],
        ["evaluate", run, "-n", "16", "--metrics", "psnr", *device],
    ]
    if modality == "image":
        shown = str(new / "0000.png")
        commands += [
            ["encode", run, shown, "-o", str(tmp_path / "face.inr"), *device],
            ["edit", run, shown, "--task", "inpaint", "--box", "2,2,4,4", "-o", str(tmp_path / "filled"), *device],
        ]
    for command in commands:
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, f"{command}: {done.output[-500:]} {done.exception!r}"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(part)}" for key, part in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)
