"""Posed pictures of other programs: points appear at the pixels where those programs put them; lenses are undone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from posed_files import CAMERAS, colmap, nerfstudio, posed, scene, srn
from stored import Stored, stored

from inrkit import DataError, load_plugins
from inrkit.cli import main
from inrkit_nerf.cameras import Cameras, directions_at, pixel_positions, project
from inrkit_nerf.formats.lens import Lens, lens_of


def imported(name: str, source: Path, **options: object) -> Stored:
    return stored(load_plugins().importer(name), source, **options)


def one_picture(folder: Path, size: tuple[int, int] = (40, 20)) -> Path:
    folder.mkdir(parents=True)
    Image.new("RGB", size, "red").save(folder / "a.png")
    return folder


def seen(found: Stored, point: tuple[float, float, float]) -> list[float]:
    """Where the first view shows a point of the world."""
    pose, k = (torch.from_numpy(found.arrays[name][0]) for name in ("pose", "intrinsics"))
    return project(Cameras(pose, k, (20, 40)), torch.tensor([point]))[0][0].tolist()


# The same camera for every format: at (2.3, 0, 0), looking along -x with z up, so that its right is +y.
# (0.3, 0.5, 0.2) is 2 before it, 0.5 to the right and 0.2 above: pixel (21 + 30 * 0.25, 9 - 32 * 0.1).
POINT, PIXEL = (0.3, 0.5, 0.2), [28.5, 5.8]
OPENCV = [[0, 0, -1, 2.3], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]]
OPENGL = [[0, 0, 1, 2.3], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]


def in_srn(folder: Path) -> Path:
    one_picture(folder / "car/rgb")
    (folder / "car/pose").mkdir()
    (folder / "car/pose/a.txt").write_text(" ".join(str(x) for row in OPENCV for x in row))
    (folder / "car/intrinsics.txt").write_text("30 21 9 0.\n0. 0. 0.\n1.\n20 40\n")
    return folder


def in_json(folder: Path) -> Path:
    entry = {"file": "a.png", "pose": OPENCV}
    one_picture(folder)
    (folder / "cameras.json").write_text(json.dumps({"intrinsics": [30, 32, 21, 9], "images": [entry]}))
    return folder


def in_csv(folder: Path) -> Path:
    """A line for each picture, here in OpenGL's convention."""
    one_picture(folder)
    names = [f"m{row}{column}" for row in range(3) for column in range(4)]
    values = [str(x) for row in OPENGL[:3] for x in row]
    head = ["file", "convention", "width", "height", "fx", "fy", "cx", "cy", *names]
    row = ["a.png", "opengl", "40", "20", "30", "32", "21", "9", *values]
    (folder / "cameras.csv").write_text(f"{','.join(head)}\n{','.join(row)}\n")
    return folder


def in_nerfstudio(folder: Path) -> Path:
    frame = {"file_path": "a.png", "transform_matrix": OPENGL, "fl_x": 30, "fl_y": 32, "cx": 21, "cy": 9}
    one_picture(folder)
    table = {"applied_transform": [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]], "w": 40, "h": 20, "fl_x": 1}
    (folder / "transforms.json").write_text(json.dumps({**table, "frames": [frame]}))
    return folder


def in_colmap(folder: Path) -> Path:
    """World to camera: x right = y, y down = -z, z forward = -x; a third of a turn."""
    one_picture(folder)
    (folder / "cameras.txt").write_text("1 PINHOLE 40 20 30 32 21 9\n")
    (folder / "images.txt").write_text("1 0.5 0.5 0.5 -0.5 0 0 2.3 1 a.png\n\n")
    return folder


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("srn", in_srn),
        ("posed-images", in_json),
        ("posed-images", in_csv),
        ("nerfstudio", in_nerfstudio),
        ("colmap", in_colmap),
    ],
)
def test_a_point_is_at_the_pixel_that_it_has_in_every_format(
    name: str, make: Callable[[Path], Path], tmp_path: Path
) -> None:
    """Of a camera whose focal lengths differ and whose centre is not the picture's; SRN's have one focal length."""
    pixel = [PIXEL[0], 6.0] if name == "srn" else PIXEL
    np.testing.assert_allclose(seen(imported(name, make(tmp_path / "a")), POINT), pixel, atol=1e-4)


