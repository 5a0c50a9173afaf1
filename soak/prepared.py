"""What harm is done to: small runs, a store, an INR, a model to hand on, pictures and archives; made once, copied."""

import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
from PIL import Image

from soak.child import Child, inrkit

TRAIN = "train --no-progress --steps 6 --batch-size 4 --precision fp32 --device cpu --set save_every=2"
_SMALL = "size=8,8 width=16 depth=1 decoder_depth=1 heads=2 hidden=16 inr_width=16 inr_inner=16 inr_depth=2 count=64"
_SOLID = "size=16,16 count=6 object_views=4 query_views=2 query_rays=10 samples=4 render_samples=6 occupancy=8 "
_SOLID += "width=16 depth=1 decoder_depth=1 heads=2 hidden=16 groups=4"
SAVING = ["--set", "save_every=3"]
_MORE = "--set sample_every=8 --set log_every=1 --set warmup=2"


def _options(text: str) -> list[str]:
    return [word for option in text.split() for word in ("--set", f"options.{option}")]


IMAGE = [*TRAIN.split(), *_MORE.split(), *_options(_SMALL)]
OBJECT = [*TRAIN.split(), *_MORE.split(), "--modality", "nerf", *_options(_SOLID)]

_COMMANDS = {
    "sample": "sample run -n 2 --device cpu --overwrite -o samples",
    "encode": "encode run pictures/a.png pictures/b.png --device cpu -o encoded",
    "edit": "edit run pictures/a.png --task inpaint --box 1,1,3,3 --device cpu -o edited",
    "render": "render a.inr --size 20x20 -o large.png",
    "export": "export a.inr html -o a.html",
    "import": "data import images pictures -o new.h5 --overwrite",
    "evaluate": "evaluate run -n 16 --metrics psnr --device cpu",
    "gallery": "export run html --set count=1",
    "save": "models save run -o saved",
}
COMMANDS: dict[str, Sequence[object]] = {
    "train": [*IMAGE, "--out", "new"],
    **{name: text.split() for name, text in _COMMANDS.items()},
}
"""Every kind of command that writes, in a folder that `Prepared.fill` has filled."""


@final
class Prepared:
    """Everything in one folder, made by the program itself in processes of their own.

    Args:
        steps: How long those runs are that are disturbed while they train.
    """

    def __init__(self, folder: Path, steps: int = 24) -> None:
        self.steps = steps
        self.disturbed = [*IMAGE, "--steps", str(steps), *SAVING, "--out", "run"]
        """The command of one of them."""
        self.folder = folder
        folder.mkdir(parents=True)
        self.base = Child(lambda: None, folder).end().peak
        """Bytes of a process that has imported everything and does nothing."""
        self.left: dict[str, Any] = {}
        """What stages have found that each command leaves when nothing happens."""
        self._pictures()
        self.make([*IMAGE, "--out", "run"])
        for text in (
            "data import images pictures -o store.h5",
            "encode run pictures/a.png --device cpu -o a.inr",
            "models save run -o model",
        ):
            self.make(text.split())

    def make(self, words: Sequence[object]) -> None:
        """Runs a command that has to succeed."""
        ended = inrkit(self.folder, *words)
        if ended.code:
            raise RuntimeError(f"inrkit {' '.join(map(str, words))}: exit code {ended.code}: {ended.err}")

    def fill(self, folder: Path) -> Path:
        """A copy of everything, in which a command may do what it likes."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return folder

    def _pictures(self) -> None:
        chance = np.random.default_rng(0)
        pictures = {f"{name}.png": chance.integers(0, 256, (8, 8, 3), dtype=np.uint8) for name in "abcd"}
        files = {name: _png(array) for name, array in pictures.items()}
        folder = self.folder / "pictures"
        folder.mkdir(parents=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        (self.folder / "mask.png").write_bytes(_png(np.pad(np.full((3, 3), 255, np.uint8), (2, 3))))
        (self.folder / "a.jpg").write_bytes(_png(pictures["a.png"], "JPEG"))
        np.savez(self.folder / "arrays.npz", images=np.stack(list(pictures.values())), labels=np.arange(4))
        with zipfile.ZipFile(self.folder / "pictures.zip", "w") as packed:
            for name, data in files.items():
                packed.writestr(name, data)
        with tarfile.open(self.folder / "pictures.tar.gz", "w:gz") as tar:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        self._scene(pictures)
        (self.folder / "settings.toml").write_text('preset = "tiny"\nsteps = 3\nlr = 0.001\n[options]\nsize = [8, 8]\n')

    def _scene(self, pictures: dict[str, np.ndarray]) -> None:
        scene = self.folder / "scene"
        scene.mkdir()
        frames = []
        for i, (name, array) in enumerate(pictures.items()):
            (scene / name).write_bytes(_png(array))
            turn = np.eye(4)
            turn[:2, :2] = [[np.cos(i), -np.sin(i)], [np.sin(i), np.cos(i)]]
            turn[:3, 3] = turn[:3, 2] * 4
            frames.append({"file_path": name, "transform_matrix": turn.tolist()})
        camera = {"fl_x": 9.0, "fl_y": 9.0, "cx": 4.0, "cy": 4.0, "w": 8, "h": 8}
        (scene / "transforms.json").write_text(json.dumps({**camera, "frames": frames}))


def _png(array: np.ndarray, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, form)
    return file.getvalue()
