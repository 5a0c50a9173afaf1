"""Sound keeps every law of inrkit, and those of sound."""

import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import inrkit
from inrkit.cli import main
from inrkit.testing import Case, checks_of

OPTIONS = {"width": 16, "heads": 2, "hidden": 16, "depth": 1, "count": 40}
FILES = Path(__file__).parents[2] / "plugins" / "inrkit_audio"
MODALITY = inrkit.load_plugins().modality("audio")


@pytest.mark.parametrize("check", checks_of("audio", options=OPTIONS, request={"rate": "6000"}))
def test_conformance(check: Case) -> None:
    """Every law that the trainer, samplers, stores and reports rely on."""
    check()


def fitted(**options: int) -> inrkit.GridModality:
    modality = MODALITY(MODALITY.Options(**OPTIONS, **options))
    return MODALITY(modality.fit_options(modality.source(None, "train")))


def test_a_rate_says_how_many_samples_there_are() -> None:
    """Twice the rate is twice as many of the same sound; a rate that is no number is refused."""
    modality = fitted()
    assert modality.display.places({"rate": "16000"})[0].size == (1024,)
    assert modality.display.places({})[0].size == modality.display.places({"rate": "8000"})[0].size == (512,)
    with pytest.raises(inrkit.UsageError, match="'rate' is a number of samples per second"):
        modality.display.places({"rate": "fast"})


def test_a_written_sound_lasts_as_long_at_any_rate(tmp_path: Path) -> None:
    """The file says at which rate it is to be heard."""
    modality = fitted()
    for rate in (4000, 8000, 44100):
        (place,) = modality.display.places({"rate": str(rate)})
        path = modality.display.write([torch.zeros(1, *place.size)], tmp_path / f"{rate}.wav")
        with wave.open(str(path)) as file:
            assert file.getframerate() == pytest.approx(rate, rel=1e-3)
            assert file.getnframes() / rate == pytest.approx(0.064, abs=1e-3)


def test_recordings_become_sounds_of_one_length_and_loudness(tmp_path: Path) -> None:
    """What is longer is cut, what is shorter filled with silence; classes come from names."""
    for i, length in enumerate((500, 3000)):
        sound = 0.1 * (i + 1) * torch.sin(torch.arange(length) * 0.3)
        (tmp_path / f"{i}_anna.wav").write_bytes(inrkit.write_wav(sound, 8000))
    importer = inrkit.load_plugins().importer("wav")
    with inrkit.StoreWriter(tmp_path / "s.h5", "audio") as out:
        importer().run(tmp_path, out, importer.Options(seconds=0.25, labels="name"), inrkit.quiet)
    found = inrkit.Store(tmp_path / "s.h5")
    values = found.read("values", range(2))
    assert values.shape == (2, 1, 2000)
    assert values.dtype == np.int16
    assert (np.abs(values).max(2) == round(0.95 * 32767)).all()
    assert not values[0, 0, 500:].any()
    assert found.attributes["rate"] == 8000
    assert found.attributes["class_names"] == ["0", "1"]


def test_a_sound_is_heard_again(tmp_path: Path) -> None:
    """A file that was written is read as what it was, and its store's rate is the modality's."""
    modality = fitted()
    sound = 0.5 * torch.sin(torch.linspace(0, 60, 512))[None]
    signals, _ = modality.display.read([modality.display.write([sound], tmp_path / "a.wav")])
    assert torch.allclose(signals["values"][0], sound, atol=1e-4)
    store = tmp_path / "s.h5"
    inrkit.write_store(store, "audio", {"values": np.zeros((20, 1, 64), np.int16)}, {"rate": 4000})
    empty = MODALITY(MODALITY.Options())
    assert empty.fit_options(empty.source(store, "train")).rate == 4000


def test_the_trained_model_makes_tones() -> None:
    """Plucked strings hold nearly all their power below the fourth overtone of the highest pitch, noise a quarter."""
    model = inrkit.load("strings")
    signal = model.sample(8, times=model.times(2)).signal[:, 0]
    power = torch.fft.rfft(signal).abs().square().sum(0)
    assert float(power[: len(power) // 4].sum() / power.sum()) > 0.95


def test_a_modality_on_a_grid_takes_a_hundred_lines_of_code() -> None:
    """At most, with its importer and without blank lines: that is what the shared pieces are for."""
    assert sum(bool(line.strip()) for file in FILES.glob("*.py") for line in file.read_text().splitlines()) <= 100


def test_an_edited_sound_can_be_heard_and_replaces_nothing(tmp_path: Path) -> None:
    """It stands beside the input, under a name of its own, as long as that."""
    (tmp_path / "a.wav").write_bytes(before := inrkit.write_wav(0.5 * torch.sin(torch.arange(512) * 0.1), 8000))
    words = ["edit", "strings", str(tmp_path / "a.wav"), "--task", "denoise", "-o", str(tmp_path)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "a.wav").read_bytes() == before
    with wave.open(str(tmp_path / "a-edited.wav")) as file:
        assert (file.getframerate(), file.getnframes()) == (8000, 512)
