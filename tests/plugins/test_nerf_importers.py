"""Importers of posed pictures: every layout gives the same cameras; what is wrong is said with object and file."""

import importlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inrkit import DataError, Imported, load_plugins, write_store
from inrkit_nerf.cameras import Cameras, orbit, project
from inrkit_nerf.cars import BOX, render_cars
from inrkit_nerf.importing import ViewOptions
from inrkit_nerf.stored import StoredViews
from inrkit_nerf.views import ViewSource

CAMERAS = orbit(5, 1.3, 25, size=(24, 24))
FLIP = np.diag([1.0, -1, -1, 1])


def views(car: int) -> np.ndarray:
    drawn = render_cars(torch.tensor([car]), CAMERAS, supersample=2)[0]
    return (drawn * 255).round().byte().permute(0, 2, 3, 1).numpy()


def srn(folder: Path, cars: int = 3) -> Path:
    for car in range(cars):
        home = folder / ("cars_test" if car == 2 else "cars_train") / f"car{car}"
        for part in ("rgb", "pose"):
            (home / part).mkdir(parents=True)
        (home / "intrinsics.txt").write_text(f"{CAMERAS.intrinsics[0, 0]:.9f} 12 12 0.\n0. 0. 0.\n1.\n24 24\n")
        for i, image in enumerate(views(car)):
            Image.fromarray(image).save(home / f"rgb/{i:06d}.png")
            (home / f"pose/{i:06d}.txt").write_text(" ".join(map(str, CAMERAS.pose[i].flatten().tolist())))
    return folder


def scene(folder: Path) -> Path:
    angle = 2 * np.arctan(12 / float(CAMERAS.intrinsics[0, 0]))
    for part, numbers in (("train", range(4)), ("test", range(4, 5))):
        (folder / part).mkdir(parents=True)
        frames = []
        for i in numbers:
            image = views(0)[i]
            opacity = (255 * (image < 250).any(-1, keepdims=True)).astype(np.uint8)
            Image.fromarray(np.concatenate([image, opacity], -1)).save(folder / f"{part}/r_{i}.png")
            matrix = (CAMERAS.pose[i].double().numpy() @ FLIP).tolist()
            frames.append({"file_path": f"./{part}/r_{i}", "transform_matrix": matrix})
        table = {"camera_angle_x": float(angle), "frames": frames}
        (folder / f"transforms_{part}.json").write_text(json.dumps(table))
    return folder


def posed(folder: Path, convention: str = "opencv") -> Path:
    folder.mkdir()
    listed = []
    for i, image in enumerate(views(0)):
        Image.fromarray(image).save(folder / f"{i}.png")
        pose = CAMERAS.pose[i].double().numpy() @ (FLIP if convention == "opengl" else np.eye(4))
        k = CAMERAS.intrinsics[i].tolist()
        listed.append({"file": f"{i}.png", "object": "car", "pose": pose.tolist(), "intrinsics": k})
    (folder / "cameras.json").write_text(json.dumps({"convention": convention, "images": listed}))
    return folder


def imported(name: str, source: Path, **options: object) -> Imported:
    return load_plugins().importer(name)().run(source, ViewOptions(**options), lambda done, total: None)


def test_every_layout_gives_the_same_cameras(tmp_path: Path) -> None:
    """Whatever the convention of the files, poses are OpenCV's."""
    found = [
        imported("srn", srn(tmp_path / "srn", 1)),
        imported("nerf-synthetic", scene(tmp_path / "scene")),
        imported("posed-images", posed(tmp_path / "cv")),
        imported("posed-images", posed(tmp_path / "gl", "opengl")),
    ]
    for one in found:
        poses = sorted(one.arrays["pose"].round(4).tolist())
        np.testing.assert_allclose(poses, sorted(CAMERAS.pose.numpy().round(4).tolist()), atol=1e-3)
        np.testing.assert_allclose(one.arrays["intrinsics"], CAMERAS.intrinsics.numpy(), atol=1e-3)
        assert one.attributes["radius"] == pytest.approx(1.3, abs=1e-3)


@pytest.mark.parametrize(("name", "make"), [("srn", srn), ("nerf-synthetic", scene), ("posed-images", posed)])
def test_a_terminal_shows_how_far_the_import_is(
    name: str, make: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a real terminal, where a bar counts the pictures."""
    leader, follower = os.openpty()
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        main = importlib.import_module("inrkit.cli.root").main
        main(["data", "import", name, str(make(tmp_path / "raw")), str(tmp_path / "a.h5")], standalone_mode=False)
        terminal.flush()
        shown = os.read(leader, 1_000_000).decode()
    os.close(leader)
    assert "reading" in shown
    assert "100%" in shown


def test_splits_come_from_folders_and_files(tmp_path: Path) -> None:
    """Objects below `cars_test` are held out; a scene's test views become an object of the test split."""
    cars = imported("srn", srn(tmp_path / "srn"))
    names = [cars.attributes["objects"][number] for number in cars.arrays["object"]]
    assert {name: int(split) for name, split in zip(names, cars.arrays["split"], strict=True)} == {
        "car0": 0,
        "car1": 0,
        "car2": 1,
    }
    one = imported("nerf-synthetic", scene(tmp_path / "scene"))
    assert sorted(one.arrays["split"].tolist()) == [0] * 4 + [1]
    assert one.arrays["images"].shape == (5, 24, 24, 4)


def test_archives_and_sizes(tmp_path: Path) -> None:
    """An archive gives what its folder gives; resized pictures keep their cameras' field of view."""
    folder = srn(tmp_path / "srn")
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "gztar", folder))
    a, b = imported("srn", folder, size="12x12", views=2), imported("srn", packed, size="12x12", views=2)
    for name, array in a.arrays.items():
        np.testing.assert_array_equal(array, b.arrays[name])
    assert a.arrays["images"].shape == (6, 12, 12, 3)
    np.testing.assert_allclose(a.arrays["intrinsics"][0], CAMERAS.intrinsics[0].numpy() / 2, atol=1e-4)


