"""Importers of posed pictures: every layout gives the same cameras; what is wrong is said with object and file."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from posed_files import CAMERAS, colmap, nerfstudio, posed, scene, srn, views
from stored import Stored, stored

from inrkit import DataError, UsageError, load_plugins, write_store
from inrkit_nerf.cameras import Cameras, orbit, pixel_positions, project
from inrkit_nerf.embedded.cars import BOX
from inrkit_nerf.formats.files import write_views
from inrkit_nerf.formats.hull import Hull
from inrkit_nerf.stored import StoredViews
from inrkit_nerf.views import ViewSource


def imported(name: str, source: Path, **options: object) -> Stored:
    return stored(load_plugins().importer(name), source, **options)


def test_every_layout_gives_the_same_cameras(tmp_path: Path) -> None:
    """Whatever the convention of the files, poses are OpenCV's."""
    found = [
        imported("srn", srn(tmp_path / "srn", 1)),
        imported("nerf-synthetic", scene(tmp_path / "scene")),
        imported("posed-images", posed(tmp_path / "cv")),
        imported("posed-images", posed(tmp_path / "gl", "opengl")),
        imported("colmap", colmap(tmp_path / "binary")),
        imported("colmap", colmap(tmp_path / "text", binary=False, model="SIMPLE_PINHOLE")),
        imported("nerfstudio", nerfstudio(tmp_path / "studio"), views=5),
    ]
    for one in found:
        poses = sorted(one.arrays["pose"].round(4).tolist())
        np.testing.assert_allclose(poses, sorted(CAMERAS.pose.numpy().round(4).tolist()), atol=1e-3)
        np.testing.assert_allclose(one.arrays["intrinsics"], CAMERAS.intrinsics.numpy(), atol=1e-3)
        assert one.attributes["radius"] == pytest.approx(1.3, abs=1e-3)


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
    from inrkit_nerf.embedded.cars import occupied

    filled = points[occupied(torch.arange(3), points)]
    assert ((filled > low - 0.02) & (filled < high + 0.02)).all()
    assert (torch.tensor(BOX[1]) < 1).all()


def test_the_box_is_tight_where_few_views_are_low() -> None:
    """Law: however many views look down, the few from the side tell how far down a ball reaches."""
    above, beside = orbit(96, 1.3, 50, size=(64, 64)), orbit(4, 1.3, 0, size=(64, 64), start=20)
    order = torch.randperm(100)  # evenly spread numbers are most likely to miss all four
    pose = torch.cat([above.pose, beside.pose])[order]
    cameras = Cameras(pose, torch.cat([above.intrinsics, beside.intrinsics])[order], (64, 64))
    chosen = sorted(Hull.views(pose.numpy()))
    assert len(chosen) == 16
    assert sum(int(order[i]) >= 96 for i in chosen) == 4
    middle, _ = project(cameras[chosen], torch.zeros(16, 1, 3))
    distance = (pixel_positions((64, 64)) - middle).norm(dim=-1).unflatten(1, (64, 64))
    radius = float(cameras.intrinsics[0, 0]) * 0.25 / (1.3**2 - 0.25**2) ** 0.5
    hull = Hull()
    assert hull.add(cameras[chosen], distance <= radius)
    np.testing.assert_allclose(hull.box(), [[-0.25] * 3, [0.25] * 3], atol=0.05)


@pytest.mark.parametrize(("factor", "shift"), [(1.0, (0.0, 0.0, 0.0)), (4.0, (3.0, -2.0, 1.0))])
def test_the_box_lies_where_the_objects_do(factor: float, shift: tuple[float, ...], tmp_path: Path) -> None:
    """Larger worlds and objects far from the origin: box, distance and where cameras look go with them."""
    folder = posed(tmp_path / "a")
    table = json.loads((folder / "cameras.json").read_text())
    for entry in table["images"]:
        for row, by in zip(entry["pose"], shift, strict=False):
            row[3] = row[3] * factor + by
    (folder / "cameras.json").write_text(json.dumps(table))
    found = imported("posed-images", folder).attributes
    box = (np.array(found["box"]) - shift) / factor
    assert (box[1] > BOX[1] - np.array(0.05)).all()
    assert (box[1] - box[0] < 1.7).all()
    np.testing.assert_allclose(np.array(found["target"]), shift, atol=1e-3 * factor)
    assert found["radius"] == pytest.approx(1.3 * factor, rel=1e-3)


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


def missing_picture(folder: Path) -> str:
    (folder / "cars_train/car1/rgb/000002.png").unlink()
    return r"car1: expected the picture that '.*pose/000002\.txt' is the pose of, found no such file"


def missing_intrinsics(folder: Path) -> str:
    for path in folder.rglob("intrinsics.txt"):
        path.unlink()
    return "expected folders with 'intrinsics.txt'"


def words_for_numbers(folder: Path) -> str:
    (folder / "cars_train/car0/intrinsics.txt").write_text("focal length unknown")
    return r"intrinsics\.txt: expected numbers"


def unequal(folder: Path) -> str:
    Image.new("RGB", (20, 24), "red").save(folder / "cars_train/car1/rgb/000001.png")
    return r"car1: .*000001\.png: expected a picture of 24 x 24, the size of its intrinsics, found 20 x 24"


def no_picture(folder: Path) -> str:
    (folder / "cars_train/car1/rgb/000001.png").write_bytes(b"no picture")
    return r"car1: .*000001\.png: expected a picture"


def empty_scene(folder: Path) -> str:
    for path in (folder / "cars_train/car1/rgb").iterdir():
        Image.new("RGB", (24, 24), "white").save(path)
    return "car1: expected an object before a white, black or transparent background"


@pytest.mark.parametrize(
    "spoil",
    [
        broken_pose,
        missing_pose,
        missing_picture,
        missing_intrinsics,
        words_for_numbers,
        unequal,
        no_picture,
        empty_scene,
    ],
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


def test_films_without_the_extra_lead_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And to what needs none; nothing is written."""
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UsageError, match=r"the extra 'video': pip install 'inrkit\[video\]'; or write a .gif or .webp"):
        write_views(torch.zeros(3, 2, 8, 8), tmp_path / "car.mp4")
    assert not list(tmp_path.iterdir())
