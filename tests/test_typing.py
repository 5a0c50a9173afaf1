"""What a type checker knows of inrkit in somebody else's program: the answers of mypy and of pyright."""

import inspect
import json
import re
import site
import subprocess
import sys
import typing
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import inrkit

ROOT = Path(inrkit.__file__).parents[1]

PROGRAM = """\
import attrs
import inrkit
from inrkit import Denoizer  # refused

model = inrkit.train(modality="image")
reveal_type(model)
reveal_type(inrkit.load("run"))
reveal_type(model.sample(2))
reveal_type(model.sample(2).params)
reveal_type(model.pipeline.denoiser)
inrkit.trian(modality="image")  # refused


def report(model: inrkit.Model, prediction: inrkit.Prediction) -> None:
    model.smaple(2)  # refused
    prediction.field("here")  # refused


@attrs.frozen
class Options:
    width: int = inrkit.option(64, "channels", inrkit.at_least(1))
    size: tuple[int, int] | None = inrkit.option(None, "height and width")
    rate: float = inrkit.option(1, "samples per second")
    count: int = inrkit.option("1", "how many")  # refused


reveal_type(Options().width)
Options().widht  # refused
Options(widht=3)  # refused
Options(width="3")  # refused
"""
REVEALED = ["Model", "Model", "Prediction", "Mapping[str, Tensor]", "Denoiser", "int"]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has inrkit as an installed package, where type checkers respect `py.typed`."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/*/site-packages")
    installed = [path for path in sys.path if path.endswith("site-packages")] or site.getsitepackages()
    (packages / "inrkit.pth").write_text("\n".join([str(ROOT), *installed]))
    return folder / "bin" / "python"


def by_mypy(program: Path, python: Path) -> list[tuple[int, str]]:
    """(line, message) of what mypy says."""
    command = [sys.executable, "-m", "mypy", "--config-file=", "--no-error-summary", "--python-executable", str(python)]
    said = subprocess.run([*command, program.name], cwd=program.parent, capture_output=True, text=True).stdout
    return [(int(line), text) for line, text in re.findall(r"^\S+?:(\d+): (.*)$", said, re.MULTILINE)]


def by_pyright(program: Path, python: Path) -> list[tuple[int, str]]:
    """(line, message) of what pyright says, in its basic mode."""
    (program.parent / "pyrightconfig.json").write_text('{"typeCheckingMode": "basic"}')
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", str(python), "--project", "."]
    said = subprocess.run(command, cwd=program.parent, capture_output=True, text=True).stdout
    return [
        (each["range"]["start"]["line"] + 1, f"{each['severity']}: {each['message']}")
        for each in json.loads(said)["generalDiagnostics"]
    ]


@pytest.mark.parametrize("checker", [by_mypy, by_pyright])
def test_public_names_have_types(
    checker: Callable[[Path, Path], list[tuple[int, str]]], python: Path, tmp_path: Path
) -> None:
    """The first example's names have their types, and what is misspelt or of the wrong type is refused."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    said = checker(program, python)
    refused = [number for number, line in enumerate(PROGRAM.splitlines(), 1) if line.endswith("# refused")]
    assert sorted({line for line, text in said if text.startswith("error")}) == refused
    revealed = [re.sub(r"[\w.]+\.", "", re.split('["`]', text)[-2]) for _, text in said if re.match("note|info", text)]
    assert revealed == REVEALED


@pytest.mark.parametrize("checker", [by_mypy, by_pyright])
def test_a_new_plugin_has_types(
    checker: Callable[[Path, Path], list[tuple[int, str]]],
    python: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither checker complains of what `inrkit plugins new` writes."""
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-m", "inrkit", "plugins", "new", "thing"], check=True, capture_output=True)
    program = tmp_path / "inrkit-thing" / "inrkit_thing" / "modality.py"
    assert [each for each in checker(program, python) if each[1].startswith("error")] == []


def test_types_of_public_names_are_public() -> None:
    """Whatever class of ours a public function takes or returns can be named in an annotation."""
    public = {getattr(inrkit, name) for name in {*inrkit.__all__} - {"__version__"} if name[0].isupper()}
    for name in {*inrkit.__all__} - {"__version__"}:
        thing = getattr(inrkit, name)
        members = [thing, *vars(thing).values()] if inspect.isclass(thing) else [thing]
        for member in members:
            function = getattr(member, "fget", getattr(member, "__func__", member))
            if not inspect.isfunction(function) or (function.__name__.startswith("_") and member is not thing):
                continue
            for hint in typing.get_type_hints(function).values():
                assert set(ours_in(hint)) <= public, (name, function.__name__)


def ours_in(hint: object) -> Iterator[type]:
    """The classes of inrkit within a type."""
    if inspect.isclass(hint) and hint.__module__.startswith("inrkit."):
        yield hint
    for part in typing.get_args(hint):
        yield from ours_in(part)


def test_import_costs_no_torch() -> None:
    """Public names are imported when they are first used."""
    code = "import sys, inrkit; dir(inrkit); assert 'torch' not in sys.modules; assert inrkit.Model"
    subprocess.run([sys.executable, "-c", code], check=True)
