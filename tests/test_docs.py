"""What the documentation shows is what the program does: its code runs, its commands run, its tables are current."""

import importlib.util
import itertools
import json
import os
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from posed_files import colmap, nerfstudio
from torch.distributed.run import get_args_parser

import inrkit
from inrkit.cli import main
from inrkit.hookspecs import hookspec

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SMALL = ["width=16", "heads=2", "hidden=16", "depth=1", "decoder_depth=1", "inr_width=16", "inr_inner=16", "count=256"]
SMALL += ["inr_heads=2"]
NERF = ["size=16,16", "width=16", "heads=2", "hidden=16", "depth=1", "decoder_depth=1", "count=8", "object_views=3"]
NERF += ["query_views=1", "query_rays=8", "samples=4", "render_samples=4", "groups=4", "function_options.width=16"]
UNET = ["count=256", "denoiser_options.width=8"]
SOUND = ["width=16", "heads=2", "hidden=16", "depth=1", "count=64"]
DIT = [
    "denoiser_options.width=16",
    "denoiser_options.heads=2",
    "denoiser_options.hidden=16",
    "denoiser_options.depth=1",
]
NARROW = {"nerf": NERF, "audio": SOUND, "params": DIT, "tiny-unet": UNET}
NARROW["options.denoiser=dit"] = [*DIT, "count=256"]
SMALL_FLAGS = ["--steps", "2", "--batch-size", "8", "--precision", "fp32", "--no-progress"]


def small_flags(words: list[str]) -> list[str]:
    """What makes a command of the documentation quick: a tiny network, and a surface where there is hardly one."""
    if words[1] == "export" and "mesh" in words:
        return ["--set", "level=0.1", "--set", "cells=16"]
    if words[1] != "train":
        return []
    options = next((few for kind, few in NARROW.items() if kind in words), SMALL)
    steps = SMALL_FLAGS if "--minutes" not in words else SMALL_FLAGS[2:]
    return [*steps, *(part for option in options for part in ("--set", f"options.{option}"))]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """The lines of a page's `console` blocks, in order."""
    return [shlex.split(line) for block in blocks(text, "console") for line in block.strip().splitlines()]


# ---------------------------------------------------------------------------------------------- Python


