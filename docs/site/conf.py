"""How Sphinx makes the site of the pages that `docs/site/build.py` gathers; with what it needs to read docstrings."""

import re
from typing import Any

import inrkit

project = "inrkit"
version = release = inrkit.__version__
copyright = "the inrkit developers"
html_title = f"inrkit {version}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
nitpicky = False
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_theme_options: dict[str, object] = {"top_of_page_buttons": []}
html_show_sphinx = False
html_copy_source = False
html_extra_path = ["extra"]
pygments_style = "friendly"
pygments_dark_style = "monokai"


def plain(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Outside of code, stars and bars of a docstring are themselves: \\*inner, |d|."""
    text = re.sub(
        r"(``.*?``|`[^`]*`)|([*|])", lambda found: found[1] or f"\\{found[2]}", "\n".join(lines), flags=re.DOTALL
    )
    lines[:] = text.split("\n")


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", plain, priority=400)  # before the sections of docstrings are read
