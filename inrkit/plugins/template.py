"""A new plugin, as text: a complete distribution whose modality trains and keeps every law of the conformance kit."""

import keyword
from pathlib import Path
from string import Template

from inrkit.errors import UsageError
from inrkit.plugins.offering import NAME

PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "inrkit-$name"
version = "0.1.0"
description = "The modality '$name' for inrkit"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["inrkit"]

[project.optional-dependencies]
test = ["pytest"]

# This line is what inrkit finds the plugin by.
[project.entry-points.inrkit]
$name = "$package"

[tool.setuptools]
packages = ["$package"]
"""

README = """\
# inrkit-$name

Signals of the modality `$name`, on a grid with $count, for [inrkit](https://pypi.org/project/inrkit/).

    pip install -e .
    inrkit plugins check $name
    inrkit train --modality $name

## What to change first

1. `array_of` in `$package/modality.py`: how a file of yours is read. As it is, a file is a `.npy` array
   (channels, $sizes), and `inrkit data import $name-files FOLDER -o data.h5` makes a data set of a folder of them.
2. `invent`: signals to try things out with where there are no data. Leave it out, and data have to be given.
3. `values_of`: what a data set holds as values in [-1, 1].
4. `pictures` and `write`: what people look at, and the files they keep.
5. `presets`: how long to train, and how large the networks are.

Whatever else `inrkit.GridModality` does can be changed the same way. After each change:

    pip install -e '.[test]' && pytest
"""

INIT = '''\
"""Signals of the modality `$name`.

inrkit train --modality $name --out runs/$name
inrkit sample runs/$name -o new
"""

import inrkit

INRKIT_API = 1  # of the hooks that this was written for


@inrkit.hookimpl
def register_modalities(register: inrkit.Register) -> None:
    register("$name", "$package.modality:${title}Modality", "signals on a grid with $count")


@inrkit.hookimpl
def register_importers(register: inrkit.Register) -> None:
    register("$name-files", "$package.modality:${title}Importer", "a folder or an archive of .npy files")
'''

MODALITY = '''\
"""What signals of `$name` are: where they come from, how they are read and kept."""

import io
from collections.abc import Callable
from typing import final

import numpy as np
import torch
from torch import Tensor

import inrkit


@final
class ${title}Modality(inrkit.GridModality):
    """Signals on a grid with $count."""

    name, summary, axes, suffix = "$name", "signals on a grid with $count", $axes, ".npy"

    def invent(self, chance: torch.Generator) -> Callable[[Tensor], Tensor]:
        """$invented"""
$invent

    def decode(self, data: bytes, name: str) -> Tensor:
        """A file of the user, (channels, $sizes)."""
        return torch.from_numpy(array_of(data))


@final
class ${title}Importer(inrkit.FilesImporter):
    """Arrays (channels, $sizes), one to a file."""

    name, summary, modality = "$name-files", "a folder or an archive of .npy files", "$name"
    suffixes = (".npy",)

    def decode(self, data: bytes, options: inrkit.FilesOptions) -> np.ndarray:
        return array_of(data)


def array_of(data: bytes) -> np.ndarray:
    """What a file holds, as a data set keeps it: integers, or floats in [-1, 1], (channels, $sizes)."""
    try:
        found: np.ndarray = np.load(io.BytesIO(data), allow_pickle=False)
    except (OSError, ValueError, EOFError, TypeError) as error:
        raise inrkit.DataError(f"expected an array as .npy, found {' '.join(str(error).split())}") from error
    if found.ndim != $ndim or found.dtype.kind not in "uif":
        raise inrkit.DataError(f"expected numbers (channels, $sizes), found {found.dtype} {found.shape}")
    return found
'''

TEST = '''\
"""Every law that inrkit relies on, and whatever else should hold of these signals."""

import pytest

from inrkit.testing import Case, checks_of

# Small networks, so that the checks are quick.
OPTIONS = {"width": 48, "heads": 2, "hidden": 48, "depth": 1, "inr_width": 48, "inr_inner": 32, "count": 64}


@pytest.mark.parametrize("check", checks_of("$name", options=OPTIONS))
def test_conformance(check: Case) -> None:
    """An expected failure is named in the modality's `known_failures`, with its reason."""
    check()
'''

_LINE = (
    "one axis",
    "length",
    "A tone: two waves of random length and phase.",
    """\
        lengths, phases = torch.rand(2, generator=chance), torch.rand(2, generator=chance)

        def tone(x: Tensor) -> Tensor:  # (P, 1) in [-1, 1] to (P, channels)
            return torch.sin((3 + 9 * lengths) * x + 6.3 * phases).mean(1, keepdim=True)

        return tone""",
)
_PLANE = (
    "two axes",
    "height, width",
    "A landscape: a hill somewhere, and waves in some direction.",
    """\
        place, direction = torch.rand(2, generator=chance) - 0.5, torch.rand(2, 1, generator=chance)

        def height(x: Tensor) -> Tensor:  # (P, 2) in [-1, 1] to (P, channels)
            hill = torch.exp(-5 * (x - place).square().sum(1, keepdim=True))
            return 1.4 * hill - 0.7 + 0.3 * torch.sin(8 * x @ direction)

        return height""",
)
_SPACE = (
    "three axes",
    "depth, height, width",
    "A ball somewhere: positive inside, negative outside.",
    """\
        place, radius = 0.6 * torch.rand(3, generator=chance) - 0.3, 0.3 + 0.4 * torch.rand(1, generator=chance)

        def inside(x: Tensor) -> Tensor:  # (P, 3) in [-1, 1] to (P, channels)
            return torch.tanh(6 * (radius - (x - place).norm(dim=1, keepdim=True)))

        return inside""",
)
_GRIDS = {1: _LINE, 2: _PLANE, 3: _SPACE}


def write_plugin(name: str, axes: int, folder: Path) -> list[Path]:
    """Writes the distribution ``inrkit-NAME`` into a folder that is not there yet; returns its files.

    Args:
        name: Of the plugin and of its modality.
        axes: Of the grid that its signals are measured on: 1, 2 or 3.
    """
    if not NAME.fullmatch(name) or name.endswith("-") or keyword.iskeyword(name):
        wanted = "lower-case letters, digits and dashes, such as weather"
        raise UsageError(f"a plugin is named with {wanted} (got '{name}')")
    if axes not in _GRIDS:
        raise UsageError(f"'axes' is 1, 2 or 3 (got {axes})")
    if folder.exists():
        raise UsageError(f"{folder}: expected a new folder, found an existing one; choose another name")
    package = f"inrkit_{name.replace('-', '_')}"
    title = "".join(part.capitalize() for part in name.split("-"))
    words = {"name": name, "package": package, "title": title, "axes": axes, "ndim": axes + 1}
    words |= zip(("count", "sizes", "invented", "invent"), _GRIDS[axes], strict=True)
    texts = {
        "pyproject.toml": PYPROJECT,
        "README.md": README,
        f"{package}/__init__.py": INIT,
        f"{package}/modality.py": MODALITY,
        f"tests/test_{package.removeprefix('inrkit_')}.py": TEST,
    }
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(Template(text).substitute(words), encoding="utf-8")
    return [folder / path for path in texts]
