"""Solids keep every law of inrkit, and those of solids."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from inrkit_shapes.distance import REACH, TRUNCATION, stored, values_of_cells, values_of_distance
from inrkit_shapes.mesh import read_mesh
from inrkit_shapes.picture import views
from inrkit_shapes.solids import KINDS, invent
from inrkit_shapes.voxelise import voxelise

import inrkit
from inrkit.testing import Case, checks_of

OPTIONS = {"size": [16, 16, 16], "width": 16, "heads": 2, "hidden": 16, "depth": 1, "count": 40, "inr_width": 24}
MODALITY = inrkit.load_plugins().modality("shapes")
BOX = torch.tensor([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=torch.float64)
QUADS = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


@pytest.mark.parametrize("check", checks_of("shapes", options=OPTIONS, suffix=".npy"))
def test_conformance(check: Case) -> None:
    """Every law that the trainer, samplers, stores and reports rely on."""
    check()


def centers(n: int) -> torch.Tensor:
    return inrkit.grid_centers((n, n, n))


def ball(n: int, radius: float) -> torch.Tensor:
    inside: torch.Tensor = centers(n).norm(dim=1) < radius
    return inside.reshape(n, n, n)


# ---------------------------------------------------------------------------------------------- distances


def test_values_of_cells_are_those_of_the_distance() -> None:
    """A ball of cells has the distances of a ball, up to a cell, and the same cells are inside."""
    n, radius = 48, 0.6
    values = values_of_cells(ball(n, radius))
    exact = values_of_distance(centers(n).norm(dim=1) - radius).reshape(n, n, n)
    assert float((values - exact).abs().max()) < (2 / n) / TRUNCATION
    assert ((values > 0) == ball(n, radius)).all()
    assert (float(values.min()), float(values.max())) == (-1.0, 1.0)


def test_stored_values_lie_on_the_same_side() -> None:
    """Bytes round a value by half a step, and change no cell's side of the surface."""
    values = values_of_cells(ball(24, 0.5))
    back = stored(values).float() / 127.5 - 1
    assert float((back - values).abs().max()) <= 0.5 / 127.5 + 1e-6
    assert ((back > 0) == (values > 0)).all()


# ---------------------------------------------------------------------------------------------- solids


@pytest.mark.parametrize("seed", range(12))
def test_invented_solids_fill_their_box_and_leave_room_around_it(seed: int) -> None:
    """Each stands in the middle of the cube, its bounding box of diagonal 1 in the world; gradients are at most 1."""
    solid, n = invent(torch.Generator().manual_seed(seed)), 64
    values = solid(centers(n)).reshape(n, n, n)
    places = centers(n)[(values > 0).flatten()]
    low, high = places.amin(0), places.amax(0)
    assert float((low + high).abs().max()) < 0.13
    assert float((high - low).norm()) * REACH == pytest.approx(1.0, abs=0.09)
    steps = torch.cat([values.diff(dim=axis).flatten() for axis in range(3)])
    assert float(steps.abs().max()) <= (2 / n) / TRUNCATION * 1.05


def test_invented_solids_differ() -> None:
    """Seeds give kinds and measures; equal seeds give equal solids."""
    values = [invent(torch.Generator().manual_seed(seed))(centers(12)) for seed in (*range(20), 0)]
    assert torch.equal(values[0], values[-1])
    assert len({tuple(v.flatten().tolist()) for v in values}) == 20
    assert len(KINDS) == 6


def test_turned_solids_are_solids_that_stand(tmp_path: Path) -> None:
    """Training turns and mirrors about the vertical: heights stay, and every turn occurs."""
    modality = MODALITY(MODALITY.Options(**OPTIONS, turn=True))
    modality = MODALITY(modality.fit_options(modality.source(None, "train")))
    values = torch.randn(1, 1, 16, 16, 16).expand(64, -1, -1, -1, -1)
    turned = modality.observe({"values": values}, inrkit.Draws(0, 64), training=True).support.values
    assert torch.allclose(turned.sum((2, 3)), values.sum((2, 3)), atol=1e-4)
    assert len({tuple(v.flatten().tolist()) for v in turned}) == 8


# ---------------------------------------------------------------------------------------------- meshes


def box_mesh(size: tuple[float, float, float]) -> np.ndarray:
    corners = (BOX * torch.tensor(size)).numpy()
    return np.array([[corners[q[0]], corners[q[k]], corners[q[k + 1]]] for q in QUADS for k in (1, 2)])


def obj_of(size: tuple[float, float, float]) -> bytes:
    corners = (BOX * torch.tensor(size)).tolist()
    lines = [f"v {x} {y} {z}" for x, y, z in corners]
    return "\n".join([*lines, *("f " + " ".join(f"{i + 1}/1/1" for i in q) for q in QUADS)]).encode()


def stl_of(triangles: np.ndarray) -> bytes:
    rows = np.zeros(len(triangles), np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("rest", "<u2")]))
    rows["corners"] = triangles
    return bytes(80) + len(rows).to_bytes(4, "little") + rows.tobytes()


