"""What a run shows of itself: the same samples each time, nothing disturbed, and a report that holds what there is."""

import itertools
import json
import random
import re
from pathlib import Path

import attrs
import numpy
import pytest
import torch
from PIL import Image
from toy import ToyModality

from inrkit.config.resolve import resolve
from inrkit.config.run import RunConfig
from inrkit.core.modality import Display, Modality
from inrkit.core.pipeline import Pipeline
from inrkit.errors import DataError, UsageError
from inrkit.inference.model import Model, build_model
from inrkit.inference.picture import enlarged, rendered
from inrkit.inference.signalset import SignalSet, choose, source_of
from inrkit.report import gallery
from inrkit.report.history import History
from inrkit.report.sheets import samples_over_time, write_report, write_samples


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """An untrained toy in a run directory of its own."""
    return build_model(resolve(ToyModality), tmp_path, 7, torch.device("cpu"))


def changed(model: Model, **methods: object) -> Model:
    """The model with a modality of which some methods are others."""
    kind = type("Changed", (Modality, Display), {**vars(ToyModality), **methods})
    return Model(kind(model.modality.options), model.pipeline, model.config, model.run, model.step)


def refuse(*args: object) -> object:
    raise UsageError("no such place")


def test_sheets_show_the_same_samples_over_time(model: Model, tmp_path: Path) -> None:
    """Equal weights give equal bytes, whatever the step: only learning changes a sheet."""
    first = write_samples(model, tmp_path / "a", 1)
    torch.rand(3)
    second = write_samples(model, tmp_path / "a", 200)
    assert first.name == "step-00000001.png"
    assert second.name == "step-00000200.png"
    assert first.read_bytes() == second.read_bytes()


def test_showing_disturbs_no_random_state(model: Model, tmp_path: Path) -> None:
    """A run that shows sheets and reports draws the same numbers as one that does not."""
    states = torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1].tolist()
    write_samples(model, tmp_path, 1)
    write_report(model, tmp_path)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert numpy.random.get_state()[1].tolist() == states[2]


def test_a_report_needs_nothing_but_a_model(model: Model, tmp_path: Path) -> None:
    """Without metrics, sheets or an evaluation, the sections that the model can give are there."""
    page = write_report(model, tmp_path).read_text()
    assert re.search(r"Modality toy: [\d,]+ signals to learn from, 16\. Objective inrct, direct read-out, after", page)
    assert "Generated in one step" in page
    assert "Encoded" in page
    assert "Interpolation of encodings" in page
    assert "Interpolation of samples" in page
    assert "Samples over training" not in page
    assert "Evaluation" not in page
    # A wave on a line cannot be asked for a width and a height.
    assert "Any resolution" not in page


def test_a_report_shows_what_the_run_wrote_down(model: Model, tmp_path: Path) -> None:
    """Curves of the metrics, sheets over training, the evaluation and the config."""
    lines = [
        {"step": i, "seen": 8 * i, "phase": "inrct", "lr": 1e-3, "loss": 1.0 / i, "loss/gene": 1.0, "loss/recon": 2.0}
        for i in range(1, 30)
    ]
    lines.append({"step": 29, "seen": 240, "heldout/psnr": 21.25})
    lines.append({"step": 9, "seen": 72, "gradient/gene/3-inf": 1.0, "gradient/recon/clean": 3.0})
    lines.append({"step": 19, "seen": 152, "gradient/gene/0-0.1": 2.0, "gradient/gene/3-inf": 2.0})
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 30, "lo')
    (tmp_path / "timing.jsonl").write_text('{"step": 1, "seconds": 5.0}\n{"step": 2, "seconds": 2.0}\n')
    (tmp_path / "evaluation.json").write_text(
        '{"format": 2, "step": 7, "seed": 0, "reconstruction": {"count": 3, "psnr": {"finite": 1.0}}}'
    )
    write_samples(model, tmp_path, 10)
    page = write_report(model, tmp_path).read_text()
    for text in ("Learning rate", "Loss terms", "Held-out PSNR, dB", "21.2", "step 10", "objective = "):
        assert text in page
    assert "gene, t 0 to 0.1" in page
    history = History.read(tmp_path)
    assert history.seconds() == 7.0
    assert history.gradient_shares() == {
        "gradient/gene/0-0.1": [(9, 0.0), (19, 0.5)],
        "gradient/gene/3-inf": [(9, 0.25), (19, 0.5)],
        "gradient/recon/clean": [(9, 0.75), (19, 0.0)],
    }


