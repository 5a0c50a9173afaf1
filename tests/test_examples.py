"""Every example runs, at a tiny size, as a user would run it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from inrkit_image.faces import Faces
from inrkit_image.files import write_image

EXAMPLES = Path(__file__).parents[1] / "examples"
TINY = ["options.width=16", "options.heads=2", "options.hidden=16", "options.depth=1", "options.count=64"]


def run(name: str, *args: object, cwd: Path) -> str:
    command = [sys.executable, str(EXAMPLES / name), *map(str, args)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import inrkit

    out = tmp_path_factory.mktemp("example") / "run"
    inrkit.train(modality="image", steps=2, sets=[*TINY, "batch_size=8"], out=out, progress=False)
    return out


def test_every_example_is_tested() -> None:
    """A script without a test here would rot."""
    text = Path(__file__).read_text()
    assert all(f'"{path.name}"' in text for path in EXAMPLES.glob("*.py"))


def test_fit_one_image(tmp_path: Path) -> None:
    """Fitting a single picture gets better with more steps, and leaves a large picture."""
    short = float(run("fit_one_image.py", "--steps", 2, cwd=tmp_path).split(" dB")[0])
    longer = float(run("fit_one_image.py", "--steps", 25, cwd=tmp_path).split(" dB")[0])
    assert longer > short + 1
    assert (tmp_path / "fitted.png").stat().st_size > 1000


def test_train_on_a_folder(tmp_path: Path) -> None:
    """Pictures in, a run with a report out."""
    (tmp_path / "pictures").mkdir()
    for i, picture in enumerate(Faces("train", 24, (32, 32)).images(torch.arange(24))):
        write_image(picture * 2 - 1, tmp_path / "pictures" / f"{i:02d}.png")
    assert "trained 2 steps" in run("train_on_a_folder.py", "pictures", "--steps", 2, "--out", "runs/f", cwd=tmp_path)
    assert (tmp_path / "runs" / "f" / "report.html").exists()


def test_sample_and_save(trained: Path, tmp_path: Path) -> None:
    """As many pictures as announced, and an INR file."""
    run("sample_and_save.py", trained, "-n", 2, cwd=tmp_path)
    assert len(list((tmp_path / "generated").glob("*.png"))) == 4
    assert (tmp_path / "generated" / "first.inr").exists()


def test_render_finer(trained: Path, tmp_path: Path) -> None:
    """Prints the comparison with the truth."""
    assert "averaged back" in run("render_finer.py", trained, "-n", 2, cwd=tmp_path)
