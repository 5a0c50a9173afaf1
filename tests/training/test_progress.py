"""The bar of a run tells the time left from the first step on, and before it where that was expected."""

import re
import sys
import types

import pytest
from terminal import terminal

from inrkit.progress import TextBar
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


def test_what_a_run_is_about_goes_on_below_itself() -> None:
    """In a narrow terminal, folded at words."""
    with terminal(60) as seen:
        shown = RunProgress(1000, 4, None)
        shown.begin(0, [f"signals   data.h5: {' '.join(f'{i} words' for i in range(20))}"])
        shown.close()
    first, *others = (line for line in seen.lines if "words" in line)
    assert first.startswith("signals   ")
    assert others
    assert all(line.startswith(" " * 10 + line.strip()[0]) and len(line) <= 60 for line in others)


def test_the_bar_is_one_line_in_a_narrow_terminal() -> None:
    """What there is no room for is cut off, and never the time that is left."""
    with terminal(40) as seen:
        shown = RunProgress(1000, 4, None)
        shown.begin(0, ["a run"])
        shown.step(1, "inrct", {"loss": 0.5})
        shown.step(900, "inrct", {"loss": 0.5})
        shown.stage("writing the report")
        shown.close()
    last = seen.lines[-1]
    assert last.startswith("writing the report")
    assert last.endswith("left")
    assert len(last) <= 40


def test_a_notebook_has_one_bar_that_is_redrawn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One display, updated from then on; what is said goes to standard output, and nothing to standard error."""
    drawn: list[tuple[str, str]] = []

    class Handle:
        def update(self, shown: dict[str, str], raw: bool) -> None:
            drawn.append(("again", shown["text/plain"]))

    def display(shown: dict[str, str], raw: bool, display_id: bool) -> Handle:
        drawn.append(("first", shown["text/plain"]))
        return Handle()

    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setattr("builtins.get_ipython", lambda: shell, raising=False)
    for name in ("IPython", "IPython.display"):
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(display=display))
    shown = RunProgress(100, 4, None)
    shown.begin(0, ["a run"])
    shown.step(1, "inrct", {"loss": 0.5})
    shown.step(100, "inrct", {"loss": 0.25})
    shown.close()
    assert [how for how, _ in drawn] == ["first", "again"]
    assert re.fullmatch(r"█{20} 100/100  inrct  loss \S+ .* left", drawn[1][1])
    said = capsys.readouterr()
    assert (said.out, said.err) == ("a run\n", "")


def test_a_text_bar_draws_over_itself() -> None:
    """In a terminal, until all is done; where nobody looks it says nothing."""
    with terminal() as seen:
        bar = TextBar()
        bar(1, 4, "encoding")
        bar(4, 4, "encoding")
    assert seen.lines[-1].endswith("encoding  ████████████████████ 4/4"), seen.lines
