"""The tutorial, followed literally: its files are written, its commands run, in the order of the page."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import inrkit

PAGE = (Path(__file__).parents[1] / "docs" / "tutorial.md").read_text()
SMALL = ["steps=2", "batch_size=8", "precision=fp32", "options.width=16", "options.heads=2", "options.hidden=16"]
SMALL += ["options.depth=1", "options.count=24"]

# Runs commands one after the other in one process, which has imported torch once.
PROGRAM = """
import json, sys
from inrkit.cli import main
for words in json.loads(sys.argv[1]):
    print(">", *words, flush=True)
    main(words, standalone_mode=False)
"""


def blocks() -> Iterator[tuple[str, str]]:
    """(language, text) of each block of the page, in order."""
    for found in re.finditer(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        yield found[1], found[2]


def small(words: list[str]) -> list[str]:
    """A quicker command of the same kind."""
    if words[0] == "train":
        return [*words, "--no-progress", *(part for value in SMALL for part in ("--set", value))]
    return [*words, "-n", "16"] if words[0] == "evaluate" else words


class Desk:
    """A folder where somebody follows the page, and a place where their plugin is installed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.site, self.said = folder, folder / "site", ""

    def run(self, *command: str) -> None:
        found = [str(self.folder / "inrkit-tides"), str(self.site)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(found), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, timeout=250, env=environment, cwd=self.folder
        )
        assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
        self.said += done.stdout

    def write(self, text: str) -> None:
        """A block that begins with the name of its file."""
        name = re.match(r"# (\S+)\n", text)
        assert name is not None, text.splitlines()[0]
        path = self.folder / name[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def follow(self, lines: list[str]) -> None:
        """Commands, those of inrkit in one process."""
        waiting: list[list[str]] = []
        for words in map(shlex.split, lines):
            if words[0] == "inrkit":
                waiting.append(small(words[1:]))
                continue
            self._flush(waiting)
            if words[:3] == ["pip", "install", "-e"]:
                self._install(words[3])
            elif words[0] == "python":
                self.run(*words[1:])
            else:
                assert words[0] == "pytest", words
                # What trains takes the longest, and was shown by the page itself.
                self.run("-m", *words, "-q", "-k", "not learns", "-W", "error", "-p", "no:cacheprovider")
        self._flush(waiting)

    def _flush(self, waiting: list[list[str]]) -> None:
        if waiting:
            self.run("-c", PROGRAM, json.dumps(waiting))
            waiting.clear()

    def _install(self, name: str) -> None:
        """As pip does, but beside the environment and without a network; the code is found in its folder."""
        how = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
        self.run("-m", "pip", "install", *how, "--target", str(self.site), name)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """After all of the page."""
    desk = Desk(tmp_path_factory.mktemp("tutorial"))
    for language, text in blocks():
        if language == "sh":
            desk.follow(text.strip().splitlines())
        else:
            desk.write(text)
    return desk


def test_the_page_can_be_followed(desk: Desk) -> None:
    """Every command ends well, and leaves what the page says it leaves."""
    for name in ("runs/tides/report.html", "fine.png", "harbours.h5", "seven.inr", "seven-minutes1.csv"):
        assert (desk.folder / name).exists(), name
    assert re.search(r"^ ?tides .*works .*modalities: tides", desk.said, re.MULTILINE)


def test_the_render_is_finer_than_the_recording(desk: Desk) -> None:
    """A level for each minute of two days; the hours go on evenly."""
    rows = [line.split(",") for line in (desk.folder / "seven-minutes1.csv").read_text().splitlines()]
    assert len(rows) == 2 * 24 * 60
    assert float(rows[90][0]) == pytest.approx(1.5, abs=1e-3)


def test_the_first_plugin_takes_a_dozen_lines() -> None:
    """Of Python, without blank ones and the names of the files."""
    first = [text for language, text in blocks() if language == "python"][:2]
    lines = [line for text in first for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 12


# What `docs/pieces.md` names besides public names: functions, denoisers, modalities, options and members.
MEMBERS = {*["decode", "invent", "pictures", "places", "presets", "size_at", "suffix", "surface", "write"]}
MEMBERS |= {*["sigma_data", "token_patch", "register_denoisers", "register_exporters", "register_functions"]}


def test_the_pieces_exist() -> None:
    """Every name on the page of pieces is public, registered, or a member of what is."""
    page = (Path(__file__).parents[1] / "docs" / "pieces.md").read_text()
    registry = inrkit.load_plugins()
    known = {*inrkit.__all__, *registry.functions, *registry.denoisers, *registry.modalities, *MEMBERS}
    assert set(re.findall(r"`([A-Za-z_]+)`", page)) <= known
    for name in MEMBERS:
        assert name in page, f"{name}: named here, but not on the page"
