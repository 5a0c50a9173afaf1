"""Importers of solids: occupied cells in an array, and meshes. Both become truncated distances, as bytes."""

import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any, Literal, final

import attrs
import numpy as np
import torch
from torch import Tensor

from inrkit import DataError, Imported, Importer, open_entries, resample
from inrkit_shapes.distance import stored, values_of_cells
from inrkit_shapes.mesh import READERS, triangles_of
from inrkit_shapes.voxelise import voxelise

_FINER = 2  # a mesh is cut into cells so much smaller than those that are kept
_MOST = 512  # cells along an axis


def _field(default: Any, help: str) -> Any:
    return attrs.field(default=default, metadata={"help": help})


@final
@attrs.frozen(kw_only=True)
class VoxelsOptions:
    """Options of ``voxels``."""

    size: int | None = _field(None, "cells along each axis that are kept; as they come")
    limit: int | None = _field(None, "at most so many solids")


@final
@attrs.frozen(kw_only=True)
class MeshesOptions:
    """Options of ``meshes``."""

    size: int = _field(32, "cells along each axis")
    limit: int | None = _field(None, "at most so many solids")
    up: Literal["auto", "y", "z"] = _field("auto", "the axis that is up; auto: y for .obj, z for others")


@final
class VoxelsImporter(Importer):
    """An array of booleans or numbers, occupied where > 0.5; or bits, ``occ_packed`` with their ``shape``."""

    name = "voxels"
    summary = "solids as occupied cells, in an .npz or .npy file"
    modality = "shapes"
    Options = VoxelsOptions

    def run(self, source: Path, options: VoxelsOptions, progress: Any) -> Imported:
        cells, names = cells_of(source)
        count = min(len(cells), options.limit or len(cells))
        rows = []
        for i in range(count):
            rows.append(_row(cells[i], options.size))
            progress(i + 1, count)
        return _imported(self.name, source, rows, names[:count])


@final
class MeshesImporter(Importer):
    """Meshes, each brought to the middle of the cube and to a bounding box of diagonal 1."""

    name = "meshes"
    summary = "a folder or an archive of .obj, .ply and .stl files"
    modality = "shapes"
    Options = MeshesOptions

    def run(self, source: Path, options: MeshesOptions, progress: Any) -> Imported:
        rows, names = [], []
        with open_entries(source) as entries:
            found = [name for name in entries.names() if name.lower().rpartition(".")[2] in READERS]
            if not found:
                raise DataError(f"{source}: expected .obj, .ply or .stl files, found none")
            for name in found[: options.limit or len(found)]:
                where = name if source.name == name else f"{source}: {name}"
                rows.append(row_of_mesh(entries.read_one(name), where, options.size, options.up))
                names.append(PurePosixPath(name).stem)
                progress(len(rows), len(found))
        return _imported(self.name, source, rows, names)


def values_of_file(path: Path, size: int) -> Tensor:
    """A mesh, or an array with the cells of one solid, as it would be stored: (size, size, size)."""
    if path.suffix.lower().removeprefix(".") in READERS:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: expected a mesh, found no file that can be read: {error.strerror}") from error
        return torch.from_numpy(row_of_mesh(data, str(path), size))
    cells, _ = cells_of(path)
    if len(cells) != 1:
        raise DataError(f"{path}: expected one solid, found {len(cells)}; import them with 'inrkit data import voxels'")
    return torch.from_numpy(_row(cells[0], size))


def row_of_mesh(data: bytes, name: str, size: int, up: str = "auto") -> np.ndarray:
    """Bytes of a file to stored values (size, size, size)."""
    triangles = triangles_of(data, name)
    if up == "y" or (up == "auto" and name.lower().endswith(".obj")):
        triangles = triangles[:, :, [0, 2, 1]] * np.array([1.0, -1.0, 1.0])
    cells = voxelise(triangles, _FINER * size)
    if not cells.any():
        raise DataError(f"{name}: expected a mesh with an inside, found only loose surfaces; repair the mesh")
    return _row(cells, size)


def cells_of(path: Path) -> tuple[Tensor, list[str]]:
    """The occupied cells (N, n, n, n) of an .npz or .npy file, and a name for each solid."""
    try:
        found = np.load(path, allow_pickle=False)
        arrays = {"cells": found} if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path}: expected an intact .npz or .npy file, found: {' '.join(str(error).split())}"
        ) from error
    cells = _unpacked(arrays, path) if "occ_packed" in arrays else _largest(arrays)
    if cells is not None and cells.ndim == 3:
        cells = cells[None]
    if cells is None or cells.ndim != 4 or len(set(cells.shape[1:])) != 1 or not 2 <= cells.shape[1] <= _MOST:
        listed = ", ".join(f"'{name}' {array.shape}" for name, array in arrays.items()) or "nothing"
        raise DataError(f"{path}: expected cells (N, n, n, n), n from 2 to {_MOST}, found {listed}")
    if not len(cells):
        raise DataError(f"{path}: expected some solids, found none")
    names = arrays.get("names", np.zeros(0))
    known = len(names) == len(cells) and names.dtype.kind == "U"
    return torch.from_numpy(cells > 0.5), [str(name) for name in names] if known else [
        str(i) for i in range(len(cells))
    ]


def _unpacked(arrays: dict[str, np.ndarray], path: Path) -> np.ndarray:
    """Bits along the last axis, as `numpy.packbits` makes them."""
    packed, shape = arrays["occ_packed"], tuple(int(n) for n in arrays.get("shape", np.zeros(0)).ravel())
    if packed.dtype != np.uint8 or len(shape) != packed.ndim or packed.shape != (*shape[:-1], -(-shape[-1] // 8)):
        raise DataError(f"{path}: expected 'occ_packed' to hold the bits of 'shape' {shape}, found {packed.shape}")
    return np.unpackbits(packed, axis=-1, count=shape[-1])


def _largest(arrays: dict[str, np.ndarray]) -> np.ndarray | None:
    numbers = [array for array in arrays.values() if array.dtype.kind in "biuf" and array.ndim in (3, 4)]
    return max(numbers, key=lambda array: array.size, default=None)


def _row(cells: Tensor, size: int | None) -> np.ndarray:
    values = values_of_cells(cells)
    if size is not None and size != len(cells):
        values = resample(values[None, None], (size, size, size))[0, 0]
    return stored(values).numpy()


def _imported(name: str, source: Path, rows: list[np.ndarray], names: list[str]) -> Imported:
    values = np.stack(rows)[:, None]
    return Imported("shapes", {"values": values}, {"title": source.name, "format": name, "names": names})
