"""The site: every page stands in its table of contents, links fit, and it builds without a warning where Sphinx is."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def build() -> ModuleType:
    """What `make site` runs."""
    spec = importlib.util.spec_from_file_location("site_build", ROOT / "docs" / "site" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_stands_once_in_the_table_of_contents(build: ModuleType, tmp_path: Path) -> None:
    """Whatever lies in docs/; and each page that is listed exists."""
    listed = [name for names in build.PAGES.values() for name in names]
    build.gather(tmp_path, docstrings=False)
    trees = re.findall(r"```{toctree}\n(.*?)```", (tmp_path / "index.md").read_text(), re.DOTALL)
    shown = [line for tree in trees for line in tree.splitlines() if line and not line.startswith(":")]
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")} | {"contributing", "changelog", "gallery"}
    assert sorted(shown) == sorted(pages)
    assert {*listed} <= {page.stem for page in tmp_path.glob("*.md")}


def test_links_lead_to_pages_of_the_site(build: ModuleType) -> None:
    """Those of the project's pages to the same pages; files that the site lacks are named instead."""
    text = build.gathered(ROOT / "README.md")
    assert "](docs/" not in text
    assert "](flow.md)" in text
    assert "](contributing.md)" in text
    assert "](examples" not in text
    assert "[The papers as presets](papers.md)" in text


def test_what_a_page_loads_from_elsewhere_is_found(build: ModuleType, tmp_path: Path) -> None:
    """Scripts, styles, pictures and fonts; a link that a reader may follow is none of them."""
    page = tmp_path / "page.html"
    page.write_text('<a href="https://example.org">paper</a><script src="_static/a.js"></script>')
    assert build.outside(tmp_path) == 0
    for bad in ('<script src="https://x/a.js">', '<link rel="stylesheet" href="//x/a.css">', '<img src="http://x/a">'):
        page.write_text(bad)
        assert build.outside(tmp_path) == 1, bad
    page.write_text("")
    (tmp_path / "a.css").write_text("@font-face { src: url(https://x/a.woff) }")
    assert build.outside(tmp_path) == 1


def test_pages_have_no_warnings(build: ModuleType, tmp_path: Path) -> None:
    """As Sphinx reads them; the docstrings are read by `make site` alone, which takes longer."""
    for package in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(package)
    build.gather(tmp_path / "source", docstrings=False)
    sphinx = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet", "-b", "dummy"]
    done = subprocess.run([*sphinx, tmp_path / "source", tmp_path / "site"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
