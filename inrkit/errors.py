"""What can go wrong, by kind; the command line turns each kind into one line and an exit code.

A message says what was expected, what was found and what to do.
"""

import difflib
from collections.abc import Callable, Iterable


class InrkitError(Exception):
    """Anything the user can put right. ``exit_code`` is what the command line leaves with."""

    exit_code = 1


class UsageError(InrkitError):
    """A wrong option, name, config key or combination of them."""

    exit_code = 2


class DataError(InrkitError):
    """Data, a checkpoint or an INR file that is missing, damaged, foreign or not to be trusted."""

    exit_code = 3


class PluginError(InrkitError):
    """A plugin that cannot be loaded or does not keep its contract."""

    exit_code = 4


class DivergedError(InrkitError):
    """Training produced a number that is not finite."""

    exit_code = 5


class ResourceError(InrkitError):
    """No room on disk, in memory or on the device; or the run directory is in use."""

    exit_code = 6


def did_you_mean(name: str, known: Iterable[str], shown: Callable[[str], str] = str) -> str:
    """`` Did you mean 'nerf'?`` for the nearest known name, as it is to be shown, or nothing when none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{shown(near[0])}'?" if near else ""
