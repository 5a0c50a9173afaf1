"""Meshes on disk: PLY by ourselves, GLB and OBJ with trimesh; and a picture of one."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from inrkit.core.surface import Mesh
from inrkit.errors import UsageError
from inrkit.storage import atomic

_OTHERS = (".glb", ".obj", ".stl")


def save_mesh(mesh: Mesh, path: Path) -> Path:
    """A mesh as the kind of file that its name says."""
    kind = path.suffix.lower()
    if kind == ".ply":
        atomic.write_bytes(path, ply(mesh))
        return path
    if kind not in _OTHERS:
        raise UsageError(f"{path}: expected a name ending in .ply, {', '.join(_OTHERS)}, found '{kind}'")
    try:
        trimesh: Any = importlib.import_module("trimesh")
    except ImportError as error:
        raise UsageError(
            f"'{path.suffix}' needs the extra 'mesh': pip install 'inrkit[mesh]'; or write a .ply"
        ) from error
    colours = None if mesh.colours is None else (mesh.colours * 255).round().numpy().astype(np.uint8)
    made = trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), vertex_colors=colours, process=False)
    made.export(str(path))
    return path


def ply(mesh: Mesh) -> bytes:
    """Binary PLY, with 8-bit colours of vertices where there are any."""
    fields = [("xyz", "<f4", (3,))]
    lines = [f"property float {name}" for name in "xyz"]
    if mesh.colours is not None:
        fields.append(("rgb", "u1", (3,)))
        lines += [f"property uchar {name}" for name in ("red", "green", "blue")]
    rows = np.zeros(len(mesh.vertices), np.dtype(fields))
    rows["xyz"] = mesh.vertices.numpy()
    if mesh.colours is not None:
        rows["rgb"] = (mesh.colours * 255).round().numpy()
    faces = np.zeros(len(mesh.faces), np.dtype([("n", "u1"), ("v", "<i4", (3,))]))
    faces["n"], faces["v"] = 3, mesh.faces.numpy()
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}", *lines]
    head += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", ""]
    return "\n".join(head).encode() + rows.tobytes() + faces.tobytes()


def picture(mesh: Mesh, side: int = 512, azimuth: float = 35.0, elevation: float = 25.0) -> Image.Image:
    """The mesh from a corner above, lit from beside the viewer, far triangles drawn first; z is up."""
    a, e = np.radians(azimuth), np.radians(elevation)
    forward = -np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    right = np.array([-np.sin(a), np.cos(a), 0.0])
    up = np.cross(right, forward)
    vertices = mesh.vertices.numpy().astype(np.float64)
    centre = (vertices.max(0) + vertices.min(0)) / 2
    reach = max(float(np.linalg.norm(vertices - centre, axis=1).max()), 1e-9)
    seen = (vertices - centre) / reach
    x, y = (1 + 0.95 * seen @ right) * side / 2, (1 - 0.95 * seen @ up) * side / 2
    faces = mesh.faces.numpy()
    corners = seen[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    light = 0.45 + 0.55 * np.clip(normals @ (0.5 * up - forward - 0.4 * right) / 1.19, 0, 1)
    base = np.full((len(faces), 3), 0.75) if mesh.colours is None else mesh.colours.numpy()[faces].mean(1)
    shades = (255 * base * light[:, None]).round().astype(int)
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    for i in np.argsort(-(corners.mean(1) @ forward)):
        if normals[i] @ forward < 0:
            draw.polygon([(x[v], y[v]) for v in faces[i]], fill=tuple(shades[i]))
    return image
