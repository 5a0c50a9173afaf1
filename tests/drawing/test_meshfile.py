"""Mesh files: what is written can be read by the format's own rules, and a picture shows the mesh."""

from pathlib import Path

import numpy as np
import pytest
import torch

from inrkit.core.surface import Mesh
from inrkit.drawing.meshfile import picture, ply, save_mesh
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
