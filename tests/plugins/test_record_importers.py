"""Webdataset shards, parquet and arrow files, and split files of users."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import encoded, folder, picture, tar
from stored import stored

import inrkit
from inrkit import DataError, UsageError
from inrkit.config.data import absolute_data, open_data
from inrkit_image.formats.folders import ImagesImporter
from inrkit_image.formats.tables import ParquetImporter
from inrkit_image.formats.webdataset import WebDatasetImporter

PICTURES = [picture(seed) for seed in range(6)]


def shard(path: Path, numbers: range, **more: bytes) -> Path:
    files: dict[str, bytes] = {}
    for i in numbers:
        files |= {f"{i:03d}.png": encoded(PICTURES[i]), f"{i:03d}.cls": f"{i % 3}\n".encode(), f"{i:03d}.txt": b"words"}
    path.parent.mkdir(exist_ok=True)
    return tar(path, {**files, **more}, "w")


def test_shards_of_pairs(tmp_path: Path) -> None:
    """In order, with their classes; shards for testing are held out; one compressed file is read as well."""
    shard(tmp_path / "set" / "train-0.tar", range(4))
    shard(tmp_path / "set" / "val-0.tar", range(4, 6))
    found = stored(WebDatasetImporter, tmp_path / "set")
    np.testing.assert_array_equal(found.arrays["images"], np.stack(PICTURES))
    assert found.arrays["labels"].tolist() == [0, 1, 2, 0, 1, 2]
    assert found.arrays["split"].tolist() == [0, 0, 0, 0, 1, 1]
    assert found.attributes["class_names"] == ["0", "1", "2"]
    one = stored(WebDatasetImporter, shard(tmp_path / "one.tar", range(6)), labels="none", limit=2, size="5x4")
    assert one.arrays["images"].shape == (2, 4, 5, 3)
    assert set(one.arrays) == {"images"}


def test_bad_shards(tmp_path: Path) -> None:
    """Damage, pictures that are none, classes that are none or missing; links lead nowhere."""
    (tmp_path / "cut.tar").write_bytes(shard(tmp_path / "x.tar", range(2)).read_bytes()[:700])
    (tmp_path / "no.tar").write_bytes(b"no tar")
    cases = {
        tmp_path / "cut.tar": "expected a tar file, found damage",
        tmp_path / "no.tar": "expected a tar file, found damage",
        shard(tmp_path / "b.tar", range(2), **{"9.png": b"words"}): "9.png: expected a PNG.*--skip-broken",
        shard(tmp_path / "c.tar", range(2), **{"9.png": encoded(PICTURES[0])}): "expected a class for every image",
        shard(tmp_path / "d.tar", range(2), **{"1.cls": b"cat"}): "expected a class number in '1.cls'",
        folder(tmp_path / "empty", {"a.txt": b""}): "expected files that end in .tar",
    }
    with tarfile.open(tmp_path / "link.tar", "w") as archive:
        member = tarfile.TarInfo("0.png")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member, io.BytesIO())
    for path, words in {**cases, tmp_path / "link.tar": "expected images, found none"}.items():
        with pytest.raises(DataError, match=words):
            stored(WebDatasetImporter, path)


def table(path: Path, metadata: bool = True, **columns: Any) -> Path:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    made = arrow.table(columns)
    if metadata:
        names = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
        made = made.replace_schema_metadata({"huggingface": json.dumps(names)})
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".parquet":
        parquet.write_table(made, path)
    else:
        with arrow.OSFile(str(path), "wb") as file, arrow.ipc.new_stream(file, made.schema) as out:
            out.write_table(made)
    return path


IMAGES = [{"bytes": encoded(one), "path": f"{i}.png"} for i, one in enumerate(PICTURES)]


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_tables_of_hugging_face(tmp_path: Path, ending: str) -> None:
    """A folder of files for training and testing, pictures as bytes beside a path, classes with their names."""
    for part, rows in (("train", slice(0, 4)), ("test", slice(4, 6))):
        labels = [0, 1, 0, 1, 0, 1][rows]
        table(tmp_path / "set" / f"{part}-00000-of-00001.{ending}", image=IMAGES[rows], label=labels, other=labels)
    found = stored(ParquetImporter, tmp_path / "set")
    expected = [*PICTURES[4:], *PICTURES[:4]]  # by the names of the files
    np.testing.assert_array_equal(found.arrays["images"], np.stack(expected))
    assert found.arrays["split"].tolist() == [1, 1, 0, 0, 0, 0]
    assert found.arrays["labels"].tolist() == [0, 1, 0, 1, 0, 1]
    assert found.attributes["class_names"] == ["cat", "dog"]


def test_plain_columns_of_bytes(tmp_path: Path) -> None:
    """Chosen by their names; classes may be words, numbered as they come."""
    raw = [encoded(one) for one in PICTURES]
    path = table(tmp_path / "x.parquet", metadata=False, a=raw, b=raw[::-1], kind=list("xyxyxy"))
    found = stored(ParquetImporter, path, column="b", label_column="kind")
    np.testing.assert_array_equal(found.arrays["images"], np.stack(PICTURES[::-1]))
    assert found.arrays["labels"].tolist() == [0, 1] * 3
    assert found.attributes["class_names"] == ["x", "y"]


def test_bad_tables(tmp_path: Path) -> None:
    """Columns that are no pictures, pictures that lie elsewhere, and damage."""
    raw = [encoded(one) for one in PICTURES]
    (tmp_path / "no.parquet").write_bytes(b"no table")
    elsewhere = [IMAGES[0], {"bytes": None, "path": "/etc/passwd"}]
    cases: list[tuple[Path, dict[str, str], str]] = [
        (
            table(tmp_path / "a.parquet", x=[1, 2]),
            {},
            r"expected one column of images as bytes, found 0 \(x .*; keep each",
        ),
        (table(tmp_path / "b.parquet", x=raw, y=raw), {}, "expected one column of images as bytes, found 2"),
        (
            table(tmp_path / "c.parquet", x=raw, y=list(range(6))),
            {"column": "y"},
            "'y' of images .* that it holds none",
        ),
        (table(tmp_path / "d.parquet", x=[b"words"]), {}, "row 0 of 'x': expected a PNG"),
        (table(tmp_path / "e.parquet", x=elsewhere), {}, "found a path, which is not followed"),
        (table(tmp_path / "f.parquet", x=raw, label=[0.5] * 6), {}, "expected class numbers or names"),
        (tmp_path / "no.parquet", {}, "expected a parquet file, found damage"),
    ]
    for path, options, words in cases:
        with pytest.raises(DataError, match=words):
            stored(ParquetImporter, path, **options)


def test_tables_need_a_package(tmp_path: Path) -> None:
    """Where it is not installed the extra is named."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        (tmp_path / "x.parquet").write_bytes(b"PAR1")
        with pytest.raises(UsageError, match=r"inrkit\[parquet\]"):
            stored(ParquetImporter, tmp_path / "x.parquet")