def test_a_field_of_view_is_over_the_width(tmp_path: Path) -> None:
    """A point at half the angle to the right lies on the right edge, and rows are as far apart as columns."""
    one_picture(tmp_path / "chair/train")
    frame = {"file_path": "./train/a", "transform_matrix": OPENGL}
    table = {"camera_angle_x": np.pi / 2, "frames": [frame]}
    (tmp_path / "chair/transforms_train.json").write_text(json.dumps(table))
    found = imported("nerf-synthetic", tmp_path)
    np.testing.assert_allclose(seen(found, (0.3, 2.0, 0.5)), [40, 5], atol=1e-4)
    assert found.attributes["objects"] == ["chair"]


def test_a_scene_without_a_split_holds_views_out(tmp_path: Path) -> None:
    """Each eighth; nerfstudio's own list of test files goes before."""
    found = imported("nerfstudio", nerfstudio(tmp_path / "a"))
    assert found.attributes["objects"] == ["a", "a (test views)"]
    assert found.arrays["split"].sum() == 2
    listed = imported("nerfstudio", nerfstudio(tmp_path / "b", test_filenames=["images/03.png"]))
    assert listed.arrays["split"].tolist() == [0] * 19 + [1]
    np.testing.assert_allclose(listed.arrays["pose"][-1], CAMERAS.pose[3].numpy(), atol=1e-6)


LENSES = [
    lens_of("SIMPLE_RADIAL", {"k1": -0.2}, ""),
    lens_of("OPENCV", {"k1": -0.1, "k2": 0.02, "p1": 0.01, "p2": -0.01}, ""),
    lens_of("OPENCV_FISHEYE", {"k1": 0.05, "k2": -0.01}, ""),
]


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: lens.name)
def test_a_lens_is_undone(lens: Lens) -> None:
    """A picture taken through it becomes what a pinhole sees, here smooth waves over the plane z = 1."""
    k = np.array([40.0, 44.0, 33.0, 23.0])
    camera = Cameras(torch.eye(4), torch.from_numpy(k).float(), (48, 64))
    plane = directions_at(camera, pixel_positions((48, 64)))[:, :2]

    def waves(points: torch.Tensor) -> torch.Tensor:
        return ((points * 4).sin().prod(-1) * 120 + 128).view(48, 64, 1).expand(-1, -1, 3)

    bent = plane.clone()  # which point does a pixel of the lens show? fixed points of its equation
    for _ in range(60):
        bent = bent + plane - lens.move(bent)
    straight = lens.undo(waves(bent).round().byte().numpy(), k)
    inner = (slice(8, -8), slice(8, -8))
    assert np.abs(straight.astype(float) - waves(plane).numpy())[inner].max() < 4
    assert np.abs(waves(bent).numpy() - waves(plane).numpy())[inner].max() > 10


def test_opencv_s_formula_is_kept() -> None:
    """(0.5, 0.25) by hand, with r² = 0.3125."""
    moved = lens_of("OPENCV", {"k1": 0.1, "k2": 0.2, "p1": 0.01, "p2": 0.02}, "").move(torch.tensor([0.5, 0.25]))
    radial = 1 + 0.1 * 0.3125 + 0.2 * 0.3125**2
    expected = [0.5 * radial + 0.02 * 0.125 + 0.02 * 0.8125, 0.25 * radial + 0.01 * 0.4375 + 0.04 * 0.125]
    np.testing.assert_allclose(moved, expected, atol=1e-6)


def test_distorted_pictures_are_imported_with_a_word(tmp_path: Path) -> None:
    """And are refused without it, by the lens's name and its coefficients."""
    folder = colmap(tmp_path / "a", model="SIMPLE_RADIAL", extra=(0.1,))
    with pytest.raises(DataError, match=r"a: images/left/0 a\.png: expected .* 'SIMPLE_RADIAL' \(k1 0\.1\); give 'und"):
        imported("colmap", folder)
    straight, plain = imported("colmap", folder, undistort=True), imported("colmap", colmap(tmp_path / "b"))
    np.testing.assert_array_equal(straight.arrays["intrinsics"], plain.arrays["intrinsics"])
    assert (straight.arrays["images"] != plain.arrays["images"]).any()


def table_of(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / name).read_text())
    return found


