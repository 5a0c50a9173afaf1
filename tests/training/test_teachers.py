"""Runs of the objectives that have a teacher: averages, diffusion models, decoders that learn alone, warm starts."""

from pathlib import Path
from typing import Any

import pytest
import torch
from test_distributed import losses, train_ranks
from test_resume import CrashError, crash_at
from toy import ToyModality
from toy_run import fingerprint, train_toy, weights

from inrkit.config.resolve import Resolved, resolve
from inrkit.core.denoiser import Denoiser
from inrkit.core.modality import Modality
from inrkit.errors import DataError, UsageError
from inrkit.inference.model import Model
from inrkit.storage.checkpoint import list_checkpoints, load_checkpoint
from inrkit.training.run import train

IN_ONE_RUN = [
    {"objective": "diffusion", "share": 0.45},
    {"objective": "cd", "share": 0.55, "options": {"n": 6, "mu": 0.8}},
]
RUNS: dict[str, dict[str, Any]] = {
    "ct": {"objective": "ct", "objective_options": {"s1": 20}},
    "ict": {"objective": "ict", "objective_options": {"s0": 3, "s1": 24}},
    "cm-func": {"objective": "cm-func", "objective_options": {"s1": 20}, "warmup_share": 0.35},
    "diffusion, cd": {"phases": IN_ONE_RUN},
}


def resolved(values: dict[str, Any]) -> Resolved:
    return resolve(ToyModality, flags=values)


def tensors(run: Path, group: str, step: int | None = None) -> dict[str, torch.Tensor]:
    """A group of the last checkpoint, or of one."""
    path = list_checkpoints(run / "checkpoints")[-1] if step is None else run / "checkpoints" / f"step-{step:08d}"
    return dict(load_checkpoint(path).tensors[group])


@pytest.fixture(scope="module")
def diffusion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run to distil."""
    run = tmp_path_factory.mktemp("teacher") / "run"
    train_toy(run, objective="diffusion", steps=8)
    return run


# ------------------------------------------------------------------------------------------------- exactness


@pytest.mark.parametrize(
    ("name", "step"), [("ct", 6), ("ict", 10), ("cm-func", 6), ("cm-func", 10), ("diffusion, cd", 10)]
)
def test_resume_equals_never_having_stopped(tmp_path: Path, name: str, step: int) -> None:
    """Teachers are part of the checkpoint; within a phase, and at its beginning (10 is after 9)."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_toy(whole, sample_every=step, **RUNS[name])
    with pytest.raises(CrashError):
        train_toy(parts, sample_every=step, on_sample=crash_at(step), **RUNS[name])
    train_toy(parts, sample_every=step, **RUNS[name])
    assert fingerprint(parts) == fingerprint(whole)


@pytest.mark.parametrize("boundary", [0.25, 0.5])
def test_resume_at_the_beginning_of_a_phase(tmp_path: Path, boundary: float) -> None:
    """A checkpoint that was saved where a phase ends (5 or 10 of 20 steps) leads into the next as if never stopped."""
    phases = [{**IN_ONE_RUN[0], "share": boundary}, {**IN_ONE_RUN[1], "share": 1 - boundary}]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    crash = round(20 * boundary) + 2
    train_toy(whole, sample_every=crash, phases=phases)
    with pytest.raises(CrashError):
        train_toy(parts, sample_every=crash, on_sample=crash_at(crash), phases=phases)
    assert list_checkpoints(parts / "checkpoints")[-1].name == f"step-{crash - 2:08d}"
    train_toy(parts, sample_every=crash, phases=phases)
    assert fingerprint(parts) == fingerprint(whole)


def test_resume_of_distillation_needs_no_unchanged_teacher(tmp_path: Path) -> None:
    """The teacher's weights are in the checkpoint, so training it on meanwhile changes nothing."""
    teacher, whole, parts = tmp_path / "teacher", tmp_path / "whole", tmp_path / "parts"
    train_toy(teacher, objective="diffusion", steps=5)
    values = {"objective": "cd", "objective_options": {"teacher": str(teacher), "n": 6}, "steps": 10}
    train_toy(whole, sample_every=6, **values)
    with pytest.raises(CrashError):
        train_toy(parts, sample_every=6, on_sample=crash_at(6), **values)
    train_toy(teacher, objective="diffusion", steps=8, extend=True)
    train_toy(parts, sample_every=6, **values)
    assert fingerprint(parts) == fingerprint(whole)


