"""A store is written once, verified before it is parsed, and read by item from anywhere."""

import multiprocessing
import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from inrkit.errors import DataError, UsageError
from inrkit.storage import storefile
from inrkit.storage.store import Store, ranges, verify_store
from inrkit.storage.storewriter import write_store
from soak.forgery import FORGERIES, forge, signed

RNG = np.random.default_rng(0)
ARRAYS = {
    "rgb": RNG.integers(0, 256, (23, 5, 8, 8, 3), dtype=np.uint8),
    "pose": RNG.standard_normal((23, 5, 4, 4)).astype(np.float32),
    "label": np.arange(23, dtype=np.int64)[::-1],
}
ATTRIBUTES = {"classes": ["cat", "dög"], "near": 0.5, "size": [8, 8], "split": {"train": 20}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_store(tmp_path / "data.h5", "nerf", ARRAYS, ATTRIBUTES)


def test_everything_comes_back(path: Path) -> None:
    """Modality, attributes, names, shapes, types and values are those that were written."""
    store = Store(path)
    assert (store.modality, store.attributes, len(store)) == ("nerf", ATTRIBUTES, 23)
    assert store.names == ("label", "pose", "rgb")
    for name, array in ARRAYS.items():
        assert store.shape(name) == array.shape
        assert store.dtype(name) == array.dtype
        assert np.array_equal(store.read(name, slice(None)), array)


INDICES = [
    0,
    -1,
    np.int64(7),
    slice(2, 9),
    slice(None, None, 3),
    slice(None, None, -4),
    slice(5, 2),
    [3],
    [],
    (7, 2, 2),
]
INDICES += [np.array([22, 0, 5, 6, 7, -1]), list(range(23)), [9, 8, 7]]


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_reading_is_numpy_indexing(path: Path, index) -> None:
    """read(name, i) is array[i], order, repetitions and dropped axes included; so for views within items."""
    store = Store(path)
    expected = ARRAYS["rgb"][np.asarray(index, dtype=int) if isinstance(index, list | tuple) else index]
    assert np.array_equal(store.read("rgb", index), expected)
    axis = 0 if np.ndim(index) == 0 and not isinstance(index, slice) else 1
    for within in (2, -1, slice(1, 4), [4, 0]):
        assert np.array_equal(store.read("rgb", index, within), expected.take(np.arange(5)[within], axis=axis))


def test_wrong_indices_and_names_say_so(path: Path) -> None:
    """Beyond the end, of a wrong type, or of an unknown array."""
    store = Store(path)
    for index in (23, -24, [0, 23]):
        with pytest.raises(IndexError, match="out of bounds for axis 0 with size 23"):
            store.read("rgb", index)
    for index in (1.5, [True, False], [[1, 2]], "a"):
        with pytest.raises(TypeError, match="whole numbers"):
            store.read("rgb", index)
    with pytest.raises(DataError, match="named 'depth', found label, pose, rgb"):
        store.read("depth", 0)
    with pytest.raises(UsageError, match="second axis"):
        store.read("label", 0, within=0)


def test_chunks_hold_whole_items_of_about_a_megabyte() -> None:
    """Small items are grouped, big ones have a chunk each."""
    assert storefile.chunk_items((50_000, 32, 32, 3), 1) == 341
    assert storefile.chunk_items((10, 50, 128, 128, 3), 1) == 1


def test_stores_are_written_once(path: Path) -> None:
    """A second writing is refused unless asked for; then a store that was open notices."""
    store = Store(path)
    with pytest.raises(UsageError, match="existing"):
        write_store(path, "nerf", ARRAYS)
    write_store(path, "nerf", {"rgb": ARRAYS["rgb"][:3]}, overwrite=True)
    assert len(Store(path)) == 3
    store.close()
    with pytest.raises(DataError, match="replaced meanwhile"):
        store.read("rgb", 0)


def test_the_same_data_have_the_same_hash(path: Path, tmp_path: Path) -> None:
    """A store's sha256 identifies its contents, not the time or place of writing."""
    again = write_store(tmp_path / "again.h5", "nerf", dict(reversed(ARRAYS.items())), ATTRIBUTES)
    assert Store(again).sha256 == Store(path).sha256


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"a": np.zeros((2, 3)), "b": np.zeros(3)},
        {"a": np.array(["x", "y"])},
        {"a": np.array([object()])},
        {"a": np.zeros(3, dtype=complex)},
        {"a": np.float64(3)},
        {"a": np.zeros((0, 3))},
        {"a/b": np.zeros(3)},
        {"__meta__": np.zeros(3)},
    ],
    ids=["nothing", "lengths", "texts", "objects", "complex", "scalar", "empty", "path", "reserved"],
)
def test_what_a_store_cannot_hold_is_refused(tmp_path: Path, arrays) -> None:
    """Texts, objects, different lengths, nothing at all: refused before a file is there."""
    with pytest.raises(DataError, match="expected"):
        write_store(tmp_path / "x.h5", "image", arrays)
    assert not list(tmp_path.iterdir())


