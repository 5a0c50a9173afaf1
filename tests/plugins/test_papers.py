"""Published systems as presets: their numbers, the page that explains them, and twenty steps of each."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_run import nothing

import inrkit
from inrkit.core.objective.weighting import WEIGHTINGS
from inrkit_image.papers import PAPERS as IMAGES
from inrkit_nerf.papers import PAPERS as OBJECTS

PAGE = (Path(__file__).parents[2] / "docs" / "papers.md").read_text()
PRESETS = {
    name: (modality, preset) for modality, of in (("image", IMAGES), ("nerf", OBJECTS)) for name, preset in of.items()
}
HOUSEKEEPING = {"summary", "save_every", "sample_every", "log_every"}

INRCT: dict[str, Any] = {
    "batch_size": 128,
    "objective_options.lambda_gene": 1,
    "objective_options.lambda_recon": 1,
    "objective_options.lambda_diff": 1,
    "objective_options.t_recon": 0.007,
    "objective_options.t_diff": 0.0865,
    "objective_options.p_mean": -1.1,
    "objective_options.p_std": 2.0,
    "objective_options.curriculum.q": 2,
    "objective_options.curriculum.k": 8,
    "objective_options.curriculum.b": 1,
    "objective_options.clean_share": 0,
    "objective_options.distance": "l2",
    "objective_options.weight_gene": "1/(t-r)",
    "objective_options.weight_recon": "1/(t-r)",
    "objective_options.weight_diff": "1/(t-r)",
    "phases.0.objective": "reconstruction",
    "phases.0.options.t_recon": 0.007,
    "phases.0.ema": False,
    "phases.0.teacher_ema": 0,
    "schedule": "constant",
    "clip": 0,
    "options.width": 768,
    "options.hidden": 3072,
    "options.depth": 8,
    "options.decoder_depth": 6,
    "options.heads": 12,
}
ANR = {"inr_width": 512, "inr_inner": 384, "inr_heads": 6, "inr_depth": 5, "threshold": 0.0015, "max_frequency": 1024}
IMAGE = {**INRCT, "readout": "literal", **{f"options.{key}": value for key, value in ANR.items()}}
UNET = {"width": 128, "multipliers": [2, 2, 2], "blocks": 4, "attention": [16]}
GRID = {f"options.denoiser_options.{key}": value for key, value in UNET.items()}
CM = {
    **GRID,
    "steps": 800_000,
    "batch_size": 512,
    "lr": 4e-4,
    "ema_decay": 0.9999,
    "objective_options.sigma_min": 0.002,
    "objective_options.sigma_max": 80,
    "objective_options.rho": 7,
    "objective_options.weight": "uniform",
    "options.denoiser_options.dropout": 0,
    "options.denoiser_options.fourier": 16,
    "readout_options.offset": 0.002,
}
SONG = {"objective_options.s0": 2, "objective_options.s1": 150, "objective_options.mu0": 0.9}
NUMBERS: Mapping[str, Mapping[str, Any]] = {
    "inrct-cifar10": {**IMAGE, "steps": 48_828 + 625_000, "phases.0.share": 0.0725},
    "inrct-celeba-64": {**IMAGE, "steps": 26_367 + 421_875, "phases.0.share": 0.0588},
    "inrct-cars": {
        **INRCT,
        "steps": 19_203 + 96_016,
        "phases.0.share": 0.1667,
        "options.views": 1,
        "options.query_views": 1,
        "options.near": 0.8,
        "options.far": 1.8,
        "options.groups": 32,
        "options.query_rays": 128,
    },
    "cm-func-celeba-64": {
        **SONG,
        "batch_size": 32,
        "phases.0.trains": "decoder",
        "phases.0.lr": 1e-4,
        "phases.0.options.distance": "squared",
        "objective_options.sigma_min": 0.002,
        "options.function_options.width": 256,
        "options.function_options.depth": 5,
    },
    "ict-cifar10": {
        **GRID,
        "steps": 400_000,
        "batch_size": 1024,
        "lr": 1e-4,
        "ema_decay": 0.99993,
        "objective_options.s0": 10,
        "objective_options.s1": 1280,
        "objective_options.distance": "pseudo-huber",
        "objective_options.weight": "1/(t-r)",
        "objective_options.p_mean": -1.1,
        "objective_options.p_std": 2.0,
        "options.denoiser_options.dropout": 0.3,
        "options.denoiser_options.fourier": 0.02,
    },
    "ect-cifar10": {
        **GRID,
        "steps": 25_600_000 // 128,
        "batch_size": 128,
        "lr": 1e-4,
        "precision": "fp32",
        "ema_decay": 0.9999,
        "objective_options.distance": "l2",
        "objective_options.weight": "1/(t-r)",
        "objective_options.p_mean": -1.1,
        "objective_options.p_std": 2.0,
        "objective_options.curriculum.q": 2,
        "objective_options.curriculum.k": 8,
        "objective_options.curriculum.b": 1,
        "objective_options.curriculum.stages": 8,
        "objective_options.curriculum.offset": 1,
        "options.denoiser_options.dropout": 0.2,
    },
    "ct-cifar10": {**CM, **SONG},
    "cd-cifar10": {**CM, "objective_options.n": 18, "objective_options.solver": "heun", "objective_options.mu": 0},
}
"""The papers' numbers, written down from them and not from the presets."""


