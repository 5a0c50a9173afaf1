"""Diagnostics as part of an evaluation: figures, curves, drawings."""

import json
from pathlib import Path

import pytest
import torch
from toy import ToyModality

from inrkit.config.resolve import resolve
from inrkit.drawing.page import Charts
from inrkit.evaluation.consistency import charts
from inrkit.evaluation.evaluate import evaluate
from inrkit.inference.model import Model, build_model
from inrkit.report.sheets import write_report
from inrkit.report.tables import evaluation_blocks


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return build_model(resolve(ToyModality), tmp_path, 7, torch.device("cpu"))


def test_both_diagnostics_are_figures_and_curves(model: Model, tmp_path: Path) -> None:
    """Plain JSON, the same for the same seed, and only what is asked for."""
    found = evaluate(model, n=16, metrics=["denoising", "trajectory"])
    assert json.loads((tmp_path / "evaluation.json").read_text()) == found
    facts = {"format", "step", "seed", "asked", "held_out", "taken", "data"}
    assert set(found) == facts | {"denoising", "trajectory"}
    assert found["denoising"]["count"] == 4
    assert len(found["denoising"]["curves"]["f"]) == 48
    assert found["trajectory"]["ends"] <= found["trajectory"]["length"]
    assert evaluate(model, n=16, metrics=["trajectory"])["trajectory"] == found["trajectory"]
    assert "denoising" not in evaluate(model, n=16, metrics=["trajectory"])


def test_the_report_draws_them(model: Model, tmp_path: Path) -> None:
    """A drawing each, over noise levels."""
    found = evaluate(model, n=16, metrics=["denoising", "trajectory"])
    drawn = charts(found)
    assert len(drawn) == 2
    assert all(svg.startswith("<svg") and "noise level" in svg for svg in drawn.values())
    _, block = evaluation_blocks(found, tmp_path)
    assert isinstance(block, Charts)
    assert charts({}) == {}


def test_a_report_shows_the_evaluation(model: Model, tmp_path: Path) -> None:
    """What was measured stands in the next report of the run."""
    evaluate(model, n=16, metrics=["denoising"])
    assert "Denoising distance" in write_report(model, tmp_path).read_text()