def test_big_endian_arrays_keep_their_values(tmp_path: Path) -> None:
    """Byte order belongs to the machine, values to the data."""
    array = np.arange(6, dtype=">i4")
    assert np.array_equal(Store(write_store(tmp_path / "x.h5", "image", {"a": array})).read("a", slice(None)), array)


def test_damage_never_goes_unnoticed(path: Path, damaged) -> None:
    """Each of 80 damaged versions is refused before HDF5 parses it."""
    for data in damaged(path.read_bytes(), 80, seed=2):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"data\.h5"):
            Store(path)


def test_verification_names_both_hashes(path: Path) -> None:
    """A flipped bit gives expected and found; a full check does not trust what was verified before."""
    assert Store(path).sha256
    status, data = path.stat(), bytearray(path.read_bytes())
    data[-100] ^= 4
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(DataError, match=r"expected sha256 [0-9a-f]{12}, found [0-9a-f]{12}"):
        verify_store(path)


def test_verify_summarizes(path: Path) -> None:
    """The summary says what is in the file."""
    summary = verify_store(path)
    assert summary["modality"] == "nerf"
    assert summary["items"] == 23
    assert summary["attributes"] == ATTRIBUTES
    assert summary["arrays"]["pose"] == {"shape": [23, 5, 4, 4], "dtype": "float32"}
    assert summary["bytes"] == path.stat().st_size
    assert summary["sha256"] == Store(path).sha256


@pytest.mark.parametrize("kind", FORGERIES)
def test_hdf5_that_reaches_outside_or_lies_is_refused(tmp_path: Path, kind: str) -> None:
    """A true hash does not make a file harmless: its structure is checked before anything is read."""
    path = forge(tmp_path / "forged.h5", FORGERIES[kind])
    with pytest.raises(DataError, match=r"forged\.h5"):
        Store(path)
    with pytest.raises(DataError):
        storefile.contents(path)


def test_foreign_files_are_refused_unopened(tmp_path: Path) -> None:
    """Plain HDF5, text, nothing and a newer version are told apart from a store."""
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file.create_dataset("a", data=[1])
    (tmp_path / "text.h5").write_text("hello")
    (tmp_path / "empty.h5").write_bytes(b"")
    for name in ("plain.h5", "text.h5", "empty.h5", "none.h5", "."):
        with pytest.raises(DataError, match="expected a store"):
            Store(tmp_path / name)


@pytest.mark.parametrize("version", [1, 3])
def test_other_versions_are_named(path: Path, version: int) -> None:
    """Neither an older nor a newer file is guessed at; the line says what to do."""
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"version":2', b'"version":%d' % version, 1))
    with pytest.raises(DataError, match=f"version 2, found version {version}; import the data anew"):
        Store(path)


