"""The rooms of the house, held by reading the imports: who may use what, and who knows no modality."""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import inrkit

ROOT = Path(inrkit.__file__).parents[1]
PACKAGE, PLUGINS = ROOT / "inrkit", ROOT / "plugins"

NOUNS = {f"core.{name}" for name in ("draws", "observation", "noise", "denoiser", "inr", "transform", "modality")}
NOUNS |= {"core.pipeline", "core.dropout"}  # what a modality builds, and what its networks share
NUMERIC = {"torch", "attrs", "numpy"}

# The rooms in the order of imports: a room imports itself and rooms above it, and these other packages.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "progress": set(),
    "hookspecs": {"pluggy"},
    "core": NUMERIC,
    "nn": {"torch", "attrs"},
    "plugins": {"attrs", "pluggy"},
    "metrics": NUMERIC,
    "config": {"attrs", "torch", "tomli_w"},
    "storage": {"torch", "attrs", "numpy", "h5py", "safetensors", "huggingface_hub"},
    "drawing": {"torch", "attrs", "numpy", "PIL"},
    "machine": {"torch", "attrs", "numpy"},
    "gridded": {"torch", "attrs", "numpy"},
    "inference": {"torch", "attrs", "numpy", "PIL", "kornia"},
    "evaluation": {"torch", "attrs", "numpy"},
    "report": {"torch", "attrs", "PIL"},
    "training": {"torch", "attrs", "numpy", "rich"},
    "comparison": {"torch", "attrs"},
    "testing": {"torch", "attrs", "numpy", "pytest"},
    "cli": {"click", "rich", "torch", "attrs"},
}
SPEAK_OF_FILES = {"storage", "drawing", "testing", "cli"}
"""Rooms that may name modalities: what people's files hold, and what the command line gives as examples."""
ENTRANCES = {"__main__", "__init__"}
"""Modules that are no room: what `python -m inrkit` and `import inrkit` begin with."""
LOW = {"core", "nn", "plugins"}
"""Rooms that know of one another only the nouns."""

# core touches no disk, no terminal, no clock.
FORBIDDEN_IN_CORE = {"os", "sys", "io", "shutil", "tempfile", "subprocess", "logging", "time", "datetime", "socket"}
# Nor the global random state; drawing from torch's (as initialising a layer does) is the caller's seed to decide.
FORBIDDEN_CALLS = {"print", "input", "open", "torch.manual_seed", "torch.seed", "random.seed", "np.random.seed"}

MODALITY_WORDS = {"nerf", "image", "pixel", "camera"}
# Picture files, which sheets of any modality are: PIL's class, and the function that makes one.
PICTURE_FILES = {"Image", "to_image"}


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a module imports; `from inrkit import X` counts as the module that X comes from.

    The registry names the type of each kind of thing that plugins offer, and imports none of them to do so.
    """
    tree = ast.parse(path.read_text())
    if path == PACKAGE / "plugins" / "registry.py":
        tree.body = [node for node in tree.body if not (isinstance(node, ast.If) and is_for_types(node))]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                dotted = f"{node.module}.{alias.name}"
                is_module = (ROOT / Path(*dotted.split("."))).with_suffix(".py").exists()
                home = inrkit._HOME.get(alias.name) if node.module == "inrkit" else None
                yield home or (dotted if is_module else str(node.module))


def is_for_types(node: ast.If) -> bool:
    return ast.unparse(node.test) == "TYPE_CHECKING"


def module_imports(path: Path) -> Iterator[str]:
    """The modules that a module needs in order to be imported, or whose types its own are made of."""
    body = ast.parse(path.read_text()).body
    for node in [*body, *(inner for block in body if isinstance(block, ast.If) for inner in block.body)]:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("inrkit."):
            for alias in node.names:
                dotted = f"{node.module}.{alias.name}"
                is_module = (ROOT / Path(*dotted.split("."))).with_suffix(".py").exists()
                yield dotted if is_module else str(node.module)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def id_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", modules(PACKAGE), ids=id_of)
def test_a_room_imports_only_rooms_above_it(path: Path) -> None:
    """Knowledge flows one way: the command line knows training, training the core, and the core nobody."""
    room, order = room_of(path), list(ROOMS)
    if room in ENTRANCES:
        return
    assert room in ROOMS, f"{path}: a room that the table does not know"
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "inrkit" and rest:
            above = order[: order.index(room) + 1]
            other = rest.partition(".")[0]
            assert other in above, f"{path} may not import {name}"
            assert other == room or not (room in LOW and other in LOW) or rest in NOUNS, f"{path} may not import {name}"
        elif top == "inrkit":
            assert room not in LOW, f"{path} may not import inrkit's public names"
        elif top not in sys.stdlib_module_names:
            assert top in ROOMS[room], f"{path} may not import {name}"


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_no_circle_within_a_room(room: str) -> None:
    """Modules of a room can be read one after the other, each knowing only those before it."""
    folder = PACKAGE / room
    graph = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): set(module_imports(path))
        for path in (modules(folder) if folder.is_dir() else [])
    }
    while graph:
        ready = [name for name, used in graph.items() if not used & graph.keys() - {name}]
        assert ready, f"a circle among {sorted(graph)}"
        for name in ready:
            del graph[name]


@pytest.mark.parametrize("path", modules(PACKAGE / "core") + modules(PACKAGE / "nn"), ids=id_of)
def test_the_core_touches_no_disk_terminal_clock_or_global_random_state(path: Path) -> None:
    """What the core computes depends on its arguments, and is returned."""
    assert not FORBIDDEN_IN_CORE & {name.partition(".")[0] for name in imports(path)}
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    assert not FORBIDDEN_CALLS & calls


@pytest.mark.parametrize("path", modules(PLUGINS), ids=id_of)
def test_a_plugin_imports_public_names_and_no_other_plugin(path: Path) -> None:
    """What the built-in plugins can do, anybody's can."""
    own = path.relative_to(PLUGINS).parts[0]
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
            if node.module == "inrkit":
                assert {alias.name for alias in node.names} <= set(inrkit.__all__)
        for name in names:
            assert not name.startswith("inrkit.")
            top = name.partition(".")[0]
            assert not top.startswith("inrkit") or top in ("inrkit", own)


