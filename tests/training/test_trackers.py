"""Experiment trackers: told what a run writes down; none can harm it."""

import logging
import os
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from toy_run import fingerprint, train_toy

import inrkit
from inrkit import UsageError
from inrkit.cli import main
from inrkit.plugins import Registry, load_plugins
from inrkit.plugins.registry import Entry
from inrkit.report.sheets import write_samples
from inrkit.training.loop import Loop
from inrkit.training.tracker import Tracker

TOLD: list[tuple[Any, ...]] = []


class Listener(Tracker):
    """Writes down what it is told."""

    name = "listener"

    def start(self, run: Path, config: Mapping[str, Any], step: int) -> None:
        TOLD.append(("start", run.name, config["batch_size"], step))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        TOLD.append(("log", step, dict(values)))

    def picture(self, step: int, name: str, values: torch.Tensor) -> None:
        TOLD.append(("picture", step, name, tuple(values.shape), float(values.max()) <= 1))

    def finish(self) -> None:
        TOLD.append(("finish",))


class Failing(Listener):
    """Loses its connection."""

    name = "failing"

    def log(self, step: int, values: Mapping[str, float]) -> None:
        raise SystemExit("connection lost")


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both trackers, as a plugin of another distribution would bring them."""
    TOLD.clear()
    ours = load_plugins()
    theirs = {
        cls.name: Entry("tracker", cls.name, f"{__name__}:{cls.__name__}", "for tests", "inrkit-test", "test")
        for cls in (Listener, Failing)
    }
    found = Registry({**ours.offers, "tracker": {**ours.trackers, **theirs}}, ours.loaded)
    for module in ("inrkit.training.tracker", "inrkit.config.resolve", "inrkit.training.run"):
        monkeypatch.setattr(f"{module}.load_plugins", lambda: found)


def test_a_tracker_is_told_all_that_a_run_writes_down(tmp_path: Path) -> None:
    """The config first, then every line of metrics and every sheet, and the end."""
    train_toy(tmp_path, trackers=("listener",), steps=20, sample_every=10, log_every=5, on_sample=write_samples)
    assert TOLD[0] == ("start", tmp_path.name, 8, 0)
    assert TOLD[-1] == ("finish",)
    lines = [told for told in TOLD if told[0] == "log"]
    assert [told[1] for told in lines if "loss" in told[2]][-4:] == [5, 10, 15, 20]
    assert [told[1] for told in lines if "heldout/psnr" in told[2]] == [10, 20]
    assert all(isinstance(value, float) for told in lines for value in told[2].values())
    sheets = [told for told in TOLD if told[0] == "picture"]
    assert [(told[1], told[2], told[4]) for told in sheets] == [(10, "samples", True), (20, "samples", True)]
    assert sheets[0][3][0] == 3


def test_trackers_change_nothing(tmp_path: Path) -> None:
    """Weights, random states and metrics are the same to the bit."""
    train_toy(tmp_path / "plain")
    train_toy(tmp_path / "followed", trackers=("listener",))
    assert fingerprint(tmp_path / "plain") == fingerprint(tmp_path / "followed")


def test_a_run_that_goes_on_may_be_followed_by_another_tracker(tmp_path: Path) -> None:
    """Which is told where it begins."""
    train_toy(tmp_path, steps=10)
    assert not TOLD
    train_toy(tmp_path, steps=20, trackers=("listener",), extend=True)
    assert TOLD[0][3] == 10


def test_a_run_that_was_killed_tells_no_step_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came after its checkpoint was told before, and is not told again; all else is."""
    save = Loop._save

    def lost(self: Loop, **more: bool) -> None:  # the process ends before its second checkpoint is written
        if self.learner.step == 20:
            raise KeyboardInterrupt
        save(self, **more)

    keys = {"steps": 30, "log_every": 5, "save_every": 10, "sample_every": 20, "trackers": ("listener",)}
    monkeypatch.setattr(Loop, "_save", lost)
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path, on_sample=write_samples, **keys)
    monkeypatch.setattr(Loop, "_save", save)
    train_toy(tmp_path, on_sample=write_samples, **keys)
    assert [told[3] for told in TOLD if told[0] == "start"] == [0, 10]
    told = [(told[1], name) for told in TOLD if told[0] == "log" for name in told[2]]
    assert len(told) == len(set(told))
    assert [step for step, name in told if name == "loss"][-6:] == [5, 10, 15, 20, 25, 30]
    assert [step for step, name in told if name == "heldout/psnr"] == [20, 30]
    assert [told[1] for told in TOLD if told[0] == "picture"] == [20, 30]


