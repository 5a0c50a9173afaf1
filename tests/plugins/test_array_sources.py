"""Arrays of users are read where they lie: HDF5, numpy and zarr, of any order of axes, scale and split."""

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import inrkit
from inrkit.config.data import absolute_data, open_data
from inrkit.errors import DataError, InrkitError, UsageError

N = 40


@pytest.fixture
def image() -> inrkit.Modality:
    cls = inrkit.load_plugins().modality("image")
    return cls(cls.Options())


def pixels(shape: tuple[int, ...] = (N, 8, 6, 3)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def hdf5(path: Path, **arrays: np.ndarray) -> Path:
    """Compressed and shuffled, as other programs write them."""
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name.replace("__", "/"), data=values, compression="gzip", shuffle=True, chunks=True)
    return path


def test_an_hdf5_file_is_read_as_it_is(tmp_path: Path, image: inrkit.Modality) -> None:
    """The only array of pictures is found, in its order of axes; every tenth signal is held out; it can be pickled."""
    values = pixels()
    path = hdf5(tmp_path / "scans.h5", train__x=values, ids=np.arange(N))
    source = open_data(str(path), image, "train")
    assert source.facts["size"] == [8, 6]
    assert source.facts["channels"] == 3
    assert len(source) == 36
    for found in (source, pickle.loads(pickle.dumps(source))):
        assert torch.equal(found.read([12, 0, 12])["values"], torch.from_numpy(values[[13, 0, 13]]).movedim(-1, 1))
    assert torch.equal(
        open_data(str(path), image, "test").read([1])["values"][0], torch.from_numpy(values[19]).movedim(-1, 0)
    )


def test_axes_labels_range_and_split_are_the_users(tmp_path: Path, image: inrkit.Modality) -> None:
    """LOW and HIGH become -1 and 1, whatever the modality keeps; the split file says what is held out."""
    values = np.linspace(-1000, 3000, N * 4 * 6 * 2, dtype=">f8").reshape(N, 2, 6, 4)
    path = hdf5(tmp_path / "scans.h5", x=values, y=np.arange(N) % 3)
    (tmp_path / "split.txt").write_text("0 train\n3 test\n5\n7, val\n")
    address = f"hdf5://{path}?array=x&labels=y&axes=NCXY&range=-1000,3000&split={tmp_path / 'split.txt'}"
    held_out = open_data(address, image, "test")
    assert len(held_out) == 3
    assert held_out.facts["classes"] == 3
    found = held_out.read([0, 2])
    assert found["label"].tolist() == [0, 1]
    assert isinstance(image, inrkit.GridModality)
    torch.testing.assert_close(
        image.values_of(found["values"]).double(), torch.from_numpy(values[[3, 7]].astype(float)) / 2000 - 0.5
    )


def test_numpy_files_and_folders(tmp_path: Path, image: inrkit.Modality) -> None:
    """One file of many signals, or one for each, which a split file names."""
    values = pixels()
    np.save(tmp_path / "all.npy", values)
    np.savez_compressed(tmp_path / "all.npz", x=values, y=np.arange(N))
    (tmp_path / "each").mkdir()
    for i, one in enumerate(values):
        np.save(tmp_path / "each" / f"{i:02d}.npy", one)
    (tmp_path / "split.txt").write_text("04.npy\n")
    wanted = torch.from_numpy(values[[9]]).movedim(-1, 1)
    for data in ("all.npy", "all.npz?array=x", "each"):
        assert torch.equal(open_data(f"numpy://{tmp_path / data}", image, "test").read([0])["values"], wanted)
    assert torch.equal(open_data(str(tmp_path / "all.npy"), image, "test").read([0])["values"], wanted)
    named = open_data(f"numpy://{tmp_path / 'each'}?split={tmp_path / 'split.txt'}", image, "test")
    assert torch.equal(named.read([0])["values"], torch.from_numpy(values[[4]]).movedim(-1, 1))


def test_a_zarr_store(tmp_path: Path, image: inrkit.Modality) -> None:
    """Where the package is installed; otherwise the extra is named."""
    try:
        import zarr
    except ImportError:
        (tmp_path / "x.zarr").mkdir()
        with pytest.raises(UsageError, match=r"inrkit\[zarr\]"):
            open_data(str(tmp_path / "x.zarr"), image, "train")
        return
    values = pixels()
    zarr.open_group(str(tmp_path / "x.zarr"), mode="w").create_array("a", data=values)
    source = open_data(f"zarr://{tmp_path / 'x.zarr'}?array=a", image, "test")
    assert torch.equal(source.read([0])["values"], torch.from_numpy(values[[9]]).movedim(-1, 1))
    with pytest.raises(DataError, match="one of a"):
        open_data(str(tmp_path / "x.zarr"), image, "train")


