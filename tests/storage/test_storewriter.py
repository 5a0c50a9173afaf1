"""Stores are written in pieces: in flat memory, the same bytes whatever the pieces, and whole or not at all."""

import errno
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from inrkit.errors import DataError, ResourceError, UsageError
from inrkit.storage import atomic, storefile, verified
from inrkit.storage.store import Store
from inrkit.storage.storewriter import StoreWriter, write_store

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (1500, 32, 32, 3), dtype=np.uint8)  # some chunks, and a part of one
LABELS = np.arange(1500)


def written(path: Path, step: int) -> Store:
    with StoreWriter(path, "image") as out:
        for start in range(0, len(IMAGES), step):
            rows = slice(start, start + step)
            out.append({"images": IMAGES[rows], "labels": LABELS[rows]})
        out.attributes["title"] = "pieces"
    return Store(path)


def test_the_bytes_do_not_depend_on_the_pieces(tmp_path: Path) -> None:
    """One by one, a few at a time and all at once give the same file."""
    stores = [written(tmp_path / f"{step}.h5", step) for step in (1, 7, 400, 1500)]
    assert len({store.path.read_bytes() for store in stores}) == 1
    assert np.array_equal(stores[0].read("images", slice(None)), IMAGES)
    assert np.array_equal(stores[0].read("labels", [1499, 0, 341]), [1499, 0, 341])


def test_memory_stays_flat(tmp_path: Path) -> None:
    """A store of 96 MB is written and read with less than 20 MB."""
    piece = RNG.integers(0, 256, (64, 128, 128, 3), dtype=np.uint8)
    tracemalloc.start()
    with StoreWriter(tmp_path / "a.h5", "image") as out:
        for _ in range(32):
            out.append({"images": piece})
    store = Store(tmp_path / "a.h5")
    assert np.array_equal(store.read("images", [70, 3])[1], piece[3])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert store.path.stat().st_size > 96 << 20
    assert peak < 20 << 20


def test_an_array_can_be_converted_on_the_way(tmp_path: Path) -> None:
    """What was written so far is changed, and what comes is of the new type; nothing but the store is left."""
    with StoreWriter(tmp_path / "a.h5", "image") as out:
        out.append({"images": IMAGES[:900], "labels": LABELS[:900]})
        out.convert("images", lambda rows: rows.astype(np.uint16) * 257)
        out.append({"images": IMAGES[900:].astype(np.uint16) * 257, "labels": LABELS[900:]})
    store = Store(tmp_path / "a.h5")
    assert np.array_equal(store.read("images", slice(None)), IMAGES.astype(np.uint16) * 257)
    assert np.array_equal(store.read("labels", slice(None)), LABELS)
    assert os.listdir(tmp_path) == ["a.h5"]


def written_as(path: Path, pieces: list[dict[str, np.ndarray]]) -> None:
    with StoreWriter(path, "image") as out:
        for piece in pieces:
            out.append(piece)


def test_items_are_alike(tmp_path: Path) -> None:
    """Another type, another shape or another set of arrays is refused, and nothing is written; nor is an empty set."""
    for other in (
        {"a": np.zeros((1, 2), np.float32)},
        {"a": np.zeros((1, 3), np.uint8)},
        {"b": np.zeros((1, 2), np.uint8)},
        {"a": np.zeros((1, 2), np.uint8), "b": np.zeros(1, np.uint8)},
    ):
        with pytest.raises(DataError, match="expected items of"):
            written_as(tmp_path / "a.h5", [{"a": np.zeros((4, 2), np.uint8)}, other])
    with pytest.raises(DataError, match="expected items for a store, found none"):
        written_as(tmp_path / "a.h5", [])
    assert not os.listdir(tmp_path)
    write_store(tmp_path / "a.h5", "image", {"a": LABELS})
    with pytest.raises(UsageError, match="expected a new file"):
        StoreWriter(tmp_path / "a.h5", "image")


