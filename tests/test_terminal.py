"""On a terminal of 80 columns: what takes its time shows a bar that moves, and no line is wider than the terminal."""

import gzip
import os
import pickle
import re
import struct
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from posed_files import colmap, nerfstudio, posed, scene, srn
from terminal import Terminal, terminal

import inrkit
from inrkit.cli import main
from inrkit.cli.data import command_of

EXAMPLES = Path(inrkit.__file__).parents[1] / "examples"
RNG = np.random.default_rng(0)


def ran(*args: object) -> Terminal:
    """What a command showed on standard error."""
    with terminal() as seen:
        main([str(arg) for arg in args], standalone_mode=False)
    return seen


def check(seen: Terminal) -> None:
    """A bar counted up to all that there was to do, within the width."""
    assert max(map(len, seen.lines)) <= 80, max(seen.lines, key=len)
    ended = [count for count in seen.counts if len(set(count.split("/"))) == 1]
    assert ended, seen.lines
    assert len(seen.counts) > 1, seen.lines


# ---------------------------------------------------------------------------------------------- importers


def pictures(folder: Path, count: int = 3) -> Path:
    folder.mkdir()
    for i in range(count):
        Image.fromarray(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f"{i:03d}.png")
    return folder


def cifar10(folder: Path) -> Path:
    folder.mkdir()
    for name in ("data_batch_1", "test_batch"):
        batch = {b"data": RNG.integers(0, 256, (4, 3072), dtype=np.uint8), b"labels": [0, 1, 2, 3]}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=4))
    return folder


def idx(folder: Path) -> Path:
    folder.mkdir()
    for part in ("train", "t10k"):
        data = struct.pack(">BBBBIII", 0, 0, 8, 3, 5, 8, 8) + RNG.integers(0, 256, 320, dtype=np.uint8).tobytes()
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(data))
    return folder


def npz(path: Path) -> Path:
    path = path.with_suffix(".npz")
    np.savez(path, images=RNG.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8))
    return path


def wav(folder: Path) -> Path:
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.wav").write_bytes(inrkit.write_wav(torch.rand(100), 8000))
    return folder


def maps(folder: Path) -> Path:
    folder.mkdir()
    for i in range(3):
        np.save(folder / f"{i}.npy", RNG.random((6, 12), np.float32))
    return folder


def voxels(folder: Path) -> Path:
    folder.mkdir()
    for i in range(3):
        np.save(folder / f"{i}.npy", np.pad(np.ones((4, 4, 4), bool), 2))
    return folder


