"""Checks that belong to a modality: for pytest, for the command line, and one by one."""

import time
from collections.abc import Iterator
from typing import Any, Literal, final

import attrs

from inrkit.errors import UsageError, did_you_mean
from inrkit.plugins import reason_of
from inrkit.testing import data, declaration, device, exporting, model, network, observing
from inrkit.testing.check import CHECKS, Check, NotAskedError, UnmetError
from inrkit.testing.piece import PIECE_CHECKS, Piece
from inrkit.testing.subject import Subject

ROOMS = (declaration, data, observing, network, model, exporting, device)
"""The modules whose checks these are, in the order in which they are made: the first failure is the one to look at."""

State = Literal["passed", "failed", "expected", "surprise", "not asked"]
"""How a check ended: "expected" is one that failed as it was known to, "surprise" one that passed all the same."""


@final
@attrs.frozen
class Result:
    """How a check ended, and why."""

    name: str
    law: str
    state: State
    reason: str
    seconds: float

    @property
    def fine(self) -> bool:
        """Whether nobody has to do anything."""
        return self.state not in ("failed", "surprise")


@final
@attrs.frozen
class Case:
    """A check of one modality, or of something else. Call it, under pytest: it raises where the law does not hold."""

    check: Check
    subject: Subject | Piece

    @property
    def name(self) -> str:
        """The check's."""
        return self.check.name

    def __call__(self) -> None:
        import pytest

        known = self.subject.known_failures.get(self.name)
        try:
            self.check.function(self.subject)
        except NotAskedError as error:
            pytest.skip(str(error))
        except Exception:
            if known is None:
                raise
            pytest.xfail(known)
        if known is not None:
            raise UnmetError(f"{_SURPRISE} ({known})")

    def result(self) -> Result:
        """How it ends, whatever the modality does."""
        begin, reason = time.perf_counter(), ""
        state: State = "passed"
        try:
            self.check.function(self.subject)
        except KeyboardInterrupt:
            raise
        except NotAskedError as error:
            state, reason = "not asked", str(error)
        except BaseException as error:  # also SystemExit: the other checks are still to be made
            unmet = isinstance(error, UnmetError)
            state, reason = "failed", " ".join(str(error).split()) if unmet else reason_of(error)
        try:
            known = self.subject.known_failures.get(self.name)
        except Exception:  # there is no such modality, as the check has said
            known = None
        if known is not None:
            state, reason = ("expected", known) if state == "failed" else ("surprise", f"{_SURPRISE} ({known})")
        return Result(self.name, self.check.law, state, reason, time.perf_counter() - begin)


_SURPRISE = "expected to fail, found that it passes"


def cases_of(target: str | type[Any], *, kind: str = "modality", **how: Any) -> list[Case]:
    """Every check of a modality; ``how`` is what `Subject` can be told. Or, with its ``kind``, of something else that
    plugins offer; ``how`` is what `Piece` can be told."""
    checks = CHECKS if kind == "modality" else PIECE_CHECKS.get(kind, {})
    for name in how.get("expected_failures") or {}:
        if name not in checks:
            raise UsageError(f"no check named '{name}'; there are {', '.join(checks)}.{did_you_mean(name, checks)}")
    if kind != "modality":
        piece = Piece(kind, target, **how)
        return [Case(check, piece) for check in checks.values()]
    subject, homes = Subject(target, **how), [room.__name__ for room in ROOMS]
    ordered = sorted(CHECKS.values(), key=lambda check: homes.index(check.function.__module__))
    return [Case(check, subject) for check in ordered]


def checks_of(target: str | type[Any], *, kind: str = "modality", **how: Any) -> list[Any]:
    """The same for ``pytest.mark.parametrize``. Nothing is made, or even imported, before a check runs."""
    import pytest

    return [pytest.param(case, id=case.name) for case in cases_of(target, kind=kind, **how)]


def run(target: str | type[Any], *, kind: str = "modality", **how: Any) -> Iterator[Result]:
    """Makes every check, one after the other, whatever becomes of the others."""
    for case in cases_of(target, kind=kind, **how):
        yield case.result()
