"""Cars before a white background in each layout of posed pictures."""

import json
import struct
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from inrkit_nerf.cameras import orbit
from inrkit_nerf.embedded.cars import render_cars

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


def nerfstudio(folder: Path, **more: object) -> Path:
    """20 views of a car as nerfstudio lists them, all through one lens."""
    (folder / "images").mkdir(parents=True)
    frames = []
    for i in range(20):
        Image.fromarray(views(0)[i % 5]).save(folder / f"images/{i:02d}.png")
        matrix = (CAMERAS.pose[i % 5].double().numpy() @ FLIP).tolist()
        frames.append({"file_path": f"images/{i:02d}.png", "transform_matrix": matrix})
    fx, fy, cx, cy = CAMERAS.intrinsics[0].tolist()
    table = {"w": 24, "h": 24, "fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "camera_model": "OPENCV", "frames": frames}
    (folder / "transforms.json").write_text(json.dumps({**table, **more}))
    return folder


def quaternion(rotation: np.ndarray) -> list[float]:
    """(w, x, y, z): the eigenvector of a symmetric matrix made of the rotation (Bar-Itzhack)."""
    r = rotation
    k = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], r[1, 0] + r[0, 1], r[2, 0] + r[0, 2], r[2, 1] - r[1, 2]],
            [r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], r[2, 1] + r[1, 2], r[0, 2] - r[2, 0]],
            [r[2, 0] + r[0, 2], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], r.trace()],
        ]
    )
    x, y, z, w = np.linalg.eigh(k)[1][:, -1].tolist()
    return [w, x, y, z]


COLMAP_MODELS = {"SIMPLE_PINHOLE": 0, "PINHOLE": 1, "SIMPLE_RADIAL": 2, "OPENCV": 4, "FOV": 7}


def colmap(folder: Path, *, binary: bool = True, model: str = "PINHOLE", extra: tuple[float, ...] = ()) -> Path:
    """A car as COLMAP finds it; without points in binary, with an empty line of points in text."""
    home = folder / "sparse/0"
    home.mkdir(parents=True)
    (folder / "images/left").mkdir(parents=True)
    fx, fy, cx, cy = CAMERAS.intrinsics[0].tolist()
    values = [*([fx] if model.startswith("SIMPLE") else [fx, fy]), cx, cy, *extra]
    images = []
    for i, image in enumerate(views(0)):
        Image.fromarray(image).save(folder / f"images/left/{i} a.png")
        out = np.linalg.inv(CAMERAS.pose[i].double().numpy())
        images.append((i + 1, [*quaternion(out[:3, :3]), *out[:3, 3].tolist()], f"left/{i} a.png"))
    if binary:
        head = struct.pack("<QiiQQ", 1, 7, COLMAP_MODELS[model], 24, 24)
        (home / "cameras.bin").write_bytes(head + struct.pack(f"<{len(values)}d", *values))
        rows = [
            struct.pack("<i7di", i, *row, 7) + name.encode() + b"\0" + struct.pack("<Qddq", 1, 0, 0, -1)
            for i, row, name in images
        ]
        (home / "images.bin").write_bytes(struct.pack("<Q", len(rows)) + b"".join(rows))
    else:
        (home / "cameras.txt").write_text(f"# cameras\n7 {model} 24 24 {' '.join(map(str, values))}\n")
        points = ["1.5 2.5 -1", ""]
        lines = [f"{i} {' '.join(map(str, row))} 7 {name}\n{points[i % 2]}\n" for i, row, name in images]
        (home / "images.txt").write_text("# images\n" + "".join(lines))
    return folder
