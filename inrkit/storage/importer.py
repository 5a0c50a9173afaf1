"""What reads the layouts people keep their data in, for ``inrkit data import`` to write as a store.

    files of the user ──Importer.run──▶ Imported ──write_store──▶ one file

A plugin registers its importers by name (`register_importers`); this is what they are and what they return.
"""

import abc
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np

from inrkit.progress import Progress


@attrs.frozen(eq=False)
class Imported:
    """What an importer read: the contents of a store.

    Args:
        modality: The name of the modality that understands the arrays.
        arrays: Integers or floats, (N, ...) each, with the same N.
        attributes: What JSON can hold: units, class names, where the data came from.
        skipped: One line for each thing in the source that was left out, saying why.
    """

    modality: str
    arrays: Mapping[str, np.ndarray]
    attributes: Mapping[str, Any] = attrs.field(factory=dict)
    skipped: tuple[str, ...] = attrs.field(default=(), converter=tuple[str, ...])


class Importer(abc.ABC):
    """Reads one layout of data. Has no state: each use is one call of ``run``.

    ``Options`` is an attrs class whose fields, each with a default and ``metadata={"help": ...}``, become flags of
    ``inrkit data import NAME``.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    modality: ClassVar[str]
    Options: ClassVar[type]

    @abc.abstractmethod
    def run(self, source: Path, options: Any, progress: Progress) -> Imported:
        """Everything in ``source``, a file or a folder; `DataError` says what was expected and what was found.

        Laws: nothing outside ``source`` is read and nothing is written; equal sources give equal results.
        """