def test_an_hdf5_file_of_another_program_is_not_called_damaged(tmp_path: Path) -> None:
    """It can be trained on as it is."""
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = ARRAYS["rgb"]
    with pytest.raises(DataError, match=r"an HDF5 file of another program; .* 'inrkit train --data FILE' reads"):
        Store(tmp_path / "other.h5")


def test_every_byte_of_the_header_counts(path: Path) -> None:
    """Even a space more, which changes no value, is not what was written."""
    data = path.read_bytes()
    assert data[510:512] == b" \n"
    path.write_bytes(b" " + data[:510] + data[511:])
    with pytest.raises(DataError, match="as inrkit writes it"):
        Store(path)


def test_a_file_that_kills_its_reader_is_reported(tmp_path: Path) -> None:
    """The full check reads in a child, so that damage behind a true hash ends the child only, or is found."""
    path = forge(tmp_path / "x.h5", lambda file: file.create_dataset("a", data=np.arange(5000), chunks=(100,)))
    raw = bytearray(path.read_bytes()[512:])
    assert verify_store(path)["items"] == 5000
    for place in range(96):
        raw[place] ^= 0xFF
    signed(path, bytes(raw))
    with pytest.raises(DataError, match=r"x\.h5"):
        verify_store(path)


def read_all(store: Store) -> bytes:
    return b"".join(store.read("rgb", index).tobytes() for index in (3, [9, 1], slice(20, 23)))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_every_kind_of_process_reads_the_same(path: Path, method: str) -> None:
    """An open store is handed over by pickle or fork; no handle goes with it."""
    store = Store(path)
    expected = read_all(store)
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(read_all, [store] * 4) == [expected] * 4
    assert read_all(store) == expected


def test_an_inherited_handle_is_not_used(path: Path) -> None:
    """After a bare fork the child opens the file for itself while the parent reads on."""
    store = Store(path)
    expected = read_all(store)
    inherited = store._file
    child = os.fork()
    if child == 0:
        same = all(read_all(store) == expected for _ in range(20))
        os._exit(0 if same and store._file is not inherited and inherited.closed else 1)
    assert all(read_all(store) == expected for _ in range(20))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_pickled_store_carries_no_handle(path: Path) -> None:
    """Pickle, close, and read from the copy."""
    store = Store(path)
    store.read("rgb", 0)
    copy = pickle.loads(pickle.dumps(store))
    store.close()
    assert np.array_equal(copy.read("rgb", 1), ARRAYS["rgb"][1])
    assert "23" in repr(copy)


def test_numbers_that_are_none_are_refused_when_written_and_when_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The item is named, for it is what has to be repaired."""
    values = np.zeros((5, 3), np.float32)
    values[3, 1] = np.nan
    with pytest.raises(DataError, match="in 'values', found others in item 3"):
        write_store(tmp_path / "a.h5", "image", {"values": values})
    with monkeypatch.context() as unchecked:
        unchecked.setattr(storefile, "check_finite", lambda *_: None)
        write_store(tmp_path / "a.h5", "image", {"values": values})
    store = Store(tmp_path / "a.h5")
    assert not store.read("values", [0, 4]).any()
    for index in (3, -2, [4, 3], slice(2, None)):
        with pytest.raises(DataError, match="in item 3"):
            store.read("values", index)


def test_tensors_are_stored_as_arrays_are(tmp_path: Path) -> None:
    """On any device and with gradients; what is neither is named."""
    tensor = torch.rand(4, 2, requires_grad=True)
    store = Store(write_store(tmp_path / "a.h5", "image", {"values": tensor}))
    values = tensor.detach().numpy()
    assert np.array_equal(store.read("values", slice(None)), values)
    low, high, mean = ranges(store)["values"]
    assert (low, high, mean) == pytest.approx((values.min(), values.max(), values.mean()))
    with pytest.raises(DataError, match="expected integers or floats in 'values', found object"):
        write_store(tmp_path / "b.h5", "image", {"values": [object()]})
