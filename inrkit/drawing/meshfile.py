"""Meshes on disk, as PLY, GLB, OBJ and STL; and a picture of one."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from inrkit.core.surface import Mesh
from inrkit.errors import UsageError
from inrkit.storage import atomic


def save_mesh(mesh: Mesh, path: Path) -> Path:
    """A mesh as the kind of file that its name says."""
    kind = path.suffix.lower()
    if kind not in _WRITERS:
        raise UsageError(f"{path}: expected a name ending in {', '.join(_WRITERS)}, found '{path.suffix}'")
    atomic.write_bytes(path, _WRITERS[kind](mesh))
    return path


def normals_of(mesh: Mesh) -> np.ndarray:
    """Directions (V, 3) of length 1 away from the solid: the mean of the triangles at each corner, by their area."""
    vertices, faces = mesh.vertices.numpy().astype(np.float64), mesh.faces.numpy()
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    each = np.cross(b - a, c - a)
    total = np.zeros_like(vertices)
    for corner in faces.T:
        np.add.at(total, corner, each)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.where(length > 1e-30, total / np.maximum(length, 1e-30), (0, 0, 1)).astype(np.float32)


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


def glb(mesh: Mesh) -> bytes:
    """Binary glTF 2.0 with normals, and colours of vertices where there are any; y is up there, z in our world."""
    vertices = mesh.vertices.numpy().astype("<f4")
    extent = {"min": vertices.min(0).tolist(), "max": vertices.max(0).tolist()}
    parts: dict[str, tuple[np.ndarray, int, str, dict[str, Any]]] = {  # numbers, OpenGL's name of their type, shape
        "POSITION": (vertices, 5126, "VEC3", extent),
        "NORMAL": (normals_of(mesh).astype("<f4"), 5126, "VEC3", {}),
    }
    if mesh.colours is not None:
        parts["COLOR_0"] = (_linear(mesh.colours.numpy()), 5123, "VEC4", {"normalized": True})
    parts["indices"] = (mesh.faces.numpy().astype("<u4").reshape(-1), 5125, "SCALAR", {})
    blocks, views, accessors = b"", [], []
    for i, (name, (values, kind, shape, more)) in enumerate(parts.items()):
        target = 34963 if name == "indices" else 34962
        views.append({"buffer": 0, "byteOffset": len(blocks), "byteLength": values.nbytes, "target": target})
        accessors.append({"bufferView": i, "componentType": kind, "count": len(values), "type": shape, **more})
        blocks += values.tobytes()
    attributes = {name: i for i, name in enumerate(parts) if name != "indices"}
    material: dict[str, Any] = {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.9}}
    table: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "inrkit"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "rotation": [-(0.5**0.5), 0, 0, 0.5**0.5]}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": len(parts) - 1, "material": 0}]}],
        "materials": [material],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(blocks)}],
    }
    if mesh.colours is not None:  # a field's colours are what cameras see: light is in them already
        material["extensions"] = {"KHR_materials_unlit": {}}
        table["extensionsUsed"] = ["KHR_materials_unlit"]
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(blocks), b"BIN\0") + blocks
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _linear(colours: np.ndarray) -> np.ndarray:
    """sRGB colours (V, 3) in [0, 1] as amounts of light (V, 4) in 16 bits, opaque."""
    light = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return (np.pad(light, ((0, 0), (0, 1)), constant_values=1.0) * 65535).round().astype("<u2")


def obj(mesh: Mesh) -> bytes:
    """Wavefront OBJ, with normals; colours stand behind the places of vertices, as most programs read them."""
    rows = mesh.vertices.numpy() if mesh.colours is None else np.hstack([mesh.vertices.numpy(), mesh.colours.numpy()])
    lines = [f"v {' '.join(f'{x:.6g}' for x in row)}" for row in rows]
    lines += [f"vn {x:.4f} {y:.4f} {z:.4f}" for x, y, z in normals_of(mesh)]
    lines += [f"f {a}//{a} {b}//{b} {c}//{c}" for a, b, c in (mesh.faces + 1).tolist()]
    return "\n".join([*lines, ""]).encode()


def stl(mesh: Mesh) -> bytes:
    """Binary STL, which has no colours."""
    corners = mesh.vertices.numpy()[mesh.faces.numpy()]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    rows = np.zeros(len(corners), np.dtype([("n", "<f4", (3,)), ("v", "<f4", (3, 3)), ("more", "<u2")]))
    rows["n"], rows["v"] = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30), corners
    return b"inrkit".ljust(80) + struct.pack("<I", len(rows)) + rows.tobytes()


_WRITERS = {".ply": ply, ".glb": glb, ".obj": obj, ".stl": stl}


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
