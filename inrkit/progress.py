"""How far work is that takes its time: whoever does it calls a `Progress`, whoever began it decides what that shows."""

from typing import Protocol


class Progress(Protocol):
    """Called with how much is done, how much there is if that is known, and what is being done.

    Laws, within what is being done (``what``): ``done`` never falls, ``total`` stays what it was, and the last call
    has ``done == total`` where the total is known.
    """

    def __call__(self, done: int, total: int | None = None, what: str = "") -> None: ...


def quiet(done: int, total: int | None = None, what: str = "") -> None:
    """The `Progress` that shows nothing."""
