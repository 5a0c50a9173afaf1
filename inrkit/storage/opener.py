"""Data that are no store: what opens an address, as plugins offer them (`register_sources`)."""

import abc
from typing import ClassVar

from inrkit.core.modality import Modality, Source


class SourceOpener(abc.ABC):
    """Opens ``NAME://ADDRESS``, where ``NAME`` is its name. Has no state; it is made without arguments.

    Laws: the signals of "train" and those of "test" are different ones, and equal addresses give equal signals in
    every process. Nothing is fetched from elsewhere unless the address says so.
    """

    name: ClassVar[str]

    def absolute(self, address: str) -> str:
        """The same address, found from any working directory; what names a file makes its path absolute."""
        return address

    @abc.abstractmethod
    def open(self, address: str, modality: Modality, split: str) -> Source:
        """The signals of ``split`` ("train" or "test"), as this modality reads them.

        `inrkit.DataError` says what was expected and what was found.

        Args:
            address: What follows ``NAME://``, as the user wrote it.
            modality: Its options say what is wanted; those left open are fitted to the source that is returned.
        """
