"""What commands leave on disk: folders of .inr files with pictures of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inrkit.core.pipeline import Prediction
from inrkit.errors import UsageError
from inrkit.inference.model import Model
from inrkit.inference.opened import open_inr
from inrkit.inference.picture import pictures_of, rendered
from inrkit.metrics.metric import psnr
from inrkit.storage.atomic import disk_errors
from inrkit.storage.inrfile import InrFile, pack_inr, save_inr, unpack_inrs
from inrkit.storage.rounding import Dtype

_COMPARED = 8


def made_folder(path: Path) -> Path:
    """The folder, made if need be."""
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def inrs_of(model: Model, prediction: Prediction, provenance: Sequence[Mapping[str, Any]]) -> list[InrFile]:
    """Each row of a prediction as what an .inr file holds."""
    return [model.inr(prediction, i, origin) for i, origin in enumerate(provenance)]


def save_all(inrs: Sequence[InrFile], paths: Sequence[Path], dtype: Dtype, function_of: str | None = None) -> None:
    """A file of each, or one file of all."""
    if len(paths) == 1:
        save_inr(paths[0], inrs, dtype, function_of)
        return
    for path, inr in zip(paths, inrs, strict=True):
        save_inr(path, inr, dtype, function_of)


def save_own(model: Model, signals: Tensor, paths: Sequence[Path]) -> None:
    """Signals (B, C, ...) as files of their kind, such as .wav, named after these; pictures have theirs already."""
    display = model.modality.display
    if display.suffix != ".png":
        for signal, path in zip(signals, paths, strict=False):
            display.write([signal], path.with_suffix(display.suffix))


def about_files(
    model: Model, inrs: Sequence[InrFile], files: Sequence[Path], dtype: Dtype, function_of: str | None
) -> str:
    """What there is to say of files of another form: ", int8, 6,234 bytes each, PSNR 51.2 dB against fp32".

    That is measured on the first few signals, where the modality shows them.
    """
    size = sum(path.stat().st_size for path in files) / len(inrs)
    if dtype == "fp32":
        return f", {size:,.0f} bytes each" if len(files) < len(inrs) or function_of else ""
    kept = unpack_inrs(pack_inr(inrs[:_COMPARED], dtype, function_of), origin="INR")
    cls = type(model.modality) if inrs[0].modality == model.modality.name else None
    errors = []
    for one, other in zip(kept, inrs, strict=False):
        values = [torch.cat([v.flatten() for v in open_inr(x, modality=cls).render()])[None] for x in (one, other)]
        errors.append(float(psnr(values[0], values[1], peak=2)))
    of = "" if len(kept) == len(inrs) else f" (the least of the first {len(kept)})"
    return f", {dtype}, {size:,.0f} bytes each, PSNR {min(errors):.1f} dB against fp32{of}"


def shown(model: Model, prediction: Prediction, size: str | None) -> Tensor:
    """Pictures (B, 3, H, W) of a prediction where it was made, or at another size."""
    if size is None:
        return pictures_of(model, prediction.signal)
    pictures = rendered(model, prediction, {"size": size})
    if pictures is None:
        raise UsageError(f"'--size' means nothing to the modality '{model.modality.name}'")
    return pictures


def is_file_name(path: Path) -> bool:
    """Whether a name of something that is to be written means a file: it has an ending, such as .png."""
    return path.suffix[1:2].isalpha() and not path.is_dir()


def names_for(names: Sequence[str]) -> list[str]:
    """Names of files without their endings, told apart where they are equal: a, b, a-2."""
    seen: Counter[str] = Counter()
    result = []
    for name in names:
        stem = Path(name).stem
        if not stem:
            raise UsageError(f"expected the name of a file, found '{name}'")
        seen[stem] += 1
        result.append(stem if seen[stem] == 1 else f"{stem}-{seen[stem]}")
    return result