def test_the_box_holds_the_objects_tightly(tmp_path: Path) -> None:
    """By what all views agree may be filled: no corner of a car sticks out, and it is no larger than needed."""
    low, high = (torch.tensor(corner) for corner in imported("srn", srn(tmp_path / "srn")).attributes["box"])
    assert (high - low < 1.6).all()
    points = torch.rand(3, 20000, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    from inrkit_nerf.cars import occupied

    filled = points[occupied(torch.arange(3), points)]
    assert ((filled > low - 0.02) & (filled < high + 0.02)).all()
    assert (torch.tensor(BOX[1]) < 1).all()


def test_a_store_gives_views_back(tmp_path: Path) -> None:
    """Pictures and cameras of the views that are asked for, by object."""
    found = imported("srn", srn(tmp_path / "srn"))
    path = write_store(tmp_path / "cars.h5", found.modality, found.arrays, found.attributes)
    train, test = StoredViews(path, "train"), StoredViews(path, "test")
    assert (len(train), len(test), train.view_count) == (2, 1, 5)
    images = train.images(torch.tensor([1]), torch.tensor([[3, 0]]))
    np.testing.assert_array_equal(images[0].permute(0, 2, 3, 1).numpy(), views(1)[[3, 0]])
    cameras: Cameras = train.cameras(torch.tensor([1]), torch.tensor([[3, 0]]))
    torch.testing.assert_close(cameras.pose[0], CAMERAS.pose[[3, 0]])
    assert project(cameras, torch.zeros(1, 2, 1, 3))[0].shape == (1, 2, 1, 2)
    source = ViewSource(train, training=True, support=1, extra=2, most=4)
    assert source.read([0, 9])["images"].shape == (2, 3, 3, 24, 24)


def broken_pose(folder: Path) -> str:
    (folder / "cars_train/car1/pose/000002.txt").write_text(" ".join(["2 0 0 0"] * 4))
    return r"car1: .*000002\.png: expected a pose with the last row 0 0 0 1"


def missing_pose(folder: Path) -> str:
    (folder / "cars_train/car1/pose/000002.txt").unlink()
    return r"car1: expected the pose of .*000002\.png.* found no such file"


def missing_intrinsics(folder: Path) -> str:
    for path in folder.rglob("intrinsics.txt"):
        path.unlink()
    return "expected folders with 'intrinsics.txt'"


def words_for_numbers(folder: Path) -> str:
    (folder / "cars_train/car0/intrinsics.txt").write_text("focal length unknown")
    return r"intrinsics\.txt: expected numbers"


def unequal(folder: Path) -> str:
    Image.new("RGB", (20, 24), "red").save(folder / "cars_train/car1/rgb/000001.png")
    return r"car1: .*000001\.png: expected pictures of 24 x 24 like the first, found 20 x 24"


def no_picture(folder: Path) -> str:
    (folder / "cars_train/car1/rgb/000001.png").write_bytes(b"no picture")
    return r"car1: .*000001\.png: expected a picture"


def empty_scene(folder: Path) -> str:
    for path in (folder / "cars_train/car1/rgb").iterdir():
        Image.new("RGB", (24, 24), "white").save(path)
    return "car1: expected an object before a white or transparent background"


@pytest.mark.parametrize(
    "spoil", [broken_pose, missing_pose, missing_intrinsics, words_for_numbers, unequal, no_picture, empty_scene]
)
def test_what_is_wrong_is_said_with_object_and_file(spoil: object, tmp_path: Path) -> None:
    """One line, and nothing is written."""
    folder = srn(tmp_path / "srn")
    with pytest.raises(DataError, match=spoil(folder)):  # type: ignore[operator]
        imported("srn", folder)


def test_too_few_views_are_named(tmp_path: Path) -> None:
    """An object needs one view to read and one to be held to."""
    found = imported("srn", srn(tmp_path / "srn"), views=1)
    path = write_store(tmp_path / "cars.h5", found.modality, found.arrays, found.attributes)
    with pytest.raises(DataError, match="at least 2 views of each object, found 1 of 'car0'"):
        StoredViews(path, "train")