@pytest.mark.parametrize("text", ['{"step": 7, "enc', '{"format": 1, "step": 7, "seed": 0}'])
def test_a_damaged_evaluation_is_left_out(text: str, model: Model, tmp_path: Path) -> None:
    """Half a file of figures, or that of another version, does not keep the report from being written."""
    (tmp_path / "evaluation.json").write_text(text)
    assert "Evaluation" not in write_report(model, tmp_path).read_text()


def test_data_without_held_out_signals_give_a_shorter_report(model: Model, tmp_path: Path) -> None:
    """Only the sections that need held-out signals are missing."""

    def source(self: Modality, data: Path | None, split: str) -> object:
        if split == "test":
            raise DataError("none held out")
        return ToyModality.source(self, data, split)

    page = write_report(changed(model, source=source), tmp_path).read_text()
    assert "Generated in one step" in page
    assert "Encoded" not in page


def test_a_modality_without_places_has_no_zoom(model: Model) -> None:
    """Whoever cannot be asked for a size is not shown at any."""
    other = changed(model, places=refuse)
    signal = SignalSet(other, source_of(other, "test"), [0])
    assert gallery.zoom(signal) == []
    assert rendered(other, signal.encode().prediction, {}) is None


def test_enlarging_gives_pictures_of_the_size_that_was_asked_for(model: Model) -> None:
    """Factor f is f times as high and as wide, and factor 1 is the place of training."""

    def places(self: Modality, request: dict[str, str]) -> object:
        width = int(request["size"].split("x")[0]) if "size" in request else 16
        return ToyModality.places(self, {"size": str(width)})

    def pictures(self: Modality, values: torch.Tensor) -> torch.Tensor:
        shown = ToyModality.pictures(self, values)
        return shown[:, :, :1].expand(-1, -1, values.shape[-1] // 2, -1)

    other = changed(model, places=places, pictures=pictures)
    signals = SignalSet(other, source_of(other, "test"), [0, 1])
    found = enlarged(other, signals.encode().prediction, (1, 2, 4))
    assert {factor: tuple(p.shape) for factor, p in found.items()} == {
        factor: (2, 3, 8 * factor, 16 * factor) for factor in (1, 2, 4)
    }
    assert gallery.zoom(signals[:1])


def test_encoding_depends_on_the_signals_alone(model: Model) -> None:
    """The same numbers give the same INRs; held-out signals are read once each."""
    signals = SignalSet(model, source_of(model, "test"), [2, 3])
    first, second = signals.encode(), signals.encode()
    assert torch.equal(first.shown, second.shown)
    assert first.truth.shape == first.shown.shape
    assert sorted(choose(10, 10, 0)) == list(range(10))
    assert choose(1000, 5, 0) == choose(1000, 5, 0) != choose(1000, 5, 1)


def test_samples_over_time_show_early_sheets_more_often(tmp_path: Path) -> None:
    """Of many sheets a few are shown, the first and the last among them."""
    (tmp_path / "samples").mkdir()
    for step in range(1, 41):
        Image.new("RGB", (804, 404)).save(tmp_path / "samples" / f"step-{step:08d}.png")
    (rows,) = samples_over_time(tmp_path)
    steps = [int(label.removeprefix("step ")) for label, _ in rows.rows]
    assert len(steps) <= 8
    assert (steps[0], steps[-1]) == (1, 40)
    gaps = [b - a for a, b in itertools.pairwise(steps)]
    assert gaps == sorted(gaps)


def test_the_model_is_only_read(model: Model, tmp_path: Path) -> None:
    """Weights and config are the same after a report."""
    before = {name: value.clone() for name, value in model.pipeline.state_dict().items()}
    config: RunConfig = attrs.evolve(model.config)
    pipeline: Pipeline = model.pipeline
    write_report(model, tmp_path)
    assert model.config == config
    assert model.pipeline is pipeline
    assert all(torch.equal(before[name], value) for name, value in pipeline.state_dict().items())


def test_damaged_lines_are_set_aside_and_told_once(
    model: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A byte that is no text costs its line and no more; a copy of the file is kept; a last line may be half."""
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1, "loss": 1.0}\n{"step": 2, "\xff": 1.0}\n{"step": 3, "loss": 0.5}\n{"step": 4, "lo')
    for _ in range(2):
        assert History.read(tmp_path).points("loss") == [(1, 1.0), (3, 0.5)]
    (record,) = caplog.records
    assert "1 of 3 lines are damaged" in record.getMessage()
    assert (tmp_path / "metrics.jsonl.damaged").read_bytes() == path.read_bytes()
    write_report(model, tmp_path)