def spoilt(folder: Path, name: str, change: Callable[[dict[str, Any]], object]) -> Path:
    table = table_of(folder, name)
    change(table)
    (folder / name).write_text(json.dumps(table))
    return folder


def stretched(table: dict[str, Any]) -> None:
    table["frames"][3]["transform_matrix"][0][0] = 2.0


def halved(table: dict[str, Any]) -> None:
    for entry in table["images"]:
        entry["intrinsics"] = [value / 2 for value in entry["intrinsics"]]


def cut(folder: Path, name: str) -> Path:
    (folder / name).write_bytes((folder / name).read_bytes()[:99])
    return folder


def without(folder: Path, name: str) -> Path:
    (folder / name).unlink()
    return folder


def replaced(path: Path, old: str, new: str) -> Path:
    path.write_text(path.read_text().replace(old, new))
    return path.parent


def emptied(folder: Path, name: str) -> Path:
    (folder / name).write_text("")
    return folder


def alike(table: dict[str, Any], rows: slice, columns: slice) -> None:
    """These parts of all poses are those of the first."""
    poses = np.array([entry["pose"] for entry in table["images"]])
    poses[:, rows, columns] = poses[0, rows, columns]
    for entry, pose in zip(table["images"], poses.tolist(), strict=True):
        entry["pose"] = pose


def transparent(folder: Path) -> Path:
    """Pictures whose alpha channel hides all, where an object before a background was expected."""
    for path in folder.glob("*.png"):
        picture = Image.open(path).convert("RGBA")
        picture.putalpha(0)
        picture.save(path)
    return folder


