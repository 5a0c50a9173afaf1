"""Posed pictures on their way into a store."""

from array import array
from collections.abc import Sequence
from typing import Any, final

import numpy as np
import torch

from inrkit import DataError, Entries, Progress, StoreWriter
from inrkit_nerf.backdrop import foreground
from inrkit_nerf.cameras import Cameras
from inrkit_nerf.formats.hull import Hull, look_centre
from inrkit_nerf.formats.posed import View, checked, read_view
from inrkit_nerf.formats.remarks import Remarks


@final
class ViewAppender:
    """Appends objects to a store, view by view.

    Args:
        size: To resize the pictures to, if any.
        split: Whether the store says which objects are held out.
        classes: Names of the objects' classes, if the store has labels.
        hull: Is told what each object looks like.
        undistort: Whether lenses that bend lines are undone instead of refused.
    """

    def __init__(
        self,
        out: StoreWriter,
        size: tuple[int, int] | None,
        *,
        split: bool,
        hull: Hull | None,
        undistort: bool,
        classes: Sequence[str],
    ) -> None:
        self._labels = {name: label for label, name in enumerate(classes)}
        self.out, self._size, self._split, self._hull, self._undistort = out, size, split, hull, undistort
        self.names: list[str] = []
        self._focal, self._poses = array("f"), array("f")  # focal lengths in image widths; poses
        self._masks: list[np.ndarray] = []  # of the last object, as are the cameras: pose and intrinsics
        self._cameras: list[tuple[np.ndarray, np.ndarray]] = []
        self._form = (0, 0, 3)  # height, width and channels of the pictures in the store
        self.remarks = Remarks()

    def add(self, entries: Entries, views: Sequence[View], done: Progress) -> None:
        """All views of an object. An error names the object and the file where pictures differ in size."""
        poses = np.stack([view.pose for view in views])
        if len(poses) > 1 and (poses == poses[0]).all():
            raise DataError(f"{views[0].what}: expected a pose of its own for each picture, found one for {len(poses)}")
        looked_at = Hull.views(poses)
        if not self.names or views[0].scene != self.names[-1]:
            self.settle()
        masks, cameras, shown = [], [], False
        for number, (view, (_, data)) in enumerate(zip(views, entries.read([v.file for v in views]), strict=True)):
            if isinstance(data, DataError):
                raise DataError(f"{view.thing}: {data}") from data
            pixels, k = self._append(view, data)
            seen = foreground(pixels, self.remarks.backdrop)
            shown = shown or bool(seen.any())
            if number in looked_at:
                masks.append(seen)
                cameras.append((view.pose, k))
            done(len(self.out))
        self.names.append(views[0].thing)
        if self._hull is not None and not shown:
            expected = "expected an object before a white, black or transparent background"
            raise DataError(f"{views[0].thing}: {expected}, found nothing in its views")
        self._masks += masks
        self._cameras += cameras

    def settle(self) -> None:
        """Tells the hull of the last object: what its training and its test views agree on, if it has both."""
        if self._hull is not None and self._masks:
            pose, intrinsics = (torch.from_numpy(np.stack(part)).float() for part in zip(*self._cameras, strict=True))
            cameras, masks = Cameras(pose, intrinsics, self._masks[0].shape), torch.from_numpy(np.stack(self._masks))
            if not self._hull.add(cameras, masks):
                self.remarks.apart(self.names[-1])
        self._masks, self._cameras = [], []

    def _append(self, view: View, data: bytes) -> tuple[np.ndarray, np.ndarray]:
        """The pixels of a view, and its intrinsics at the size that they have."""
        pixels, k = read_view(checked(view), data, self._size, undistort=self._undistort)
        height, width, channels = pixels.shape
        self.remarks.look(view, pixels)
        if len(self.out) and (height, width) != self._form[:2]:
            a = f"{self._form[1]} x {self._form[0]}"
            found = f"expected pictures of {a} like the first, found {width} x {height}"
            raise DataError(f"{view.what}: {found}; give a 'size' for all")
        if channels > self._form[2]:  # beside pictures with opacity those without become opaque
            self.out.convert("images", _opaque)
        self._form = (height, width, max(channels, self._form[2]))
        row: dict[str, Any] = {
            "images": pixels if channels == self._form[2] else _opaque(pixels),
            "pose": view.pose.astype(np.float32),
            "intrinsics": k,
            "object": np.int32(len(self.names)),
        }
        if self._split:
            row["split"] = np.uint8(view.test)
        if self._labels:
            row["labels"] = np.int64(self._labels[view.category])
        self.out.append({name: values[None] for name, values in row.items()})
        self._focal.append(float(k[0]) / width)
        self._poses.extend(view.pose.reshape(-1).tolist())
        return pixels, k

    def like(self) -> dict[str, Any]:
        """What a camera of these data is like: where it looks, its distance, and its focal length in image widths."""
        pose = torch.frombuffer(self._poses, dtype=torch.float32).view(-1, 4, 4).double()
        target = look_centre(pose)
        radius = float((pose[:, :3, 3] - target).norm(dim=1).median())
        if radius <= 1e-5 * float(pose[:, :3, 3].abs().max()):
            raise DataError(f"{self.names[0]}: expected cameras around an object, found them all at one place")
        rounded = [round(value / radius, 5) * radius for value in target.tolist()]
        return {"target": rounded, "radius": radius, "focal": float(np.median(self._focal))}


def _opaque(pixels: np.ndarray) -> np.ndarray:
    """(..., 3) -> (..., 4)"""
    return np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], -1)
