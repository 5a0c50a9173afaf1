"""Importer of any pictures with a file ``cameras.json`` that says where each was taken from."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, final

import numpy as np
import torch

from inrkit import DataError, Entries
from inrkit_nerf.cameras import CONVENTIONS, to_opencv
from inrkit_nerf.formats.importing import (
    ViewImporter,
    ViewOptions,
    check_planes,
    json_of,
    matrix_in,
    number_in,
    read_texts,
)
from inrkit_nerf.formats.lens import COEFFICIENTS, lens_of
from inrkit_nerf.formats.posed import Posed, View, each_once, spread
from inrkit_nerf.formats.table import table_of

_NAMES = ("cameras.json", "cameras.csv")
_SPLITS = ("train", "val", "test")


@final
class PosedImagesImporter(ViewImporter):
    """Pictures and a file ``cameras.json`` or ``cameras.csv``."""

    name = "posed-images"
    summary = "pictures with a file cameras.json or cameras.csv; see docs/data.md"

    def find(self, source: Path, entries: Entries, options: ViewOptions) -> Posed:
        found = posed_views(source, entries)
        things = sorted({views[0].thing for views in found.objects})
        chosen = set(spread(things, options.limit))
        kept = [spread(views, options.views) for views in found.objects if views[0].thing in chosen]
        return Posed.of([view for views in kept for view in views], found.given)


def posed_views(source: Path, entries: Entries) -> Posed:
    """The views that ``cameras.json`` lists, and the box if it gives one."""
    names = entries.names()
    found = [n for n in names if PurePosixPath(n).name in _NAMES]
    if len(found) != 1:
        raise DataError(f"{source}: expected one file '{_NAMES[0]}' or '{_NAMES[1]}', found {len(found)}")
    name, known = found[0], set(names)
    text = read_texts(entries, [name])[name]
    table = table_of(text, name) if name.endswith(".csv") else json_of(text, name)
    check_planes(table, name)
    listed = table.get("images")
    if not isinstance(listed, list) or not listed or not all(isinstance(entry, dict) for entry in listed):
        raise DataError(f"{name}: expected a list 'images' of JSON objects, found none")
    views = [_view({**table, **entry}, f"{name}: image {i}", name, source, known) for i, entry in enumerate(listed)]
    return Posed.of(each_once(views), _box(table, name))


def _view(entry: Mapping[str, Any], what: str, name: str, source: Path, known: set[str]) -> View:
    """A picture by its own entry, or by what the file says for all."""
    missing = [key for key in ("file", "pose", "intrinsics") if key not in entry]
    if missing:
        raise DataError(f"{what}: expected 'file', 'pose' and 'intrinsics', found no '{missing[0]}'")
    file = str(PurePosixPath(name).parent / str(entry["file"]))
    if file not in known:
        raise DataError(f"{what}: expected the picture '{file}', found no such file")
    convention = entry.get("convention", "opencv")
    if convention not in CONVENTIONS:
        raise DataError(f"{what}: expected 'convention' to be one of {', '.join(CONVENTIONS)}, found '{convention}'")
    pose = to_opencv(torch.from_numpy(matrix_in(entry["pose"], f"{what}: {file}")), convention).numpy()
    thing = entry.get("object", source.name)
    if not isinstance(thing, str | int):
        raise DataError(f"{what}: expected the name of an object for 'object', found {thing!r}")
    split = entry.get("split", "train")
    if split not in _SPLITS:
        raise DataError(f"{what}: expected 'split' to be one of {', '.join(_SPLITS)}, found {split!r}")
    intrinsics, size = (_numbers(entry, key, n, what) for key, n in (("intrinsics", 4), ("size", 2)))
    given = entry.get("distortion", {})
    if not isinstance(given, dict) or not set(given) <= {*COEFFICIENTS, "model"}:
        raise DataError(f"{what}: expected 'distortion' with 'model' and some of {', '.join(COEFFICIENTS)}")
    coefficients = {key: number_in(given, key, what) or 0.0 for key in given if key != "model"}
    return View(
        str(thing),
        file,
        pose,
        np.zeros(0) if intrinsics is None else intrinsics,
        split != "train",
        None if size is None else (int(size[1]), int(size[0])),
        lens_of(str(given.get("model", "OPENCV")), coefficients, what),
        category=str(entry["class"]) if "class" in entry else _folder(file),
    )


def _folder(file: str) -> str:
    """The folder CLASS of CLASS/OBJECT/0.png; "" where there is none."""
    parts = PurePosixPath(file).parts
    return parts[-3] if len(parts) > 2 else ""


def _numbers(entry: Mapping[str, Any], key: str, count: int, what: str) -> np.ndarray | None:
    """So many numbers, or None where there are none."""
    if key not in entry:
        return None
    try:
        values = np.array(entry[key], np.float64)
    except (ValueError, TypeError):
        values = np.zeros(0)
    if values.shape != (count,):
        raise DataError(f"{what}: expected {count} numbers as its {key}, found {entry[key]!r}")
    return values


def _box(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    if "box" not in table:
        return {}
    try:
        box = np.array(table["box"], np.float64)
    except (ValueError, TypeError):
        box = np.zeros(0)
    if box.shape != (2, 3) or not np.isfinite(box).all() or not (box[0] < box[1]).all():
        raise DataError(f"{name}: expected 'box' as two corners, [[x, y, z], [x, y, z]], the lower first")
    return {"box": box.tolist()}
