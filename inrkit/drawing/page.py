"""A run's report: one HTML file that holds all it shows, asks nothing of any other machine and runs no script.

The page is a `Report` of `Section`s of `Block`s. It knows pictures, curves and tables, and nothing of what they are of.
"""

import abc
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import final

import attrs
from PIL import Image

from inrkit.drawing.sheet import data_address
from inrkit.drawing.style import CSS
from inrkit.storage import atomic


@attrs.frozen
class Block(abc.ABC):
    """A part of a section."""

    @abc.abstractmethod
    def html(self) -> str:
        """The part as HTML; whatever text it was given is escaped."""


@final
@attrs.frozen
class Picture(Block):
    """One picture with a caption; ``wide`` fills the page."""

    image: Image.Image
    caption: str = ""
    wide: bool = False

    def html(self) -> str:
        return f'<figure class="block{" wide" if self.wide else ""}">{self.inner()}</figure>'

    def inner(self) -> str:
        """Image and caption, without a frame."""
        return _img(self.image, self.caption) + (
            f"<figcaption>{escape(self.caption)}</figcaption>" if self.caption else ""
        )


@final
@attrs.frozen
class Beside(Block):
    """Pictures beside each other, equally wide, each with its caption."""

    pictures: Sequence[Picture]

    def html(self) -> str:
        figures = (f"<figure>{picture.inner()}</figure>" for picture in self.pictures)
        return f'<div class="row block">{"".join(figures)}</div>'


@final
@attrs.frozen
class Rows(Block):
    """Wide pictures below each other, each with a label on its left: columns can be compared from row to row."""

    rows: Sequence[tuple[str, Image.Image]]
    note: str = ""

    def html(self) -> str:
        lines = "".join(f"<p>{escape(label)}</p>{_img(image, label)}" for label, image in self.rows)
        largest = 2 * max((image.width for _, image in self.rows), default=0)
        style = f"grid-template-columns: minmax(64px, max-content) minmax(0, {largest}px)"
        rows = f'<div class="labelled" style="{style}">{lines}</div>'
        return f'<div class="block">{rows}{_paragraph(self.note, "note")}</div>'


@final
@attrs.frozen
class Charts(Block):
    """Drawings by `inrkit.drawing.curve.chart`, title to SVG, as many beside each other as fit."""

    charts: Mapping[str, str]

    def html(self) -> str:
        parts = (f"<div><h3>{escape(title)}</h3>{svg}</div>" for title, svg in self.charts.items())
        return f'<div class="charts block">{"".join(parts)}</div>'


@final
@attrs.frozen
class Link(Block):
    """A file beside the report, and what it is."""

    file: str
    text: str

    def html(self) -> str:
        return f'<p class="block"><a href="{escape(self.file)}">{escape(self.file)}</a> {escape(self.text)}</p>'


@final
@attrs.frozen
class Table(Block):
    """Rows of texts below a head; the first column names the row."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def html(self) -> str:
        head = "".join(f"<th>{escape(cell)}</th>" for cell in self.head)
        body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self.rows)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f'<div class="block"><div class="scroll">{table}</div>{_paragraph(self.note, "note")}</div>'


@final
@attrs.frozen
class Listing(Block):
    """Text as it stands, such as a config."""

    text: str

    def html(self) -> str:
        return f'<pre class="block">{escape(self.text)}</pre>'


@final
@attrs.frozen
class Section:
    """A card of the page; ``folded`` shows only its title until it is clicked."""

    title: str
    blocks: Sequence[Block]
    lead: str = ""
    folded: bool = False

    def html(self) -> str:
        title, body = escape(self.title), _paragraph(self.lead, "lead") + "".join(block.html() for block in self.blocks)
        if self.folded:
            return f"<section><details><summary>{title}</summary><div>{body}</div></details></section>"
        return f"<section><h2>{title}</h2>{body}</section>"


@final
@attrs.frozen
class Report:
    """The whole page.

    Args:
        title, subtitle: What was trained.
        numbers: What to see first: label to (number, unit).
        sections: From top to bottom.
        refresh: Seconds after which a browser loads the page anew; 0 for never.
    """

    title: str
    subtitle: str
    numbers: Mapping[str, tuple[str, str]]
    sections: Sequence[Section]
    refresh: int = 0

    def html(self) -> str:
        """The page, complete in itself."""
        numbers = "".join(
            f"<div><dt>{escape(label)}</dt><dd>{escape(value)} <small>{escape(unit)}</small></dd></div>"
            for label, (value, unit) in self.numbers.items()
        )
        refresh = f'<meta http-equiv="refresh" content="{self.refresh}">' if self.refresh else ""
        sections = "".join(section.html() for section in self.sections if section.blocks)
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            # Nothing may be fetched or run, whatever a caption or a config contains.
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
            f"{refresh}<title>{escape(self.title)}</title><style>{CSS}</style></head><body>"
            f'<header><div class="kicker">inrkit report</div><h1>{escape(self.title)}</h1>'
            f'<p class="subtitle">{escape(self.subtitle)}</p><dl class="numbers">{numbers}</dl></header>'
            f"<main>{sections}</main><footer>Everything on this page is in this one file.</footer></body></html>\n"
        )


def save_report(report: Report, path: Path) -> Path:
    """Write the page atomically, replacing what was there."""
    atomic.write_text(path, report.html())
    return path


def _paragraph(text: str, style: str) -> str:
    return f'<p class="{style}">{escape(text)}</p>' if text else ""


def _img(image: Image.Image, alt: str) -> str:
    size = f'width="{image.width}" height="{image.height}"'
    return f'<img alt="{escape(alt)}" {size} src="{data_address(image)}">'
