"""The command line: every command, its help and its mistakes. A failure is one line and an exit code."""

import errno
import gzip
import json
import os
import re
import struct
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from inrkit.cli import main
from inrkit.cli.failure import explain
from inrkit.cli.option import parse_times
from inrkit.cli.output import shown
from inrkit.core.sample import ConsistencySampler
from inrkit.errors import DataError, DivergedError, InrkitError, PluginError, ResourceError, UsageError
from inrkit.inference.model import load
from inrkit.plugins import load_plugins
from inrkit.report.sheets import write_report
from inrkit.storage.inrfile import load_inrs
from inrkit.storage.storewriter import write_store

SMALL = ["size=8,8", "width=16", "depth=1", "decoder_depth=1", "heads=2", "hidden=16", "inr_width=16", "inr_inner=16"]
SMALL += ["inr_depth=2", "count=64"]
TRAIN = ["train", "--no-progress", "--steps", "3", "--batch-size", "4", "--precision", "fp32", "--device", "cpu"]
TRAIN += [part for option in SMALL for part in ("--set", f"options.{option}")]


def inrkit(*args: object, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], env=env)


def succeed(*args: object) -> str:
    result = inrkit(*args)
    assert result.exit_code == 0, result.output
    return result.stdout


def fail(code: int, *args: object) -> str:
    """The error of a command: one line, nothing on stdout."""
    result = inrkit(*args)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("inrkit: error: ")
    return lines[0].removeprefix("inrkit: error: ")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few steps of a very small model."""
    out = tmp_path_factory.mktemp("cli") / "run"
    assert str(out) in succeed(*TRAIN, "--out", out)
    return out


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of three pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f"{name}.png")
    return folder


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command's path, the root's being empty."""
    yield path
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


# ------------------------------------------------------------------------------------------------ help


@pytest.mark.parametrize("path", list(commands(main)), ids=" ".join)
def test_help_says_what_a_command_is_for_and_shows_an_example(path: tuple[str, ...]) -> None:
    """Whoever asks for help gets a sentence, every flag with a text, and a line to copy."""
    text = succeed(*path, "--help")
    assert text.startswith(f"Usage: {' '.join(('inrkit', *path))} ")
    assert re.search(rf"^ +(inrkit|torchrun) .*{' '.join(path)}", text, re.MULTILINE)
    assert not re.search(r"^  --?[\w-]+( [A-Z.,]+)?$\n(?=  -|\n)", text, re.MULTILINE), "a flag without help"


def test_help_needs_neither_torch_nor_long() -> None:
    """`inrkit --help` answers within .3 s, which an import of torch alone would exceed four times."""
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from inrkit.cli import main\n"
        "for args in ([], ['train'], ['sample'], ['encode'], ['render'], ['evaluate'], ['data'], ['data', 'import'],\n"
        "             ['plugins', 'list'], ['doctor']):\n"
        "    assert CliRunner().invoke(main, [*args, '--help']).exit_code == 0\n"
        "print('torch' in sys.modules or 'rich' in sys.modules)"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout == "False\n"
    seconds = []
    for _ in range(4):
        before = os.times()  # of the processor: on a busy machine a clock would measure the others
        subprocess.run([sys.executable, "-m", "inrkit", "--help"], capture_output=True, check=True)
        after = os.times()
        seconds.append(sum(after[2:4]) - sum(before[2:4]))  # user and system, of children
    assert min(seconds) < 0.3


def test_without_a_command_help_is_shown_and_the_exit_code_is_2() -> None:
    """Saying nothing is no success."""
    result = inrkit()
    assert result.exit_code == 2
    assert "Commands:" in result.stderr


def test_version_is_printed() -> None:
    """The version is the package's."""
    assert re.fullmatch(r"inrkit, version \d+\.\d+\.\d+\n", succeed("--version"))


# ------------------------------------------------------------------------------------------------ failures


def test_a_mistyped_command_or_flag_is_answered_with_the_nearest() -> None:
    """Usage errors leave with 2 and say where help is."""
    assert "no command named 'trian'" in (text := fail(2, "trian"))
    assert "Did you mean 'train'?" in text
    assert "--steps" in (text := fail(2, "train", "--stepz", "3"))
    assert "See 'inrkit train --help'." in text
    assert "Missing argument 'RUN'" in fail(2, "sample")
    assert "Did you mean 'list'?" in fail(2, "plugins", "lst")


