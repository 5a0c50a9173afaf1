"""The example distributions: built and installed as an outsider would, and then asked to keep their own tests."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import inrkit

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = sorted(path.parent for path in (ROOT / "examples").glob("*/pyproject.toml"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of them installed, and nothing else; without a network."""
    sources, target = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("site")
    for path in DISTRIBUTIONS:
        shutil.copytree(path, sources / path.name)  # building leaves files beside what is built
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    command += ["--disable-pip-version-check", "--target", str(target), *map(str, sorted(sources.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return target


def started(site: Path, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A Python program that finds what is installed there."""
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=550, env=environment, cwd=cwd
    )


@pytest.mark.timeout(600)
def test_the_distributions_keep_their_own_tests(site: Path) -> None:
    """Among them the whole conformance kit; a warning is an error there too. One process, which imports torch once."""
    folders = [str(path / "tests") for path in DISTRIBUTIONS]
    done = started(site, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *folders, cwd=ROOT / "examples")
    assert done.returncode == 0, done.stdout[-3000:]


def test_what_is_installed_is_found_and_works(site: Path) -> None:
    """`inrkit plugins list` shows each, and none is broken."""
    done = started(site, "-m", "inrkit", "plugins", "list")
    assert done.returncode == 0, done.stderr
    for path in DISTRIBUTIONS:
        name = tomllib.loads((path / "pyproject.toml").read_text())["project"]["name"]
        (line,) = (line for line in done.stdout.splitlines() if name in line)
        assert "works" in line


@pytest.mark.parametrize(
    "path", [file for path in DISTRIBUTIONS for file in sorted((path / path.name).glob("*.py"))], ids=lambda p: p.stem
)
def test_an_example_uses_public_names_alone(path: Path) -> None:
    """What it imports from inrkit, or asks inrkit for, is what is promised to everybody."""
    tree = ast.parse(path.read_text())
    own = path.parent.name
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            top = str(node.module).partition(".")[0]
            assert not top.startswith("inrkit") or top == own or node.module in ("inrkit", "inrkit.testing")
            asked = {alias.name for alias in node.names} if node.module == "inrkit" else set()
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "inrkit":
            asked = {node.attr}
        else:
            asked = set()
        assert asked <= set(inrkit.__all__)


def test_an_objective_a_sampler_a_tracker_and_a_source_take_150_lines_of_code() -> None:
    """All four together, and the hooks."""
    files = sorted((ROOT / "examples/inrkit_extras/inrkit_extras").glob("*.py"))
    assert sum(bool(line.strip()) for file in files for line in file.read_text().splitlines()) <= 150
