"""Mesh files: what is written can be read by the format's own rules, and a picture shows the mesh."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from inrkit.core.surface import Mesh
from inrkit.drawing.meshfile import glb, normals_of, obj, picture, ply, save_mesh, stl
from inrkit.errors import UsageError

TRIANGLES = Mesh(
    torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
    torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0.5]]),
)


def test_ply_holds_vertices_colours_and_faces() -> None:
    """The header counts them, the body has exactly as many bytes as it says, little endian."""
    head, _, body = ply(TRIANGLES).partition(b"end_header\n")
    assert head.decode().splitlines()[:3] == ["ply", "format binary_little_endian 1.0", "element vertex 4"]
    assert b"element face 4" in head
    rows = np.frombuffer(body[: 4 * 15], np.dtype([("xyz", "<f4", (3,)), ("rgb", "u1", (3,))]))
    faces = np.frombuffer(body[4 * 15 :], np.dtype([("n", "u1"), ("v", "<i4", (3,))]))
    np.testing.assert_array_equal(rows["xyz"], TRIANGLES.vertices.numpy())
    np.testing.assert_array_equal(rows["rgb"][:3], 255 * np.eye(3))
    np.testing.assert_array_equal(faces["v"], TRIANGLES.faces.numpy())
    assert (faces["n"] == 3).all()


def test_a_mesh_without_colours_has_none_in_its_file() -> None:
    """Nothing is made up."""
    data = ply(Mesh(TRIANGLES.vertices, TRIANGLES.faces))
    assert b"red" not in data
    assert len(data.partition(b"end_header\n")[2]) == 4 * 12 + 4 * 13


def test_an_unknown_kind_of_file_is_named(tmp_path: Path) -> None:
    """With those that are known."""
    with pytest.raises(UsageError, match=r"ending in \.ply, \.glb, \.obj, \.stl, found '\.xyz'"):
        save_mesh(TRIANGLES, tmp_path / "mesh.xyz")


def test_the_picture_shows_the_mesh_in_its_colours() -> None:
    """On white, and only the side that is turned to the viewer."""
    pixels = np.asarray(picture(TRIANGLES, side=64))
    assert (pixels[0, 0] == 255).all()
    assert (pixels < 250).any(-1).mean() > 0.05


def test_glb_is_binary_gltf_with_normals_and_colours() -> None:
    """The lengths of its header and chunks, and each accessor, say what the bytes hold; colours are light."""
    data = glb(TRIANGLES)
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    count, kind = struct.unpack_from("<I4s", data, 12)
    table, rest = json.loads(data[20 : 20 + count]), data[20 + count :]
    assert (kind, count % 4, struct.unpack_from("<I4s", rest)) == (b"JSON", 0, (len(rest) - 8, b"BIN\0"))
    found = {}
    for name, i in {**table["meshes"][0]["primitives"][0]["attributes"], "faces": 3}.items():
        view, kinds = table["bufferViews"][i], {5126: "<f4", 5123: "<u2", 5125: "<u4"}
        part = rest[8:][view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        found[name] = np.frombuffer(part, kinds[table["accessors"][i]["componentType"]])
        assert len(found[name]) % table["accessors"][i]["count"] == 0
    np.testing.assert_array_equal(found["POSITION"].reshape(-1, 3), TRIANGLES.vertices.numpy())
    np.testing.assert_array_equal(found["faces"].reshape(-1, 3), TRIANGLES.faces.numpy())
    np.testing.assert_array_equal(found["NORMAL"].reshape(-1, 3), normals_of(TRIANGLES))
    colours = found["COLOR_0"].reshape(-1, 4)
    assert colours[0].tolist() == [65535, 0, 0, 65535]
    assert colours[3, 0] / 65535 == pytest.approx(0.2140, abs=1e-4)  # of half the brightness, a fifth of the light


def test_normals_point_away_from_the_solid() -> None:
    """Of a tetrahedron, away from its middle, with length 1."""
    normals = normals_of(TRIANGLES)
    away = TRIANGLES.vertices.numpy() - TRIANGLES.vertices.numpy().mean(0)
    assert ((normals * away).sum(1) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, rtol=1e-6)


def test_obj_and_stl_list_every_triangle() -> None:
    """OBJ counts from 1; STL has as many records as it says."""
    lines = obj(TRIANGLES).decode().splitlines()
    assert "v 1 0 0 0 1 0" in lines
    assert "f 1//1 3//3 2//2" in lines
    data = stl(TRIANGLES)
    assert len(data) == 84 + 50 * 4
    assert struct.unpack_from("<I", data, 80) == (4,)
