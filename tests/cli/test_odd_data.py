"""Data sets that nobody learns from: each is trained and measured, or refused in one line, through the command line."""

import html
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from inrkit.cli import main

SMALL = ("width=16", "heads=2", "hidden=16", "depth=1", "inr_width=16", "inr_inner=16")
DRAWN = np.random.default_rng(0).integers(0, 255, (40, 16, 16, 3)).astype(np.uint8)


def call(*words: object) -> tuple[int, str]:
    """Exit code and output, which ends with one line about what is wrong."""
    found = CliRunner().invoke(main, [str(word) for word in words])
    wrong = [" error: " in line for line in found.output.splitlines()]
    assert found.exit_code == 0 or (wrong[-1] and sum(wrong) == 1), found.output
    return found.exit_code, found.output


def train(data: Path, run: Path, *words: str) -> tuple[int, str]:
    """A run of five steps."""
    small = [part for option in SMALL for part in ("--set", f"options.{option}")]
    how = ["--steps", "5", "--batch-size", "4", "--no-progress"]
    return call("train", "--modality", "image", "--data", data, "--out", run, *how, *small, *words)


def pictures(folder: Path, count: int) -> Path:
    """A folder of so many pictures."""
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(DRAWN[i]).save(folder / f"{i}.png")
    return folder


@pytest.mark.parametrize("same", [True, False])
def test_constant_signals_are_learned(tmp_path: Path, same: bool) -> None:
    """Grey pictures, all alike or each of its own grey; sets of equal ones are not compared."""
    np.save(tmp_path / "grey.npy", np.broadcast_to(DRAWN[:1, :1, :1] if same else DRAWN[:, :1, :1], DRAWN.shape))
    assert train(tmp_path / "grey.npy", tmp_path / "run")[0] == 0
    code, output = call("evaluate", tmp_path / "run", "-n", "16", "--metrics", "psnr,frechet")
    assert code == (3 if same else 0)
    assert ("signals that are all equal" in output) == same
    assert call("evaluate", tmp_path / "run", "-n", "16", "--metrics", "psnr")[0] == 0


def test_one_class_is_a_class(tmp_path: Path) -> None:
    """A store whose only class conditions the network, with and without guidance."""
    pictures(tmp_path / "photos" / "only", 40)
    words = ("images", tmp_path / "photos", "-o", tmp_path / "one.h5", "--labels", "folder")
    assert call("data", "import", *words)[0] == 0
    one_class = ("--set", "options.classes=1", "--set", "label_dropout=0.1")
    assert train(tmp_path / "one.h5", tmp_path / "run", *one_class)[0] == 0
    assert call("evaluate", tmp_path / "run", "-n", "16", "--metrics", "psnr")[0] == 0
    words = ("--label", "only", "--guidance", "2", "-n", "2", "-o", tmp_path / "made")
    assert call("sample", tmp_path / "run", *words)[0] == 0


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_to_hold_any_out_are_refused(tmp_path: Path, count: int) -> None:
    """An array and a folder; nothing is written."""
    np.save(tmp_path / "few.npy", DRAWN[:count])
    for data in (tmp_path / "few.npy", pictures(tmp_path / "photos", count)):
        code, output = train(data, tmp_path / "run")
        assert code == 3
        assert "at least 10 are needed" in output
    assert not (tmp_path / "run").exists()


def test_numbers_that_are_none_are_refused_by_their_signal(tmp_path: Path) -> None:
    """A single NaN is found before it is learned from."""
    values = DRAWN.astype(np.float32) / 255
    values[7, 3, 3, 0] = np.nan
    np.save(tmp_path / "nan.npy", values)
    code, output = train(tmp_path / "nan.npy", tmp_path / "run")
    assert code == 3
    assert "expected finite numbers, found others in signal 7" in output


def test_a_model_whose_own_data_are_elsewhere_is_measured_on_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its training signals are those of the given data then, which is said once; a report is written with them too."""
    monkeypatch.chdir(tmp_path)
    for name in ("own", "given"):
        np.save(tmp_path / f"{name}.npy", DRAWN)
    assert train(tmp_path / "own.npy", tmp_path / "run")[0] == 0
    how = ("-n", "16", "--data", "given.npy", "--metrics", "psnr")
    code, output = call("evaluate", "run", *how)
    assert code == 0, output
    assert "stand for" not in output
    before = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    (tmp_path / "own.npy").unlink()
    code, output = call("evaluate", "run", *how)
    assert code == 0
    assert output.count("own.npy: expected") == output.count("the training signals of given.npy stand for") == 1
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text()) == before | {"stand_in": "given.npy"}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "the training signals of given.npy standing for the run's own" in html.unescape(page)
    assert 'own.npy"' in html.unescape(page)  # the config that is shown is the run's
    assert call("evaluate", "run", "-n", "16", "--metrics", "psnr")[0] == 3
    code, output = call("report", "run")
    assert code == 3
    assert "others can be given with '--data'" in output
    code, output = call("report", "run", "--data", "given.npy")
    assert code == 0
    assert output.count("stand for") == 1
    page = html.unescape((tmp_path / "run" / "report.html").read_text())
    assert "signals of given.npy, which stand for the run's own, to learn from" in page
    assert call("report", "run", "--data", "given.npy", "--live")[0] == 2
    code, output = call("report", "faces", "--data", "given.npy")  # an installed model, which has no folder here
    assert code == 0, output
    assert (tmp_path / "faces" / "report.html").is_file()
