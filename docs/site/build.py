"""Makes the site, in build/site: python docs/site/build.py; it needs the extra 'site'.

The pages are README, CONTRIBUTING, CHANGELOG and docs/*.md as they are, with links that fit; a page for each module
with public names and for each plugin, from their docstrings; and a gallery of the model that comes with inrkit.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
PAGES = {
    "Start": ["data", "sound", "recipe", "editing", "conditions", "evaluation"],
    "The method": ["flow", "formulas", "glossary", "papers", "systems", "references"],
    "Machines": ["performance", "devices", "gpu", "distributed", "reliability"],
    "Plugins": ["tutorial", "pieces", "plugins", "hooks"],
    "Look up": ["commands", "config", "files", "inr", "names"],
    "The project": ["lab", "contributing", "changelog"],
}
"""Every page of docs/ by the heading of the table of contents that it stands below; further ones come after them."""
ELSEWHERE = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages that lie in the root of the project."""


def toctree(caption: str, names: list[str]) -> str:
    """A part of the table of contents."""
    return "\n".join([f"```{{toctree}}\n:hidden:\n{caption and f':caption: {caption}'}\n", *names, "```\n"])


def gathered(page: Path) -> str:
    """The text of a page, its links leading to pages of the site; links to files of the project become their names."""

    def link(found: re.Match[str]) -> str:
        text, target, anchor = found.groups()
        path = (page.parent / target).resolve()
        name = ELSEWHERE.get(path.relative_to(ROOT).as_posix(), path.name)
        known = path.suffix == ".md" and (path.parent == ROOT / "docs" or name != path.name)
        if known and text == target:  # a reader of the site knows pages by their titles
            text = path.read_text().partition("\n")[0].lstrip("# ")
        if known or path.suffix in (".png", ".svg"):
            return f"[{text}]({name}{anchor or ''})"
        return text if text.startswith("`") else f"`{text}`"

    return re.sub(r"\[([^\]]*)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]+)?\)", link, page.read_text())


def api() -> Iterator[tuple[str, str]]:
    """Name and text of the page of each module with public names, and of each plugin."""
    import inrkit

    homes = {home: [n for n, h in inrkit._HOME.items() if h == home] for home in sorted(set(inrkit._HOME.values()))}
    for home, names in homes.items():
        yield f"api/{home}", page_of(home, [f"inrkit.{name}" for name in names])
    for plugin in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["inrkit"]:
        entries = [
            e for e in inrkit.load_plugins().entries() if e.plugin == plugin and e.kind not in ("model", "command")
        ]
        targets = dict.fromkeys(entry.target.replace(":", ".") for entry in entries)
        if targets:
            yield f"api/plugin-{plugin}", page_of(f"Plugin {plugin}", list(targets))


def page_of(title: str, names: list[str]) -> str:
    """A page with all that the docstrings of these names say."""
    parts = [f"# {title}\n"]
    for name in names:
        module, _, attribute = name.rpartition(".")
        found = getattr(__import__(module, fromlist=[attribute]), attribute)
        kind = "class" if isinstance(found, type) else "function" if callable(found) and found.__doc__ else "data"
        more = "\n:members:\n:show-inheritance:" if kind == "class" else ""
        parts.append(f"```{{eval-rst}}\n.. auto{kind}:: {name}{more.replace(chr(10), chr(10) + '   ')}\n```\n")
    return "\n".join(parts)


def gather(source: Path, *, docstrings: bool = True) -> None:
    """All pages into one folder; those of docstrings on request."""
    shutil.rmtree(source, ignore_errors=True)
    (source / "api").mkdir(parents=True)
    (source / "extra").mkdir()
    shutil.copy(Path(__file__).with_name("conf.py"), source)
    for file in (*(ROOT / "docs").glob("*.png"), *(ROOT / "docs").glob("*.svg")):
        shutil.copy(file, source)
    for page in (*(ROOT / "docs").glob("*.md"), *(ROOT / name for name in ELSEWHERE)):
        (source / ELSEWHERE.get(page.name, page.name)).write_text(gathered(page))
    listed = {name for names in PAGES.values() for name in names}
    further = sorted({page.stem for page in (ROOT / "docs").glob("*.md")} - listed)
    made = dict(api()) if docstrings else {}
    for name, text in made.items():
        (source / f"{name}.md").write_text(text)
    (source / "gallery.md").write_text(GALLERY)
    trees = {"": ["gallery"], **PAGES, "More": further, "Python": list(made)}
    with (source / "index.md").open("a") as index:
        index.write("\n" + "\n".join(toctree(caption, names) for caption, names in trees.items() if names))


GALLERY = """# Gallery

What the model `faces`, which comes with inrkit, generates and encodes, and what lies between two INRs. The page
evaluates the INRs themselves, on your own machine; `inrkit export faces html -o gallery.html` made it. <a
href="gallery-of-faces.html">The gallery alone</a>

<iframe src="gallery-of-faces.html" title="Gallery of the model faces"
style="width:100%;height:44rem;border:0"></iframe>
"""


def main() -> int:
    """Gathers, makes the gallery, and lets Sphinx write the pages; its warnings are errors."""
    source, inrkit = BUILD / "site-source", [sys.executable, "-m", "inrkit"]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")])
    gather(source)
    gallery = source / "extra" / "gallery-of-faces.html"
    if code := subprocess.run([*inrkit, "export", "faces", "html", "-o", str(gallery)]).returncode:
        return code
    sphinx = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "-E"]
    shutil.rmtree(BUILD / "site", ignore_errors=True)
    return subprocess.run([*sphinx, str(source), str(BUILD / "site")]).returncode or outside(BUILD / "site")


def outside(site: Path) -> int:
    """Whether a page loads anything from another address, which is said."""
    loads = re.compile(
        r"""<(?:script|img|iframe|source)[^>]*\bsrc=["']?(?:https?:)?//|<link(?![^>]*canonical)[^>]*\bhref=["']?"""
        r"""(?:https?:)?//|@import\s+["']?https?:|url\(["']?https?:"""
    )
    found = [file for file in site.rglob("*") if file.suffix in (".html", ".css") and loads.search(file.read_text())]
    for file in found:
        print(f"{file}: loads something from another address", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