FAILURES = [
    (UsageError("a\nb"), 2, "a b"),
    (DataError("x"), 3, "x"),
    (PluginError("x"), 4, "x"),
    (DivergedError("x"), 5, "x"),
    (ResourceError("x"), 6, "x"),
    (MemoryError(), 6, "out of memory"),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), 6, "out of memory"),
    (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory."), 6, "out of memory"),
    (OSError(errno.ENOSPC, "No space left", "/some/file"), 6, "/some/file: no room to write"),
    (PermissionError(errno.EACCES, "Permission denied", "/some/file"), 2, "/some/file: cannot be used"),
    (KeyError("odd\nkey"), 1, "this is a bug of inrkit; INRKIT_DEBUG=1 shows where"),
]


@pytest.mark.parametrize(("error", "code", "text"), FAILURES, ids=lambda value: type(value).__name__)
def test_each_kind_of_failure_has_its_exit_code_and_one_line(
    error: Exception, code: int, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scripts can tell the kinds apart, people read one line, and the traceback is there on demand."""

    def broken() -> None:
        raise error

    monkeypatch.setattr("inrkit.cli.plugins.load_plugins", broken)
    assert text in fail(code, "plugins", "list")
    assert explain(error)[1] == code
    debugged = inrkit("plugins", "list", env={"INRKIT_DEBUG": "1"})
    assert debugged.exit_code == code
    assert "Traceback" in debugged.stderr


def test_an_interrupt_leaves_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is no bug."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("inrkit.cli.plugins.load_plugins", interrupted)
    result = inrkit("plugins", "list")
    assert result.exit_code == 130
    assert "Traceback" not in result.output


def test_a_stop_after_saving_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM leaves with 143 and says how to go on."""
    from inrkit.machine.signals import StoppedError

    def stopped() -> None:
        raise StoppedError(15, "stopped and saved at step 7")

    monkeypatch.setattr("inrkit.cli.plugins.load_plugins", stopped)
    result = inrkit("plugins", "list")
    assert (result.exit_code, result.stderr) == (143, "inrkit: stopped and saved at step 7\n")


def test_only_the_first_of_several_processes_speaks() -> None:
    """Under torchrun, results and usage errors appear once; the exit code is everybody's."""
    result = inrkit("plugins", "list", env={"RANK": "1"})
    assert (result.exit_code, result.output) == (0, "")
    result = inrkit("train", "--modality", "nothing", env={"RANK": "1"})
    assert (result.exit_code, result.output) == (2, "")


# ------------------------------------------------------------------------------------------------ plugins, doctor


def test_plugins_list_shows_what_each_offers() -> None:
    """The same facts for people and for programs."""
    rows = json.loads(succeed("plugins", "list", "--json"))
    image = next(row for row in rows if row["plugin"] == "image")
    assert image["state"] == "works"
    assert image["offers"]["modalities"] == ["image"]
    assert set(image["offers"]["importers"]) >= {"images", "cifar10", "idx", "npz"}
    assert "modalities: image" in succeed("plugins", "list")


def test_plugins_list_shows_why_one_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken plugin is listed with its reason; only asking for what it would bring is an error."""
    monkeypatch.syspath_prepend(str(tmp_path))
    info = tmp_path / "inrkit_uneven-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: inrkit-uneven\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[inrkit]\nuneven = surely_not_there\n")
    everything = {"INRKIT_PLUGINS": "image,uneven"}  # a setting of its own, which nothing has cached
    result = inrkit("plugins", "list", env=everything)
    assert result.exit_code == 0
    assert re.search(
        r"uneven +inrkit-uneven 2.0 +broken +ModuleNotFoundError: No module named 'surely_not_there'", result.stdout
    )
    result = inrkit("train", "--modality", "uneven", "--print-config", env=everything)
    assert result.exit_code == 4
    assert "ModuleNotFoundError" in result.stderr


def test_the_flag_plugins_loads_only_those() -> None:
    """The flag stands before the command, and its effect ends with it."""
    assert [row["plugin"] for row in json.loads(succeed("--plugins", "", "plugins", "list", "--json"))] == ["inrkit"]
    assert "no modality named 'image'; installed: none" in fail(2, "--plugins", "", "train", "--print-config")
    assert "Did you mean 'image'?" in fail(2, "--plugins", "imago", "plugins", "list")
    assert "INRKIT_PLUGINS" not in os.environ


def test_doctor_measures_the_machine() -> None:
    """Versions, rates, the meaning of auto, room and plugins: for people and for programs."""
    facts = json.loads(succeed("doctor", "--json"))
    assert facts["extras"].keys() >= {"hub", "site", "video"}
    assert facts["versions"]["torch"]
    assert facts["processor"]["threads"] >= 1
    assert all(rate > 0 for rate in facts["processor"]["gflops"].values())
    assert facts["auto"]["precision"] in ("fp32", "bf16")
    assert facts["disk"]["free"] > 0
    assert isinstance(facts["warnings"], list)
    text = succeed("doctor")
    assert all(part in text for part in ("GFLOP/s", "torch", "disk", "plugin image"))


def test_doctor_warns_of_a_torchvision_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A torchvision of another build breaks whoever imports it; doctor says so with the reason."""
    from inrkit.cli import machine

    info = tmp_path / "torchvision-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torchvision\nVersion: 0.1\n")
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    warning = machine.torchvision_warning()
    assert warning is not None
    assert "operator torchvision::nms does not exist" in warning
    (tmp_path / "torchvision.py").write_text("")
    assert machine.torchvision_warning() is None


