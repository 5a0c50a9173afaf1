"""Objects on the command line: what cannot be is said in a line, with the object and the file, and leaves nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from posed_files import posed, srn

from inrkit import load_inr
from inrkit.cli import main
from inrkit_nerf.stored import StoredViews

SMALL = {
    "batch_size": 2,
    "sample_every": 1000,
    "options.size": "16,16",
    "options.count": 4,
    "options.object_views": 4,
    "options.query_rays": 8,
    "options.samples": 4,
    "options.render_samples": 6,
    "options.occupancy": 0,
    "options.width": 16,
    "options.heads": 2,
    "options.hidden": 16,
    "options.depth": 1,
    "options.decoder_depth": 1,
    "options.groups": 4,
    "options.function_options": "{width = 8, depth = 3, frequencies = 2, octaves = 2.0}",
}


def trained(out: Path, *more: str, **changes: object) -> list[str]:
    """The arguments of a training of two steps; what is changed to None is left out."""
    keys = {**SMALL, **{f"options.{key}": value for key, value in changes.items()}}
    sets = [word for key, value in keys.items() if value is not None for word in ("--set", f"{key}={value}")]
    return ["train", "--modality", "nerf", "--steps", "2", "--no-progress", *sets, *more, "--out", str(out)]


def code_of(*arguments: object) -> int:
    try:
        main(list(map(str, arguments)))
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run and a sample of it."""
    folder = tmp_path_factory.mktemp("objects")
    assert code_of(*trained(folder / "run")) == 0
    assert code_of("sample", folder / "run", "-n", "2", "-o", folder / "new") == 0
    return folder


def bent(folder: Path) -> Path:
    table = json.loads((folder / "cameras.json").read_text())
    table["images"][0]["pose"][0][0] = 5.0
    (folder / "cameras.json").write_text(json.dumps(table))
    return folder


def unreadable(folder: Path) -> Path:
    (folder / "0.png").write_bytes(b"no picture")
    return folder


def poses(path: Path, pose: object) -> Path:
    path.write_text(json.dumps(pose))
    return path


def clear(path: Path) -> Path:
    Image.new("RGBA", (16, 16)).save(path)
    return path


def alone(folder: Path) -> Path:
    """A data set of one object with three views: nothing of it can be held out."""
    table = json.loads((posed(folder) / "cameras.json").read_text())
    table["images"] = table["images"][:3]
    (folder / "cameras.json").write_text(json.dumps(table))
    assert code_of("data", "import", "posed-images", folder, "-o", folder.with_suffix(".h5")) == 0
    return folder.with_suffix(".h5")