def ascii_ply(size: tuple[float, float, float]) -> bytes:
    corners = (BOX * torch.tensor(size)).tolist()
    head = ["ply", "format ascii 1.0", "element vertex 8", *(f"property float {axis}" for axis in "xyz")]
    head += ["element face 6", "property list uchar int vertex_indices", "end_header"]
    rows = [f"{x} {y} {z}" for x, y, z in corners] + ["4 " + " ".join(map(str, q)) for q in QUADS]
    return "\n".join([*head, *rows, ""]).encode()


def test_a_box_is_read_alike_from_every_kind_of_file() -> None:
    """Polygons become triangles; text and binary files of one mesh give the same cells."""
    size, cells = (1.0, 2.0, 3.0), voxelise(box_mesh((1.0, 2.0, 3.0)), 24)
    for kind, data in (("obj", obj_of(size)), ("stl", stl_of(box_mesh(size))), ("ply", ascii_ply(size))):
        found, triangles = read_mesh(data)
        assert found == kind
        assert torch.equal(voxelise(triangles, 24), cells)


def test_a_box_fills_its_cells() -> None:
    """A box of sides 1, 2, 3 has the volume and the sides that diagonal 1 leaves it."""
    n = 96
    cells = voxelise(box_mesh((1.0, 2.0, 3.0)), n)
    cell, scale = 2 * REACH / n, 1 / 14**0.5
    assert float(cells.sum()) * cell**3 == pytest.approx(6 * scale**3, rel=0.05)
    for axis, side in enumerate((1, 2, 3)):
        others = tuple(a for a in range(3) if a != axis)
        assert int(cells.any(others[1]).any(others[0]).sum()) * cell == pytest.approx(side * scale, abs=1.5 * cell)


def test_parts_that_overlap_and_small_holes_do_no_harm() -> None:
    """Where two boxes share space it is occupied; a box that lacks one triangle is still filled."""
    one = box_mesh((1.0, 1.0, 1.0))
    overlapping = np.concatenate([one, one * 0.5 + 0.25])
    assert torch.equal(voxelise(overlapping, 32), voxelise(one, 32))
    assert (voxelise(one[1:], 32) == voxelise(one, 32)).float().mean() > 0.99


def test_an_exported_mesh_is_read_back_as_the_same_solid() -> None:
    """Values to triangles to a .ply file to cells: the cells that were positive."""
    n = 32
    field = torch.nn.functional.interpolate(values_of_cells(ball(n, 0.7))[None, None], scale_factor=1)

    def value(points: torch.Tensor) -> torch.Tensor:
        places = (points / REACH).flip(-1)[None, None, None]
        return torch.nn.functional.grid_sample(field, places, padding_mode="border", align_corners=False)[0, 0, 0, 0]

    from inrkit.drawing.meshfile import ply

    mesh = inrkit.mesh_of(inrkit.Surface(value, 0.0, (-REACH,) * 3, (REACH,) * 3), 48)
    kind, triangles = read_mesh(ply(mesh))
    assert kind == "ply"
    assert len(triangles) == len(mesh.faces)
    found = voxelise(triangles, n)
    # A ball's bounding box of diagonal 1 makes it a ball of radius 1 / (2 √3).
    wanted = ball(n, 0.5 / 3**0.5 / REACH)
    assert float((found & wanted).sum() / (found | wanted).sum()) > 0.93


# ---------------------------------------------------------------------------------------------- importers


