"""Reports and their curves: complete in themselves, well formed, and honest about the numbers."""

import math
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inrkit.drawing.curve import HEIGHT, WIDTH, chart, make_axis, number, running_mean, stacked_chart, thinned
from inrkit.drawing.page import Beside, Charts, Listing, Picture, Report, Rows, Section, Table, save_report
from inrkit.drawing.sheet import to_image

EVIL = "<script>alert(1)</script>\"&'"
VOID = {"meta", "img", "br", "circle", "line", "path"}


class Page(HTMLParser):
    """The tags of a page, what they refer to, and whether they are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.references: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def full_report() -> Report:
    picture = to_image(torch.rand(3, 8, 8), 4)
    blocks = [
        Picture(picture, EVIL, wide=True),
        Beside([Picture(picture, "a"), Picture(picture, "b")]),
        Rows([(EVIL, picture)], note=EVIL),
        Charts({EVIL: chart({EVIL: [(1, 2), (2, 3)], "b": [(1, 1)]}, title=EVIL, marks={EVIL: 1.5})}),
        Table((EVIL, "x"), [(EVIL, "1")], note=EVIL),
        Listing(EVIL),
    ]
    sections = [Section("One", blocks, EVIL), Section("Two", [Listing("x")], folded=True), Section("Empty", [])]
    return Report(EVIL, EVIL, {EVIL: ("1", EVIL)}, sections)


def test_a_report_is_complete_in_itself() -> None:
    """It refers to nothing but the pictures that it holds, and a browser is told to fetch and run nothing."""
    page = full_report().html()
    found = Page(page)
    assert found.references
    assert all(reference.startswith("data:image/png;base64,") for reference in found.references)
    assert "@import" not in page
    assert "url(" not in page
    assert "default-src 'none'" in page


def test_text_stays_text() -> None:
    """Whatever a caption, a label or a config contains is shown and never interpreted."""
    page = full_report().html()
    assert "<script" not in page
    assert "script" not in Page(page).tags
    assert Page(page).text.count("<script>alert(1)</script>") >= 10


def test_a_report_is_well_formed() -> None:
    """Every tag is closed in its turn; sections without blocks are left out."""
    page = Page(full_report().html())
    assert page.open == []
    assert page.tags.count("section") == 2
    assert "Empty" not in page.text


def test_saving_replaces(tmp_path) -> None:
    """The file is the page, and nothing else is left in the folder."""
    path = tmp_path / "report.html"
    path.write_text("old")
    report = full_report()
    save_report(report, path)
    assert path.read_text() == report.html()
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


# ---------------------------------------------------------------------------------------------- curves


def svg_of(drawing: str) -> ElementTree.Element:
    return ElementTree.fromstring(drawing[: drawing.index("</svg>") + len("</svg>")])


def dots(drawing: str) -> list[tuple[float, float]]:
    """The corners of all lines that a chart draws."""
    paths = re.findall(r' d="M([^"]+)"', drawing)
    return [tuple(map(float, pair.split())) for path in paths for pair in path.split("L")]


def test_larger_is_higher_and_later_is_further_right() -> None:
    """Dots keep the order of the numbers, on both kinds of axes, and stay inside the drawing."""
    points = [(float(i), 10.0**i) for i in range(1, 6)]
    for log_y in (False, True):
        found = dots(chart({"a": points}, title="a", log_y=log_y))
        assert [x for x, _ in found] == sorted(x for x, _ in found)
        assert [y for _, y in found] == sorted((y for _, y in found), reverse=True)
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in found)


def test_powers_are_evenly_spaced_on_a_logarithmic_axis() -> None:
    """Equal factors are equal distances."""
    axis = make_axis([1e-3, 1e3], 0, 600, log=True)
    steps = [axis.dot(10.0 ** (i + 1)) - axis.dot(10.0**i) for i in range(-3, 3)]
    assert steps == pytest.approx([100.0] * 6)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.booleans())
def test_ticks_are_few_round_and_inside(low: float, width: float, log: bool) -> None:
    """At least one tick, not more than a dozen, all of them on the axis."""
    low = abs(low) + 1e-6 if log else low
    axis = make_axis([low, low + width], 0, 500, log=log)
    ticks = axis.ticks()
    room = 1e-2 * (axis.high - axis.low)
    assert 1 <= len(ticks) <= 16
    assert all(axis.low - room <= tick <= axis.high + room for tick in ticks)
    assert ticks == sorted(set(ticks))


@pytest.mark.parametrize("log_y", [False, True])
@pytest.mark.parametrize(
    "points",
    [[], [(1.0, 5.0)], [(1.0, 5.0), (2.0, 5.0)], [(1.0, 0.0), (2.0, 0.0)], [(1.0, math.nan), (2.0, math.inf)]],
)
def test_strange_curves_are_drawn_without_strange_numbers(points: list[tuple[float, float]], log_y: bool) -> None:
    """No points, one point, a flat line, zeros on a logarithmic axis: a valid drawing all the same."""
    drawing = chart({"a": points}, title="a", log_y=log_y, smooth=True)
    assert svg_of(drawing).tag.endswith("svg")
    assert "nan" not in drawing
    assert "inf" not in drawing


def test_a_running_mean_keeps_straight_lines() -> None:
    """The mean around a point of a straight line is the point, away from the ends."""
    line = [(float(i), 2.0 * i) for i in range(21)]
    assert [y for _, y in running_mean(line, 5)[2:-2]] == pytest.approx([y for _, y in line[2:-2]])


def test_thinning_keeps_ends_order_and_mean() -> None:
    """Many points become few; the first and the last stay as they are and the mean hardly moves."""
    points = [(float(i), math.sin(i / 50)) for i in range(5000)]
    few = thinned(points, 300)
    assert len(few) <= 300
    assert (few[0], few[-1]) == (points[0], points[-1])
    assert [x for x, _ in few] == sorted(x for x, _ in few)
    assert sum(y for _, y in few) / len(few) == pytest.approx(sum(y for _, y in points) / 5000, abs=0.01)
    assert thinned(points[:10], 300) == points[:10]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (20_000, "20k"), (1_500_000, "1.5M"), (0.002, "0.002"), (31.0724, "31.07")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    """Numbers on axes and tiles are written as people write them."""
    assert number(value) == text


def test_areas_stand_upon_each_other() -> None:
    """Shares fill the drawing from bottom to top at every step."""
    drawing = stacked_chart({"a": [(0, 0.25), (10, 0.5)], "b": [(0, 0.75), (10, 0.5)]}, title="shares")
    first, second = (re.findall(r"[ML]([0-9.]+) ([0-9.]+)", path) for path in re.findall(r'd="(M[^"]+)Z"', drawing))
    bottom, top = float(first[-1][1]), float(second[0][1])
    assert [float(y) for _, y in first[:2]] == [
        pytest.approx(bottom + share * (top - bottom), abs=0.1) for share in (0.25, 0.5)
    ]
    assert second[2:] == first[1::-1]
    assert second[0][1] == second[1][1]
