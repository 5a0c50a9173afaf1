"""CIFAR-10, idx and npz: every form gives the same pixels; what lies about itself or wants to be run is refused."""

import contextlib
import functools
import gzip
import io
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import encoded, folder, packed, picture, tar
from stored import Stored, stored

from inrkit import DataError
from inrkit_image.formats.arrays import IdxImporter, NpzImporter
from inrkit_image.formats.cifar10 import Cifar10Importer
from inrkit_image.formats.split import SplitImporter


def run(importer: type[SplitImporter], source: Path, **options: Any) -> Stored:
    return stored(importer, source, **{"split": "train", **options})


import_cifar10 = functools.partial(run, Cifar10Importer)
import_idx = functools.partial(run, IdxImporter)
import_npz = functools.partial(run, NpzImporter)


def batch(seed: int, count: int = 4) -> tuple[np.ndarray, list[int]]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 3072), dtype=np.uint8), rng.integers(0, 10, count).tolist()


def official_pickle(pixels: np.ndarray, labels: list[int]) -> bytes:
    """The opcodes of Python 2 with protocol 2, as in the files of the official distribution."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + struct.pack("<I", len(value)) + value

    def array() -> bytes:
        shape = b"M" + struct.pack("<H", len(pixels)) + b"M" + struct.pack("<H", 3072) + b"\x86"
        dtype = b"cnumpy\ndtype\nq\x06" + text(b"u1") + b"K\x00K\x01\x87Rq\x07"
        dtype += b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        start = (
            b"cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85" + text(b"b") + b"\x87Rq\x05"
        )
        return start + b"(K\x01" + shape + dtype + b"\x89" + text(pixels.tobytes()) + b"tb"

    listed = b"]q\x09(" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    files = b"](" + b"".join(text(b"file_%d.png" % i) for i in range(len(pixels))) + b"e"
    items = text(b"data") + array() + text(b"labels") + listed + text(b"batch_label") + text(b"training batch")
    return b"\x80\x02}q\x01(" + items + text(b"filenames") + files + b"u."


def channels_last(pixels: np.ndarray) -> np.ndarray:
    return pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def test_python_batches(tmp_path: Path) -> None:
    """The official pickles, and those of today's Python, give their pixels and labels without being unpickled."""
    first, second, third = batch(1), batch(2), batch(3)
    modern = {"data": third[0], "labels": third[1]}
    files = {
        "cifar-10-batches-py/data_batch_1": official_pickle(*first),
        "cifar-10-batches-py/data_batch_2": official_pickle(*second),
        "cifar-10-batches-py/test_batch": pickle.dumps({k.encode(): v for k, v in modern.items()}, protocol=4),
        "cifar-10-batches-py/readme.html": b"words",
    }
    assert pickle.loads(files["cifar-10-batches-py/data_batch_1"], encoding="latin1")["labels"] == first[1]
    for source in (folder(tmp_path / "x", files), tar(tmp_path / "x.tar.gz", files)):
        train = import_cifar10(source)
        np.testing.assert_array_equal(train.arrays["images"], channels_last(np.concatenate([first[0], second[0]])))
        assert train.arrays["labels"].tolist() == first[1] + second[1]
        assert train.attributes["class_names"][3] == "cat"
        test = import_cifar10(source, split="test", limit=2)
        np.testing.assert_array_equal(test.arrays["images"], channels_last(third[0])[::2])


def test_binary_batches(tmp_path: Path) -> None:
    """The binary form gives the same as the python form."""
    pixels, labels = batch(1)
    records = b"".join(bytes([label]) + row.tobytes() for label, row in zip(labels, pixels, strict=True))
    files = {"cifar-10-batches-bin/data_batch_1.bin": records}
    found = import_cifar10(tar(tmp_path / "x.tgz", files))
    np.testing.assert_array_equal(found.arrays["images"], channels_last(pixels))
    assert found.arrays["labels"].tolist() == labels
    with pytest.raises(DataError, match="records of 3073 bytes"):
        import_cifar10(folder(tmp_path / "y", {"data_batch_1.bin": records[:-1]}))
    with pytest.raises(DataError, match="labels from 0 to 9"):
        import_cifar10(folder(tmp_path / "z", {"data_batch_1.bin": b"\x0a" + records[1:]}))


