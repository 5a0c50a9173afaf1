"""Importers of solids: occupied cells in an array, and meshes. Both become truncated distances, as bytes."""

import io
import itertools
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, final

import attrs
import numpy as np
import torch
from torch import Tensor

from inrkit import DataError, FilesImporter, FilesOptions, Importer, Progress, StoreWriter, option, resample
from inrkit_shapes.distance import stored, values_of_cells
from inrkit_shapes.mesh import read_mesh
from inrkit_shapes.voxelise import voxelise

_FINER = 2  # a mesh is cut into cells so much smaller than those that are kept
_MOST = 512  # cells along an axis


@final
@attrs.frozen(kw_only=True)
class VoxelsOptions:
    """Options of ``voxels``."""

    size: int | None = option(None, "voxels along each axis; none: as in the source")
    limit: int | None = option(None, "maximum number of shapes")


@final
@attrs.frozen(kw_only=True)
class MeshesOptions(FilesOptions):
    """Options of ``meshes``."""

    size: int = option(32, "voxels along each axis")
    up: Literal["auto", "y", "z"] = option("auto", "vertical axis of the meshes; auto: y in .obj files, z in others")


@final
class VoxelsImporter(Importer):
    """Arrays of booleans, of numbers from 0 to 1, or of numbers that are positive inside; or bits, ``occ_packed`` with
    their ``shape``. Whatever is left is the distance to the cells that are occupied."""

    name = "voxels"
    summary = "solids as occupied cells, in .npz or .npy files"
    modality = "shapes"
    Options = VoxelsOptions

    def run(self, source: Path, out: StoreWriter, options: VoxelsOptions, progress: Progress) -> None:
        names: list[str] = []
        size = options.size
        for file, cells, name in itertools.islice(_solids(source), options.limit):
            row = _row(cells, options.size)
            size = size or len(row)
            if len(row) != size:
                raise DataError(f"{file}: expected {size} cells along each axis, found {len(row)}")
            out.append({"values": row[None, None]})
            names.append(name)
            progress(len(names), None)
        if not names:
            raise DataError(f"{source}: expected .npz or .npy files, found none; check the path")
        out.attributes.update({"title": source.name, "format": self.name, "names": names})


@final
class MeshesImporter(FilesImporter):
    """Meshes, each brought to the middle of the cube and to a bounding box of diagonal 1."""

    name = "meshes"
    summary = "a folder or an archive of .obj, .ply and .stl files"
    modality = "shapes"
    suffixes = (".obj", ".ply", ".stl")
    Options = MeshesOptions

    def decode(self, data: bytes, options: MeshesOptions) -> np.ndarray:
        return row_of_mesh(data, options.size, options.up)[None]


def values_of_file(data: bytes, name: str, size: int) -> Tensor:
    """A mesh, or an array with the cells of one solid, as it would be stored: (size, size, size)."""
    if name.lower().endswith(MeshesImporter.suffixes):
        return torch.from_numpy(row_of_mesh(data, size))
    cells, _ = cells_of(io.BytesIO(data), name)
    if len(cells) != 1:
        raise DataError(f"{name}: expected one solid, found {len(cells)}; import them with 'inrkit data import voxels'")
    return torch.from_numpy(_row(cells[0], size))


def row_of_mesh(data: bytes, size: int, up: str = "auto") -> np.ndarray:
    """Bytes of a file to stored values (size, size, size)."""
    kind, triangles = read_mesh(data)
    if up == "y" or (up == "auto" and kind == "obj"):
        triangles = triangles[:, :, [0, 2, 1]] * np.array([1.0, -1.0, 1.0])
    cells = voxelise(triangles, _FINER * size)
    if not cells.any():
        raise DataError("expected a mesh with an inside, found only loose surfaces; repair the mesh")
    return _row(cells, size)


def _solids(source: Path) -> Iterator[tuple[Path, Tensor, str]]:
    """Each file, and the cells and names of the solids in it."""
    files = sorted(p for p in source.rglob("*") if p.suffix in (".npz", ".npy")) if source.is_dir() else [source]
    for file in files:
        for cells, name in zip(*cells_of(file, str(file)), strict=True):
            yield file, cells, name


def cells_of(file: Path | io.BytesIO, path: str) -> tuple[Tensor, list[str]]:
    """The occupied cells (N, n, n, n) of an .npz or .npy file, and a name for each solid."""
    try:
        with file.open("rb") if isinstance(file, Path) else file as opened:
            found = np.load(opened, allow_pickle=False)
            arrays = {Path(path).stem: found} if isinstance(found, np.ndarray) else dict(found)
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
    occupied = torch.from_numpy(cells > (0 if cells.min() < 0 else 0.5))
    return occupied, [str(name) for name in names] if known else [str(i) for i in range(len(cells))]


def _unpacked(arrays: dict[str, np.ndarray], path: str) -> np.ndarray:
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
