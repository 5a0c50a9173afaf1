"""What commands leave on disk: folders of .inr files with pictures of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from inrkit.core.pipeline import Prediction
from inrkit.errors import UsageError
from inrkit.inference.model import Model
from inrkit.inference.picture import pictures_of, rendered
from inrkit.storage.atomic import disk_errors
from inrkit.storage.inrfile import save_inr


def made_folder(path: Path) -> Path:
    """The folder, made if need be."""
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def save_all(
    model: Model, prediction: Prediction, paths: Sequence[Path], provenance: Sequence[Mapping[str, Any]]
) -> None:
    """Each row of a prediction as an .inr file."""
    for i, (path, origin) in enumerate(zip(paths, provenance, strict=True)):
        save_inr(path, model.inr(prediction, i, origin))


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
