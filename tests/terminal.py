"""A terminal of a given width that a test looks at."""

import contextlib
import fcntl
import os
import re
import struct
import sys
import termios
import threading
from collections.abc import Iterator
from unittest import mock

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """What was written to it."""

    def __init__(self) -> None:
        self.raw = b""

    @property
    def lines(self) -> list[str]:
        """Every line as it stood when the next began or the cursor went back, without colours."""
        text = CONTROL.sub("", self.raw.decode())
        return [line.rstrip() for line in re.split(r"[\r\n]+", text) if line.strip()]

    @property
    def counts(self) -> list[str]:
        """What the bars said of how much is done: "3/7", each once, in order."""
        return list(dict.fromkeys(re.findall(r"\d+/(?:\d+|\?)", "\n".join(self.lines))))


@contextlib.contextmanager
def terminal(columns: int = 80, *, out: bool = False) -> Iterator[Terminal]:
    """Standard error, and standard output if so wished, are a terminal."""
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
    found = Terminal()

    def read() -> None:
        with contextlib.suppress(OSError):  # how the end looks
            while part := os.read(leader, 65536):
                found.raw += part

    reader = threading.Thread(target=read)
    reader.start()
    size = {"TERM": "xterm", "COLUMNS": str(columns), "LINES": "25"}
    try:
        with os.fdopen(follower, "w") as file, contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.dict(os.environ, size))
            for name in ("stderr", "stdout") if out else ("stderr",):
                stack.enter_context(mock.patch.object(sys, name, file))
            yield found
            file.flush()
    finally:
        reader.join()
        os.close(leader)
