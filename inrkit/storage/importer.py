"""What reads the layouts people keep their data in, for ``inrkit data import`` to write as a store.

    files of the user ──Importer.run──▶ StoreWriter ──▶ one file

A plugin registers its importers by name (`register_importers`); this is what they are.
"""

import abc
from pathlib import Path
from typing import Any, ClassVar

from inrkit.progress import Progress
from inrkit.storage.storewriter import StoreWriter


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
    def run(self, source: Path, out: StoreWriter, options: Any, progress: Progress) -> None:
        """Everything in ``source``, a file or a folder; `DataError` says what was expected and what was found.

        Laws: signals are appended to ``out`` as they are read, so that a data set may be larger than the memory;
        nothing outside ``source`` is read, and nothing but ``out`` is written; equal sources give equal stores.
        """
