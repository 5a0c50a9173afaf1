"""Very many generated signals in one file, a part at a time: what other programs compute figures of sets from."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from inrkit.core.pipeline import Prediction
from inrkit.core.sample import Sampler
from inrkit.errors import UsageError
from inrkit.inference.labels import Labels
from inrkit.inference.model import BLOCK, Model
from inrkit.inference.picture import pictures_of, rendered
from inrkit.inference.signalset import batches
from inrkit.progress import Progress, quiet
from inrkit.storage.npzfile import write_npz

_PART = 4 * BLOCK


def save_samples(
    model: Model,
    path: Path,
    n: int,
    seed: int = 0,
    times: Sequence[float] | None = None,
    label: Labels = None,
    *,
    sampler: Sampler | str | None = None,
    guidance: float = 1.0,
    size: str | None = None,
    progress: Progress = quiet,
) -> Path:
    """Pictures of ``n`` samples in an .npz file: ``arr_0`` (n, H, W, 3) uint8, and ``labels`` (n,) if there are any.

    They are those of `Model.sample` with these arguments; memory does not grow with their number.

    Args:
        size: Of the pictures, such as "64x64"; by default they show the signals as they were made.
    """
    if path.suffix != ".npz":
        raise UsageError(f"{path}: expected a name that ends with .npz")

    def parts() -> Iterator[np.ndarray]:
        for part in batches(n, _PART):
            made = model.sample(len(part), seed, times, label, sampler=sampler, guidance=guidance, first=part.start)
            yield _pictures(model, made, size)
            progress(part.stop, n, "sampling")

    labels = model.labels(n, seed, label)
    others = {} if labels is None else {"labels": labels.numpy()}
    return write_npz(path, "arr_0", n, parts(), others)


def _pictures(model: Model, made: Prediction, size: str | None) -> np.ndarray:
    """(B, H, W, 3) uint8."""
    pictures = pictures_of(model, made.signal) if size is None else rendered(model, made, {"size": size})
    if pictures is None:
        raise UsageError(f"'size' means nothing to the modality '{model.modality.name}'")
    found: np.ndarray = (pictures * 255).round().byte().movedim(1, -1).cpu().numpy()
    return found