def meshes(folder: Path) -> Path:
    folder.mkdir()
    corners = [f"v {x} {y} {z}" for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    faces = ["f 1 2 4 3", "f 5 7 8 6", "f 1 5 6 2", "f 3 4 8 7", "f 1 3 7 5", "f 2 6 8 4"]
    for i in range(3):
        (folder / f"{i}.obj").write_text("\n".join(corners + faces) + "\n")
    return folder


def webdataset(path: Path) -> Path:
    path = path.with_suffix(".tar")
    with tarfile.open(path, "w") as shard:
        for file in sorted(pictures(path.with_suffix("")).iterdir()):
            shard.add(file, file.name)
    return path


def parquet(path: Path) -> Path:
    pyarrow, tables = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    images = [{"bytes": file.read_bytes()} for file in sorted(pictures(path).iterdir())]
    tables.write_table(pyarrow.table({"image": images}), path / "train.parquet")
    return path / "train.parquet"


IMPORTERS: dict[str, Callable[[Path], Path]] = {
    "images": pictures,
    "cifar10": cifar10,
    "idx": idx,
    "npz": npz,
    "webdataset": webdataset,
    "parquet": parquet,
    "srn": srn,
    "wav": wav,
    "nerf-synthetic": scene,
    "nerfstudio": nerfstudio,
    "colmap": colmap,
    "posed-images": posed,
    "inrkit_sphere.modality:LatLonImporter": maps,
    "inrkit_shapes.importing:VoxelsImporter": voxels,
    "inrkit_shapes.importing:MeshesImporter": meshes,
}
"""What makes something to import, by the importer's name, or where the class of an example is."""


def importer_of(name: str, monkeypatch: pytest.MonkeyPatch) -> type[inrkit.Importer]:
    module, colon, attribute = name.partition(":")
    if not colon:
        return inrkit.load_plugins().importer(name)
    monkeypatch.syspath_prepend(EXAMPLES / module.partition(".")[0])
    found: type[inrkit.Importer] = getattr(__import__(module, fromlist=[attribute]), attribute)
    return found


def test_every_importer_is_driven() -> None:
    """Those of the built-in plugins, and those of the examples."""
    assert set(inrkit.load_plugins().importers) <= set(IMPORTERS)
    defined = sum(path.read_text().count("Importer):\n") for path in EXAMPLES.glob("*/inrkit_*/*.py"))
    assert defined == len([name for name in IMPORTERS if ":" in name])


@pytest.mark.parametrize("name", IMPORTERS)
def test_imports_show_how_far_they_are(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is counted: pictures, batches, recordings, solids, of which nobody knows how many there are."""
    cls = importer_of(name, monkeypatch)
    command = command_of(cls.name, cls.summary, cls.modality, cls.Options, lambda: cls)
    source = IMPORTERS[name](tmp_path / "source")
    with terminal() as seen:
        command.main([str(source), "-o", str(tmp_path / "a.h5")], standalone_mode=False)
    if name.endswith("VoxelsImporter") or name == "webdataset":  # nobody knows how many there are before the end
        assert "3/?" in seen.counts
        assert max(map(len, seen.lines)) <= 80
    else:
        check(seen)


# ---------------------------------------------------------------------------------------------- commands


def options(**values: object) -> list[str]:
    return [part for key, value in values.items() for part in ("--set", f"options.{key}={value}")]


SMALL = {"width": 16, "depth": 1, "decoder_depth": 1, "heads": 2, "hidden": 16}
IMAGE = options(size="8,8", inr_width=16, inr_inner=16, inr_depth=2, count=64, **SMALL)
NERF = options(size="8,8", groups=4, count=6, object_views=4, query_views=2, query_rays=10, samples=4, **SMALL)
NERF += options(render_samples=6, occupancy=4, function_options="{width=16,depth=3,frequencies=2,octaves=2.0}")
TRAIN = ["train", "--steps", 12, "--batch-size", 4, "--precision", "fp32", "--device", "cpu"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Terminal]:
    """A run, and what its training showed."""
    out = tmp_path_factory.mktemp("terminal") / "run"
    return out, ran(*TRAIN, *IMAGE, "--out", out)


def test_training_shows_how_far_it_is(trained: tuple[Path, Terminal]) -> None:
    """What is trained on what and where, first; then from the first step to the last, with the loss."""
    check(trained[1])
    assert "12/12" in trained[1].counts
    text = " ".join(" ".join(trained[1].lines).split())
    assert re.search(r"procedural faces: 64 to learn from, [\d,]+ held out; 8 x 8", text)
    assert re.search(r"network image-tiny, [\d,]+ weights; objective inrct", text)
    assert re.search(r"run \S+: 12 steps of 4 signals on cpu, fp32", text)
    assert "the phase 'inrct' begins" in text
    assert any("loss " in line and line.endswith("left") for line in trained[1].lines)
    assert "writing the report" in text


@pytest.mark.parametrize(
    "command",
    [
        ("sample", "RUN", "-n", 70, "-o", "OUT"),
        ("encode", "RUN", "PICTURES", "-o", "OUT"),
        ("encode", "RUN", "--data", "embedded", "-n", 70, "-o", "OUT.h5"),
        ("evaluate", "RUN", "-n", 16),
        ("edit", "RUN", "PICTURES", "--task", "stroke", "-o", "OUT"),
        ("compare", "RUN", "RUN", "-n", 16, "-o", "OUT"),
    ],
    ids=lambda command: command[0],
)
def test_commands_show_how_far_they_are(
    command: tuple[object, ...], trained: tuple[Path, Terminal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signals that are generated, encoded, edited or measured are counted."""
    monkeypatch.chdir(tmp_path)
    names = {"RUN": trained[0], "OUT": Path("out"), "OUT.h5": Path("out.h5")}
    if "PICTURES" in command:
        names["PICTURES"] = pictures(Path("pictures"), 70)
    check(ran(*(names.get(str(word), word) for word in command)))


def test_a_turntable_counts_its_views(tmp_path: Path) -> None:
    """A few at a time, as they are rendered."""
    ran(*TRAIN, "--modality", "nerf", *NERF, "--out", tmp_path / "cars")
    ran("sample", tmp_path / "cars", "-n", 1, "-o", tmp_path / "new")
    seen = ran("render", tmp_path / "new/0000.inr", "--orbit", 9, "-o", tmp_path / "turn.gif")
    check(seen)
    assert "3/3" in seen.counts


def test_doctor_shows_how_far_it_is_and_fits() -> None:
    """It measures for some seconds; its table is no wider than the terminal."""
    with terminal(out=True) as seen:
        main(["doctor"], standalone_mode=False)
    check(seen)


# ---------------------------------------------------------------------------------------------- the first second


@pytest.mark.parametrize(
    "line",
    [
        "sample RUN",
        "encode RUN a.png",
        "edit RUN a.png --task denoise",
        "render a.inr",
        "compare RUN RUN -o out",
        "train",
    ],
)
def test_something_is_said_before_anything_slow_is_imported(tmp_path: Path, line: str) -> None:
    """A bar stands there when torch is imported, which takes seconds."""
    ran("train", "--print-config")  # what can be set is remembered from the last time
    for name in ("RUN", "A", "B"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").touch()
    for name in ("a.png", "a.inr", "a.h5"):
        (tmp_path / name).touch()
    code = f"""
import sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            sys.exit("torch" if any("\u2501" in text for text in said) else "torch before a word")
said = []
class Terminal:
    encoding = "utf-8"
    def isatty(self): return True
    def write(self, text): said.append(text)
    def flush(self): pass
    def fileno(self): return 2
sys.meta_path.insert(0, Watch())
real, sys.stderr = sys.stderr, Terminal()
from inrkit.cli import main
try:
    main({line.split()!r}, standalone_mode=False)
except SystemExit as end:
    print(end.code)
"""
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environment, check=False
    )
    assert done.stdout.splitlines() == ["torch"], done.stderr
