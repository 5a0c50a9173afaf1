"""Objects seen from several sides: what the embedded cars and a store of photographs have in common."""

import abc
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from inrkit import Dice, Signals, Source
from inrkit_nerf.backdrop import Backdrop
from inrkit_nerf.cameras import Cameras


class Views(abc.ABC):
    """Objects by number, and views of each by number. It can be pickled, and reads only what is asked for."""

    size: tuple[int, int]
    """(H, W) of the images."""

    view_count: int
    """How many views each object has."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many objects there are."""

    @property
    @abc.abstractmethod
    def backdrop(self) -> Backdrop:
        """What the images show behind their objects."""

    @property
    @abc.abstractmethod
    def facts(self) -> dict[str, object]:
        """Title, channels, radius, focal, target, and "box", lower and upper corner of what holds every object."""

    @abc.abstractmethod
    def cameras(self, numbers: Tensor, views: Tensor) -> Cameras:
        """The cameras (B, V) of objects (B,) and views (B, V); no image is read."""

    @abc.abstractmethod
    def images(self, numbers: Tensor, views: Tensor) -> Tensor:
        """Images (B, V, C, H, W) uint8 of objects (B,) and views (B, V), with 3 channels, or 4 with opacity."""

    def labels(self, numbers: Tensor) -> Tensor | None:
        """Class numbers (B,) of objects; None where they have no classes."""
        return None

    def truth(self, numbers: Tensor, cameras: Cameras) -> Tensor | None:
        """Images (B, V, 3, H, W) in [0, 1] as other cameras (B or 1, V) would take them, where that is known."""
        return None


@final
class ViewSource(Source):
    """A signal is an object with the views of it that one step of training, or one test, needs.

    In training there is a signal for each view of each object: that view first, for the network to read, and ``extra``
    others, picked by the signal's number, to hold it to. For testing there is one signal for each object: a view that
    its number picks, then all others, or ``most`` of them spread evenly.
    """

    def __init__(self, views: Views, *, training: bool, support: int, extra: int, most: int) -> None:
        self.objects, self.training, self.support = views, training, support
        self.extra = min(extra, views.view_count - support)
        self.most = min(most, views.view_count - support)

    def __len__(self) -> int:
        return len(self.objects) * (self.objects.view_count if self.training else 1)

    def read(self, numbers: Sequence[int]) -> Signals:
        """Images (B, V, C, H, W) uint8, and their cameras' pose (B, V, 4, 4) and intrinsics (B, V, 4)."""
        index, views = self.chosen(numbers)
        cameras = self.objects.cameras(index, views)
        labels = self.objects.labels(index)
        return {
            "images": self.objects.images(index, views),
            "pose": cameras.pose,
            "intrinsics": cameras.intrinsics,
            "number": index,
            **({} if labels is None else {"label": labels}),
        }

    def chosen(self, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The object (B,) and the views (B, V) that each signal consists of."""
        number, count = torch.as_tensor(numbers, dtype=torch.int64), self.objects.view_count
        if self.training:
            others = _shuffled(number, count - 1)[:, : self.support + self.extra - 1]
            return number // count, torch.cat([number[:, None], number[:, None] + 1 + others], 1) % count
        first = torch.arange(self.support) * count // self.support
        rest = torch.tensor([view for view in range(count) if view not in first.tolist()], dtype=torch.int64)
        kept = torch.cat([first, rest[torch.arange(self.most) * len(rest) // max(1, self.most)]])
        return number, (kept + (number * 0.382 * count).long()[:, None]) % count

    def whole(self) -> "ViewSource":
        """Every view of each object."""
        every = self.objects.view_count
        return ViewSource(self.objects, training=self.training, support=self.support, extra=every, most=every)

    @property
    def facts(self) -> dict[str, object]:
        objects = self.objects
        count, views = len(objects), objects.view_count
        counted = f"{count * views:,} views of {count:,} object{'s'[: count != 1]}"
        shared = {"count": count, "views": views, "counted": counted, "size": list(objects.size)}
        return {"classes": 0, "class_names": [], **objects.facts, **shared}


def _shuffled(seeds: Tensor, count: int) -> Tensor:
    """For each seed (B,) the numbers below ``count`` in an order of its own, (B, count)."""
    return Dice(seeds[:, None], torch.arange(count)).uniform().argsort(1)
