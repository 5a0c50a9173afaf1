"""The bar of a run tells the time left from the first step on, and before it where that was expected."""

import re

from terminal import terminal

from inrkit.training.progress import RunProgress


def test_the_time_left_is_told_after_the_first_step() -> None:
    """One step is enough for a first guess."""
    with terminal() as seen:
        shown = RunProgress(1000, 4, None)
        shown.begin(0, ["a run"])
        shown.step(1, "inrct", {"loss": 0.5})
        shown.close()
    assert any(re.search(r"1/1000 .*\d:\d\d left$", line) for line in seen.lines), seen.lines


def test_the_time_left_is_told_before_the_first_step_of_a_budget() -> None:
    """Of a run that goes on, what is left of it."""
    for start, left in ((0, "5:00"), (500, "2:30")):
        with terminal() as seen:
            shown = RunProgress(1000, 4, None)
            shown.expect(300)
            shown.begin(start, ["a run"])
            shown.close()
        assert any(line.endswith(f"{left} left") for line in seen.lines), seen.lines
