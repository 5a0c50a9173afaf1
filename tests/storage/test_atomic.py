"""Files are whole or absent."""

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from inrkit.errors import DataError, ResourceError, UsageError
from inrkit.storage import atomic


def failing(number: int):
    def fail() -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_the_parts_are_written_in_order(tmp_path: Path) -> None:
    """A file is the concatenation of its parts, and its hash is that of the parts."""
    path = tmp_path / "ein Ding ü"
    atomic.write_bytes(path, b"abc", memoryview(b"de"), bytearray(b"f"))
    assert path.read_bytes() == b"abcdef"
    assert atomic.sha256_file(path) == hashlib.sha256(b"abcdef").hexdigest() == atomic.sha256(b"abc", b"def")
    assert atomic.sha256_file(path, start=3) == atomic.sha256(b"def")


@pytest.mark.parametrize("block", [1, 3, 7, 1 << 20])
def test_small_parts_are_written_together(tmp_path: Path, faulty, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """The bytes are the same for any size of the blocks, and many small parts take few calls."""
    parts = [bytes([i]) * (i % 5) for i in range(200)] + [b"", b"x" * 20, b"y"]
    monkeypatch.setattr(atomic, "_BLOCK", block)
    disk = faulty(10**6, failing(errno.EIO))
    digest, size = atomic.write_new_file(tmp_path / "file", parts)
    assert (tmp_path / "file").read_bytes() == b"".join(parts)
    assert (digest, size) == (hashlib.sha256(b"".join(parts)).hexdigest(), sum(map(len, parts)))
    assert disk.calls == 4 or block < 1 << 20  # open, write, fsync, close


def test_a_crash_at_any_call_leaves_the_old_or_the_new_file(tmp_path: Path, faulty, monkeypatch) -> None:
    """Whichever call fails, the file is the old or the new one, and nothing unfinished stays behind."""
    monkeypatch.setattr(atomic, "_BLOCK", 1)  # a call for each part
    path = tmp_path / "file"
    calls = 0
    for k in range(1, 50):
        path.write_bytes(b"old")
        disk = faulty(k, failing(errno.EIO))
        try:
            atomic.write_bytes(path, b"new", b"er")
        except ResourceError:
            calls += 1
        assert path.read_bytes() in (b"old", b"newer")
        assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
        if disk.calls < k:
            break
    assert calls >= 7  # open, write, write, fsync, rename, open, fsync
    assert path.read_bytes() == b"newer"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_says_needed_and_free_bytes(tmp_path: Path, faulty, number: int) -> None:
    """The message names both numbers and the file."""
    faulty(2, failing(number))
    with pytest.raises(ResourceError, match=r"file: no room to write: 12345 bytes needed, \d+ bytes free"):
        atomic.write_bytes(tmp_path / "file", bytes(12345))


def test_a_read_only_file_system_is_a_resource_error(tmp_path: Path, faulty) -> None:
    """EROFS is no fault of the name, but of the place."""
    faulty(1, failing(errno.EROFS))
    with pytest.raises(ResourceError, match=r"cannot write 3 bytes: the file system is read-only"):
        atomic.write_bytes(tmp_path / "file", b"abc")


def test_a_wrong_place_is_a_usage_error(tmp_path: Path) -> None:
    """A missing folder, a folder in the way, a file for a folder and a giant name say so, and leave nothing."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "plain").write_text("x")
    for path in (tmp_path / "no" / "file", tmp_path / "folder", tmp_path / "plain" / "file", tmp_path / ("x" * 300)):
        with pytest.raises(UsageError, match="cannot be used"):
            atomic.write_text(path, "text")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder", "plain"]


def test_a_name_as_long_as_the_file_system_allows_can_be_written(tmp_path: Path) -> None:
    """The unfinished name does not grow out of the wanted one."""
    path = tmp_path / ("x" * 255)
    atomic.write_text(path, "text")
    assert path.read_text() == "text"


def test_a_dangling_link_is_replaced_not_followed(tmp_path: Path) -> None:
    """Writing never creates a file somewhere else."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    atomic.write_text(tmp_path / "link", "text")
    assert not (tmp_path / "elsewhere").exists()
    assert not (tmp_path / "link").is_symlink()


def test_only_ordinary_files_of_bounded_size_are_read(tmp_path: Path) -> None:
    """Links, folders, devices, pipes and more than expected are refused without waiting on them."""
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    assert atomic.read_regular_file(tmp_path / "file", limit=3) == b"abc"
    for path in (tmp_path / "link", tmp_path / "pipe", tmp_path, Path("/dev/zero"), tmp_path / "none"):
        with pytest.raises(DataError):
            atomic.read_regular_file(path)
    with pytest.raises(DataError, match="at most 2 bytes, found 3"):
        atomic.read_regular_file(tmp_path / "file", limit=2)


def test_removing_follows_no_links(tmp_path: Path) -> None:
    """A link inside a folder goes, what it points to stays."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    (tmp_path / "old" / "deep").mkdir(parents=True)
    (tmp_path / "old" / "deep" / "link").symlink_to(tmp_path / "kept")
    atomic.remove(tmp_path / "old")
    atomic.remove(tmp_path / "old")
    assert (tmp_path / "kept" / "file").exists()
    assert not (tmp_path / "old").exists()


def test_the_next_write_removes_what_dead_processes_left(tmp_path: Path) -> None:
    """Once in each folder, and neither what a living process writes nor what is of another kind."""
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    dead = int(child.stdout)
    left = tmp_path / f".tmp-file-abcd-{dead}"
    kept = [
        tmp_path / f".tmp-file-abcd-{os.getppid()}",
        tmp_path / f".tmp-step-00000001-{dead}",
        tmp_path / ".tmp-file",
    ]
    for path in (left, *kept):
        path.write_bytes(b"half")
    atomic.write_bytes(tmp_path / "a", b"whole")
    assert not left.exists()
    assert all(path.exists() for path in kept)