# ------------------------------------------------------------------------------------------------ data


def test_data_import_info_and_verify(pictures: Path, tmp_path: Path) -> None:
    """What is imported can be described and verified, and is not overwritten unawares."""
    store = tmp_path / "p.h5"
    assert "3 items for 'image'" in succeed("data", "import", "images", pictures, "-o", store, "--size", "4x6")
    facts = json.loads(succeed("data", "info", store, "--json"))
    images = facts["arrays"]["images"]
    assert (images["shape"], images["dtype"]) == ([3, 6, 4, 3], "uint8")
    assert 0 <= images["low"] <= images["mean"] <= images["high"] <= 255
    assert facts["held_out"] is None  # three are too few for the rule to hold one out
    told = succeed("data", "info", store)
    assert f"3x6x4x3 uint8, from {images['low']:.4g} to {images['high']:.4g}, mean {images['mean']:.4g}" in told
    assert "held out" in told
    assert "whole; 3 items" in succeed("data", "verify", store)
    assert json.loads(succeed("data", "verify", store, "--json"))["sha256"] == facts["sha256"]
    assert "found an existing one" in fail(2, "data", "import", "images", pictures, "-o", store)
    succeed("data", "import", "images", pictures, "-o", store, "--overwrite")
    assert json.loads(succeed("data", "info", store, "--json"))["arrays"]["images"]["shape"] == [3, 8, 8, 3]


