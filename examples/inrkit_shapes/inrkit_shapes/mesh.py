"""Files of meshes, .obj, .ply and .stl, read into triangles."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from inrkit import DataError

_PLY_TYPES = {"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4"}
_PLY_TYPES |= {"double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4"}
_PLY_TYPES |= {"uint32": "u4", "float32": "f4", "float64": "f8"}


def read_mesh(data: bytes) -> tuple[str, np.ndarray]:
    """ "obj", "ply" or "stl", told by the content, and the triangles (F, 3, 3) of a file, polygons cut up.

    `DataError` says what is wrong with it.
    """
    kind = "ply" if data.startswith(b"ply") else "stl" if _is_stl(data) else "obj"
    try:
        found = {"obj": _obj, "ply": _ply, "stl": _stl}[kind](data)
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError) as error:
        text = " ".join(str(error).split())
        raise DataError(f"expected an intact .{kind} file, found damage: {text}") from error
    if not len(found):
        raise DataError("expected a mesh with faces, found none; clouds of points have no inside")
    if not np.isfinite(found).all():
        raise DataError("expected finite vertices, found some that are not; repair the mesh")
    return kind, found


def _is_stl(data: bytes) -> bool:
    return data.lstrip().startswith(b"solid") or len(data) == 84 + 50 * _count_of(data) > 84


def _count_of(data: bytes) -> int:
    """Triangles of a binary .stl file."""
    return int.from_bytes(data[80:84], "little")


def _obj(data: bytes) -> np.ndarray:
    vertices, polygons = [], []
    for line in data.decode("utf-8", "replace").splitlines():
        key, *words = line.split("#")[0].split() or [""]
        if key == "v":
            vertices.append([float(word) for word in words[:3]])
        elif key == "f":
            numbers = [int(word.split("/")[0]) for word in words]
            polygons.append([number - 1 if number > 0 else len(vertices) + number for number in numbers])
    return _fans(np.array(vertices).reshape(-1, 3), polygons)


def _stl(data: bytes) -> np.ndarray:
    if len(data) == 84 + 50 * _count_of(data):
        fields = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("rest", "<u2")])
        return np.frombuffer(data, fields, offset=84)["corners"].astype(np.float64)
    words = re.findall(rb"vertex\s+(\S+)\s+(\S+)\s+(\S+)", data)
    return np.array(words, np.float64).reshape(-1, 3, 3)


def _ply(data: bytes) -> np.ndarray:
    head, _, body = data.partition(b"end_header")
    lines = [line.split() for line in head.decode("ascii", "replace").splitlines() if line.strip()]
    if not lines or lines[0] != ["ply"] or not body:
        raise ValueError("no header of a .ply file")
    order = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}[lines[1][1]]
    body = body[body.index(b"\n") + 1 :]
    found: dict[str, dict[str, Any]] = {}
    for i, line in enumerate(lines):
        if line[0] == "element":
            after = [words[0] for words in lines[i + 1 :]] + ["end"]
            count = next(k for k, word in enumerate(after) if word in ("element", "end"))
            fields = [(words[-1], words[1:-1]) for words in lines[i + 1 : i + 1 + count] if words[0] == "property"]
            found[line[1]], body = (_lines if not order else _records)(body, int(line[2]), fields, order)
    vertices = np.stack([np.asarray(found["vertex"][axis], np.float64) for axis in "xyz"], 1)
    faces = found.get("face", {})
    return _fans(vertices, faces.get("vertex_indices", faces.get("vertex_index", [])))


Fields = Sequence[tuple[str, list[str]]]
"""Name, and its type or ["list", type of the count, type]."""


def _lines(body: bytes, count: int, fields: Fields, order: str) -> tuple[dict[str, Any], bytes]:
    """Columns of an element written as text, and what follows it."""
    *rows, rest = [*body.split(b"\n", count), b""][: count + 1]
    columns: dict[str, Any] = {name: [] for name, _ in fields}
    for row in rows:
        words = row.split()
        for name, kind in fields:
            n = int(words.pop(0)) if kind[0] == "list" else 1
            values, words = [float(word) for word in words[:n]], words[n:]
            columns[name].append([int(value) for value in values] if kind[0] == "list" else values[0])
    return columns, rest


def _records(body: bytes, count: int, fields: Fields, order: str) -> tuple[dict[str, Any], bytes]:
    """Columns of an element in binary, and what follows it. Its lists must have three items each."""
    parts: list[Any] = []
    for name, kind in fields:
        lists = kind[0] == "list"
        parts += [(f"{name} count", order + _PLY_TYPES[kind[1]])] if lists else []
        parts.append((name, order + _PLY_TYPES[kind[-1]], (3,) if lists else ()))
    dtype = np.dtype(parts)
    if count * dtype.itemsize > len(body):
        raise ValueError(f"{count} items of {dtype.itemsize} bytes, but {len(body)} bytes; polygons must be triangles")
    table = np.frombuffer(body, dtype, count)
    if any((table[f"{name} count"] != 3).any() for name, kind in fields if kind[0] == "list"):
        raise ValueError("polygons that are not triangles; cut them up, or write the file as text")
    return {name: table[name] for name, _ in fields}, body[count * dtype.itemsize :]


def _fans(vertices: np.ndarray, polygons: Sequence[Sequence[int]]) -> np.ndarray:
    """Each polygon as triangles around its first corner."""
    fans = (
        polygons
        if isinstance(polygons, np.ndarray)
        else [(p[0], *p[k : k + 2]) for p in polygons for k in range(1, len(p) - 1)]
    )
    corners = np.array(fans, np.int64).reshape(-1, 3)
    if len(corners) and not 0 <= corners.min() <= corners.max() < len(vertices):
        raise ValueError(f"a face of a vertex that is not one of the {len(vertices)}")
    return vertices[corners]