@pytest.mark.parametrize("name", ["ct", "ict", "diffusion, cd"])
def test_accumulation_equals_one_batch(tmp_path: Path, name: str) -> None:
    """Micro-batches are only a way of computing, for every objective."""
    one, parts = train_toy(tmp_path / "one", **RUNS[name]), train_toy(tmp_path / "parts", accumulate=2, **RUNS[name])
    torch.testing.assert_close(weights(parts), weights(one), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(losses(tmp_path / "parts"), losses(tmp_path / "one"), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["cm-func", "diffusion, cd"])
def test_two_processes_equal_one(tmp_path: Path, name: str) -> None:
    """Same global batch, same weights and losses, with averages, distillation and skipped encoders."""
    one = train_toy(tmp_path / "one", **RUNS[name])
    train_ranks(2, tmp_path / "two", **RUNS[name])
    two = Model.load(tmp_path / "two", modality=ToyModality)
    torch.testing.assert_close(weights(two), weights(one), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=1e-4, atol=1e-4)


# ------------------------------------------------------------------------------------------------- averages


def test_the_average_follows_as_the_objective_says(tmp_path: Path) -> None:
    """θ⁻ ← μ θ⁻ + (1 - μ) θ with μ of the step, from the weights at the beginning of the phase."""
    options = {"s0": 4, "s1": 4, "mu0": 0.5}
    train_toy(tmp_path, objective="ct", objective_options=options, steps=2, save_every=1)
    decay = resolved({"objective": "ct", "objective_options": options, "steps": 2}).phases[0].decay(1)
    before, after = (tensors(tmp_path, "teacher", step) for step in (1, 2))
    for name, weight in tensors(tmp_path, "model", 2).items():
        torch.testing.assert_close(after[name], torch.lerp(weight, before[name], decay))
    assert any(not torch.equal(after[name], before[name]) for name in after)


def test_without_a_decay_no_teacher_is_kept(tmp_path: Path) -> None:
    """The student's own weights are the teacher."""
    train_toy(tmp_path, objective="ict", steps=2)
    found = load_checkpoint(list_checkpoints(tmp_path / "checkpoints")[-1]).tensors
    assert not {"teacher", "diffusion"} & found.keys()


def test_the_decay_of_the_run_goes_before_that_of_the_objective() -> None:
    """``teacher_ema`` is for trying an average where the paper has none, or another."""
    for objective, plain in (("ict", 0.0), ("inrct", 0.0), ("ct", 0.81)):
        values = {"objective": objective, "warmup_share": 0.0}
        assert resolved(values).phases[0].decay(0) == pytest.approx(plain)
        assert resolved({**values, "teacher_ema": 0.99}).phases[0].decay(0) == 0.99


# ------------------------------------------------------------------------------------------------- decoder alone


def test_cm_func_begins_with_the_decoder_alone(tmp_path: Path) -> None:
    """In the first phase encoder, noise level and class stay as they were, and all the rest learns; then all learns."""
    config = resolved({**RUNS["cm-func"]})
    assert [(phase.name, phase.trains) for phase in config.phases] == [
        ("reconstruction", "decoder"),
        ("cm-func", "all"),
    ]
    assert config.phases[0].objective.distance == "squared"
    values = {**RUNS["cm-func"], "warmup_share": 0.5, "save_every": 5, "keep": 9}
    train_toy(tmp_path, **values)
    start, first, last = (tensors(tmp_path, "model", step) for step in (5, 10, 20))
    for name in start:
        in_encoder = name.startswith(("denoiser.encoder", "denoiser.condition"))
        assert torch.equal(start[name], first[name]) == (in_encoder or not start[name].is_floating_point()), name
    assert all(not torch.equal(first[name], last[name]) for name in start if name.startswith("denoiser.encoder"))


def test_a_skipped_encoder_is_one_that_has_not_learned() -> None:
    """Blocks start as the identity, so nothing jumps when they join in."""
    pipeline = ToyModality(ToyModality.Options()).build(resolved_readout()).eval()
    x = ToyModality(ToyModality.Options()).template(2)
    x = x.with_values(torch.randn_like(x.values))
    whole = pipeline.encode(x).signal
    pipeline.denoiser.skips_encoder = True
    assert torch.equal(pipeline.encode(x).signal, whole)
    torch.nn.init.normal_(pipeline.denoiser.encoder[0].adaLN_modulation[1].weight)
    assert torch.equal(pipeline.encode(x).signal, whole)
    pipeline.denoiser.skips_encoder = False
    assert not torch.equal(pipeline.encode(x).signal, whole)


def resolved_readout() -> Any:
    return resolved({}).readout


def test_a_decoder_that_has_learned_does_not_learn_alone(diffusion: Path) -> None:
    """With weights from elsewhere there is an encoder to use."""
    values = {**RUNS["cm-func"], "init": str(diffusion)}
    assert [(phase.name, phase.trains) for phase in resolved(values).phases] == [("cm-func", "all")]


def test_a_network_without_an_encoder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, with the way out."""
    monkeypatch.setattr("inrkit.HyperTransformer.encoder_parts", Denoiser.encoder_parts)
    with pytest.raises(UsageError, match=r"`HyperTransformer` has no encoder to skip; set warmup_share to 0"):
        train_toy(tmp_path, objective="cm-func")


# ------------------------------------------------------------------------------------------------- distillation


def test_a_run_is_distilled(tmp_path: Path, diffusion: Path) -> None:
    """The teacher is the run's averaged weights, which stay; the student begins with them."""
    values = {"objective": "cd", "objective_options": {"teacher": str(diffusion), "n": 6}, "steps": 2, "save_every": 1}
    train_toy(tmp_path, lr=1e-12, warmup=0, **values)
    kept, average = tensors(tmp_path, "diffusion"), tensors(diffusion, "ema")
    assert all(torch.equal(kept[name], average[name]) for name in average)
    for name, weight in tensors(tmp_path, "model", 1).items():
        if name in average:
            torch.testing.assert_close(weight, average[name], rtol=1e-6, atol=1e-6)


def test_the_phase_before_is_distilled(tmp_path: Path) -> None:
    """Its averaged weights become the teacher, and what the student begins with."""
    phases = [{**IN_ONE_RUN[0], "share": 0.5}, {**IN_ONE_RUN[1], "share": 0.5}]
    train_toy(tmp_path, phases=phases, steps=10, save_every=1, keep=9)
    average = tensors(tmp_path, "ema", 5)
    for step in (6, 10):
        kept = tensors(tmp_path, "diffusion", step)
        assert all(torch.equal(kept[name], average[name]) for name in average)


def test_a_teacher_of_another_size_of_network(tmp_path: Path, diffusion: Path) -> None:
    """Only the signals have to be alike; such a student begins by chance."""
    options = {"teacher": str(diffusion), "n": 6}
    model = train_toy(tmp_path, objective="cd", objective_options=options, steps=3, options={"width": 8})
    assert model.step == 3


def test_a_checkpoint_can_be_the_teacher(tmp_path: Path, diffusion: Path) -> None:
    """By its own path."""
    path = list_checkpoints(diffusion / "checkpoints")[0]
    model = train_toy(tmp_path, objective="cd", objective_options={"teacher": str(path), "n": 6}, steps=2)
    assert model.config.objective_options["teacher"] == str(path)


def test_the_path_of_the_teacher_is_made_absolute(monkeypatch: pytest.MonkeyPatch, diffusion: Path) -> None:
    """So that a run goes on from anywhere."""
    monkeypatch.chdir(diffusion.parent)
    config = resolved({"objective": "cd", "objective_options": {"teacher": "run"}}).config
    assert config.objective_options["teacher"] == str(diffusion)
    phases = [{"objective": "cd", "share": 1.0, "options": {"teacher": "run"}}]
    assert resolved({"phases": phases}).config.phases[0].options["teacher"] == str(diffusion)


# ------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    "values",
    [
        {"objective": "cd"},
        {"phases": [{"objective": "cd", "share": 1.0}]},
        {"phases": [{"objective": "ect", "share": 0.5}, {"objective": "cd", "share": 0.5}]},
    ],
)
def test_distillation_without_a_teacher_is_refused(values: dict[str, Any]) -> None:
    """Before anything is written, with what to do."""
    with pytest.raises(UsageError, match=r"^'cd' needs a teacher, found none; name a run trained with 'diffusion'"):
        resolved(values)


