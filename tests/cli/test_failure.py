"""What a mistake looks like: one line, in the words that the user typed; and before anything slow."""

import os
import subprocess
import sys
import time
import tomllib
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch.distributed as dist
from click.testing import CliRunner
from PIL import Image

from inrkit.__main__ import keep_interrupts
from inrkit.cli import main
from inrkit.cli.failure import as_flags, explain, printable
from inrkit.storage.storewriter import write_store

SMALL = ["size=8,8", "width=16", "depth=1", "decoder_depth=1", "heads=2", "hidden=16", "inr_width=16", "inr_inner=16"]
SMALL += ["inr_depth=2", "count=64"]
TRAIN = ["train", "--no-progress", "--steps", "2", "--batch-size", "4", "--precision", "fp32", "--device", "cpu"]
TRAIN += [part for option in SMALL for part in ("--set", f"options.{option}")]


def said(code: int, *args: object) -> str:
    """The one line of a command that fails."""
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "run"
    assert CliRunner().invoke(main, [*TRAIN, "--out", str(out)]).exit_code == 0
    return out


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    return path


def test_options_are_named_as_they_are_typed(run: Path, picture: Path, tmp_path: Path) -> None:
    """Whoever raises the error knows a name; the user knows a flag. A key that nobody typed stays a key."""
    assert as_flags("'size' and 'n' of 'options.size'", ["size", "n"]) == "'--size' and '-n' of 'options.size'"
    assert "'--label' out, or train with 'options.classes'" in said(2, "sample", run, "--label", "3")
    assert "'--guidance' 2 needs" in said(2, "sample", run, "--guidance=2")
    assert "'--box' is X,Y,W,H: 4 numbers" in said(2, "edit", run, picture, "--task", "inpaint", "--box", "1,2,3")
    folder = tmp_path / "mixed"
    folder.mkdir()
    for side in (8, 9):
        Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(folder / f"{side}.png")
    assert "'--size' for all" in said(3, "data", "import", "images", folder, "-o", tmp_path / "a.h5")


def test_options_are_checked_before_a_model_is_loaded(picture: Path, tmp_path: Path) -> None:
    """A mistake in them is said even where the run cannot be read."""
    run = tmp_path / "damaged"
    run.mkdir()
    for file in (run / "config.toml", tmp_path / "a.inr"):
        file.write_text("no")
    assert "'--box' is numbers" in said(2, "edit", run, picture, "--task", "inpaint", "--box", "a,b")
    assert "'--times' must be numbers" in said(2, "sample", run, "--times", "x")
    assert "no metric named 'psrn'" in said(2, "evaluate", run, "--metrics", "psrn")
    assert "expected an .inr file or a folder" in said(2, "encode", run, picture, "-o", tmp_path / "e.png")
    assert "'--at' is KEY=VALUE" in said(2, "render", tmp_path / "a.inr", "--at", "x")
    for command in ("sample", "evaluate"):
        assert "0" in said(2, command, run, "--seed", "-1")
    assert "0" in said(2, "train", "--print-config", "--seed", "-1")


def test_what_is_no_run_is_one_kind_of_error(picture: Path, tmp_path: Path) -> None:
    """A folder without a config, and no folder at all, for every command that wants a run."""
    for path in (tmp_path, tmp_path / "none"):
        for command in (("sample",), ("evaluate",), ("encode", picture), ("edit", picture, "--task", "colorize")):
            first, *rest = command
            assert "expected a run directory with a config.toml" in said(3, first, path, *rest)


def test_other_programs_words_lead_to_ours() -> None:
    """Commands and options that people know from elsewhere."""
    assert "Did you mean 'sample'?" in said(2, "generate")
    assert "Did you mean 'evaluate'?" in said(2, "eval")
    assert "the same command, with the same OUT, resumes a run" in said(2, "train", "--resume")
    call = "there is no '-o' here: the call is 'inrkit models push RUN"
    assert call in said(2, "models", "push", "faces", "-o", "mine")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("data import images . a.h5 --size 4x4", "data import images . --size 4x4 -o a.h5"),
        ("models save faces mine", "models save faces -o mine"),
        ("export a.inr mesh a.glb", "export a.inr mesh -o a.glb"),
    ],
)
def test_what_is_written_is_named_with_o(typed: str, meant: str) -> None:
    """A name without it is answered with the call that was meant."""
    name = meant.rpartition(" ")[2]
    assert f"'-o', found '{name}' without it. Did you mean 'inrkit {meant}'?" in said(2, *typed.split())


