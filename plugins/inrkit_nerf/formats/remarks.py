"""What an import does to pictures, or finds odd about them, in lines for people."""

from typing import final

import numpy as np

from inrkit_nerf.backdrop import Backdrop, backdrop_of
from inrkit_nerf.formats.posed import View


@final
class Remarks:
    """Looks at each picture in turn."""

    def __init__(self) -> None:
        self.backdrop: Backdrop = "transparent"
        """What is behind the objects, by the first picture."""
        self._count = 0
        self._first: dict[str, str] = {}  # the first picture that is bent, opaque or cut out, and of those how many
        self._many = {"bent": 0, "opaque": 0, "cut out": 0}
        self._apart: list[str] = []

    def look(self, view: View, pixels: np.ndarray) -> None:
        if not self._count:
            self.backdrop = backdrop_of(pixels)
        self._count += 1
        found = ["cut out" if pixels.shape[-1] == 4 else "opaque", *(["bent"] if view.lens.bends else [])]
        for what in found:
            self._first.setdefault(what, view.what)
            self._many[what] += 1

    def apart(self, thing: str) -> None:
        """The views of an object agree on no place where it could be."""
        self._apart.append(thing)

    def lines(self) -> list[str]:
        bent, opaque, cut = (self._many[what] for what in ("bent", "opaque", "cut out"))
        said = []
        if bent:
            said.append(f"{self._first['bent']}: distortion is undone, in {bent} of {self._count} pictures")
        if opaque and cut:
            said.append(
                f"{self._first['opaque']}: this picture has no transparent pixel, as {opaque} of {self._count}; all of "
                "it is taken for the object, where others are cut out"
            )
        elif opaque and self.backdrop == "black":
            said.append("the objects are before black; train with --set options.background=black")
        elif opaque and self.backdrop == "other":
            said.append(
                f"{self._first['opaque']}: opaque, and before neither white nor black: what is behind an object is "
                "learned as part of it; cut objects out (an alpha channel) to leave it away"
            )
        for thing in self._apart:
            said.append(f"{thing}: its views agree on no place where it could be; is the convention of poses right?")
        return said
