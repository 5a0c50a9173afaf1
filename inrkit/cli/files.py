"""What commands leave on disk: folders of .inr files with pictures of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from inrkit.core.modality import Display
from inrkit.core.observation import Observation
from inrkit.core.pipeline import Prediction
from inrkit.drawing.depthmap import save_depth_map
from inrkit.errors import UsageError
from inrkit.inference.model import Model
from inrkit.inference.opened import open_inr
from inrkit.inference.picture import pictures_of, rendered
from inrkit.metrics.metric import psnr
from inrkit.storage.fileerror import disk_errors
from inrkit.storage.inrfile import InrFile, pack_inr, save_inr, unpack_inrs
from inrkit.storage.npzfile import save_array
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


@torch.no_grad()
def depths_of(model: Model, prediction: Prediction, seen: Observation) -> list[Tensor]:
    """How far away each signal is where it is observed, (1, ...) each."""
    found = []
    for i in range(len(prediction.t)):
        rows = slice(i, i + 1)
        row, where = prediction.rows(rows), seen.rows(rows).where
        found.append(model.pipeline.measure.with_depth(row.params, where, row.t).depth[0].float().cpu())
    return found


def seen_at(model: Model, count: int, size: str | None) -> Observation:
    """So many signals where they are sampled, or at another size; its values mean nothing."""
    template = model.modality.template(count)
    if size is not None:
        template = attrs.evolve(template, where=model.modality.display.places({"size": size})[0])
    return template.to(model.device)


def save_depth(display: Display, depth: Sequence[Tensor], path: Path) -> list[Path]:
    """Beside a picture one of how far away the signal is at each place, (1, ...), and the numbers in two formats."""
    distance = torch.cat([one[0] for one in depth])
    picture = display.write(display.depth_values(depth), path.with_name(f"{path.stem}-depth{path.suffix}"))
    numbers = save_array(distance, path.with_name(f"{path.stem}-depth.npy"))
    return [picture, save_depth_map(distance, path.with_name(f"{path.stem}-depth16.png")), numbers]


def with_depths(
    rows: Mapping[str, Tensor], model: Model, depths: Sequence[Tensor], files: Sequence[Path]
) -> dict[str, Tensor]:
    """Rows of a sheet, and how far away (1, ...) the signals are, each from its nearest to its farthest point.

    Depths are also written beside the files of the signals.
    """
    if not depths:
        return dict(rows)
    display = model.modality.display
    for depth, file in zip(depths, files, strict=False):
        save_depth(display, [depth], file.with_suffix(display.suffix))
    shown = depths[: len(next(iter(rows.values())))]
    return {**rows, "depth": torch.cat([display.pictures(display.depth_values([one])[0][None]) for one in shown])}


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