BAD: dict[str, tuple[Callable[[Path, Path], list[object]], int, str]] = {
    "near behind far": (
        lambda home, out: [*trained(out, near=2, far=1)],
        2,
        "'near' must be below 'far' (got 2.0 and 1.0)",
    ),
    "near behind the objects": (
        lambda home, out: [*trained(out, near=50)],
        2,
        "'options.near' and 'far' leave nothing to be seen: objects lie between",
    ),
    "far before the objects": (lambda home, out: [*trained(out, far=0.1)], 2, "leave nothing to be seen"),
    "no opacity for a background": (
        lambda home, out: [*trained(out, background="random")],
        2,
        "'options.background' is random, but the data's views have no opacity",
    ),
    "nothing to hold out": (
        lambda home, out: [*trained(out, "--data", str(alone(out.with_name("three"))))],
        3,
        "three.h5: expected objects for 'test' among its 1, found none",
    ),
    "an object with a bent pose": (
        lambda home, out: ["encode", home / "run", bent(posed(out.with_name("a"))), "-o", out],
        3,
        "car: 0.png: expected a rigid pose",
    ),
    "an object with a broken picture": (
        lambda home, out: ["encode", home / "run", unreadable(posed(out.with_name("a"))), "-o", out],
        3,
        "car: 0.png: expected a picture, found a file of another sort, of 10 bytes",
    ),
    "a picture of nothing": (
        lambda home, out: ["encode", home / "run", clear(out.with_name("a.png")), "-o", out],
        3,
        "a.png: expected an object, found a picture that is transparent everywhere",
    ),
    "a camera that shears": (
        lambda home, out: [
            *("render", home / "new/0000.inr", "-o", out, "--at"),
            f"pose={poses(out.with_name('p.json'), np.diag([2.0, 1, 1, 1]).tolist())}",
        ],
        3,
        "p.json: pose 0: expected a rigid pose",
    ),
    "a camera of another form": (
        lambda home, out: [
            *("render", home / "new/0000.inr", "-o", out, "--at"),
            f"pose={poses(out.with_name('p.json'), {})}",
        ],
        3,
        "p.json: expected a pose as 4 x 4 numbers in JSON",
    ),
    "the mesh of an empty field": (
        lambda home, out: ["export", home / "new/0000.inr", "mesh", "-o", out, "--set", "level=1e9"],
        3,
        "0000.inr: expected the mesh of a solid, found no surface at level 1e+09",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_said_and_leaves_nothing(
    case: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the object and the file, or with both options; exit code 2 for those, 3 for files."""
    arguments, code, message = BAD[case]
    words = arguments(home, tmp_path / "out")
    capsys.readouterr()
    assert code_of(*words) == code
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_depth_is_beside_the_colours_in_every_command(home: Path, tmp_path: Path) -> None:
    """`sample`, `encode` and `render` write the same three files, with the same numbers for the same camera."""
    assert code_of("sample", home / "run", "-n", "2", "--depth", "-o", tmp_path / "new") == 0
    assert code_of("render", tmp_path / "new/0001.inr", "--depth", "-o", tmp_path / "one.png") == 0
    assert code_of("encode", home / "run", posed(tmp_path / "car"), "--depth", "-o", tmp_path / "codes") == 0
    depth, again = (np.load(tmp_path / name) for name in ("new/0001-depth.npy", "one-depth.npy"))
    assert depth.shape == (1, 16, 16)
    np.testing.assert_allclose(depth, again, rtol=1e-3)
    for name in ("new/0000", "one", "codes/car"):
        assert size_of(tmp_path / f"{name}-depth.png") == size_of(tmp_path / f"{name}-depth16.png") == (16, 16)
    page = (Path(__file__).parents[2] / "docs/files.md").read_text()
    (code,) = (block for block in page.split("```") if "depth16" in block and block.startswith("python"))
    found: dict[str, np.ndarray] = {}
    exec(code.removeprefix("python").replace("car-depth16", str(tmp_path / "one-depth16")), found)
    np.testing.assert_allclose(found["depth"], np.where(np.isinf(again[0]), 0, again[0]), atol=1e-4)
    assert size_of(tmp_path / "new/sheet.png")[1] > 1.5 * size_of(home / "new/sheet.png")[1]
    assert np.load(tmp_path / "codes/car-depth.npy").shape[1:] == (16, 16)
    assert code_of("sample", home / "run", "--npz", tmp_path / "a.npz", "--depth") == 2


def test_classes_are_the_folders_that_objects_lie_in(tmp_path: Path) -> None:
    """Imported with CLASS/OBJECT, learned with dropped labels, sampled by name with guidance."""
    cars, others = srn(tmp_path / "sets/cars"), srn(tmp_path / "sets/boxes", 2)
    assert (cars / "cars_train").is_dir()
    (others / "cars_train").rename(others / "boxes_train")
    data, run = tmp_path / "both.h5", tmp_path / "run"
    assert code_of("data", "import", "srn", tmp_path / "sets", "-o", data) == 0
    assert stored_classes(data) == (["boxes", "cars"], [0, 0, 1, 1, 1])
    assert code_of(*trained(run, "--data", str(data), "--set", "label_dropout=.3", classes=2)) == 0
    guided = ("--label", "cars,boxes", "--guidance", "1.5")
    assert code_of("sample", run, "-n", "2", *guided, "-o", tmp_path / "new") == 0
    assert load_inr(tmp_path / "new/0000.inr").provenance["label"] == 1
    assert code_of(*trained(tmp_path / "three", "--data", str(data), classes=3)) == 2
    assert code_of("data", "import", "srn", tmp_path / "sets", "-o", tmp_path / "none.h5", "--labels", "none") == 0
    assert stored_classes(tmp_path / "none.h5") == ([], [])


def stored_classes(path: Path) -> tuple[list[str], list[int]]:
    """Names of classes, and the class of each object."""
    found = [StoredViews(path, split) for split in ("train", "test")]
    labels = [views.labels(torch.arange(len(views))) for views in found]
    return list(found[0].facts["class_names"]), sorted(int(k) for some in labels if some is not None for k in some)


def test_functa_and_two_stages_work_on_objects(tmp_path: Path) -> None:
    """INRCT's baselines: latents fitted along rays, then a model of these; its samples are objects again."""
    config = tmp_path / "functa.toml"
    config.write_text(
        'optimizer = "adamw"\nlr = 1e-3\n[[phases]]\nobjective = "reconstruction"\nshare = 1.0\n'
        '[options]\nfunction = "siren"\ndenoiser = "functa"\n'
    )
    first = ("--config", str(config))
    none = dict.fromkeys(("patch", "width", "heads", "hidden", "depth", "decoder_depth"))
    size = {**none, "function_options": "{latent = 16, width = 16, depth = 3}", "count": 12}
    steps = ["--steps", "20"]
    assert code_of(*trained(tmp_path / "first", *first, **size), *steps) == 0
    params, second = tmp_path / "params.h5", tmp_path / "second"
    assert code_of("encode", tmp_path / "first", "--data", "embedded", "-n", "12", "-o", params) == 0
    network = ("--set", "batch_size=4", "--set", "options.denoiser_options={width = 16, depth = 1, heads = 2}")
    words = ("train", "--modality", "params", "--data", params, *steps, *network, "--no-progress", "--out", second)
    assert code_of(*words) == 0
    assert code_of("sample", second, "-n", "1", "-o", tmp_path / "new") == 0
    assert code_of("render", tmp_path / "new/0000.inr", "--depth", "--orbit", "2", "-o", tmp_path / "turn.webp") == 0
    assert size_of(tmp_path / "turn.webp") == (16, 16)