def flat(table: Any, under: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its key, as --set knows it."""
    for key, value in table.items() if isinstance(table, Mapping) else enumerate(table):
        nested = isinstance(value, Mapping) or key == "phases"
        yield from flat(value, f"{under}{key}.") if nested else [(f"{under}{key}", value)]


def rows(name: str) -> dict[str, list[str]]:
    """The cells of the page's table for a preset, by key: paper, where, preset, remark."""
    section = re.split(r"^## ", PAGE.split(f"\n## `{name}`\n")[1], flags=re.MULTILINE)[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "| `" in line]
    return {cells[0].strip("`"): cells[1:] for cells in lines}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_numbers_of_the_papers(name: str) -> None:
    """Each number that is known of a paper; shares to four places."""
    found = dict(flat(PRESETS[name][1]))
    for key, value in NUMBERS[name].items():
        assert found[key] == (pytest.approx(value, abs=5e-5) if key.endswith("share") else value), key


@pytest.mark.parametrize("name", PRESETS)
def test_the_page_has_every_value_of_a_preset(name: str) -> None:
    """As it is; where it is not the paper's, a remark says why."""
    found, shown = dict(flat(PRESETS[name][1])), rows(name)
    assert shown.keys() == found.keys() - HOUSEKEEPING
    for key, (paper, where, preset, remark) in shown.items():
        assert json.loads(preset.strip("`")) == found[key], key
        said_otherwise = paper.startswith("`") and paper != preset
        assert remark or not (said_otherwise or paper == "-"), key
        assert where != "-" or remark, key


def test_the_page_has_every_preset() -> None:
    """And no other."""
    assert set(re.findall(r"^## `([\w-]+)`$", PAGE, re.MULTILINE)) == set(PRESETS) == set(NUMBERS)


# ------------------------------------------------------------------------------------------------- what they mean


@pytest.mark.parametrize("name", ["inrct-cifar10", "inrct-celeba-64", "inrct-cars"])
def test_inrct_has_no_curriculum_before_its_full_phase(name: str) -> None:
    """Its steps are exactly the paper's; the teacher's average begins with the full phase, at 1 - .19."""
    modality, preset = PRESETS[name]
    first, second = inrkit.resolve(modality, name).phases
    assert first.stop == second.start == round(preset["steps"] * preset["phases"][0]["share"])
    assert (first.decay(0), second.decay(second.start)) == (0.0, pytest.approx(0.81))
    assert second.decay(second.stop - 1) > 0.998


def test_the_weight_of_inrct_is_on_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: the loss is the mean of ω(t) times the sum of the three terms (Algorithm 1): three times ω, thrice all."""
    options = {f"options.{key}": value for key, value in SIZES["inrct-cifar10"].items()}
    resolved = inrkit.resolve("image", "inrct-cifar10", overrides=options)
    pipeline, modality = resolved.build(), resolved.modality
    signals = modality.source(None, "train").read(range(16))

    def loss(omega: float) -> inrkit.Loss:
        monkeypatch.setitem(WEIGHTINGS, "1/(t-r)", lambda t, r, sigma: torch.full_like(t, omega))
        draws = inrkit.Draws(0, 16)
        step = inrkit.Step(pipeline, pipeline, modality.observe(signals, draws, training=False), draws, 0.5)
        return resolved.phases[1].objective.loss(step)

    once, thrice = loss(1.0), loss(3.0)
    assert once.terms.keys() == {"gene", "recon", "diff"}
    assert once.terms["diff"] > 0
    for name, term in once.terms.items():
        torch.testing.assert_close(thrice.terms[name], 3 * term)
    torch.testing.assert_close(once.total, torch.stack(list(once.terms.values())).sum())


# ------------------------------------------------------------------------------------------------- they train

SMALL = {"width": 16, "heads": 2, "hidden": 32, "depth": 1, "decoder_depth": 1, "count": 16}
SMALL_ANR = {**SMALL, "size": [16, 16], "inr_width": 16, "inr_inner": 16, "inr_heads": 2}
SMALL_UNET = {"size": [8, 8], "count": 16, "denoiser_options": {"width": 8, "blocks": 1, "attention": [4]}}
SMALL_RAYS = {"size": [16, 16], "object_views": 3, "query_rays": 8, "samples": 4, "render_samples": 4, "groups": 16}
SIZES: Mapping[str, Mapping[str, Any]] = {
    "inrct-cifar10": SMALL_ANR,
    "inrct-celeba-64": SMALL_ANR,
    "inrct-cars": {**SMALL, **SMALL_RAYS, "near": 0.0, "far": "none", "test_views": 1, "function_options.width": 16},
    "cm-func-celeba-64": {**SMALL, "size": [16, 16], "groups": 4, "function_options.width": 16},
    "ict-cifar10": SMALL_UNET,
    "ect-cifar10": SMALL_UNET,
    "ct-cifar10": SMALL_UNET,
}


@pytest.mark.parametrize("name", SIZES)
def test_twenty_steps(name: str, tmp_path: Path) -> None:
    """At a small width: every loss is finite, and each phase has its turn."""
    losses = twenty_steps(name, tmp_path, {})
    assert {phase for phase, _ in losses} == {phase.name for phase in inrkit.resolve(*preset_of(name)).phases}
    assert all(torch.isfinite(torch.tensor(loss)) for _, loss in losses)


def test_distillation_has_a_teacher_or_is_refused(tmp_path: Path) -> None:
    """The same preset trains the diffusion model with another objective, and distils it."""
    with pytest.raises(inrkit.UsageError, match="'cd' needs a teacher, found none; name a run"):
        inrkit.resolve("image", "cd-cifar10")
    twenty_steps("cd-cifar10", tmp_path / "edm", {"objective": "diffusion", "steps": 2}, SMALL_UNET)
    teacher = {"objective_options.teacher": str(tmp_path / "edm")}
    assert {phase for phase, _ in twenty_steps("cd-cifar10", tmp_path / "cd", teacher, SMALL_UNET)} == {"cd"}


def preset_of(name: str) -> tuple[str, str]:
    return PRESETS[name][0], name


def twenty_steps(
    name: str, out: Path, values: Mapping[str, Any], sizes: Mapping[str, Any] | None = None
) -> list[tuple[str, float]]:
    modality, preset = preset_of(name)
    options = {f"options.{key}": value for key, value in (SIZES[name] if sizes is None else sizes).items()}
    short = {"steps": 20, "batch_size": 4, "warmup": 2, "log_every": 1, "early_stop": 0, "precision": "fp32"}
    inrkit.train(
        modality=modality,
        preset=preset,
        out=out,
        overrides={**short, **options, **values},
        progress=False,
        on_sample=nothing,
        on_end=nothing,
    )
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [(line["phase"], line["loss"]) for line in lines if "loss" in line]
