"""Files of the user: pictures to encode, and pictures, animations and films that are written."""

import importlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from inrkit import DataError, OneFile, Signals, UsageError, open_entries
from inrkit_nerf.cameras import Cameras, scale_intrinsics
from inrkit_nerf.formats.importing import posed_views
from inrkit_nerf.formats.posed import checked, decode, spread

_STILL, _MOVING, _FILM = (".png", ".jpg", ".jpeg"), (".gif", ".webp"), ".mp4"
_FRAMES_A_SECOND = 15


def read_objects(
    paths: Sequence[Path], size: tuple[int, int], views: int, canonical: Cameras
) -> tuple[Signals, Sequence[str]]:
    """One object for each path: a picture, taken to come from the canonical camera, or a folder with ``cameras.json``.

    A folder may hold any number of views; so many of them are read, spread evenly, as the network was trained on.
    """
    images, poses, intrinsics = [], [], []
    for path in paths:
        with open_entries(path) as entries:
            if isinstance(entries, OneFile):
                pixels = [_rgb(decode(entries.read_one(entries.names()[0]), str(path), size)[0])]
                pose, k = canonical.pose[0], canonical.intrinsics[0]
            else:
                found, _ = posed_views(path, entries)
                if len(found) < views:
                    raise DataError(f"{path}: expected at least {views} views, as the model reads, found {len(found)}")
                found = [checked(view) for view in spread(found, views)]
                raw = [entries.read_one(view.file) for view in found]
                decoded = [decode(data, view.file, size) for data, view in zip(raw, found, strict=True)]
                pixels, old = [_rgb(image) for image, _ in decoded], [was for _, was in decoded]
                pose = torch.from_numpy(np.stack([view.pose for view in found])).float()
                given = torch.from_numpy(np.stack([view.intrinsics for view in found])).float()
                k = torch.stack([scale_intrinsics(each, was, size) for each, was in zip(given, old, strict=True)])
        images.append(torch.from_numpy(np.stack(pixels)).movedim(-1, 1))
        poses.append(pose)
        intrinsics.append(k)
    if len({len(each) for each in images}) > 1:
        raise UsageError(
            "objects with one view and with several cannot be encoded together; give them one kind at a time"
        )
    signals = {"images": torch.stack(images), "pose": torch.stack(poses), "intrinsics": torch.stack(intrinsics)}
    return signals, [str(path) for path in paths]


def _rgb(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) before white."""
    if pixels.shape[-1] == 3:
        return pixels
    opacity = pixels[..., 3:].astype(np.float32) / 255
    return (pixels[..., :3] * opacity + 255 * (1 - opacity)).round().astype(np.uint8)


def write_views(views: Tensor, path: Path) -> Path:
    """Views (3, V, H, W) in [0, 1] as what the name says: a picture, an animation, a film, or a folder of pictures."""
    kind = path.suffix.lower()
    levels = (views.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 3, 0).contiguous().cpu().numpy()
    frames = [Image.fromarray(frame) for frame in levels]
    if kind in _STILL and len(frames) > 1:
        path, kind = path.with_suffix(".gif"), ".gif"
    if kind in _STILL:
        frames[0].save(path)
    elif kind in _MOVING:
        shown = 1000 // _FRAMES_A_SECOND
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=shown, loop=0)
    elif kind == _FILM:
        _film(levels, path)
    elif not kind:
        path.mkdir(parents=True, exist_ok=True)
        for i, frame in enumerate(frames):
            frame.save(path / f"{i:04d}.png")
    else:
        known = ", ".join([*_STILL, *_MOVING, _FILM])
        raise UsageError(f"{path}: expected a name ending in {known}, or a folder, found '{path.suffix}'")
    return path


def _film(frames: np.ndarray, path: Path) -> None:
    try:
        import imageio.v3 as imageio

        importlib.import_module("imageio_ffmpeg")  # without it imageio knows no films
    except ImportError as error:
        raise UsageError(
            "films need the extra 'video': pip install 'inrkit[video]'; or write a .gif or .webp"
        ) from error
    # films have even sides
    height, width = frames.shape[1] // 2 * 2, frames.shape[2] // 2 * 2
    imageio.imwrite(path, frames[:, :height, :width], fps=_FRAMES_A_SECOND, macro_block_size=2)