def test_a_tracker_that_fails_is_dropped_once_and_the_run_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With its plugin and distribution named; the others go on being told."""
    with caplog.at_level(logging.WARNING, "inrkit"):
        model = train_toy(tmp_path, trackers=("failing", "listener"), steps=20)
    assert model.step == 20
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "tracker 'failing' of plugin 'test' (inrkit-test) is dropped: it called sys.exit('connection lost')"
    assert [told[0] for told in TOLD].count("finish") == 1


def test_an_unknown_tracker_is_refused_before_the_run(tmp_path: Path) -> None:
    """With the nearest name."""
    with pytest.raises(UsageError, match=r"no tracker named 'tensorbord'; .*Did you mean 'tensorboard'\?"):
        train_toy(tmp_path, trackers=("tensorbord",))
    words = ["train", "--print-config", "--tracker", "wandbb", "--set", "options.count=50"]
    found = CliRunner().invoke(main, words)
    assert found.exit_code == 2
    assert "Did you mean 'wandb'?" in found.output


@pytest.mark.parametrize(
    ("name", "module"),
    [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb"), ("mlflow", "mlflow"), ("trackio", "trackio")],
)
def test_a_missing_package_is_named_with_its_extra(
    name: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything of the run is written."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"pip install .inrkit\[{name}\]"):
        train_toy(tmp_path / "run", trackers=(name,))
    assert not (tmp_path / "run").exists()


def test_tensorboard_gets_scalars_and_pictures(tmp_path: Path) -> None:
    """In the run directory, with the config as text, once."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train_toy(tmp_path, trackers=("tensorboard",), steps=10, sample_every=10, on_sample=write_samples)
    train_toy(tmp_path, trackers=("tensorboard",), steps=20, sample_every=10, on_sample=write_samples, extend=True)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("loss")][-1] == 20
    assert [event.step for event in events.Images("samples")] == [10, 20]
    (text,) = events.Tensors("config/text_summary")
    assert b"    batch_size = 8\n" in text.tensor_proto.string_val[0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_a_full_disk_costs_the_tracker_a_line_and_the_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """The tracker is dropped with one warning, and no thread of its own says more."""
    pytest.importorskip("tensorboard")
    from inrkit_trackers.board import TensorBoardTracker

    begin = TensorBoardTracker.start

    def start(self: TensorBoardTracker, run: Path, config: Mapping[str, Any], step: int) -> None:
        begin(self, run, config, step)
        self._path = Path("/dev/full")

    monkeypatch.setattr(TensorBoardTracker, "start", start)
    with caplog.at_level(logging.WARNING, "inrkit"):
        assert train_toy(tmp_path, trackers=("tensorboard",), steps=20).step == 20
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith("is dropped: OSError: [Errno 28] No space left on device")
    assert "Traceback" not in capfd.readouterr().err


def test_wandb_is_offline_unless_it_was_asked_to_send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leaves the machine unasked; a resumed run is the same one."""
    begun: list[dict[str, Any]] = []
    logged: list[tuple[Any, int]] = []

    def init(**settings: Any) -> types.SimpleNamespace:
        begun.append(settings)
        return types.SimpleNamespace(
            log=lambda values, step: logged.append((values, step)), finish=lambda: logged.append(("finish", 0))
        )

    fake = types.ModuleType("wandb")
    fake.init, fake.Image = init, lambda pixels: pixels.shape  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for variable in ("WANDB_MODE", "WANDB_PROJECT", "WANDB_ERROR_REPORTING", "MLFLOW_DISABLE_TELEMETRY"):
        monkeypatch.setenv(variable, "")  # set, so that what the tracker sets is undone
        monkeypatch.delenv(variable)
    train_toy(tmp_path, trackers=("wandb",), steps=10, sample_every=10, on_sample=write_samples)
    assert (begun[0]["mode"], begun[0]["project"], begun[0]["config"]["steps"]) == ("offline", "inrkit", 10)
    assert (os.environ["WANDB_ERROR_REPORTING"], os.environ["MLFLOW_DISABLE_TELEMETRY"]) == ("false", "true")
    assert ({"samples": logged[-2][0]["samples"]}, 10) == logged[-2]
    assert logged[-1] == ("finish", 0)
    monkeypatch.setenv("WANDB_MODE", "online")
    train_toy(tmp_path, trackers=("wandb",), steps=20, sample_every=10, extend=True)
    assert begun[1]["mode"] == "online"
    assert begun[1]["id"] == begun[0]["id"]


def test_mlflow_has_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In files of the run directory, also when it goes on."""
    mlflow = pytest.importorskip("mlflow", reason="needs the extra 'mlflow'")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    train_toy(tmp_path, trackers=("mlflow",), steps=10, log_every=5, sample_every=10, on_sample=write_samples)
    tracker = load_plugins().tracker("mlflow")()
    tracker.start(tmp_path, {}, 10)
    tracker.log(15, {"loss": 1.0})
    tracker.finish()
    client = mlflow.MlflowClient((tmp_path / "mlflow" / "runs").as_uri())
    (found,) = client.search_runs([client.get_experiment_by_name("inrkit").experiment_id])
    assert [metric.step for metric in client.get_metric_history(found.info.run_id, "loss")] == [1, 5, 10, 15]
    assert found.data.params["steps"] == "10"
    assert [file.path for file in client.list_artifacts(found.info.run_id, "samples")] == ["samples/step-00000010.png"]


def test_tracker_is_a_public_name() -> None:
    """Whoever writes one needs nothing else of inrkit."""
    assert inrkit.Tracker is Tracker