def test_changed_keys_are_said_with_both_values(run: Path) -> None:
    """Of the run that is there, and of the command."""
    line = said(2, *TRAIN, "--out", run, "--set", "options.width=32")
    assert "options.width 16, now 32" in line
    assert "give '--extend' to train on" in said(2, *TRAIN, "--steps", "5", "--out", run)


def test_size_is_a_resolution_everywhere_and_the_name_of_a_network_in_training(tmp_path: Path) -> None:
    """One number is for all axes; both sizes may be given, each once."""
    for size, cells in (("12x8", [8, 12]), ("8", [8, 8])):
        shown = CliRunner().invoke(main, ["train", "--size", size, "--size", "small", "--print-config"])
        config = tomllib.loads(shown.stdout)
        assert (config["options"]["size"], config["network"]) == (cells, "small")
    assert "one name and one resolution at most" in said(2, "train", "--size", "8x8", "--size", "9x9")
    assert "there is no network of size 'bse'; there are small, base" in said(2, "train", "--size", "bse")


def test_files_that_are_something_else_are_named(picture: Path, tmp_path: Path) -> None:
    """A picture in place of an .inr file leads to the command that makes one."""
    line = said(3, "render", picture)
    assert f"expected an .inr file, found a PNG file; 'inrkit encode RUN {picture}' makes one" in line
    assert "expected a file, found none of that name" in said(3, "render", tmp_path / "none.inr")


def test_files_that_are_written_make_their_folder(run: Path, picture: Path, tmp_path: Path) -> None:
    """As folders of samples do."""
    inr = tmp_path / "new" / "a.inr"
    for args in (["encode", run, picture, "-o", inr], ["render", inr, "-o", tmp_path / "no/such/a.png"]):
        assert CliRunner().invoke(main, [str(arg) for arg in args]).exit_code == 0
    assert (tmp_path / "no/such/a.png").is_file()


def test_the_modality_is_that_of_the_data(tmp_path: Path) -> None:
    """A store says which it is for."""
    store = write_store(tmp_path / "a.h5", "nobodys", {"values": np.zeros((4, 1, 8), np.float32)}, {})
    assert "no modality named 'nobodys'" in said(2, "train", "--print-config", "--data", store)


def test_printing_a_config_checks_the_device() -> None:
    """As the run would."""
    assert "gpu" in said(2, "train", "--print-config", "--device", "gpu")


