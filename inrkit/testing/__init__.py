"""Checks of a modality: everything that the trainer, samplers, editors, stores and reports rely on, by name.

For the author of a plugin, in a test file of its own:

    import pytest
    from inrkit.testing import checks_of

    @pytest.mark.parametrize("check", checks_of("audio"))
    def test_conformance(check):
        check()

``checks_of("huber", kind="objective")`` are those of an objective; so for a sampler, source, tracker or feature.
``inrkit plugins check audio`` runs the same checks and prints a table.
"""

from inrkit.testing.case import Case, Result, cases_of, checks_of, run
from inrkit.testing.check import CHECKS, Check, NotAskedError, UnmetError
from inrkit.testing.piece import PIECE_CHECKS, Piece
from inrkit.testing.strangers import MixedDevicesError, Strangers
from inrkit.testing.subject import Subject

__all__ = [
    "CHECKS",
    "PIECE_CHECKS",
    "Case",
    "Check",
    "MixedDevicesError",
    "NotAskedError",
    "Piece",
    "Result",
    "Strangers",
    "Subject",
    "UnmetError",
    "cases_of",
    "checks_of",
    "run",
]