def test_a_disk_that_fails_at_any_call_leaves_nothing(tmp_path: Path, faulty) -> None:
    """Full, or broken: the error says so in one line, HDF5 does not fall over, and the folder stays as it was."""

    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_store(tmp_path / "a.h5", "image", {"a": LABELS})
    before, failed = (tmp_path / "a.h5").read_bytes(), 0
    for k in range(1, 100):
        disk = faulty(k, full)
        try:
            write_store(tmp_path / "a.h5", "image", {"images": IMAGES}, overwrite=True)
        except ResourceError as error:
            failed += "no room to write" in str(error)
        assert os.listdir(tmp_path) == ["a.h5"]
        if disk.calls < k:
            break
        assert (tmp_path / "a.h5").read_bytes() == before or k >= disk.calls - 2  # the folder's own entry comes last
    assert failed > 8


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))
from inrkit.__main__ import main
sys.argv = ["inrkit", "data", "import", "npz", sys.argv[1], "-o", sys.argv[2]]
main()
"""


def test_an_import_onto_a_full_disk_says_so(tmp_path: Path) -> None:
    """Exit code 6, one line, nothing half-written."""
    pytest.importorskip("resource")
    np.savez(tmp_path / "x.npz", images=IMAGES)
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "x.npz"), str(tmp_path / "out" / "x.h5")]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == ResourceError.exit_code, ended.stderr
    assert "no room to write" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not os.listdir(tmp_path / "out")


HANGING = """
import sys, time
from pathlib import Path
import numpy as np
from inrkit import StoreWriter
with StoreWriter(Path(sys.argv[1]), "image") as out:
    while True:
        out.append({"images": np.zeros((100, 32, 32, 3), np.uint8)})
        time.sleep(0.001)
"""


@pytest.mark.parametrize("kind", ["SIGKILL", "SIGINT"])
def test_what_was_cut_off_is_gone_at_the_next_writing(tmp_path: Path, kind: str) -> None:
    """Ctrl-C leaves nothing; a process that is killed leaves a temporary file, which the next one removes."""
    if not hasattr(signal, kind):
        pytest.skip("this system has no such signal")
    writer = subprocess.Popen([sys.executable, "-c", HANGING, str(tmp_path / "a.h5")], stderr=subprocess.DEVNULL)
    while not any(path.stat().st_size > 1 << 20 for path in tmp_path.iterdir()):
        time.sleep(0.01)
    writer.send_signal(getattr(signal, kind))
    writer.wait()
    assert len(os.listdir(tmp_path)) == (kind == "SIGKILL")
    atomic._clean_once.cache_clear()
    write_store(tmp_path / "b.h5", "image", {"a": LABELS})
    assert os.listdir(tmp_path) == ["b.h5"]


# ---------------------------------------------------------------------------------------------- verified once


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files whose hash is compared, in order; small ones are remembered as large ones are."""
    found: list[Path] = []
    real = storefile.blockfile.hash_of
    monkeypatch.setattr(verified, "LEAST", 0)
    monkeypatch.setenv("INRKIT_CACHE", str(tmp_path_factory.mktemp("verified")))
    monkeypatch.setattr(storefile.blockfile, "hash_of", lambda path, *a: (found.append(path), real(path, *a))[1])
    return found


def test_a_store_is_verified_once(tmp_path: Path, hashed: list[Path]) -> None:
    """What was just written is known to be whole; a copy is verified when it is first opened, and by whoever asks."""
    path = write_store(tmp_path / "a.h5", "image", {"a": LABELS})
    Store(path)
    assert not hashed
    copy = tmp_path / "b.h5"
    copy.write_bytes(path.read_bytes())
    assert Store(copy).sha256 == Store(copy).sha256 == Store(path).sha256
    assert hashed == [copy]
    verified._path().unlink()
    Store(copy)
    verified._path().write_bytes(b"{damaged")
    Store(copy)
    assert hashed == [copy] * 3


def test_a_store_that_changed_is_verified_anew(tmp_path: Path, hashed: list[Path]) -> None:
    """Even where its size and its time are what they were."""
    path = write_store(tmp_path / "a.h5", "image", {"a": LABELS})
    status, data = path.stat(), bytearray(path.read_bytes())
    data[-100] ^= 4
    time.sleep(0.02)
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(DataError, match="damaged or altered, import it anew"):
        Store(path)
    assert hashed == [path]


def test_a_store_that_changes_in_use_is_found(tmp_path: Path, hashed: list[Path]) -> None:
    """At the next reading, in one line; a new time alone is verified and does no harm."""
    path = write_store(tmp_path / "a.h5", "image", {"images": IMAGES})
    store = Store(path)
    assert np.array_equal(store.read("images", 3), IMAGES[3])
    os.utime(path)
    assert np.array_equal(store.read("images", 3), IMAGES[3])
    assert hashed == [path]
    with path.open("r+b") as file:
        file.seek(4 << 20)
        file.write(b"other")
    with pytest.raises(DataError, match=r"a\.h5: expected sha256 .* damaged or altered"):
        store.read("images", 3)


def test_the_memory_of_stores_is_bounded(tmp_path: Path, hashed: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten."""
    monkeypatch.setattr(verified, "_MOST", 2)
    paths = [write_store(tmp_path / f"{i}.h5", "image", {"a": LABELS + i}) for i in range(3)]
    for path in reversed(paths):
        Store(path)
    assert hashed == paths[:1]