def distil(out: Path, teacher: Path, **values: Any) -> None:
    train_toy(out, objective="cd", objective_options={"teacher": str(teacher)}, steps=2, **values)


def test_a_teacher_that_is_no_diffusion_model_is_refused(tmp_path: Path) -> None:
    """A consistency function has no ODE."""
    train_toy(tmp_path / "ect", objective="ect", steps=2)
    with pytest.raises(UsageError, match=r"expected a run trained with 'diffusion', found 'ect'; train or name"):
        distil(tmp_path / "out", tmp_path / "ect")


def test_a_teacher_of_other_signals_is_refused(tmp_path: Path, diffusion: Path) -> None:
    """By shape and by kind."""
    with pytest.raises(UsageError, match=r"expected signals of shape \(1, 32\), found \(1, 16\)"):
        distil(tmp_path / "out", diffusion, options={"size": 32})
    ripples = type("Ripples", (Modality,), {**vars(ToyModality), "name": "ripples"})
    values = {"objective": "diffusion", "steps": 2, "progress": False, "on_end": lambda *_: None}
    train(modality=ripples, out=tmp_path / "other", on_sample=lambda *_: None, **values)
    with pytest.raises(UsageError, match=r"expected a run of modality 'toy', found 'ripples'"):
        distil(tmp_path / "out", tmp_path / "other")


