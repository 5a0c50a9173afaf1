"""WAV files, to arrays and back."""

import io
import wave

import numpy as np
import torch
from torch import Tensor

from inrkit.errors import DataError
from inrkit.nn.resample import resample


def read_wav(data: bytes, rate: int) -> np.ndarray:
    """A recording of any width and number of channels as floats (N,) in [-1, 1], at this sampling rate."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            width, channels, own = file.getsampwidth(), file.getnchannels(), file.getframerate()
            raw = np.frombuffer(file.readframes(file.getnframes()), np.uint8)
    except (wave.Error, EOFError) as error:
        raise DataError(f"expected a WAV recording, found something else ({error})") from error
    if not len(raw) or own < 1:
        raise DataError("expected a WAV recording, found an empty one")
    whole = len(raw) // (width * channels) * channels
    wide = np.zeros((whole, 4), np.uint8)
    wide[:, 4 - width :] = raw[: whole * width].reshape(-1, width)
    if width == 1:
        wide[:, 3] ^= 0x80  # alone among the widths, 8 bits are unsigned
    sound = torch.from_numpy(wide.view("<i4").reshape(-1, channels).mean(1) / 2**31)
    return resample(sound[None, None], (max(1, round(len(sound) * rate / own)),))[0, 0].float().numpy()


def write_wav(sound: Tensor, rate: int) -> bytes:
    """Values (N,) in [-1, 1] as a WAV file of 16 bits."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", "not compressed"))
        file.writeframes((sound.float().clamp(-1, 1) * 32767).round().numpy().astype("<i2").tobytes())
    return buffer.getvalue()
