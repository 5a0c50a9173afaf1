"""Files with one signal each, and recordings."""

import io
import wave
import zipfile
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
import torch
from stored import stored

from inrkit import DataError, FilesImporter, FilesOptions, UsageError, grid_centers, read_wav, write_wav


@final
class NumbersImporter(FilesImporter):
    """Numbers in text files."""

    name, summary, modality, suffixes = "numbers", "numbers in text files", "waves", (".txt",)

    def decode(self, data: bytes, options: Any) -> np.ndarray:
        try:
            return np.array([[float(word) for word in data.decode().split()]], np.float32)
        except ValueError as error:
            raise DataError(f"expected numbers, found {data[:10]!r}") from error

    def attributes(self, options: Any) -> dict[str, str]:
        return {"unit": "volt"}


def run(source: Path, **options: Any) -> Any:
    return stored(NumbersImporter, source, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("b/7_1.txt", "1 2"), ("a/3_0.TXT", "3 4"), ("a/7_2.txt", "5 6"), ("a/readme.md", "-")):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_text(text)
    return tmp_path / "set"


def test_every_file_is_a_signal_in_the_order_of_names(folder: Path) -> None:
    """Other files are passed over; the store says what the numbers are."""
    found = run(folder)
    assert found.arrays["values"].tolist() == [[[3, 4]], [[5, 6]], [[1, 2]]]
    assert found.modality == "waves"
    assert found.attributes == {"title": "set", "format": "numbers", "unit": "volt"}


def test_archives_are_folders(folder: Path, tmp_path: Path) -> None:
    """A zip file of the folder gives the same arrays."""
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in folder.rglob("*.*"):
            archive.write(path, path.relative_to(folder))
    assert np.array_equal(run(tmp_path / "set.zip").arrays["values"], run(folder).arrays["values"])


def test_classes_come_from_folders_or_names(folder: Path) -> None:
    """Their names are sorted, and the labels count them."""
    by_folder, by_name = run(folder, labels="folder"), run(folder, labels="name")
    assert (by_folder.attributes["class_names"], by_folder.arrays["labels"].tolist()) == (["a", "b"], [0, 0, 1])
    assert (by_name.attributes["class_names"], by_name.arrays["labels"].tolist()) == (["3", "7"], [0, 1, 1])


def test_garbage_is_named_or_left_out(folder: Path) -> None:
    """One broken file stops the import with its name, or is listed as skipped."""
    (folder / "a/broken.txt").write_text("none")
    with pytest.raises(DataError, match=r"set: a/broken.txt: expected numbers, found b'none'; --skip-broken"):
        run(folder)
    found = run(folder, skip_broken=True)
    assert len(found.arrays["values"]) == 3
    assert found.skipped == ["a/broken.txt: expected numbers, found b'none'"]


def test_what_cannot_be_a_data_set_is_refused(folder: Path) -> None:
    """Signals of different shapes, no files at all, no limit, files without a folder."""
    with pytest.raises(DataError, match=r"expected files that end in .txt, found none"):
        run(folder / "a/readme.md")
    with pytest.raises(UsageError, match="'limit' must be at least 1"):
        FilesOptions(limit=0)
    with pytest.raises(DataError, match="expected each file in a folder named after its class"):
        run(folder / "b/7_1.txt", labels="folder")
    (folder / "a/long.txt").write_text("1 2 3")
    with pytest.raises(DataError, match=r"of one shape, found \(1, 2\) in 'a/3_0.TXT' and \(1, 3\) in 'a/long.txt'"):
        run(folder)


def test_a_limit_is_spread(folder: Path) -> None:
    """So that sorted classes keep their shares."""
    assert run(folder, limit=2).arrays["values"].tolist() == [[[3, 4]], [[5, 6]]]


# ---------------------------------------------------------------------------------------------- recordings


def recording(width: int, channels: int, rate: int = 8000) -> bytes:
    """A tone of 250 Hz, the same in every channel."""
    tone = 0.5 * np.sin(2 * np.pi * 250 * np.arange(rate // 10) / rate)
    full = 1 << (8 * width - 1)
    numbers = np.round(tone * (full - 1)).astype("<i8").repeat(channels) + (128 if width == 1 else 0)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(numbers.view(np.uint8).reshape(-1, 8)[:, :width].tobytes())
    return buffer.getvalue()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_recordings_of_any_width_are_the_same_sound(width: int, channels: int) -> None:
    """8, 16, 24 and 32 bits, mono and stereo."""
    expected = 0.5 * np.sin(2 * np.pi * 250 * np.arange(800) / 8000)
    assert np.abs(read_wav(recording(width, channels), 8000) - expected).max() < (0.02 if width == 1 else 1e-3)


def test_recordings_come_to_a_rate() -> None:
    """A tone sampled at 16 kHz and read at 8 kHz is the tone sampled there, up to the ends."""
    found, expected = read_wav(recording(2, 1, 16000), 8000), read_wav(recording(2, 1), 8000)
    assert len(found) == len(expected)
    seconds = (grid_centers((1600,))[:, 0].numpy() + 1) / 2 * 0.1
    assert len(seconds) == 2 * len(found)
    assert np.abs(found - expected)[2:-2].max() < 0.08


def test_written_recordings_are_read_back() -> None:
    """To the 16 bits that they are written with; what is too loud is cut off."""
    sound = torch.linspace(-1.5, 1.5, 50)
    assert np.abs(read_wav(write_wav(sound, 4000), 4000) - sound.clamp(-1, 1).numpy()).max() < 1e-4


@pytest.mark.parametrize("data", [b"", b"RIFF", b"\x89PNG and more of it", recording(2, 1)[:30]])
def test_what_is_no_recording_says_so(data: bytes) -> None:
    """Whatever the bytes, the error is one about data."""
    with pytest.raises(DataError, match="expected a WAV recording"):
        read_wav(data, 8000)