def test_addresses_keep_their_meaning_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths in them are made absolute, the options' among them."""
    monkeypatch.chdir(tmp_path)
    found = absolute_data("hdf5://a.h5?array=x&split=s.txt")
    assert found == f"hdf5://{tmp_path}/a.h5?array=x&split={tmp_path}/s.txt"


def linked(path: Path) -> None:
    hdf5(path.with_name("secret.h5"), x=pixels())
    with h5py.File(path, "w") as file:
        file["x"] = h5py.ExternalLink("secret.h5", "x")
        file["soft"] = h5py.SoftLink("/x")


def external(path: Path) -> None:
    path.with_name("raw").write_bytes(pixels().tobytes())
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (N, 8, 6, 3), "u1", external=[(str(path.with_name("raw")), 0, h5py.h5f.UNLIMITED)])


def virtual(path: Path) -> None:
    hdf5(path.with_name("secret.h5"), x=pixels())
    layout = h5py.VirtualLayout((N, 8, 6, 3), "u1")
    layout[:] = h5py.VirtualSource(path.with_name("secret.h5"), "x", (N, 8, 6, 3))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("x", layout)


def giant(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (N, 100000, 100000, 3), "u1", chunks=(1, 100, 100, 3))


BAD = {
    "external link": (linked, "?array=x", "found a link, which is not followed"),
    "soft link": (linked, "?array=soft", "found a link, which is not followed"),
    "external data": (external, "?array=x", "found that they lie in others"),
    "virtual": (virtual, "?array=x", "found that they lie in others"),
    "giant": (giant, "", "expected signals of at most"),
    "no file": (lambda path: None, "", "expected data, found none"),
    "no HDF5": (lambda path: path.write_bytes(b"text"), "", "expected an HDF5 file"),
    "two arrays": (lambda path: hdf5(path, a=pixels(), b=pixels()), "", "choose by '?array=NAME'"),
    "another name": (lambda path: hdf5(path, a=pixels()), "?array=b", "there are a"),
    "upwards": (lambda path: hdf5(path, g__a=pixels()), "?array=g/../g/a", "found none of that name"),
    "a group": (lambda path: hdf5(path, g__a=pixels()), "?array=g", "found a group"),
    "other axes": (lambda path: hdf5(path, a=pixels((N, 8))), "?array=a", "expected 2 axes besides N and C"),
    "odd axes": (lambda path: hdf5(path, a=pixels()), "?axes=HWCN", "'axes' must be"),
    "no range": (lambda path: hdf5(path, a=pixels()), "?range=5", "'range' must be two numbers"),
    "few": (lambda path: hdf5(path, a=pixels((5, 8, 6, 3))), "", "no signals for 'test'"),
    "labels": (lambda path: hdf5(path, a=pixels(), b=np.arange(3)), "?array=a&labels=b", "class numbers"),
    "no split": (lambda path: hdf5(path, a=pixels()), "?split=none.txt", "expected a readable text file"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_are_refused_in_a_line(
    tmp_path: Path, image: inrkit.Modality, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """And nothing outside of the file is read."""
    make, options, said = BAD[what]
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "bad.h5")
    with pytest.raises(InrkitError) as caught:
        open_data(f"hdf5://bad.h5{options}", image, "test")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_finite_is_named(tmp_path: Path, image: inrkit.Modality) -> None:
    """When it is read."""
    values = np.ones((N, 8, 6), "f4")
    values[9, 1, 1] = np.nan
    np.save(tmp_path / "x.npy", values)
    source = open_data(str(tmp_path / "x.npy"), image, "test")
    with pytest.raises(DataError, match="found others in signal 9"):
        source.read([0])


def test_pickles_are_refused(tmp_path: Path, image: inrkit.Modality) -> None:
    """A .npy of objects is none of numbers."""
    np.save(tmp_path / "x.npy", np.array([{"a": 1}] * N, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="expected an array of numbers"):
        open_data(str(tmp_path / "x.npy"), image, "test")