def test_a_split_file_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As CelebA has it: names and 0, 1 or 2; with or without endings; for the importer and for a folder as it is."""
    files = {f"img/{i}.png": encoded(one) for i, one in enumerate(PICTURES)}
    source = folder(tmp_path / "faces", files)
    (tmp_path / "parts.txt").write_text("0.png 0\n1.png 1\n4 2\nimg/5.png\n")
    found = stored(ImagesImporter, source, split_file=str(tmp_path / "parts.txt"))
    assert found.arrays["split"].tolist() == [0, 1, 0, 0, 1, 1]
    cls = inrkit.load_plugins().modality("image")
    monkeypatch.chdir(tmp_path)
    data = absolute_data("files://faces?split_file=parts.txt")
    assert data == f"files://{tmp_path}/faces?split_file={tmp_path}/parts.txt"
    assert len(open_data(data, cls(cls.Options()), "test")) == 3
    (tmp_path / "parts.txt").write_text("1.png\n")
    assert len(open_data(data, cls(cls.Options()), "test")) == 1
    (tmp_path / "parts.txt").write_text("nobody.png\n")
    with pytest.raises(DataError, match="one of 6 signals, found 'nobody"):
        stored(ImagesImporter, source, split_file=str(tmp_path / "parts.txt"))
    folder(tmp_path / "faces", {"more/1.png": encoded(PICTURES[0])})
    (tmp_path / "parts.txt").write_text("1.png\n")
    with pytest.raises(DataError, match="found several of the name '1"):
        stored(ImagesImporter, source, split_file=str(tmp_path / "parts.txt"))
