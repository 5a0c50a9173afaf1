"""What importers of posed pictures have in common."""

import abc
import functools
import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import attrs
import numpy as np

from inrkit import DataError, Entries, Importer, Progress, StoreWriter, at_least, open_entries, option, parse_size
from inrkit_nerf.cameras import check_range
from inrkit_nerf.formats.appending import ViewAppender
from inrkit_nerf.formats.hull import Hull
from inrkit_nerf.formats.posed import Posed, View

HELD_OUT = 8
"""Of a scene that does not say which views are for testing, each so many-th is held out."""


@attrs.frozen(kw_only=True)
class ViewOptions:
    """What every format has."""

    size: str | None = option(None, "resize all pictures to WIDTHxHEIGHT, such as 64x64")
    views: int | None = option(None, "maximum number of views of each object, spread evenly", at_least(1))
    limit: int | None = option(None, "maximum number of objects, spread evenly", at_least(1))
    labels: Literal["none", "auto"] = option(
        "auto", "class labels; auto: of objects that lie in the folders of several classes, CLASS/OBJECT"
    )
    undistort: bool = option(False, "undo the distortion of lenses; without it distorted pictures are refused")


class ViewImporter(Importer, abc.ABC):
    """Pictures whose cameras are known, in any layout."""

    modality: ClassVar[str] = "nerf"
    Options: ClassVar[type] = ViewOptions

    @abc.abstractmethod
    def find(self, source: Path, entries: Entries, options: ViewOptions) -> Posed:
        """The cameras and the files of all pictures; no picture is read as a whole."""

    @final
    def run(self, source: Path, out: StoreWriter, options: ViewOptions, progress: Progress) -> None:
        size = None if options.size is None else parse_size(options.size, 2)
        with open_entries(source) as entries:
            found = self.find(source, entries, options)
            hull = None if "box" in found.given else Hull()
            classes = list(found.classes) if options.labels == "auto" else []
            objects = iter(found.objects)
            first = list(itertools.islice(objects, 2))
            if len(first) == 1 and not found.split:
                first = _parts(first[0])
            added = ViewAppender(
                out,
                None if size is None else (size[0], size[1]),
                split=found.split or first[-1][0].test,
                hull=hull,
                undistort=options.undistort,
                classes=classes,
            )
            told = functools.partial(progress, total=found.count, what="reading pictures")
            for views in itertools.chain(first, objects):
                added.add(entries, views, told)
            added.settle()
        out.remarks += added.remarks.lines()
        box = {} if hull is None else {"box": hull.box()}
        title = {"title": source.name.split(".")[0], "format": self.name, "objects": added.names}
        title |= {"class_names": classes} if classes else {}
        out.attributes.update({**title, **added.like(), **box, **found.given})


def held_out(views: Sequence[View]) -> Iterable[View]:
    """The views of one scene, some of them as a second object of the test split, where nobody says which."""
    return views if any(view.test for view in views) or len(views) < 2 * HELD_OUT else _each(views, HELD_OUT)


def _parts(views: Sequence[View]) -> list[Sequence[View]]:
    """The views of an object that is alone: those to train on, and at least two that are held out, if it has four."""
    if len(views) < 4:
        return [views]
    split = _each(views, min(HELD_OUT, len(views) // 2))
    return [[view for view in split if view.test == test] for test in (False, True)]


def _each(views: Sequence[View], count: int) -> list[View]:
    """The views, each so many-th of them held out."""
    return [tested(view) if i % count == count // 2 else view for i, view in enumerate(views)]


def tested(view: View) -> View:
    """A view of a scene as one of an object that training never sees."""
    return attrs.evolve(view, thing=f"{view.thing} (test views)", test=True, scene=view.thing)


# ---------------------------------------------------------------------------------------------- parts of files


def read_texts(entries: Entries, names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name, data in entries.read(names):
        if isinstance(data, DataError):
            raise data
        try:
            found[name] = data.decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{name}: expected a text file, found: {error.reason}") from error
    return found


def numbers_of(text: str, name: str) -> list[float]:
    try:
        return [float(word) for word in text.split()]
    except ValueError as error:
        raise DataError(f"{name}: expected numbers, found: {error}") from error


def json_of(text: str, name: str) -> dict[str, Any]:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: expected JSON, found: {error}") from error
    if not isinstance(table, dict):
        raise DataError(f"{name}: expected a JSON object, found a {type(table).__name__}")
    return table


def number_in(table: dict[str, Any], key: str, what: str) -> float | None:
    """A number of a JSON object, or None where it has none."""
    value = table.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value)):
        raise DataError(f"{what}: expected a number for '{key}', found {value!r}")
    return None if value is None else float(value)


def check_planes(table: dict[str, Any], what: str) -> None:
    """`DataError`, beginning with ``what``, if a JSON object gives a near and a far plane that cannot be."""
    check_range(number_in(table, "near", what) or 0.0, number_in(table, "far", what), what, DataError)


def matrix_in(value: Any, what: str) -> np.ndarray:
    """A pose of 4 x 4 numbers; 3 x 4 are taken to go on with 0 0 0 1."""
    try:
        pose = np.array(value, np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(f"{what}: expected a pose of 4 x 4 numbers, found: {error}") from error
    if pose.shape == (3, 4):
        pose = np.vstack([pose, (0, 0, 0, 1)])
    if pose.shape != (4, 4):
        raise DataError(f"{what}: expected a pose of 4 x 4 numbers, found shape {pose.shape}")
    return pose