def test_no_room_names_a_plugin_package() -> None:
    """Plugins are found by their entry points alone."""
    packages = {path.name for path in PLUGINS.iterdir() if (path / "__init__.py").exists()}
    assert packages
    for path in modules(PACKAGE):
        assert not packages & {name.partition(".")[0] for name in imports(path)}


def words(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line, token, word) of identifiers, comments and strings: lower case, singular, split at `_` and at capitals."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type in (tokenize.NAME, tokenize.COMMENT, tokenize.STRING):
            runs = re.findall(r"[A-Za-z]+", token.string)
            for word in {*runs, *(part for run in runs for part in re.findall(r"[A-Z]?[a-z]+", run))}:
                yield token.start[0], token.string, word.lower().removesuffix("s")


@pytest.mark.parametrize(
    "path",
    [
        path
        for room in ROOMS
        if room not in ("testing", "cli", "drawing", "storage")
        for path in modules(PACKAGE / room)
    ],
    ids=id_of,
)
def test_only_files_pictures_and_commands_contain_modality_words(path: Path) -> None:
    """The law of the house: whoever needs an `if image` needs a better interface."""
    found = [
        (line, text[:60]) for line, text, word in words(path) if word in MODALITY_WORDS and text not in PICTURE_FILES
    ]
    assert not found


def test_the_words_of_a_module_are_found_in_code_and_comments(tmp_path: Path) -> None:
    """Identifiers are split, plurals count, and parts of other words do not."""
    path = tmp_path / "some.py"
    path.write_text('"""Of NeRFs."""\nimagine = PixelGrid(image_size)  # cameras\n')
    found = {word for _, _, word in words(path)}
    assert found >= {*MODALITY_WORDS, "imagine"}


def test_public_names_exist_and_are_sorted() -> None:
    """Every name that is promised can be imported."""
    for name in inrkit.__all__:
        assert getattr(inrkit, name) is not None
    assert list(inrkit.__all__) == sorted(set(inrkit.__all__))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        inrkit.__getattr__("nothing")


def test_the_package_has_no_drawer_for_leftovers() -> None:
    """No utils.py: a helper is given its noun."""
    assert not [
        path
        for path in modules(ROOT / "inrkit") + modules(PLUGINS)
        if re.match(r"utils?|helpers?|misc|common", path.stem)
    ]


@pytest.mark.parametrize("path", modules(PACKAGE) + modules(PLUGINS), ids=id_of)
def test_files_and_functions_stay_readable(path: Path) -> None:
    """At most 330 lines in a file and 60 in a function."""
    text = path.read_text()
    assert text.count("\n") <= 330
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, f"{path}: {node.name}"


@pytest.mark.parametrize("path", modules(PACKAGE) + modules(PLUGINS), ids=id_of)
def test_nothing_loads_a_pickle(path: Path) -> None:
    """A pickle runs what it likes; none is ever opened."""
    assert not {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"} & set(imports(path))
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    assert not {"torch.load", "eval", "exec"} & calls