BAD: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "not rigid": (
        "nerfstudio",
        lambda p: spoilt(nerfstudio(p), "transforms.json", stretched),
        r"a: images/03\.png: expected a rigid pose",
    ),
    "unknown lens": (
        "nerfstudio",
        lambda p: nerfstudio(p, camera_model="EQUIRECTANGULAR"),
        r"a: images/00\.png: expected a lens of one of .* found 'EQUIRECTANGULAR'",
    ),
    "fov": ("colmap", lambda p: colmap(p, model="FOV", extra=(0.9,)), r"cameras\.bin: camera 7: .* found 'FOV'"),
    "other size": ("nerfstudio", lambda p: nerfstudio(p, w=48, h=48), r"a: images/00\.png: .* of 48 x 48, the size of"),
    "guessed size": (
        "posed-images",
        lambda p: spoilt(posed(p), "cameras.json", halved),
        r"car: 0\.png: expected intrinsics of a picture of 24 x 24, found its centre at 6, 6",
    ),
    "missing frame": (
        "nerf-synthetic",
        lambda p: without(scene(p), "train/r_2.png"),
        r"a: expected the picture 'train/r_2\.png' that 'transforms_train\.json' lists",
    ),
    "missing image": (
        "colmap",
        lambda p: without(colmap(p), "images/left/2 a.png"),
        r"a: expected the picture 'left/2 a\.png' of 'sparse/0/images\.bin' in 'images'",
    ),
    "cut off": (
        "colmap",
        lambda p: [colmap(p), (p / "sparse/0/images.bin").write_bytes((p / "sparse/0/images.bin").read_bytes()[:99])][
            0
        ],
        r"sparse/0/images\.bin: expected COLMAP's binary format, found its end after 99 bytes",
    ),
    "near behind far": (
        "posed-images",
        lambda p: spoilt(posed(p), "cameras.json", lambda table: table.update(near=2.0, far=1.0)),
        r"cameras\.json: expected 'near' from 0 and below 'far', found near 2 and far 1",
    ),
    "reflected": (
        "posed-images",
        lambda p: spoilt(posed(p), "cameras.json", lambda table: table["images"][2]["pose"][0].__setitem__(0, 5.0)),
        r"car: 2\.png: expected a rigid pose",
    ),
    "lens by other names": (
        "nerfstudio",
        lambda p: nerfstudio(p, distortion_params=[0.1, 0.2]),
        r"a: images/00\.png: expected a lens by k1, .* found 'distortion_params'",
    ),
    "fisheye": (
        "nerfstudio",
        lambda p: nerfstudio(p, is_fisheye=True),
        r"a: images/00\.png: expected pictures of a pinhole, found the lens 'OPENCV_FISHEYE'",
    ),
    "missing test frame": (
        "nerfstudio",
        lambda p: nerfstudio(p, test_filenames=["images/99.png"]),
        r"a: expected the frame 'images/99\.png' that 'test_filenames' lists",
    ),
    "no list of test frames": (
        "nerfstudio",
        lambda p: nerfstudio(p, test_filenames=3),
        r"transforms\.json: expected 'test_filenames' as a list of paths, found 3",
    ),
    "nothing but transparent": (
        "posed-images",
        lambda p: transparent(posed(p)),
        r"car: expected an object before a white, black or transparent background",
    ),
    "no name of an object": (
        "posed-images",
        lambda p: spoilt(posed(p), "cameras.json", lambda table: table["images"][0].update(object=[1])),
        r"cameras\.json: image 0: expected the name of an object",
    ),
    "a column that is missing": (
        "posed-images",
        lambda p: replaced(in_csv(p) / "cameras.csv", "m12", "up"),
        r"cameras\.csv: expected the columns file, fx, .* found no 'm12'",
    ),
    "a number that is missing": (
        "posed-images",
        lambda p: replaced(in_csv(p) / "cameras.csv", ",32,", ",,"),
        r"cameras\.csv: line 2: expected a value for each column, found no fy",
    ),
    "a frame twice": (
        "nerfstudio",
        lambda p: spoilt(nerfstudio(p), "transforms.json", lambda table: table["frames"].append(table["frames"][3])),
        r"a: images/03\.png: expected each picture with one pose, found it listed more than once",
    ),
    "a focal length of 0": (
        "nerfstudio",
        lambda p: nerfstudio(p, fl_x=0),
        r"a: images/00\.png: expected fx, fy, cx, cy with positive focal lengths, in pixels, found 0 ",
    ),
    "no images": (
        "colmap",
        lambda p: emptied(colmap(p, binary=False), "sparse/0/images.txt"),
        r"a: expected images with their poses in 'sparse/0/images\.txt', found none",
    ),
    "a size in words": (
        "posed-images",
        lambda p: spoilt(posed(p), "cameras.json", lambda table: table.update(size="big")),
        r"cameras\.json: image 0: expected 2 numbers as its size, found 'big'",
    ),
    "another split": (
        "posed-images",
        lambda p: spoilt(posed(p), "cameras.json", lambda table: table["images"][1].update(split="maybe")),
        r"cameras\.json: image 1: expected 'split' to be one of train, val, test, found 'maybe'",
    ),
    "no intrinsics": (
        "srn",
        lambda p: without(srn(p), "cars_train/car1/intrinsics.txt"),
        r"car1: expected 'cars_train/car1/intrinsics\.txt' beside 'cars_train/car1/rgb', found no such file",
    ),
    "near behind the camera": (
        "posed-images",
        lambda p: spoilt(posed(p), "cameras.json", lambda table: table.update(near=-1.0)),
        r"cameras\.json: expected 'near' from 0 and below 'far', found near -1$",
    ),
    "one pose for all": (
        "posed-images",
        lambda p: spoilt(posed(p), "cameras.json", lambda table: alike(table, slice(None), slice(None))),
        r"car: 0\.png: expected a pose of its own for each picture, found one for ",
    ),
    "one place for all": (
        "posed-images",
        lambda p: spoilt(posed(p), "cameras.json", lambda table: alike(table, slice(3), slice(3, None))),
        r"car: expected cameras around an object, found them all at one place",
    ),
    "no focal length": (
        "nerfstudio",
        lambda p: spoilt(nerfstudio(p), "transforms.json", lambda table: table.pop("fl_x")),
        r"a: images/00\.png: expected 'fl_x' or 'camera_angle_x' in 'transforms\.json', found neither",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_and_nothing_is_written(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Object and file in one line, exit code 3."""
    name, make, message = BAD[case]
    source = make(tmp_path / "a")
    with pytest.raises(DataError, match=message):
        imported(name, source)
    out = tmp_path / "out.h5"
    with pytest.raises(SystemExit) as ended:
        main(["data", "import", name, str(source), "-o", str(out)])
    assert ended.value.code == 3
    assert not out.exists()
    assert capsys.readouterr().err.count("\n") == 1
