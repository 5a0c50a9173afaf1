"""What a failure looks like from outside: one line on stderr, and an exit code that tells its kind.

0 fine, 1 our bug, 2 usage or config, 3 data or checkpoint, 4 plugin, 5 diverged, 6 disk, memory or device, 130 and 143
stopped by a signal.
"""

import errno
import os
import re
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from inrkit.errors import InrkitError, PluginError, ResourceError
from inrkit.plugins import GROUP, load_plugins
from inrkit.progress import folded
from inrkit.storage.fileerror import disk_errors

DEBUG = "INRKIT_DEBUG"
_INTERRUPTED = 130
_NOT_NEEDED = {"--resume": "the same command, with the same OUT, resumes a run"}
"""Options that other programs have."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tabs and ends of lines
_LOST = (
    "Connection reset by peer",
    "Connection closed by peer",
    "DistBackendError",
    "DistNetworkError",
    "gloo/transport",
)
_OUT_OF_MEMORY = (
    "OutOfMemoryError",
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "Overflow when unpacking long",  # a size beyond 2⁶³
    "int too big to convert",
    "integer multiplication overflow",
    "calculation overflowed",
)


def rank() -> int:
    """Which of torchrun's processes this is; only 0 speaks."""
    text = os.environ.get("RANK", "0")
    return int(text) if text.isdecimal() else 0


def report(error: BaseException, args: Sequence[str] = ()) -> int:
    """Tell the user, who typed ``args``, about ``error`` and return the exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return 2
    message, code = explain(error)
    typed = ["extend", *(arg.partition("=")[0].lstrip("-").replace("-", "_") for arg in args if arg.startswith("-"))]
    message = as_flags(message, typed)
    if os.environ.get(DEBUG, "0") not in ("", "0"):
        _say("".join(traceback.format_exception(error)))
    # Every process finds the same mistake in the same command; what went wrong in one of them alone must be seen.
    if rank() == 0:
        stopped = code > 128  # by a signal, as was asked: no error
        _say(f"inrkit: {message}" if stopped else f"inrkit: error: {message}")
    elif code != 2:
        _say(f"inrkit: error: process {rank()}: {message}")
    return code


def explain(error: BaseException) -> tuple[str, int]:
    """One line that says what happened, and the exit code."""
    if isinstance(error, KeyboardInterrupt | click.Abort) or _interrupted(error):
        return "stopped", _INTERRUPTED
    if isinstance(error, OSError) and error.errno in _FULL and not isinstance(error.filename, str):
        return f"cannot write: {error.strerror}; make room and repeat", ResourceError.exit_code
    if isinstance(error, OSError) and isinstance(error.filename, str):
        try:
            with disk_errors(Path(error.filename)):
                raise error
        except InrkitError as known:
            error = known
    if isinstance(error, InrkitError):
        return _line(str(error)), error.exit_code
    if isinstance(error, click.ClickException):
        if isinstance(error, click.NoSuchOption) and error.option_name in _NOT_NEEDED:
            return f"there is no '{error.option_name}': {_NOT_NEEDED[error.option_name]}", 2
        context = getattr(error, "ctx", None)
        if isinstance(error, click.NoSuchOption) and error.option_name in ("-o", "--out") and context:
            call = " ".join([context.command_path, *context.command.collect_usage_pieces(context)[1:]])
            return f"there is no '{error.option_name}' here: the call is '{call}'", 2
        advice = f" See '{context.command_path} --help'." if context else ""
        return _line(error.format_message()) + advice, 2
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or any(sign in text for sign in _OUT_OF_MEMORY):
        advice = "a smaller batch, fewer signals or a smaller size need less"
        return f"out of memory; {advice} ({_line(text)[:120]})", ResourceError.exit_code
    if any(sign in text for sign in _LOST):
        return f"lost another process, whose own message says why ({_line(text)[:80]})", ResourceError.exit_code
    plugin = _plugin_of(error)
    if isinstance(error, SystemExit):
        return f"{plugin} called sys.exit({error.code!r}) while it was asked for something", PluginError.exit_code
    advice = f"this is a bug of {plugin or 'inrkit'}; {DEBUG}=1 shows where it happened"
    return f"{_line(text)[:300]} ({advice})", PluginError.exit_code if plugin else 1


def _interrupted(error: BaseException | None) -> bool:
    """Whether it is what Python makes, once or more often, of a Ctrl-C that a library's callback let pass."""
    while isinstance(error, SystemError):
        error = error.__cause__ or error.__context__
    return isinstance(error, KeyboardInterrupt)


def _plugin_of(error: BaseException) -> str | None:
    """The plugin, other than our own, in whose code the error arose."""
    try:
        entries = [entry for entry in load_plugins().entries() if entry.distribution != GROUP]
    except InrkitError:  # plugins that were asked for and are not there: none of them is to blame
        return None
    packages = {entry.target.partition(":")[0].partition(".")[0]: entry for entry in entries}
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in packages:
            return f"plugin '{packages[package].plugin}' of {packages[package].distribution}"
        if package == GROUP:
            return None
    return None


def in_the_midst(error: SystemExit) -> bool:
    """Whether code of a plugin that we had called wants to end the program; a plugin's own command may."""
    modules = [str(frame.f_globals.get("__name__", "")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = any(name.startswith(f"{GROUP}.") and name != f"{GROUP}.cli.root" for name in modules)
    return ours and _plugin_of(error) is not None


def as_flags(message: str, names: Iterable[str]) -> str:
    """The message with these names of options as they are typed: 'size' becomes '--size', and 'n' becomes '-n'."""
    known = set(names)

    def flag(match: re.Match[str]) -> str:
        name = match[1]
        return match[0] if name not in known else f"'-{name}'" if len(name) == 1 else f"'--{name.replace('_', '-')}'"

    return re.sub(r"'(\w+)'", flag, message)


def printable(text: str) -> str:
    """Text that does nothing to a terminal: control characters and bytes that are no text are shown as codes."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _line(text: str) -> str:
    return " ".join(text.split())


def _say(text: str) -> None:
    click.echo(folded(printable(text), sys.stderr), err=True)
