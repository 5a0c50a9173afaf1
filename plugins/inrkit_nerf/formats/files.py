"""Files of the user: pictures to encode, and pictures, animations and films that are written."""

import importlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from inrkit import DataError, OneFile, Signals, UsageError, open_entries, write_bytes
from inrkit_nerf.cameras import Cameras
from inrkit_nerf.formats.posed import decode, dimensions, read_view, spread
from inrkit_nerf.formats.posed_images import posed_views

_STILL, _MOVING, _FILM = (".png", ".jpg", ".jpeg"), (".gif", ".webp"), ".mp4"
_FRAMES_A_SECOND = 15


def read_objects(
    paths: Sequence[Path], size: tuple[int, int], views: int, canonical: Cameras, background: float
) -> tuple[Signals, Sequence[str]]:
    """One object for each path: a picture, taken to come from the canonical camera, or a folder with ``cameras.json``.

    A folder may hold any number of views; so many of them are read, spread evenly, as the network was trained on.

    Args:
        background: What shows through where a picture has opacity, on [-1, 1].
    """
    images, poses, intrinsics, sizes, bent = [], [], [], [], []
    for path in paths:
        with open_entries(path) as entries:
            if isinstance(entries, OneFile):
                data = entries.read_one(entries.names()[0])
                pixels = [decode(data, str(path), size)]
                sizes.append(dimensions(data, str(path)))
                bent.append(False)
                if pixels[0].shape[-1] == 4 and not pixels[0][..., 3].any():
                    raise DataError(f"{path}: expected an object, found a picture that is transparent everywhere")
                pose, k = canonical.pose[0], canonical.intrinsics[0]
            else:
                found = [view for some in posed_views(path, entries).objects for view in some]
                if len(found) < views:
                    raise DataError(f"{path}: expected at least {views} views, as the model reads, found {len(found)}")
                found = list(spread(found, views))
                read = [read_view(view, entries.read_one(view.file), size, undistort=True) for view in found]
                pixels = [image for image, _ in read]
                pose = torch.from_numpy(np.stack([view.pose for view in found])).float()
                k = torch.from_numpy(np.stack([one for _, one in read]))
                sizes.append(size)  # in whichever proportion a picture is made that large, its camera is too
                bent.append(any(view.lens.bends for view in found))
        images.append(torch.from_numpy(np.stack([_before(image, background) for image in pixels])).movedim(-1, 1))
        poses.append(pose)
        intrinsics.append(k)
    if len({len(each) for each in images}) > 1:
        raise UsageError(
            "objects with one view and with several cannot be encoded together; give them one kind at a time"
        )
    about = {"size": torch.tensor(sizes), "bent": torch.tensor(bent)}
    cameras = {"pose": torch.stack(poses), "intrinsics": torch.stack(intrinsics)}
    return {"images": torch.stack(images), **cameras, **about}, [str(path) for path in paths]


def _before(pixels: np.ndarray, background: float) -> np.ndarray:
    """(H, W, 3) before a grey between black, -1, and white, 1."""
    if pixels.shape[-1] == 3:
        return pixels
    opacity, behind = pixels[..., 3:].astype(np.float32) / 255, (background + 1) * 127.5
    return (pixels[..., :3] * opacity + behind * (1 - opacity)).round().astype(np.uint8)


def write_views(views: Tensor, path: Path) -> Path:
    """Views (3, V, H, W) in [0, 1] as what the name says: a picture, an animation, a film, or a folder of pictures."""
    kind = path.suffix.lower()
    levels = (views.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 3, 0).contiguous().cpu().numpy()
    frames = [Image.fromarray(frame) for frame in levels]
    if kind in _STILL and len(frames) > 1:
        path, kind = path.with_suffix(".gif"), ".gif"
    if kind in _STILL:
        write_bytes(path, _packed(frames[0], kind))
    elif kind in _MOVING:
        shown = 1000 // _FRAMES_A_SECOND
        write_bytes(path, _packed(frames[0], kind, save_all=True, append_images=frames[1:], duration=shown, loop=0))
    elif kind == _FILM:
        write_bytes(path, _film(levels))
    elif not kind:
        path.mkdir(parents=True, exist_ok=True)
        for i, frame in enumerate(frames):
            write_bytes(path / f"{i:04d}.png", _packed(frame, ".png"))
    else:
        known = ", ".join([*_STILL, *_MOVING, _FILM])
        raise UsageError(f"{path}: expected a name ending in {known}, or a folder, found '{path.suffix}'")
    return path


def _packed(frame: Image.Image, kind: str, **how: Any) -> bytes:
    """A picture, or with others an animation, as a file."""
    file = io.BytesIO()
    frame.save(file, Image.registered_extensions()[kind], **how)
    return file.getvalue()


def _film(frames: np.ndarray) -> bytes:
    try:
        import imageio.v3 as imageio

        importlib.import_module("imageio_ffmpeg")  # without it imageio knows no films
    except ImportError as error:
        raise UsageError(
            "films need the extra 'video': pip install 'inrkit[video]'; or write a .gif or .webp"
        ) from error
    # films have even sides
    height, width = frames.shape[1] // 2 * 2, frames.shape[2] // 2 * 2
    even = frames[:, :height, :width]
    return bytes(imageio.imwrite("<bytes>", even, extension=_FILM, fps=_FRAMES_A_SECOND, macro_block_size=2))
