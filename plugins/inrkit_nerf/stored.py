"""Views in a store: one item for each view, those of an object side by side."""

from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor

from inrkit import DataError, Store
from inrkit_nerf.backdrop import Backdrop, backdrop_of
from inrkit_nerf.cameras import Cameras
from inrkit_nerf.views import Views

_LOOKED_AT = 16  # images, spread evenly, by which it is told what is behind the objects


@final
class StoredViews(Views):
    """The objects of a split. Arrays of the store, one row for each view:

        images      (M, H, W, C) uint8, C = 3, or 4 with opacity
        pose        (M, 4, 4) camera to world, OpenCV
        intrinsics  (M, 4) fx, fy, cx, cy in pixels
        object      (M,) number of the object, ascending
        labels      (M,) number of its class, if there are classes
        split       (M,) 0 train, 1 test; without it every tenth object is held out

    Where objects have different numbers of views, the least of them counts, spread evenly over those of each object.
    """

    def __init__(self, path: Path, split: str) -> None:
        self._store = Store(path)
        if self._store.modality != "nerf":
            raise DataError(f"{path}: expected a store of modality 'nerf', found '{self._store.modality}'")
        rows = slice(0, len(self._store))
        objects = np.asarray(self._store.read("object", rows))
        starts = np.flatnonzero(np.diff(objects, prepend=-1))
        counts = np.diff(np.append(starts, len(objects)))
        if "split" in self._store.names:
            test = np.asarray(self._store.read("split", rows))[starts] == 1
        else:
            every = min(10, max(2, len(starts)))
            test = np.arange(len(starts)) % every == every - 1
        chosen = test if split == "test" else ~test
        for part, some in (("train", ~test), ("test", test)):  # both of them: a run that begins should end
            if not some.any():
                raise DataError(f"{path}: expected objects for '{part}' among its {len(starts)}, found none")
        self._starts, self._counts = torch.from_numpy(starts[chosen]), torch.from_numpy(counts[chosen])
        self.view_count = int(self._counts.min())
        if self.view_count < 2:
            name = self._name(int(objects[starts[chosen][int(self._counts.argmin())]]))
            raise DataError(f"{path}: expected at least 2 views of each object, found 1 of '{name}'")
        height, width, self._channels = self._store.shape("images")[1:]
        self.size = (int(height), int(width))

    def __len__(self) -> int:
        return len(self._starts)

    def cameras(self, numbers: Tensor, views: Tensor) -> Cameras:
        rows = self._rows(numbers, views)
        pose, k = (torch.from_numpy(self._store.read(name, rows)).float() for name in ("pose", "intrinsics"))
        return Cameras(pose, k, self.size).map(lambda x: x.unflatten(0, views.shape))

    def images(self, numbers: Tensor, views: Tensor) -> Tensor:
        read = torch.from_numpy(self._store.read("images", self._rows(numbers, views)))
        return torch.unflatten(read.movedim(-1, 1), 0, views.shape)

    def labels(self, numbers: Tensor) -> Tensor | None:
        if "labels" not in self._store.names:
            return None
        return torch.from_numpy(self._store.read("labels", self._starts[numbers].tolist())).long()

    @property
    def backdrop(self) -> Backdrop:
        rows = sorted({int(i) for i in np.linspace(0, len(self._store) - 1, _LOOKED_AT)})
        return backdrop_of(np.asarray(self._store.read("images", rows)))

    @property
    def facts(self) -> dict[str, object]:
        known = self._store.attributes
        found: dict[str, object] = {"target": (0.0, 0.0, 0.0)}  # of stores that do not say
        found |= {name: known[name] for name in ("box", "radius", "focal", "target") if name in known}
        names = list(known.get("class_names", []))
        classes = {"classes": len(names), "class_names": names}
        return {"title": known.get("title", ""), "channels": self._channels, **classes, **found}

    def _rows(self, numbers: Tensor, views: Tensor) -> list[int]:
        count = self._counts[numbers][:, None]
        return list((self._starts[numbers][:, None] + views * count // self.view_count).flatten().tolist())

    def _name(self, number: int) -> str:
        names = self._store.attributes.get("objects", [])
        return str(names[number]) if number < len(names) else str(number)
