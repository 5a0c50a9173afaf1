"""A `Progress` that holds whoever calls it to the laws of it."""

from typing import final

from inrkit.testing.check import expect


@final
class Recorder:
    """What was called, by what was being done; a call that breaks a law raises `UnmetError`.

    Args:
        who: Is watched, for messages.
    """

    def __init__(self, who: str) -> None:
        self.who = who
        self.calls: dict[str, list[tuple[int, int | None]]] = {}

    def __call__(self, done: int, total: int | None = None, what: str = "") -> None:
        told = f"{self.who}: progress({done!r}, {total!r}, {what!r})"
        fits = type(done) is int and (total is None or type(total) is int) and type(what) is str
        expect(fits, f"{told}: expected how much is done, how much there is or None, and a text")
        before = self.calls.setdefault(what, [])
        expect(0 <= done <= (done if total is None else total), f"{told}: expected 0 <= done <= total")
        if before:
            expect(done >= before[-1][0], f"{told}: expected at least {before[-1][0]}, as was done before")
            expect(total == before[-1][1], f"{told}: expected a total of {before[-1][1]}, as before")
        before.append((done, total))

    def finish(self) -> None:
        """After the work: something was told, and whatever was begun is done."""
        expect(self.calls, f"{self.who}: expected calls of 'progress', found none")
        for what, calls in self.calls.items():
            done, total = calls[-1]
            expect(total in (None, done), f"{self.who}: expected '{what}' to end at {total}, found {done}")