def test_class_folders_of_cifar10(tmp_path: Path) -> None:
    """``split`` picks the folder, and the class folders become labels."""
    files = {
        f"c/{split}/{kind}/0.png": encoded(picture(i)) for i, kind in enumerate("ab") for split in ("train", "test")
    }
    found = import_cifar10(tar(tmp_path / "x.tgz", files), split="test")
    np.testing.assert_array_equal(found.arrays["images"], np.stack([picture(0), picture(1)]))
    assert found.arrays["labels"].tolist() == [0, 1]
    with pytest.raises(DataError, match="expected CIFAR-10's train split"):
        import_cifar10(folder(tmp_path / "y", {"x.txt": b""}))


class Payload:
    def __init__(self, function: object, *arguments: object):
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_hostile_pickles_are_refused_and_not_run(tmp_path: Path, protocol: int) -> None:
    """A pickle that calls anything is named and refused; what it would have done does not happen."""
    canary = tmp_path / "canary"
    for payload in (
        Payload(os.system, f"touch {canary}"),
        Payload(eval, f"open({str(canary)!r}, 'w')"),
        Payload(os.mkdir, str(canary)),
    ):
        data = pickle.dumps({"data": payload, "labels": [1]}, protocol=protocol)
        with pytest.raises(DataError, match="it was not run"):
            import_cifar10(folder(tmp_path / "x", {"data_batch_1": data}))
    assert not canary.exists()


def test_arrays_of_objects_and_damaged_pickles_are_refused(tmp_path: Path) -> None:
    """Object arrays, other dtypes, CIFAR-100, cut-off and damaged streams are all `DataError`."""
    pixels, labels = batch(1)
    official = official_pickle(pixels, labels)
    refused = [
        pickle.dumps({"data": np.array([os.getpid], object), "labels": labels}, protocol=3),
        pickle.dumps({"data": pixels.astype(np.float32), "labels": labels}, protocol=3),
        pickle.dumps({"data": pixels, "fine_labels": labels}, protocol=3),
        pickle.dumps({"data": pixels[:, :7], "labels": labels}, protocol=3),
        pickle.dumps({"data": pixels, "labels": labels[:-1]}, protocol=3),
        pickle.dumps({"data": pixels, "labels": [[]] * 4}, protocol=3),
        pickle.dumps([pixels], protocol=3),
        official[:-10],
        official[:5000],
        b"",
        b"\x80\x02h\x05.",
        b"\x80\x02}(KKb.",
        b".",
    ]
    rng = np.random.default_rng(0)
    for data in refused:
        with pytest.raises(DataError, match="data_batch_1"):
            import_cifar10(folder(tmp_path, {"data_batch_1": data}))
    for _ in range(100):  # the headers, not the pixels, where damage cannot be told
        damaged = bytearray(official)
        damaged[rng.integers(0, 150)] ^= int(rng.integers(1, 256))
        with contextlib.suppress(DataError):
            import_cifar10(folder(tmp_path, {"data_batch_1": bytes(damaged)}))


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.mark.parametrize("squeeze", [bytes, gzip.compress])
def test_idx_with_labels(tmp_path: Path, squeeze: object) -> None:
    """Images and labels come by the header's counts, gzipped or not, by folder or by file."""
    images, labels = picture(0, (5, 6, 7)), np.array([3, 1, 0, 2, 1], np.uint8)
    end = "" if squeeze is bytes else ".gz"
    files = {
        f"train-images-idx3-ubyte{end}": squeeze(idx(images)),
        f"train-labels-idx1-ubyte{end}": squeeze(idx(labels)),
    }  # type: ignore[operator]
    source = folder(tmp_path, files)
    for path in (source, source / f"train-images-idx3-ubyte{end}"):
        found = import_idx(path)
        np.testing.assert_array_equal(found.arrays["images"], images[..., None])
        assert found.arrays["labels"].tolist() == labels.tolist()
        assert found.arrays["labels"].dtype == np.int64
        assert found.attributes["class_names"] == ["0", "1", "2", "3"]
    with pytest.raises(DataError, match="t10k-images"):
        import_idx(source, split="test")


