"""Every picture of held-out signals, counted one after the other."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from toy import ToyModality, ToySource

import inrkit
from inrkit.config.resolve import resolve
from inrkit.errors import UsageError
from inrkit.evaluation.evaluate import evaluate
from inrkit.evaluation.every import EveryView
from inrkit.evaluation.generation import Way
from inrkit.inference.model import Model, build_model
from inrkit.inference.signalset import SignalSet, source_of
from inrkit.metrics.feature import Features
from inrkit.progress import quiet
from inrkit.report.tables import evaluation_table


class Colours(Features):
    """The mean colour, and that in the middle."""

    name = "colours"
    dim = 6
    heads = ()

    def forward(self, values: Tensor) -> Tensor:
        return torch.cat([values.mean((2, 3)), values[:, :, 8, 8]], 1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """An untrained model of objects, of which few are held out."""
    options = {
        "count": 3,
        "object_views": 3,
        "size": (16, 16),
        "width": 16,
        "depth": 1,
        "decoder_depth": 1,
        "hidden": 16,
    }
    options |= {"heads": 2, "samples": 4, "render_samples": 4, "function_options": {"width": 8, "depth": 2}}
    resolved = resolve(inrkit.load_plugins().modality("nerf"), flags={"options": options})
    return build_model(resolved, tmp_path_factory.mktemp("run"), 7, torch.device("cpu"))


def test_all_views_of_held_out_objects_are_compared(model: Model) -> None:
    """Encoded and generated objects, seen from every camera of the held-out ones; beside them the nearest object."""
    held = SignalSet(model, source_of(model, "test").whole(), range(4))
    every = EveryView(held, {"colours": Colours()}, 0, quiet)
    truth = held.observe().query.values
    views = model.modality.display.views(truth) * 2 - 1
    assert views.shape == (4 * 2, 3, 16, 16)
    assert every.figures([]) == {}
    every.add([views], [views])
    found = every.figures([Way((80.0,))])["every"]
    assert found["count"] == 8
    row = found["spaces"]["colours"]
    assert row["held_out"] < 1e-6 < row["1 step"]
    assert every.copied(1, held[1:]).shape == truth[1:].shape
    table = evaluation_table({"every": found})
    assert table.head[1:] == ("held-out signals", "1 step")
    assert table.rows[0][0] == "Fréchet distance of 8 pictures, colours ↓"


def test_what_a_training_signal_shows_of_itself_is_nearest(model: Model) -> None:
    """A training signal that stands among the held-out ones is found again."""
    training = source_of(model, "train")
    every = EveryView(SignalSet(model, training, [4]), {}, 0, quiet)
    assert every._training.numbers[every._nearest[0]] == 4


def test_the_papers_protocol_from_end_to_end(model: Model) -> None:
    """All views, the mean view and the nearest training object, and both kinds of pictures against real ones."""
    found = evaluate(model, n=16, metrics=["psnr", "ssim", "frechet"], whole=True, networks={"colours": Colours()})
    assert {"psnr", "ssim", "constant", "nearest"} < set(found["reconstruction"])
    assert found["every"]["count"] == 16 * 2
    assert set(found["every"]["spaces"]["colours"]) == {"held_out", "1 step", "2 steps (80, 30)"}


def test_three_held_out_signals_can_be_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are no set: only who asks for a figure of sets is told so."""
    monkeypatch.setattr(ToySource, "__len__", lambda self: 48 if self.split == "train" else 3)
    model = build_model(resolve(ToyModality), tmp_path, 7, torch.device("cpu"))
    found = evaluate(model, n=16)
    assert found["reconstruction"]["count"] == 3
    assert "sets" not in found
    with pytest.raises(UsageError, match="'frechet' compares sets of at least 4 signals, but the data hold out 3"):
        evaluate(model, n=16, metrics=["psnr", "frechet"])