def test_a_damaged_or_foreign_store_is_refused_with_3(pictures: Path, tmp_path: Path) -> None:
    """One flipped bit is found."""
    store = tmp_path / "p.h5"
    succeed("data", "import", "images", pictures, "-o", store)
    data = bytearray(store.read_bytes())
    data[-100] ^= 1
    store.write_bytes(data)
    assert "sha256" in fail(3, "data", "verify", store)
    assert "sha256" in fail(3, "data", "info", store)
    assert "expected a store, found a PNG file" in fail(3, "data", "info", pictures / "a.png")
    folder = f"one signal is no data set, but a folder of them is: '--data {pictures}'"
    assert folder in fail(3, "train", "--no-progress", "--data", pictures / "a.png", "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert "found none of that name" in fail(3, "data", "verify", tmp_path / "none")


def test_data_import_names_what_is_wrong(pictures: Path, tmp_path: Path) -> None:
    """Formats, flags and sources are checked, each with its own message."""
    out = tmp_path / "p.h5"
    assert "Did you mean 'images'?" in fail(2, "data", "import", "imges", pictures, "-o", out)
    for name in ("images", "cifar10", "idx", "npz"):
        assert "found none of that name" in fail(3, "data", "import", name, tmp_path / "none", "-o", out)
    assert "--limit: expected int" in fail(2, "data", "import", "images", pictures, "-o", out, "--limit", "many")
    assert "a size is 2 positive numbers" in fail(2, "data", "import", "images", pictures, "-o", out, "--size", "4x4x4")
    assert "expected to write into an existing folder" in fail(
        2, "data", "import", "images", pictures, "-o", tmp_path / "no" / "p.h5"
    )
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    assert "broken.png" in fail(3, "data", "import", "images", pictures, "-o", out)
    result = inrkit("data", "import", "images", pictures, "-o", out, "--skip-broken")
    assert result.exit_code == 0
    assert "1 skipped" in result.stdout
    assert "broken.png" in result.stderr


def test_data_import_of_idx_and_npz_keeps_labels_and_splits(tmp_path: Path) -> None:
    """A test part, where there is one, is remembered as such."""
    source = tmp_path / "digits"
    source.mkdir()
    for prefix, count in (("train", 12), ("t10k", 5)):
        images = struct.pack(">HBBIII", 0, 8, 3, count, 4, 4) + bytes(count * 16)
        labels = struct.pack(">HBBI", 0, 8, 1, count) + bytes(i % 3 for i in range(count))
        (source / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (source / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    succeed("data", "import", "idx", source, "-o", tmp_path / "all.h5")
    arrays = json.loads(succeed("data", "info", tmp_path / "all.h5", "--json"))["arrays"]
    assert {name: array["shape"][0] for name, array in arrays.items()} == {"images": 17, "labels": 17, "split": 17}
    succeed("data", "import", "idx", source, "-o", tmp_path / "test.h5", "--split", "test")
    assert json.loads(succeed("data", "info", tmp_path / "test.h5", "--json"))["items"] == 5
    np.savez(tmp_path / "a.npz", images=np.zeros((6, 4, 4, 3), np.uint8), labels=np.arange(6))
    assert "6 items" in succeed("data", "import", "npz", tmp_path / "a.npz", "-o", tmp_path / "npz.h5")


# ------------------------------------------------------------------------------------------------ train


def test_print_config_prints_a_config_that_gives_itself(tmp_path: Path) -> None:
    """What is printed is TOML with every key, which --config reads."""
    text = succeed(*TRAIN, "--print-config", "--lr", "0.003", "--set", "options.patch=2")
    config = tomllib.loads(text)
    assert (config["steps"], config["lr"], config["options"]["patch"]) == (3, 0.003, 2)
    (tmp_path / "c.toml").write_text(text)
    assert succeed("train", "--config", tmp_path / "c.toml", "--print-config") == text
    assert list(tmp_path.iterdir()) == [tmp_path / "c.toml"]


@pytest.mark.parametrize("modality", ["image", "nerf"])
def test_print_schema_prints_what_editors_check_a_config_by(modality: str) -> None:
    """Every key of a complete config is known, with its type and a help text; another is not."""
    words = ("train", "--modality", modality, "--dry-run")  # both print before a forecast would be made
    schema = json.loads(succeed(*words, "--print-schema"))
    named = {"boolean": bool, "integer": int, "number": (int, float), "string": str, "array": list, "object": dict}

    def check(value: object, schema: dict[str, Any]) -> None:
        assert any(
            value == kind["const"] if "const" in kind else value in kind.get("enum", [value])
            for kind in schema.get("anyOf", [schema])
            if "type" not in kind or isinstance(value, named[kind["type"]])
        ), (value, schema)
        if isinstance(value, dict) and "properties" in schema:
            assert schema["additionalProperties"] is False
            for key, part in value.items():
                check(part, schema["properties"][key])

    check(tomllib.loads(succeed(*words, "--print-config")), schema)
    assert schema["properties"]["steps"]["description"].startswith("training steps")
    with pytest.raises((AssertionError, KeyError)):
        check({"step": 3}, schema)
    with pytest.raises(AssertionError):
        check({"steps": "many"}, schema)


def test_a_run_is_fine_tuned_from_another(run: Path, tmp_path: Path) -> None:
    """Its network and weights, by one flag; the objective is another where that is said."""
    own = tomllib.loads((run / "config.toml").read_text())
    words = ["train", "--from", run, "--objective", "ect", "--steps", "1", "--batch-size", "2", "--lr", "1e-12"]
    tuned = tomllib.loads(succeed(*words, "--print-config"))
    assert (tuned["options"], tuned["init"], tuned["objective"]) == (own["options"], str(run), "ect")
    succeed(*words, "--no-progress", "--precision", "fp32", "--out", tmp_path / "tuned")
    before, after = (load(of, device="cpu").sample(2).signal for of in (run, tmp_path / "tuned"))
    assert float((before - after).abs().max()) < 1e-4
    assert "nowhere" in fail(3, "train", "--from", "nowhere", "--print-config")
    by_name = succeed("train", "--from", "cars", "--print-config")
    assert 'init = "cars"' in by_name
    assert "width = 128" in by_name


def test_dry_run_says_what_a_run_would_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For people and for programs, and with a budget of time for as many steps as fit; nothing is written."""
    monkeypatch.chdir(tmp_path)
    table = succeed(*TRAIN, "--dry-run")
    for words in ("parameters", "operations a step", "time of a step", "memory", "disk", "3 steps of 4 signals"):
        assert words in table
    found = json.loads(succeed(*[*TRAIN[:2], *TRAIN[4:]], "--dry-run", "--json", "--minutes", "5"))
    assert found["steps"] == int((5 * 60 * 0.95 - 10) / found["seconds"])
    assert found["hours"] < 5 / 60
    assert not list(tmp_path.iterdir())
    assert "'--dry-run'" in fail(2, *TRAIN, "--json")


def test_mistakes_in_a_config_are_named(tmp_path: Path) -> None:
    """Names, types and files: each message says what was found."""
    assert "'options.width': expected int, found 'wide'" in fail(
        2, "train", "--print-config", "--set", "options.width=wide"
    )
    assert "Did you mean" in fail(2, "train", "--print-config", "--set", "options.widht=3")
    assert "Did you mean 'steps'?" in fail(2, "train", "--print-config", "--set", "stepz=3")
    assert "no preset 'tinny'" in fail(2, "train", "--print-config", "--preset", "tinny")
    assert "Did you mean 'image'?" in fail(2, "train", "--print-config", "--modality", "imago")
    assert "no objective named 'inrtc'" in fail(2, "train", "--print-config", "--objective", "inrtc")
    assert "'--lr' must be > 0" in fail(2, "train", "--print-config", "--lr", "-1")
    (tmp_path / "c.toml").write_text("steps = [")
    assert "expected TOML" in fail(2, "train", "--print-config", "--config", tmp_path / "c.toml")
    (tmp_path / "c.toml").write_text("stepz = 3")
    assert "Did you mean 'steps'?" in fail(2, "train", "--print-config", "--config", tmp_path / "c.toml")
    assert "none.h5" in fail(3, "train", "--print-config", "--data", tmp_path / "none.h5")


def test_train_leaves_a_run_and_goes_on_with_it(run: Path) -> None:
    """The same command again has nothing left to do; another config is refused by its key."""
    assert (run / "config.toml").exists()
    assert (run / "report.html").exists()
    assert list((run / "checkpoints").glob("step-*/*.safetensors"))
    assert len((run / "metrics.jsonl").read_text().splitlines()) >= 1
    assert "step 3" in succeed(*TRAIN, "--out", run)
    assert "lr" in fail(2, *TRAIN, "--out", run, "--lr", "0.5")


# ------------------------------------------------------------------------------------------------ use


def test_sample_leaves_inr_files_pictures_and_a_sheet(run: Path, tmp_path: Path) -> None:
    """One .inr and one picture for each sample; equal seeds give equal samples, more begin with the same."""
    succeed("sample", run, "-n", "3", "-o", tmp_path / "a", "--size", "12x10")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [*(f"000{i}.{kind}" for i in range(3) for kind in ("inr", "png")), "sheet.png"]
    with Image.open(tmp_path / "a" / "0000.png") as image:
        assert image.size == (12, 10)
    succeed("sample", run, "-n", "2", "-o", tmp_path / "b")
    succeed("sample", run, "-n", "2", "-o", tmp_path / "c", "--seed", "1", "--steps", "2")
    rendered = [tmp_path / f"{name}.png" for name in "abc"]
    for name, target in zip("abc", rendered, strict=True):
        succeed("render", tmp_path / name / "0001.inr", "-o", target)
    assert rendered[0].read_bytes() == rendered[1].read_bytes() != rendered[2].read_bytes()


def test_sample_names_what_is_wrong(run: Path, tmp_path: Path) -> None:
    """Times, sizes, counts, runs and places."""
    out = ["-o", tmp_path / "s"]
    assert "must be positive and descend" in fail(2, "sample", run, "--times", "1,80", *out)
    for times in ("a", "nan", "inf,1", "80,,1", ""):
        assert "'--times' must be numbers" in fail(2, "sample", run, "--times", times, *out)
        assert "'--times' must be numbers" in fail(2, "evaluate", run, "--times", times)
    assert "'--size' is positive numbers" in fail(2, "sample", run, "--size", "big", *out)
    assert "-n" in fail(2, "sample", run, "-n", "0", *out)
    assert "found both" in fail(2, "sample", run, "--times", "80", "--steps", "1", *out)
    assert "learned no classes" in fail(2, "sample", run, "--label", "3", *out)
    assert "'label_dropout' above 0" in fail(2, "sample", run, "--guidance", "2", *out)
    assert "no sampler named 'magic'" in fail(2, "sample", run, "--sampler", "magic", *out)
    assert "expected a run directory" in fail(3, "sample", tmp_path / "none", *out)
    (tmp_path / "file").write_text("")
    assert "file" in fail(2, "sample", run, "-o", tmp_path / "file" / "s")


def test_steps_stand_for_times() -> None:
    """One step starts from 80, two add 30, more go on to .25, whatever was searched, and --times says it exactly."""
    times_of = ConsistencySampler().times
    assert times_of(1) == (80.0,)
    assert times_of(2) == pytest.approx((80.0, 30.0))
    assert times_of(4, 3.0)[-1] == pytest.approx(0.25)
    assert all(a > b for a, b in zip(times_of(6), times_of(6)[1:], strict=False))
    assert parse_times("80,0.821") == (80.0, 0.821)
    with pytest.raises(InrkitError):
        parse_times("80;0.8")


def test_encode_leaves_an_inr_for_each_input(run: Path, pictures: Path, tmp_path: Path) -> None:
    """Each input's file is named after it and its PSNR is printed; originals stay as they were."""
    inputs = sorted(pictures.iterdir())
    before = [path.read_bytes() for path in inputs]
    rows = json.loads(succeed("encode", run, *inputs, "-o", tmp_path / "e", "--json"))
    assert [Path(row["file"]).name for row in rows] == ["a.inr", "b.inr", "c.inr"]
    assert all(row["psnr"] > 0 for row in rows)
    assert sorted(path.name for path in (tmp_path / "e").iterdir()) == ["a.inr", "b.inr", "c.inr", "sheet.png"]
    text = succeed("encode", run, inputs[0], inputs[0], "-o", tmp_path / "twice")
    assert re.search(r"a\.inr  \d+\.\d\d dB", text)
    assert "a-2.inr" in text
    succeed("encode", run, inputs[0], "-o", tmp_path / "one.inr")
    assert "3 INRs, " in succeed("encode", run, *inputs, "-o", tmp_path / "all.inr")
    assert [inr.provenance["source"] for inr in load_inrs(tmp_path / "all.inr")] == ["a.png", "b.png", "c.png"]
    assert "does not exist" in fail(2, "encode", run, tmp_path / "none.png")
    (pictures / "a.png").rename(pictures / "sheet.png")
    assert "would replace this input" in fail(2, "encode", run, pictures / "sheet.png", "-o", pictures)
    (pictures / "sheet.png").rename(pictures / "a.png")
    (tmp_path / "text.png").write_text("no picture")
    assert "text.png" in fail(3, "encode", run, tmp_path / "text.png", "-o", tmp_path / "x")
    assert [path.read_bytes() for path in inputs] == before


def test_render_needs_no_run_and_knows_any_size(run: Path, pictures: Path, tmp_path: Path) -> None:
    """An .inr file renders at any size, beside itself by default and never over the original."""
    succeed("encode", run, pictures / "a.png", "-o", pictures / "a.inr")
    before = (pictures / "a.png").read_bytes()
    assert succeed("render", pictures / "a.inr", "--size", "20x10").strip() == str(pictures / "a-20x10.png")
    with Image.open(pictures / "a-20x10.png") as image:
        assert image.size == (20, 10)
    succeed("render", pictures / "a.inr")
    assert (pictures / "a.png").read_bytes() == before
    assert "'--size' is positive numbers" in fail(2, "render", pictures / "a.inr", "--size", "0x4")
    assert "expected" in fail(3, "render", pictures / "a.png")
    assert "none.inr" in fail(3, "render", tmp_path / "none.inr")
    assert "that is a directory" in fail(2, "render", pictures / "a.inr", "-o", tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        "render a.inr --size 200000 -o out.png",
        f"render a.inr --size {10**12}x{10**12} -o out.png",
        f"render a.inr --size {10**30}x1 -o out.png",
        "sample run --size 100000 -o out",
        "sample run --size 100000 --npz out.npz",
        f"sample run -n {10**12} -o out",
        f"edit run pictures/a.png --task colorize -n {10**12} -o out",
    ],
)
def test_what_cannot_fit_is_refused_before_it_begins(run: Path, pictures: Path, tmp_path: Path, words: str) -> None:
    """With the bytes that it needs and those that are free; nothing is computed and nothing written."""
    succeed("encode", run, pictures / "a.png", "-o", tmp_path / "a.inr")
    given = {"a.inr": tmp_path / "a.inr", "run": run, "pictures/a.png": pictures / "a.png"}
    made = {name: tmp_path / name for name in ("out", "out.png", "out.npz")}
    said = fail(6, *({**given, **made}.get(word, word) for word in words.split()))
    assert "GiB of which are free; found one that needs" in said
    assert "GiB or more; " in said
    assert not any(path.exists() for path in made.values())


def test_evaluate_prints_figures(run: Path) -> None:
    """The same figures as a table, as JSON, and in the run's report."""
    (run / "report.html").write_text("old")
    flags = ["-n", "16", "--metrics", "psnr,ssim,frechet"]
    figures = json.loads(succeed("evaluate", run, *flags, "--json"))
    assert figures["reconstruction"]["psnr"]["mean"] > 0
    text = succeed("evaluate", run, *flags)
    assert f"{figures['reconstruction']['psnr']['mean']:.1f} ±" in text
    assert "Evaluation" in (run / "report.html").read_text()
    assert "Did you mean 'psnr'?" in fail(2, "evaluate", run, "--metrics", "pnsr")
    assert "expected a run directory" in fail(3, "evaluate", run / "none")
    assert "none.h5" in fail(3, "evaluate", run, "--data", run / "none.h5")


def test_long_lists_are_cut_for_people() -> None:
    """A cell names the first of many, and says how many there are."""
    assert shown(list(range(16))).endswith("14, 15")
    assert shown([0.123456, *range(19)]).startswith("0.1235, 0, 1")
    assert shown(list(range(20))).endswith("15, ... (20 in all)")


def test_what_was_done_to_a_file_is_said(run: Path, tmp_path: Path) -> None:
    """On stderr: to which size, from which, and that it was cropped; a render that would be stretched is announced."""
    Image.new("RGB", (30, 20), "red").save(tmp_path / "wide.png")
    result = inrkit("encode", run, tmp_path / "wide.png", "-o", tmp_path / "wide.inr")
    assert "wide.png: the model sees 8 x 8 from 30 x 20, cropped to the centre, 20 x 20" in result.stderr
    Image.new("RGB", (5, 5), "red").save(tmp_path / "tiny.png")
    result = inrkit("encode", run, tmp_path / "tiny.png", "-o", tmp_path / "tiny.inr")
    assert "tiny.png: the model sees 8 x 8 from 5 x 5, enlarged 1.6 times" in result.stderr
    result = inrkit("render", tmp_path / "wide.inr", "--size", "64x48", "-o", tmp_path / "large.png")
    assert result.stderr.strip() == "64x48 stretches the signal, which is 8 x 8; --size 48x48 keeps its proportion"
    assert inrkit("render", tmp_path / "wide.inr", "--size", "64x64", "-o", tmp_path / "large.png").stderr == ""


def test_what_was_done_to_the_data_that_are_evaluated_is_said(run: Path, tmp_path: Path) -> None:
    """Held-out signals of another size are cropped and scaled as files are."""
    write_store(tmp_path / "wide.h5", "image", {"images": np.full((40, 12, 16, 3), 90, np.uint8)})
    result = inrkit("evaluate", run, "--data", tmp_path / "wide.h5", "-n", "16", "--metrics", "psnr")
    assert result.exit_code == 0, result.output
    assert "wide.h5: the model sees 8 x 8 from 16 x 12, cropped to the centre, 12 x 12" in result.stderr


def test_presets_are_those_of_the_plugins() -> None:
    """Each with what it is, its weights and its length, and how to learn how long it takes here."""
    rows = json.loads(succeed("presets", "--modality", "image", "--json"))
    presets = load_plugins().modality("image").presets
    assert [row["preset"] for row in rows] == list(presets)
    assert all(row["summary"] for row in rows)
    assert (rows[0]["size"], rows[0]["steps"]) == ([32, 32], presets["tiny"]["steps"])
    weights = {row["preset"]: row["weights"] for row in rows}
    assert 1e6 < weights["tiny"] < 2e6
    assert weights["cifar10"] > 1.4e8
    assert all(row["weights"] > 1e6 for row in json.loads(succeed("presets", "--modality", "nerf", "--json")))
    fail(2, "presets", "--modality", "imago")


def test_presets_are_counted_once_and_each_table_is_shown_when_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was counted is remembered; the first table does not wait for the last."""
    monkeypatch.setenv("INRKIT_CACHE", str(tmp_path))
    first = json.loads(succeed("presets", "--modality", "audio", "--json"))
    assert all(row["hours"] > 0 for row in first)
    monkeypatch.setattr("inrkit.cli.presets._about", lambda modality, preset: 1 / 0)
    again = json.loads(succeed("presets", "--modality", "audio", "--json"))
    assert [{**row, "hours": 0} for row in again] == [{**row, "hours": 0} for row in first]
    result = inrkit("presets")
    assert result.exit_code == 1  # images were not counted before
    assert "speech" in result.stdout


def test_a_run_makes_a_gallery_that_its_report_links_to(run: Path) -> None:
    """Samples, encoded held-out signals and their pictures in one page beside the report; a shader is of one INR."""
    page = run / "gallery.html"
    assert succeed("export", run, "html", "--set", "count=2").strip() == str(page)
    text = page.read_text()
    assert re.fullmatch(r"sample 0,sample 1(,held out \d+){2}", ",".join(re.findall(r"sample \d|held out \d+", text)))
    assert text.count("data:image/png;base64,") == 2
    assert 'href="gallery.html"' in write_report(load(run), run).read_text()
    assert "is of one INR, not of a run" in fail(2, "export", run, "glsl")


def test_many_signals_share_a_file_in_fewer_bits(tmp_path: Path) -> None:
    """A face costs less than 10 kB, what that costs is said, and each is rendered by its row."""
    file = tmp_path / "new" / "many.inr"
    said = succeed("sample", "faces", "-n", "16", "-o", file, "--dtype", "int8")
    cost = re.search(r"16 samples, int8, ([\d,]+) bytes each, PSNR (\d+\.\d) dB against fp32", said)
    assert cost, said
    assert int(cost[1].replace(",", "")) < 10_000
    assert float(cost[2]) > 45
    assert file.with_suffix(".png").exists()
    succeed("render", file, "--row", "15", "--size", "8x8", "-o", tmp_path / "one.png")
    assert "choose one of the rows 0 to 15" in fail(2, "render", file)
    assert "got row 16" in fail(2, "export", file, "weights", "--row", "16")
