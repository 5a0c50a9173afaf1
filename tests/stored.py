"""What an importer makes of something, read back from the store that it wrote."""

import tempfile
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from inrkit import Importer, Progress, Store, StoreWriter, quiet


@attrs.frozen(eq=False)
class Stored:
    """A store in memory, and what was left out of it."""

    modality: str
    arrays: dict[str, np.ndarray]
    attributes: dict[str, Any]
    skipped: list[str]


def stored(importer: type[Importer], source: Path, progress: Progress = quiet, **options: Any) -> Stored:
    """The store that is written; an import that fails leaves none."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.h5"
        try:
            with StoreWriter(path, importer.modality) as out:
                importer().run(source, out, importer.Options(**options), progress)
        except BaseException:
            assert not list(path.parent.iterdir())
            raise
        with Store(path) as store:
            arrays = {name: store.read(name, slice(None)) for name in store.names}
            return Stored(store.modality, arrays, store.attributes, out.skipped)
