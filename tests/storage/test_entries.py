"""Archives are told by their content, and unpack to no more than their own bytes justify."""

import gzip
import zipfile
from pathlib import Path

import pytest

from inrkit.errors import DataError
from inrkit.storage import entries
from inrkit.storage.entries import open_entries


def zipped(path: Path, size: int) -> Path:
    """A zip archive of one file of so many zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(size))
    return path


def gzipped(path: Path, size: int) -> Path:
    """A compressed tar archive of so many zeros, which mean no file."""
    path.write_bytes(gzip.compress(bytes(size), 1))
    return path


@pytest.mark.parametrize("pack", [zipped, gzipped])
def test_what_unpacks_to_far_more_than_it_holds_is_refused(
    pack: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a name of it is read, and whatever is left out otherwise; a little more is let through."""
    assert callable(pack)
    monkeypatch.setattr(entries, "_UNPACKED", 1 << 20)
    path = pack(tmp_path / "bomb", 8 << 20)
    with pytest.raises(DataError, match="bomb: expected an archive that unpacks to at most 1 MiB and 30 times its own"):
        open_entries(path)
    with open_entries(pack(tmp_path / "small", 1 << 20)) as found:
        assert len(found.names()) == (pack is zipped)