def test_idx_that_lies_is_refused(tmp_path: Path) -> None:
    """A header that does not agree with the data, another type, or labels of another count are errors by name."""
    images = idx(picture(0, (5, 6, 7)))
    huge = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1)
    for data in (images[:-1], images + b"x", images[:9], b"\0\0\x0d\3" + images[4:], b"words", b"", huge):
        for squeeze in (bytes, gzip.compress):
            (tmp_path / "x").write_bytes(squeeze(data))
            with pytest.raises(DataError, match="x: expected"):
                import_idx(tmp_path / "x")
    (tmp_path / "x").write_bytes(gzip.compress(images)[:-6])
    with pytest.raises(DataError, match="damage"):
        import_idx(tmp_path / "x")
    source = folder(
        tmp_path / "y", {"train-images-idx3-ubyte": images, "train-labels-idx1-ubyte": idx(np.zeros(4, "u1"))}
    )
    with pytest.raises(DataError, match="expected 5 labels"):
        import_idx(source)


@pytest.mark.parametrize("key", ["images", "arr_0", "x_train", "train_images"])
def test_npz_shapes_and_keys(tmp_path: Path, key: str) -> None:
    """(N, H, W), (N, H, W, C) and (N, C, H, W) are told apart under any of the usual names; labels are optional."""
    images, labels = picture(0, (4, 6, 7, 3)), np.array([2, 0, 1, 1])
    path = tmp_path / "x.npz"
    for array, expected in (
        (images, images),
        (images.transpose(0, 3, 1, 2), images),
        (images[..., 0], images[..., :1]),
        (images.astype(np.int64), images),
        (images.astype(np.uint16) * 257, images.astype(np.uint16) * 257),
        (images.astype(np.float64) / 255, (images / 255).astype(np.float32)),
    ):
        np.savez_compressed(path, **{key: array, "labels": labels[:, None]})
        found = import_npz(path)
        assert found.arrays["images"].dtype == expected.dtype
        np.testing.assert_array_equal(found.arrays["images"], expected)
        assert found.arrays["labels"].tolist() == labels.tolist()
    np.savez(path, **{key: images})
    assert "labels" not in import_npz(path).arrays
    small = import_npz(path, size="4x4", channels="grey", limit=3)
    assert small.arrays["images"].shape == (3, 4, 4, 1)


def test_npz_that_is_hostile_or_strange_is_refused(tmp_path: Path) -> None:
    """Pickled objects, headers that promise petabytes, odd shapes and ranges are errors by name."""
    canary, path = tmp_path / "canary", tmp_path / "x.npz"
    np.savez(path, images=np.array([Payload(os.mkdir, str(canary))], object))
    with pytest.raises(DataError, match="python objects"):
        import_npz(path)
    assert not canary.exists()
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 1024, 1024)})
    with pytest.raises(DataError, match="less data than it promises"):
        import_npz(packed(path, {"images.npy": header.getvalue() + b"x"}))
    for array in (
        np.zeros(3),
        np.zeros((2, 5, 5, 7)),
        np.full((1, 2, 2), 2.0),
        np.full((1, 2, 2), np.nan),
        np.zeros((0, 2, 2)),
    ):
        np.savez(path, images=array)
        with pytest.raises(DataError, match=r"x\.npz, 'images': expected"):
            import_npz(path)
    np.savez(path, images=np.zeros((2, 4, 4), np.uint8), labels=np.zeros(3, int))
    with pytest.raises(DataError, match="expected 2 labels"):
        import_npz(path)
    np.savez(path, weights=np.zeros(3))
    with pytest.raises(DataError, match="found weights"):
        import_npz(path)
    path.write_bytes(b"words")
    with pytest.raises(DataError, match="damage"):
        import_npz(path)


def test_a_single_file_is_one_part_whatever_its_name(tmp_path: Path) -> None:
    """A file named as test images is not read twice, which would put the same images on both sides."""
    images = np.arange(12 * 16, dtype=np.uint8).reshape(12, 4, 4)
    source = tmp_path / "t10k-images-idx3-ubyte"
    source.write_bytes(bytes([0, 0, 8, 3, *np.array([12, 4, 4], ">u4").tobytes()]) + images.tobytes())
    imported = import_idx(source, split="all")
    assert len(imported.arrays["images"]) == 12
    assert "split" not in imported.arrays
