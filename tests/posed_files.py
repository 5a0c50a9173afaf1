"""Cars before a white background in each layout of posed pictures."""

import json
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
