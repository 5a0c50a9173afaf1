"""What the documentation shows is what the program does: its code runs, its commands run, its tables are current."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import inrkit

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SMALL = ["width=16", "heads=2", "hidden=16", "depth=1", "decoder_depth=1", "count=256"]
SMALL_FLAGS = [
    "--steps",
    "2",
    "--batch-size",
    "8",
    "--no-progress",
    *[p for o in SMALL for p in ("--set", f"options.{o}")],
]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_library_example_runs_and_is_short(tmp_path: Path) -> None:
    """The README's Python, with fewer steps, in at most 25 lines of code; its comments tell the truth."""
    (code,) = blocks(README, "python")
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 25
    sets = ", ".join(repr(f"options.{o}") for o in SMALL)
    code = code.replace("steps=30", f"steps=2, batch_size=8, sets=[{sets}]")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    said = re.findall(r"print\(.*\)  # (.*)", code)
    assert done.stdout.splitlines() == said
    assert (tmp_path / "face.png").exists()


def test_commands_of_the_readme_run(tmp_path: Path) -> None:
    """In the order shown; training at a tiny size."""
    (text,) = blocks(README, "console")
    for line in text.strip().splitlines():
        words = shlex.split(line)
        assert words[0] == "inrkit"
        extra = SMALL_FLAGS if words[1] == "train" else []
        command = [sys.executable, "-m", *words, *extra]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, env=environment)
        assert done.returncode == 0, (line, done.stderr)
    assert (tmp_path / "large.png").exists()


def _pages() -> dict[str, object]:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PAGES


@pytest.mark.parametrize("page", ["commands.md", "config.md"])
def test_generated_pages_are_current(page: str) -> None:
    """Run `python docs/generate.py` after changing an option or a help text."""
    assert (ROOT / "docs" / page).read_text() == _pages()[page]()


def test_links_of_the_readme_lead_somewhere() -> None:
    """Every relative link names a file or folder of the project."""
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_public_name_exists_and_says_what_it_is() -> None:
    """The lazy table of names leads to things that exist and have a docstring."""
    for name in sorted({*inrkit.__all__} - {"__version__", "Field", "Params", "Signals"}):
        assert getattr(inrkit, name).__doc__, name
