"""What a shell is offered at the tab key: its protocol is spoken as the shells' scripts speak it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from inrkit.cli import main
from inrkit.storage.cache import VARIABLE


def offered(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """For the last word, as bash asks."""
    monkeypatch.setenv("_INRKIT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(("inrkit", *words)))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    done = CliRunner().invoke(main, [])
    assert done.exit_code == 0, done.output
    assert not done.stderr
    return [line.partition(",")[2] for line in done.stdout.split()]


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two runs and a folder that is none, and a cache of its own."""
    for run in ("runs/first", "runs/second", "third"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "config.toml").touch()
    (tmp_path / "runs" / "notes").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (("tr",), {"train"}),
        (("train", "--objective", "c"), {"ct", "cd", "cm-func"}),
        (("train", "--modality", "i"), {"image"}),
        (("train", "--tracker", "tens"), {"tensorboard"}),
        (("sample", "faces", "--sampler", "h"), {"heun"}),
        (("export", "faces", "h"), {"html"}),
        (("plugins", "show", "trackers"), {"trackers"}),
        (("plugins", "check", "heun"), {"heun"}),
        (("data", "import", "cifar"), {"cifar10"}),
    ],
)
def test_names_are_those_of_plugins(monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], some: set[str]) -> None:
    """Every kind of name that a command takes, and only names that begin as the word does."""
    found = offered(monkeypatch, *words)
    assert some <= {*found}
    assert all(name.startswith(words[-1]) for name in found)


@pytest.mark.parametrize(
    ("word", "found"),
    [("runs/", ["runs/first", "runs/second"]), ("runs/s", ["runs/second"]), ("t", ["third"]), ("face", ["faces"])],
)
def test_runs_and_models(monkeypatch: pytest.MonkeyPatch, word: str, found: list[str]) -> None:
    """Run directories in the word's folder and the one below, and trained models by name."""
    assert offered(monkeypatch, "sample", word) == found
    assert {"faces", "runs/first", "third"} <= {*offered(monkeypatch, "encode", "''")}


def test_where_no_run_is_the_shell_completes_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """The word comes back as that of a file."""
    assert offered(monkeypatch, "sample", "elsewhere/ru") == ["elsewhere/ru"]


def test_presets_are_those_of_the_modality(monkeypatch: pytest.MonkeyPatch, desk: Path) -> None:
    """The one that was given, else images; they are remembered, and a damaged memory is renewed."""
    assert {"tiny", "tiny-mlp"} <= {*offered(monkeypatch, "train", "--preset", "tiny")}
    assert offered(monkeypatch, "train", "--modality", "nerf", "--preset", "car") == ["cars"]
    memory = desk / "cache" / "settings.json"
    assert {*json.loads(memory.read_text())} == {"modality image", "modality nerf"}
    for damaged in ("[1]", "{", '{"modality nerf": 3}', '{"modality nerf": {"stamp": ""}}'):
        memory.write_text(damaged)
        assert offered(monkeypatch, "train", "--modality", "nerf", "--preset", "car") == ["cars"], damaged
    whole = memory.read_text()
    memory.write_text(whole.replace('"cars"', '"carz"'))  # a bit of it was another
    assert offered(monkeypatch, "train", "--modality", "nerf", "--preset", "car") == ["cars"]
    assert not offered(monkeypatch, "train", "--modality", "nonsense", "--preset", "t")


def test_completion_needs_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of names, runs, and presets that are remembered; which makes it fast."""
    lines = [["train", "--preset", "t"], ["train", "--objective", "c"], ["sample", "f"], ["plugins", "show", "i"]]
    offered(monkeypatch, *lines[0])
    script = f"""
import contextlib, io, os, sys
from inrkit.cli import main
for words in {lines}:
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = " ".join(["inrkit", *words]), str(len(words))
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())) as said:
        main()
    assert said.buffer.getvalue(), words
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_asks_this_program(shell: str) -> None:
    """It sets the variable that turns completion on."""
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0
    assert f"_INRKIT_COMPLETE={shell}_complete" in done.stdout