def test_broken_files_are_left_out_if_so_wished(run: Path, picture: Path, tmp_path: Path) -> None:
    """Of a folder; and the flag is named where there is one."""
    (tmp_path / "b.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    assert "--skip-broken leaves out what cannot be read" in said(3, "encode", run, tmp_path, "-o", out)
    done = CliRunner().invoke(main, ["encode", str(run), str(tmp_path), "--skip-broken", "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "skipped" in done.stderr
    assert [path.name for path in out.glob("*.inr")] == ["a.inr"]


def test_names_do_nothing_to_a_terminal(tmp_path: Path) -> None:
    """Control characters in names of files are shown as codes."""
    assert printable("a\x1b[31mb\x07\tc\n") == "a\\x1b[31mb\\x07\tc\n"
    line = said(3, "render", tmp_path / "\x1b]0;owned\x07.inr")
    assert "\x1b" not in line
    assert "\\x1b]0;owned" in line


def test_a_full_disk_is_no_bug() -> None:
    """Whether the system says which file or not; and Ctrl-C is a line."""
    assert explain(OSError(28, "No space left on device")) == (
        "cannot write: No space left on device; make room and repeat",
        6,
    )
    assert explain(KeyboardInterrupt()) == ("stopped", 130)


@pytest.mark.parametrize("error", [dist.DistNetworkError("Failed to recv, got 0 bytes"), dist.DistBackendError("x")])
def test_a_lost_process_is_no_bug(error: Exception) -> None:
    """Whenever it is killed, also while the processes find each other."""
    text, code = explain(error)
    assert text.startswith("lost another process, whose own message says why")
    assert code == 6


def piped(reader: Callable[[int], object], *args: str) -> tuple[int, str]:
    """A command whose output is read by somebody else: its exit code and what it says on standard error."""
    out, into = os.pipe()
    reader(out)
    child = subprocess.run([sys.executable, "-m", "inrkit", *args], stdout=into, stderr=subprocess.PIPE, text=True)
    os.close(into)
    return child.returncode, child.stderr


def test_a_reader_may_stop_reading() -> None:
    """As `head` does: that is no error."""
    assert piped(os.close, "--help") == (0, "")
    with open("/dev/full", "w") as full:
        child = subprocess.run(
            [sys.executable, "-m", "inrkit", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert child.returncode == 6
    assert child.stderr == "inrkit: error: cannot write: No space left on device; make room and repeat\n"


def test_an_interrupted_start_is_a_line() -> None:
    """Also before there are commands."""
    code = """
import sys
class Impatient:
    def find_spec(self, name, path=None, target=None):
        if name == "inrkit.cli":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Impatient())
from inrkit.__main__ import main
main()
"""
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (child.returncode, child.stderr) == (130, "inrkit: stopped\n")


def test_samples_of_two_calls_are_not_mixed(run: Path, tmp_path: Path) -> None:
    """Fewer new ones beside older ones are refused, or replace them all."""
    out = tmp_path / "new"
    assert CliRunner().invoke(main, ["sample", str(run), "-n", "3", "-o", str(out)]).exit_code == 0
    assert "1 samples of an earlier call would stay" in said(2, "sample", run, "-n", "2", "-o", out)
    assert CliRunner().invoke(main, ["sample", str(run), "-n", "2", "-o", str(out), "--overwrite"]).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["0000.inr", "0000.png", "0001.inr", "0001.png", "sheet.png"]


def test_a_single_pixel_is_no_picture(run: Path, tmp_path: Path) -> None:
    """It is refused by its name, and left out where files may be; it never becomes a black picture."""
    for side in (1, 8):
        Image.fromarray(np.full((side, side, 3), 200, np.uint8)).save(tmp_path / f"{side}.png")
    dot, out = tmp_path / "1.png", tmp_path / "out"
    assert f"{dot}: expected a picture of at least 2 x 2 pixels, found 1 x 1" in said(3, "encode", run, dot, "-o", out)
    assert "at least 2 x 2" in said(3, "edit", run, dot, "--task", "colorize", "-o", out)
    done = CliRunner().invoke(main, ["encode", str(run), str(dot), str(tmp_path / "8.png"), "--skip-broken"])
    assert done.exit_code == 0, done.output
    assert "skipped" in done.stderr
    assert "1.png" not in done.stdout


def test_ctrl_c_is_not_forgotten_by_a_weak_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python ignores what its callback raises; then the program hears of it a moment later."""

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    def wait() -> None:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            pass

    class Thing:
        """What is referred to."""

    monkeypatch.setattr(sys, "unraisablehook", keep_interrupts)
    reference, thing = [], Thing()
    reference.append(weakref.ref(thing, interrupted))
    del thing
    with pytest.raises(KeyboardInterrupt):
        wait()


def test_ctrl_c_in_the_callback_of_a_library_is_a_line() -> None:
    """Python makes an error of its own of it where h5py goes on, and another where that is let pass."""
    first, second = (SystemError(f"<function {name}> returned a result with an exception set") for name in "ab")
    first.__cause__, second.__context__ = KeyboardInterrupt(), first
    assert explain(first) == explain(second) == ("stopped", 130)
    assert "this is a bug" in explain(SystemError("bad call"))[0]