def test_a_missing_teacher_is_named(tmp_path: Path) -> None:
    """With the path that was looked for."""
    with pytest.raises(DataError, match="nowhere"):
        distil(tmp_path / "out", tmp_path / "nowhere")


def test_guidance_by_what_never_was_without_a_label_is_refused(tmp_path: Path, diffusion: Path) -> None:
    """Nobody taught such a model what "no class" means."""
    options = {"teacher": str(diffusion), "guidance": 2.0}
    with pytest.raises(UsageError, match="trained with label dropout, found 'label_dropout' = 0"):
        train_toy(tmp_path, objective="cd", objective_options=options, steps=2)


def test_two_teachers_are_refused(diffusion: Path) -> None:
    """One diffusion model is kept in a run."""
    phases = [
        {"objective": "cd", "share": 0.5, "options": {"teacher": name}} for name in (str(diffusion), "somewhere else")
    ]
    with pytest.raises(UsageError, match="distil one 'teacher', found 2"):
        resolved({"phases": phases})


# ------------------------------------------------------------------------------------------------- warm starts


@pytest.mark.parametrize(
    ("objective", "options"),
    [
        ("ect", {"curriculum": {"offset": 1}}),
        ("ct", {"s0": 10, "s1": 20}),
        ("ict", {}),
        ("inrct", {"curriculum": {"offset": 1}}),
    ],
)
def test_a_diffusion_model_becomes_a_consistency_model(
    tmp_path: Path, diffusion: Path, objective: str, options: dict[str, Any]
) -> None:
    """``init`` takes its averaged weights; averages and teacher begin there too, and other data may be used."""
    values = {"objective": objective, "objective_options": options, "warmup_share": 0.0, "init": str(diffusion)}
    train_toy(tmp_path, steps=1, lr=1e-12, warmup=0, options={"count": 24}, **values)
    average = tensors(diffusion, "ema")
    for group in ("model", "ema", *(["teacher"] if objective == "ct" else [])):
        found = tensors(tmp_path, group)
        for name, weight in average.items():
            torch.testing.assert_close(found[name], weight, rtol=1e-6, atol=1e-6)


def test_what_counts_as_clean_is_one_number() -> None:
    """The literal read-out follows the objective's ``t_recon``, unless it is told otherwise."""
    values = {"readout": "literal", "objective_options": {"t_recon": 0.01}}
    assert resolved(values).config.readout_options["t_encode"] == 0.01
    assert resolved({**values, "readout_options": {"t_encode": 0.02}}).config.readout_options["t_encode"] == 0.02
    assert resolved({"readout": "literal"}).config.readout_options["t_encode"] == 0.007
    assert "t_encode" not in resolved({}).config.readout_options
