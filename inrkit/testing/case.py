"""Checks that belong to a modality: for pytest, for the command line, and one by one."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal, final

import attrs

from inrkit.core.modality import Modality
from inrkit.errors import UsageError, did_you_mean
from inrkit.plugins import reason_of
from inrkit.testing import data, declaration, file, learning, network, observing, reading
from inrkit.testing.check import CHECKS, Check, NotAskedError, UnmetError
from inrkit.testing.subject import Subject

ROOMS = (declaration, data, observing, network, reading, file, learning)
"""The modules whose checks these are, in the order in which they are made: the first failure is the one to look at."""


@final
@attrs.frozen
class Case:
    """A check of one modality; call it."""

    check: Check
    subject: Subject

    @property
    def name(self) -> str:
        """The check's."""
        return self.check.name

    def __call__(self) -> None:
        """Raises where the law does not hold; under pytest, a law that says nothing here is skipped."""
        try:
            self.check.function(self.subject)
        except NotAskedError as error:
            import pytest

            pytest.skip(str(error))


@final
@attrs.frozen
class Result:
    """How a check ended: "passed", "failed", "expected" (to fail), "surprise" (passed all the same) or "not asked"."""

    name: str
    law: str
    state: Literal["passed", "failed", "expected", "surprise", "not asked"]
    reason: str
    seconds: float

    @property
    def fine(self) -> bool:
        """Whether nobody has to do anything."""
        return self.state not in ("failed", "surprise")


def cases_of(modality: str | type[Modality], **how: Any) -> list[Case]:
    """Every check of a modality; ``how`` is what `Subject` can be told."""
    subject = Subject(modality, **how)
    return [
        Case(check, subject)
        for room in ROOMS
        for check in CHECKS.values()
        if check.function.__module__ == room.__name__
    ]


def checks_of(
    modality: str | type[Modality], *, expected_failures: Mapping[str, str] | None = None, **how: Any
) -> list[Any]:
    """The same for ``pytest.mark.parametrize``.

    Args:
        expected_failures: Name of a check to the reason why it cannot pass. One that passes all the same is an error.
        how: What `Subject` can be told.
    """
    import pytest

    known = _known(expected_failures)
    return [
        pytest.param(
            case,
            id=case.name,
            marks=[pytest.mark.xfail(reason=known[case.name], strict=True)] if case.name in known else [],
        )
        for case in cases_of(modality, **how)
    ]


def run(
    modality: str | type[Modality], *, expected_failures: Mapping[str, str] | None = None, **how: Any
) -> Iterator[Result]:
    """Runs every check, one after the other, whatever becomes of the others."""
    known = _known(expected_failures)
    for case in cases_of(modality, **how):
        begin, state, reason = time.perf_counter(), "passed", ""
        try:
            case.check.function(case.subject)
        except KeyboardInterrupt:
            raise
        except NotAskedError as error:
            state, reason = "not asked", str(error)
        except UnmetError as error:
            state, reason = "failed", str(error)
        except BaseException as error:  # whatever a plugin does, the other checks are made
            state, reason = "failed", reason_of(error)
        if case.name in known:
            state, reason = {"failed": ("expected", known[case.name])}.get(state, ("surprise", "expected to fail"))
        yield Result(case.name, case.check.law, state, reason, time.perf_counter() - begin)  # type: ignore[arg-type]


def _known(expected_failures: Mapping[str, str] | None) -> Mapping[str, str]:
    known = dict(expected_failures or {})
    for name in known:
        if name not in CHECKS:
            raise UsageError(f"no check named '{name}'; there are {', '.join(CHECKS)}.{did_you_mean(name, CHECKS)}")
    return known
