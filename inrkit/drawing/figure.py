"""Pictures and words at their places, drawn as a picture, or written as PDF or SVG, whose words stay words.

Pictures are stored without loss and enlarged by whole numbers, so that no viewer blurs them. Files hold what is drawn
and nothing else: no time, no name of a machine.
"""

import base64
import zlib
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Literal, NamedTuple, final

import attrs
from PIL import Image, ImageDraw, ImageFont

from inrkit.storage import atomic

SIZE = 13  # of the letters, in dots
_INK = (124, 124, 124, 255)  # legible on white and on black
_POINT = 0.75  # points of a dot, as in a browser
_BASELINE = 0.35  # how far below the middle of a line its letters stand, as a share of their size
# Widths of Helvetica's letters from the space to ~, in thousandths of the size, as every PDF reader has them.
_WIDTHS = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 278 "
    "584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 667 944 "
    "667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 "
    "278 556 500 722 500 500 500 334 260 334 584"
)
_WIDTH_OF = dict(zip(range(32, 127), map(int, _WIDTHS.split()), strict=True))


class Tile(NamedTuple):
    """A picture and where its left upper corner is, in dots."""

    left: int
    top: int
    image: Image.Image


class Words(NamedTuple):
    """A line of text: the end of it that is at ``x``, or its middle, and the middle of its height."""

    x: int
    y: int
    text: str
    anchor: Literal["middle", "end"]


@final
@attrs.frozen(eq=False)
class Figure:
    """Pictures and words on paper of a size in dots."""

    width: int
    height: int
    tiles: Sequence[Tile]
    words: Sequence[Words]

    def image(self, paper: tuple[int, int, int, int] = (255, 255, 255, 255)) -> Image.Image:
        """Drawn on paper of a colour."""
        canvas = Image.new("RGBA", (self.width, self.height), paper)
        draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(SIZE)
        for tile in self.tiles:
            canvas.paste(tile.image, (tile.left, tile.top))
        for words in self.words:
            draw.text((words.x, words.y), words.text, _INK, font, anchor="mm" if words.anchor == "middle" else "rm")
        return canvas


def svg(figure: Figure, encode: Callable[[Image.Image], bytes]) -> bytes:
    """An SVG file, with pictures as ``encode`` makes PNG of them."""
    head = f'width="{figure.width}" height="{figure.height}" viewBox="0 0 {figure.width} {figure.height}"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {head}>']
    for left, top, image in figure.tiles:
        data = base64.b64encode(encode(image)).decode()
        place = f'x="{left}" y="{top}" width="{image.width}" height="{image.height}"'
        lines.append(f'<image {place} image-rendering="pixelated" xlink:href="data:image/png;base64,{data}"/>')
    lines.append(f'<g font-family="Helvetica, Arial, sans-serif" font-size="{SIZE}" fill="#222">')
    for x, y, text, anchor in figure.words:
        lines.append(f'<text x="{x}" y="{y + _BASELINE * SIZE:g}" text-anchor="{anchor}">{escape(text)}</text>')
    return "\n".join([*lines, "</g>", "</svg>", ""]).encode()


def pdf(figure: Figure) -> bytes:
    """A PDF file of one page, with the letters of Helvetica, which every reader has."""
    names = " ".join(f"/I{i} {i + 6} 0 R" for i in range(len(figure.tiles)))
    size = f"{figure.width * _POINT:g} {figure.height * _POINT:g}"
    resources = f"<< /Font << /F 4 0 R >> /XObject << {names} >> >>"
    return _file(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {size}] /Resources {resources} /Contents 5 0 R >>".encode(),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
            _stream("", _drawn(figure)),
            *(_picture(tile.image) for tile in figure.tiles),
        ]
    )


def _drawn(figure: Figure) -> bytes:
    """What the page does: its origin is below on the left."""
    lines = [f"{_POINT} 0 0 {_POINT} 0 0 cm".encode()]
    for i, (left, top, image) in enumerate(figure.tiles):
        low = figure.height - top - image.height
        lines.append(f"q {image.width} 0 0 {image.height} {left} {low} cm /I{i} Do Q".encode())
    lines.append(b"0.13 g")
    for x, y, text, anchor in figure.words:
        letters = text.encode("cp1252", "replace")
        width = sum(_WIDTH_OF.get(c, 556) for c in letters) * SIZE / 1000
        start = x - width * (0.5 if anchor == "middle" else 1)
        place = f"BT /F {SIZE} Tf {start:.2f} {figure.height - y - _BASELINE * SIZE:.2f} Td".encode()
        quoted = letters.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
        lines.append(place + b" (" + quoted + b") Tj ET")
    return b"\n".join(lines)


def _picture(image: Image.Image) -> bytes:
    about = f"/Type /XObject /Subtype /Image /Width {image.width} /Height {image.height}"
    return _stream(f"{about} /ColorSpace /DeviceRGB /BitsPerComponent 8 ", image.convert("RGB").tobytes())


def _stream(about: str, data: bytes) -> bytes:
    packed = zlib.compress(data, 9)
    head = f"<< {about}/Filter /FlateDecode /Length {len(packed)} >>".encode()
    return head + b"\nstream\n" + packed + b"\nendstream"


def _file(objects: Sequence[bytes]) -> bytes:
    """Numbered objects, and the table of where each begins."""
    parts, places, at = [b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"], [], 15
    for number, body in enumerate(objects, 1):
        part = b"%d 0 obj\n%s\nendobj\n" % (number, body)
        parts.append(part)
        places.append(at)
        at += len(part)
    rows = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    tail = b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    return b"".join([*parts, tail % (count, rows, count, at)])


def save_figure(figure: Figure, path: Path, encode: Callable[[Image.Image], bytes]) -> Path:
    """Write a figure in the format of the file's ending, replacing what was there."""
    formats: Mapping[str, Callable[[], bytes]] = {
        ".png": lambda: encode(figure.image()),
        ".pdf": lambda: pdf(figure),
        ".svg": lambda: svg(figure, encode),
    }
    atomic.write_bytes(path, formats[path.suffix]())
    return path