def test_library_example_runs_and_is_short(tmp_path: Path) -> None:
    """The README's Python, with a smaller network, in fewer than 25 lines; its comments tell the truth."""
    _, code = blocks(README, "python")
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) < 25
    sets = ", ".join(repr(f"options.{option}") for option in SMALL)
    small = code.replace("steps=30", f"steps=2, batch_size=8, overrides=[{sets}]")
    assert small != code
    done = subprocess.run([sys.executable, "-c", small], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == re.findall(r"print\(.*\)  # (.*)", code)
    with Image.open(tmp_path / "face.png") as picture:
        assert picture.size == (512, 512)


def test_training_loop_is_that_of_the_example() -> None:
    """The README quotes the loop of `examples/fit_one_image.py`, which `tests/test_examples.py` runs."""
    loop, _ = blocks(README, "python")
    assert loop in (ROOT / "examples" / "fit_one_image.py").read_text()


# ---------------------------------------------------------------------------------------------- commands


def pictures(folder: Path, count: int = 12) -> Path:
    """Image files of unequal sizes, as users have them."""
    folder.mkdir(parents=True)
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 256, (36 + i % 2, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
    return folder


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the files that the documentation speaks of."""
    shutil.copy(pictures(tmp_path / "photos") / "00.png", tmp_path / "photo.png")
    for name in ("cat", "dog"):
        pictures(tmp_path / "animals" / name)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "pictures.npz", images=pixels)
    np.save(tmp_path / "pictures.npy", pixels)
    with h5py.File(tmp_path / "scans.h5", "w") as file:
        file["train/x"] = pixels[..., 0].astype("u2") * 16
    (tmp_path / "mnist").mkdir()
    for name in ("train", "t10k"):
        images = struct.pack(">4B3I", 0, 0, 8, 3, 20, 8, 8) + pixels[..., 0].tobytes()
        (tmp_path / "mnist" / f"{name}-images-idx3-ubyte").write_bytes(images)
        labels = struct.pack(">4BI", 0, 0, 8, 1, 20) + bytes(i % 10 for i in range(20))
        (tmp_path / "mnist" / f"{name}-labels-idx1-ubyte").write_bytes(labels)
    (tmp_path / "cifar-10-batches-py").mkdir()
    for name in ("data_batch_1.bin", "test_batch.bin"):
        records = b"".join(bytes([i % 10]) + np.full(3072, i, np.uint8).tobytes() for i in range(10))
        (tmp_path / "cifar-10-batches-py" / name).write_bytes(records)
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "0.tar", "w") as shard:
        for path in sorted((tmp_path / "photos").iterdir()):
            shard.add(path, path.name)
    (tmp_path / "recordings").mkdir()
    for name in ("hello", *(f"recordings/{i:02d}" for i in range(12))):
        (tmp_path / f"{name}.wav").write_bytes(inrkit.write_wav(torch.rand(3000) - 0.5, 8000))
    nerfstudio(tmp_path / "kitchen-chair")
    colmap(tmp_path / "statue", model="SIMPLE_RADIAL", extra=(0.1,))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page.read_text())], ids=lambda page: page.stem)
def test_commands_run(page: Path, desk: Path) -> None:
    """Those of a page, in the order shown, where a user's files lie; `train` gets flags for a tiny network as well."""
    for words in commands(page.read_text()):
        assert words[0] == "inrkit", words
        done = CliRunner().invoke(main, [*words[1:], *small_flags(words)])
        assert done.exit_code == 0, (words, done.output)
        for flag, value in itertools.pairwise(words):
            assert flag not in ("-o", "--out") or (desk / value).exists(), words


def test_commands_for_several_processes_parse(desk: Path) -> None:
    """torchrun knows its part of each line of docs/distributed.md, and `inrkit train` makes a config of the rest."""
    known = get_args_parser()
    (desk / "photos.h5").touch()
    text = "".join(blocks((ROOT / "docs" / "distributed.md").read_text(), "sh")).replace("\\\n", " ")
    lines = [shlex.split(line) for line in text.splitlines()]
    assert {line[0] for line in lines} == {"torchrun", "sbatch"}
    for line in lines:
        if line[0] == "torchrun":
            asked = known.parse_args(line[1:])
            assert (asked.module, asked.training_script) == (True, "inrkit"), line
            line = asked.training_script_args
        else:
            assert (ROOT / line[1]).exists()
            line = ["train", *line[2:]]
        words = [word for word in line if word not in ("--data", "photos.h5")]  # no data set lies there
        done = CliRunner().invoke(main, [*words, *small_flags(["inrkit", "train"]), "--dry-run"])
        assert done.exit_code == 0, (line, done.output)


STAND_INS = {
    "scontrol": "echo 127.0.0.1",
    "torchrun": f'exec {sys.executable} -m torch.distributed.run "$@"',
    "srun": 'for node in 1 2; do "$@" & tasks+=($!); done; for task in "${tasks[@]}"; do wait "$task" || exit 1; done',
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="the script is for bash")
def test_the_script_for_slurm_trains(tmp_path: Path) -> None:
    """Two nodes, which are processes here, meet and finish one run."""
    for name, line in STAND_INS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{line}\n")
        (tmp_path / name).chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    slurm = {"SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "nodes", "PORT": port}
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(ROOT / "examples" / "train.sbatch"), "--out", "run", *small_flags(["inrkit", "train"])],
        cwd=tmp_path,
        env={**os.environ, **slurm, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("run: trained to step 2")
    assert inrkit.load(tmp_path / "run").step == 2


def test_make_targets_exist() -> None:
    """Every `make` that the documentation speaks of is a target, and every target is explained by `make help`."""
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for page in PAGES:
        text = page.read_text()
        for name in re.findall(r"(?:^    |`)make ([a-z]+)", text, re.MULTILINE):
            assert name in targets, (page.name, name)
    assert targets - {"help"} == set(re.findall(r'@echo "make ([a-z]+)', makefile))


def test_demo_names_commands_that_parse(tmp_path: Path) -> None:
    """What `make demo` suggests next consists of commands and flags that exist."""
    (tmp_path / "generated").mkdir()
    for made in ("config.toml", "generated/0000.inr"):
        (tmp_path / made).touch()
    recipe = (ROOT / "Makefile").read_text().replace("$(RUN)", str(tmp_path))
    suggested = re.findall(r"@echo \"  \$\(BIN\)/inrkit (.*)\"", recipe)
    assert len(suggested) == 3
    for line in suggested:
        name, *rest = shlex.split(line)
        with main.make_context("inrkit", [name, *rest]) as context:
            command = main.get_command(context, name)
            assert command is not None
            command.make_context(name, rest, parent=context)


# ---------------------------------------------------------------------------------------------- what is written


def test_generated_pages_are_current() -> None:
    """Run `make docs` after changing an option or a help text."""
    # In a process of its own: click remembers on a command how its help was first asked for.
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file or folder of the project."""
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_paths_named_in_prose_exist(page: Path) -> None:
    """`inrkit/core/pipeline.py` and the like are where the page says."""
    for name in re.findall(
        r"`((?:inrkit|plugins|tests|docs|examples|benchmarks|scripts)/[\w./]+\.\w+)`", page.read_text()
    ):
        assert (ROOT / name).exists(), name


def test_the_page_of_performance_shows_what_was_measured() -> None:
    """Its tables are those of docs/performance.json; run docs/performance.py after measuring."""
    spec = importlib.util.spec_from_file_location("performance", ROOT / "docs" / "performance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (ROOT / "docs" / "performance.md").read_text()
    assert module.filled(page, json.loads((ROOT / "docs" / "performance.json").read_text())) == page


def test_every_hook_is_explained() -> None:
    """Each hook has a docstring with an example; CONTRIBUTING.md says where they are."""
    from inrkit import hookspecs

    hooks = {name: hook for name, hook in vars(hookspecs).items() if hasattr(hook, f"{hookspec.project_name}_spec")}
    assert hooks
    assert all(f"def {name}" in (hook.__doc__ or "") for name, hook in hooks.items())
    assert "inrkit/hookspecs.py" in (ROOT / "CONTRIBUTING.md").read_text()


def test_every_public_name_exists_and_says_what_it_is() -> None:
    """The lazy table of names leads to things that exist and have a docstring."""
    for name in sorted({*inrkit.__all__} - {"__version__", "Check", "Field", "Given", "Params", "Signals"}):
        assert getattr(inrkit, name).__doc__, name


def test_version_is_one() -> None:
    """The package and its metadata agree."""
    assert f'version = "{inrkit.__version__}"' in (ROOT / "pyproject.toml").read_text()
