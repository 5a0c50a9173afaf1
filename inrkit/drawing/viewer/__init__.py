"""A page that evaluates functions on the reader's graphics card, in WebGL2: one file, which asks nothing of any other
machine."""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any, final

import attrs
import numpy as np

from inrkit.core.glsl import WIDTH, Shader
from inrkit.core.view import View
from inrkit.errors import UsageError

_LARGEST = 60_000.0  # 16 bits end at 65504


@final
@attrs.frozen(eq=False)
class Shown:
    """One signal of a page: its name, its function with its params, and a picture of the original (a data address)."""

    name: str
    shader: Shader
    picture: str | None = None


def viewer_page(
    title: str, subtitle: str, view: View, signals: Sequence[Shown], gain: float = 1.0, *, exact: bool = False
) -> str:
    """The page, complete in itself.

    Args:
        signals: One, or several of the same function, which the page then shows beside each other.
        gain: From the function's outputs to values, as the read-out says.
        exact: Keep all numbers in 32 bits; by default those of which a page shows no more have 16.
    """
    first = signals[0].shader
    text = str(first)
    if any(str(signal.shader) != text for signal in signals):
        raise UsageError("the signals of one page must be those of one function")
    tables, shared, own = [], b"", [b"" for _ in signals]
    for i, table in enumerate(first.tables):
        values = [signal.shader.tables[i].values.numpy() for signal in signals]
        whole = exact or table.exact or any(np.abs(value).max(initial=0) > _LARGEST for value in values)
        common = all(np.array_equal(value, values[0]) for value in values)
        packed = [_planes(value.astype("<f4" if whole else "<f2")) for value in values]
        if common:
            shared += packed[0]
        else:
            own = [before + more for before, more in zip(own, packed, strict=True)]
        tables.append({"rows": len(table.values), "exact": whole, "shared": common})
    page = {
        "shape": view.shape,
        "facts": dict(view.facts),
        "gain": gain,
        "colours": view.glsl,
        "width": WIDTH,
        "tables": tables,
        "shared": _deflated(shared),
        "signals": [
            {"name": signal.name, "data": _deflated(data), "picture": signal.picture}
            for signal, data in zip(signals, own, strict=True)
        ],
    }
    return _filled(
        {
            "TITLE": escape(title),
            "SUBTITLE": escape(subtitle),
            "CSS": _part("viewer.css"),
            "GLSL": escape(text),
            "PAGE": _json(page),
            "SCRIPT": _part("viewer.js"),
        }
    )


def _planes(numbers: np.ndarray[Any, Any]) -> bytes:
    """The lowest byte of each number, then the next one of each: bytes that are alike stand together."""
    return numbers.reshape(-1, 1).view(np.uint8).T.tobytes()


def _deflated(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode()


def _part(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _json(value: Any) -> str:
    """JSON that ends no script, whatever a name contains."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _filled(parts: Mapping[str, str]) -> str:
    pieces = _part("page.html").split("%")
    return "".join(parts.get(piece, piece) for piece in pieces)
