"""Importer of the folders of scene representation networks."""

import bisect
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import final

import attrs
import numpy as np

from inrkit import DataError, Entries
from inrkit_nerf.formats.importing import ViewImporter, ViewOptions, numbers_of, read_texts
from inrkit_nerf.formats.posed import Posed, View, classes_of, spread

_ABOUT = "intrinsics.txt"
_SPLIT = re.compile(r"_?(train|test|val)$")


@final
class SrnImporter(ViewImporter):
    """OBJECT/{rgb/*.png, pose/*.txt, intrinsics.txt}, objects in folders whose name tells training from testing.

    There may be very many: the names are gone through once, and cameras are read with the pictures of their object.
    """

    name = "srn"
    summary = "folders of scene representation networks (SRN cars and chairs)"

    def find(self, source: Path, entries: Entries, options: ViewOptions) -> Posed:
        names = entries.names()
        folders = [name[: -len(_ABOUT)] for name in names if name == _ABOUT or name.endswith(f"/{_ABOUT}")]
        if not folders:
            raise DataError(f"{source}: expected folders with '{_ABOUT}', 'rgb' and 'pose', found none")
        _check_complete(source, names, set(folders))
        found = [_Folder(source.name, name, names) for name in spread(folders, options.limit)]
        count = sum(len(spread(range(one.pictures.stop - one.pictures.start), options.views)) for one in found)
        views = (list(one.views(names, entries, options.views)) for one in found)
        classes = classes_of(one.category for one in found)
        return Posed(count, views, any(one.test for one in found), classes=classes)


def _check_complete(source: Path, names: Iterable[str], folders: set[str]) -> None:
    """`DataError` if there are pictures of an object without what says how they were taken."""
    for name in names:
        folder, inside, file = name.rpartition("rgb/")
        if inside and "/" not in file and (not folder or folder.endswith("/")) and folder not in folders:
            thing = folder.rstrip("/").rpartition("/")[2] or source.name
            raise DataError(f"{thing}: expected '{folder}{_ABOUT}' beside '{folder}rgb', found no such file")


@final
@attrs.frozen(init=False)
class _Folder:
    """An object: its folder, with a slash behind, and where its files are among the sorted names."""

    path: str
    thing: str
    category: str
    test: bool
    pictures: slice
    poses: slice

    def __init__(self, source: str, path: str, names: Sequence[str]) -> None:
        parts = path.split("/")[:-1]
        test = any("test" in part or "val" in part for part in parts[:-1])
        thing = parts[-1] if parts else source
        # "cars_train" and "cars/train" are of the class "cars"
        above = [name for part in parts[:-1] if (name := _SPLIT.sub("", part))]
        # "0" comes after "/"
        ends = [bisect.bisect_left(names, f"{path}{end}") for end in ("pose/", "pose0", "rgb/", "rgb0")]
        self.__attrs_init__(path, thing, above[-1] if above else "", test, slice(*ends[2:]), slice(*ends[:2]))
        if not len(names[self.pictures]):
            raise DataError(f"{thing}: expected pictures in '{path}rgb', found none")

    def views(self, names: Sequence[str], entries: Entries, most: int | None) -> Iterable[View]:
        about, pictures = f"{self.path}{_ABOUT}", names[self.pictures]
        poses = [name for name in names[self.poses] if name.endswith(".txt")]
        known, seen = set(poses), [_pose_of(picture) for picture in pictures]
        for picture, file in zip(pictures, seen, strict=True):
            if file not in known:
                raise DataError(f"{self.thing}: expected the pose of '{picture}' in '{file}', found no such file")
        if len(known) > len(seen):
            missing = min(known.difference(seen))
            raise DataError(f"{self.thing}: expected the picture that '{missing}' is the pose of, found no such file")
        chosen = spread(list(zip(pictures, seen, strict=True)), most)
        texts = read_texts(entries, [about, *(file for _, file in chosen)])
        numbers = numbers_of(texts[about], about)
        if len(numbers) < 9:
            raise DataError(f"{about}: expected f cx cy, a centre, a scale and H W, found {len(numbers)} numbers")
        focal, x, y = numbers[:3]
        size = int(numbers[-2]), int(numbers[-1])
        for picture, file in chosen:
            row = numbers_of(texts[file], file)
            if len(row) != 16:
                raise DataError(f"{file}: expected 16 numbers, a pose row by row, found {len(row)}")
            intrinsics = np.array([focal, focal, x, y])
            yield View(
                self.thing, picture, np.reshape(row, (4, 4)), intrinsics, self.test, size, category=self.category
            )


def _pose_of(picture: str) -> str:
    """The file that says from where a picture was taken."""
    folder, _, file = picture.rpartition("rgb/")
    return f"{folder}pose/{file.rpartition('.')[0]}.txt"