def run(name: str, source: Path, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """The values of the store that is written, and its attributes."""
    importer = inrkit.load_plugins().importer(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.h5"
        with inrkit.StoreWriter(path, importer.modality) as out:
            importer().run(source, out, importer.Options(**options), inrkit.quiet)
        with inrkit.Store(path) as store:
            return store.read("values", slice(None)), store.attributes


def test_packed_bits_and_plain_cells_give_the_same_solids(tmp_path: Path) -> None:
    """`occ_packed` with `shape` and `names`, booleans, and numbers: one solid, however it is kept."""
    cells = torch.stack([ball(12, 0.5), ball(12, 0.8)]).numpy()
    packed: dict[str, Any] = {
        "occ_packed": np.packbits(cells, axis=-1),
        "shape": cells.shape,
        "names": np.array(["a", "b"]),
    }
    np.savez(tmp_path / "packed.npz", **packed)
    np.savez(tmp_path / "plain.npz", cells=cells)
    np.save(tmp_path / "numbers.npy", cells.astype(np.float32))
    (packed_in, facts), *others = (
        run("voxels", tmp_path / name) for name in ("packed.npz", "plain.npz", "numbers.npy")
    )
    assert packed_in.shape == (2, 1, 12, 12, 12)
    assert facts["names"] == ["a", "b"]
    for other, _ in others:
        assert np.array_equal(other, packed_in)
    assert run("voxels", tmp_path / "plain.npz", size=6, limit=1)[0].shape == (1, 1, 6, 6, 6)


def test_meshes_are_imported_with_their_up_axis_up(tmp_path: Path) -> None:
    """A tall box is tall: y is up in .obj files and z in others, unless said otherwise."""
    (tmp_path / "a.obj").write_bytes(obj_of((1.0, 3.0, 1.0)))
    (tmp_path / "b.stl").write_bytes(stl_of(box_mesh((1.0, 1.0, 3.0))))
    (tmp_path / "notes.txt").write_text("not a mesh")
    values, _ = run("meshes", tmp_path, size=16)
    assert values.shape == (2, 1, 16, 16, 16)
    assert np.array_equal(values[0], values[1])
    heights = (values[0, 0] > 127).any((0, 1)).sum()
    assert heights > 2 * (values[0, 0] > 127).any((1, 2)).sum()
    lying, _ = run("meshes", tmp_path / "a.obj", size=16, up="z")
    assert np.array_equal(lying[0, 0].transpose(0, 2, 1)[:, ::-1], values[0, 0])


BAD_MESHES = {
    "no faces": (b"v 0 0 0\nv 1 0 0\n", "expected a mesh with faces, found none"),
    "nothing": (b"", "expected a mesh with faces, found none"),
    "a vertex too many": (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 7\n", "a face of a vertex that is not one of the 3"),
    "no numbers": (b"v 0 zero 0\n", "expected an intact .obj file, found damage"),
    "not finite": (b"v 0 0 0\nv 1 nan 0\nv 0 1 0\nf 1 2 3\n", "expected finite vertices"),
    "a leaf": (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "expected a mesh with an inside"),
    "a cut file": (ascii_ply((1.0, 1.0, 1.0))[:-20], "expected an intact .ply file, found damage"),
}


@pytest.mark.parametrize("kind", BAD_MESHES)
def test_bad_meshes_are_named(kind: str, tmp_path: Path) -> None:
    """One line that names the file, for the importer and for a file to encode."""
    data, message = BAD_MESHES[kind]
    path = tmp_path / "thing.obj"
    path.write_bytes(data)
    modality = MODALITY(MODALITY.Options(**OPTIONS))
    for read in (lambda: run("meshes", tmp_path), lambda: modality.display.read([path])):
        with pytest.raises(inrkit.DataError) as caught:
            read()
        assert message in str(caught.value)
        assert "thing.obj" in str(caught.value)
        assert "\n" not in str(caught.value)


BAD_VOXELS: dict[str, tuple[Any, str]] = {
    "not an npz": (lambda p: p.write_bytes(b"PK\x03\x04 broken"), "expected an intact .npz or .npy file"),
    "missing": (lambda p: None, "expected an intact .npz or .npy file"),
    "pickled": (lambda p: np.savez(p, x=np.array([{}], object)), "expected an intact .npz or .npy file"),
    "no cubes": (lambda p: np.savez(p, x=np.zeros((2, 4, 5, 6))), r"expected cells \(N, n, n, n\)"),
    "words": (lambda p: np.savez(p, names=np.array(["a"])), r"expected cells \(N, n, n, n\)"),
    "other bits": (lambda p: np.savez(p, occ_packed=np.zeros((1, 8, 8, 2), np.uint8), shape=(1, 8, 8, 8)), "bits"),
    "no solids": (lambda p: np.savez(p, x=np.zeros((0, 8, 8, 8))), "expected some solids, found none"),
}


@pytest.mark.parametrize("kind", BAD_VOXELS)
def test_bad_voxels_are_named(kind: str, tmp_path: Path) -> None:
    """One line that names the file; nothing is unpickled."""
    write, message = BAD_VOXELS[kind]
    path = tmp_path / "solids.npz"
    write(path)
    with pytest.raises(inrkit.DataError, match=message) as caught:
        run("voxels", path)
    assert "solids.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------------------------------------- pictures and figures


def test_pictures_show_a_ball_as_a_disc_on_white() -> None:
    """A ball's outline is a circle of its radius; an empty cube is white, a full one is not."""
    values = torch.stack([values_of_cells(ball(32, 0.5))[None], -torch.ones(1, 32, 32, 32)])
    shown = views(values, 64)
    ink = (shown < 0.97).any(1)
    assert not ink[1].any()
    assert float(ink[0].float().mean()) == pytest.approx(torch.pi * 0.25 / 4, rel=0.1)
    assert not (views(torch.ones(1, 1, 4, 4, 4)) == 1).all()


def test_figures_count_what_is_inside_of_both() -> None:
    """Intersection over union is 1 for equal solids and the ratio of volumes for one inside of the other."""
    modality = MODALITY(MODALITY.Options(**OPTIONS))
    large, small = (values_of_cells(ball(24, r))[None, None] for r in (0.8, 0.4))
    found = modality.display.metrics(torch.cat([large, small]), torch.cat([large, large]))["IoU"]
    ratio = float((small > 0).sum() / (large > 0).sum())
    assert found.tolist() == pytest.approx([1.0, ratio])
