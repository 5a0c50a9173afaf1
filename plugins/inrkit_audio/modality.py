"""What sounds are, how long and how loud, and how they are read, shown and written."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import attrs
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import inrkit

NARROW: Mapping[str, Any] = {"width": 128, "hidden": 512, "depth": 3, "heads": 2, "query_points": 1024, "shift": 0.03}
# The windows are as long as the patches: one that reads half a patch has to learn first which half.
SPEECH: Mapping[str, Any] = {**NARROW, "patch": 32, "token_patch": 32, "inr_width": 96}
WIDE: Mapping[str, Any] = {"patch": 16, "token_patch": 16, "inr_width": 64}

PHASES = [{"objective": "diffusion", "share": 0.6}, {"objective": "inrct", "share": 0.4}]
DECODER = {"objective": "reconstruction", "share": 0.1, "trains": "decoder"}
SPEECH_PHASES = [DECODER, {"objective": "diffusion", "share": 0.5}, {"objective": "inrct", "share": 0.4}]
POSITIVE = inrkit.bounded("> 0", lambda value: value > 0)


@attrs.frozen
class AudioOptions(inrkit.GridOptions):
    """A grid's options, and how fast time goes."""

    rate: int | None = inrkit.option(None, "sampling rate in Hz; none: as in the data")
    function: str = inrkit.option("windows", "implicit function (INR architecture), by its registered name")


@final
class AudioModality(inrkit.GridModality):
    """Waveforms: one axis, time."""

    name, summary, axes, suffix = "audio", "waveforms, heard at any sampling rate", 1, ".wav"
    invented_size = (512,)
    Options = AudioOptions
    presets: ClassVar[Mapping[str, Any]] = {
        "tiny": inrkit.tiny_preset(800, **WIDE),
        "strings": {**inrkit.tiny_preset(6000, **WIDE), "phases": PHASES},
        "speech": {**inrkit.tiny_preset(8500, 32, **SPEECH), "lr": 5e-3, "phases": SPEECH_PHASES},
    }
    options: AudioOptions

    def invent(self, chance: torch.Generator) -> Callable[[Tensor], Tensor]:
        """A plucked string: a tone between 100 and 200 Hz with three overtones, which die away the faster."""
        pitch, start, decay = torch.rand(3, generator=chance)
        loud, phase = torch.rand(2, 4, generator=chance)
        overtone = torch.arange(1, 5)

        def tone(x: Tensor) -> Tensor:
            seconds = 0.032 * (x + 1) - 0.02 * start
            waves = torch.sin(2 * math.pi * (100 * 2**pitch * overtone * seconds + phase)) * loud / overtone
            dying = torch.exp(-seconds * (5 + 15 * decay) * overtone**0.5) * torch.sigmoid(2000 * seconds)
            return torch.sum(waves * dying, 1, keepdim=True)

        return tone

    def fit_options(self, source: inrkit.Source) -> AudioOptions:
        options: AudioOptions = super().fit_options(source)
        return attrs.evolve(options, rate=self.options.rate or source.facts.get("rate", 8000))

    def decode(self, data: bytes, name: str) -> Tensor:
        sound, (length,) = torch.from_numpy(inrkit.read_wav(data, self.rate)), self.query_size
        return F.pad(sound[:length], (0, max(0, length - len(sound))))[None]

    def size_at(self, request: Mapping[str, str]) -> tuple[int, ...]:
        if set(request) != {"rate"}:
            return super().size_at(request)
        if not request["rate"].isdecimal() or int(request["rate"]) < 1:
            raise inrkit.UsageError(f"'rate' is a number of samples per second (got '{request['rate']}')")
        return (max(1, round(self.query_size[0] * int(request["rate"]) / self.rate)),)

    def pictures(self, values: Tensor) -> Tensor:
        return torch.cat([inrkit.curves(values, 40), inrkit.spectrograms(values)], dim=2)

    def write(self, values: Sequence[Tensor], path: Path) -> Path:
        if path.suffix != ".wav":
            return super().write(values, path)
        rate = round(self.rate * values[0].shape[1] / self.query_size[0])
        path.write_bytes(inrkit.write_wav(values[0][0], rate))
        return path

    @property
    def rate(self) -> int:
        return self.options.rate or 8000


@attrs.frozen(kw_only=True)
class WavOptions(inrkit.FilesOptions):
    """How recordings come to one rate, length and loudness."""

    rate: int = inrkit.option(8000, "sampling rate in Hz that recordings are resampled to", POSITIVE)
    seconds: float = inrkit.option(0.512, "duration in seconds; recordings are cut or padded with silence", POSITIVE)
    peak: float = inrkit.option(0.95, "peak amplitude that each recording is normalised to")


@final
class WavImporter(inrkit.FilesImporter):
    """WAV files of any rate, width and number of channels."""

    name, summary, modality = "wav", "a folder, an archive or a file of .wav recordings", "audio"
    suffixes = (".wav",)
    Options = WavOptions

    def decode(self, data: bytes, options: WavOptions) -> np.ndarray:
        length = max(1, round(options.seconds * options.rate))
        sound = inrkit.read_wav(data, options.rate)[:length]
        sound = np.pad(sound, (0, length - len(sound))) * (options.peak / max(np.abs(sound).max(), 1e-3))
        return np.asarray(np.round(32767 * sound), np.int16)[None]

    def attributes(self, options: WavOptions) -> Mapping[str, Any]:
        return {"rate": options.rate}
