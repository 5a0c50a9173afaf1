"""What a modality says of itself."""

import ast
import contextlib
import importlib.util
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

import inrkit
from inrkit.config.run import RunConfig
from inrkit.config.schema import fields_of
from inrkit.config.toml import structure, to_toml, unstructure
from inrkit.errors import InrkitError
from inrkit.plugins.sandbox import examine
from inrkit.testing.check import NotAskedError, UnmetError, check, expect
from inrkit.testing.subject import Subject


@check
def loading_leaves_the_program_alone(subject: Subject) -> None:
    """Loading the plugin prints nothing, changes nothing that all share, leaves no thread and imports no torch."""
    if subject.entry is None:
        raise NotAskedError("the class is not registered by a plugin")
    found = examine(subject.entry.plugin)
    expect(found.broken is None, f"expected to load, found it broken: {found.broken}")
    expect(not found.remarks, "; ".join(found.remarks))


@check
def says_what_it_is(subject: Subject) -> None:
    """The class has a name, a summary of one line without a full stop, and a docstring."""
    cls = subject.cls
    expect(cls.name == subject.name, f"expected the name '{subject.name}', found '{cls.name}'")
    summary = getattr(cls, "summary", "")
    expect(isinstance(summary, str) and summary and "\n" not in summary, f"expected a summary, found {summary!r}")
    expect(not summary.endswith("."), "expected a summary without a full stop: it stands in lists")
    expect(inspect.getdoc(cls), f"expected a docstring on `{cls.__name__}`, found none")


@check
def options_are_documented(subject: Subject) -> None:
    """Each option has a default and a help text."""
    for key, field in fields_of(subject.cls.Options).items():
        expect(field.default is not attrs.NOTHING, f"option '{key}': expected a default, found none")
        expect(field.help.strip(), f"option '{key}': expected metadata={{'help': ...}}, found none")


@check
def options_survive_a_config_file(subject: Subject) -> None:
    """Options are written as TOML and as JSON, and read back equal; they are frozen."""
    cls, options = subject.cls.Options, subject.modality.options
    plain = unstructure(options)
    to_toml(plain)
    again: Any = structure(cls, json.loads(json.dumps(plain)))
    expect(again == options, f"expected the same options after saving, found {again} instead of {options}")
    with contextlib.suppress(attrs.exceptions.FrozenInstanceError):
        for field in attrs.fields(cls)[:1]:
            setattr(options, field.name, getattr(options, field.name))
            raise UnmetError(f"expected `{cls.__name__}` to be attrs.frozen, found that '{field.name}' can be set")


@check
def fitting_is_complete(subject: Subject) -> None:
    """Options fitted to data are left as they are when fitted again, and carry all that building needs."""
    source, options = subject.source(), subject.modality.options
    again = subject.modality.fit_options(source)
    expect(again == options, f"expected fitted options to stay, found {again} instead of {options}")
    alone = subject.cls(structure(subject.cls.Options, unstructure(options)))
    alone.build(subject.readout)
    alone.template(1)


@check
def presets_are_valid(subject: Subject) -> None:
    """There is a preset, the default; each names keys that exist, with values of the right types."""
    expect(subject.cls.presets, "expected at least one preset, the first being the default; found none")
    for name, preset in subject.cls.presets.items():
        try:
            keys = {key: value for key, value in preset.items() if key != "summary"}
            structure(RunConfig, {"modality": subject.name, **keys}, origin="keys")
            structure(subject.cls.Options, preset.get("options", {}), table="options")
            if preset.get("objective") != "cd" or "phases" in preset:  # the teacher is the user's to name
                subject.resolve(name)
        except InrkitError as error:
            raise UnmetError(f"expected valid keys and values in preset '{name}', found {error}") from error


@check
def uses_public_names_only(subject: Subject) -> None:
    """The plugin imports names of inrkit itself, not of its inner modules, and no other plugin."""
    installed = {entry.target.partition(":")[0].partition(".")[0] for entry in subject.registry.entries()}
    others = installed - {_package(subject), "inrkit"}
    for path, name in _imports(subject):
        inner = name.startswith("inrkit.") and not name.startswith("inrkit.testing")
        expect(not inner, f"{path.name}: expected names of 'inrkit', found an import of '{name}'")
        expect(name.partition(".")[0] not in others, f"{path.name}: expected no other plugin, found '{name}'")


@check
def opens_no_pickle(subject: Subject) -> None:
    """Nothing in the plugin can run code that lies in a data file."""
    for path, name in _imports(subject):
        top = name.partition(".")[0]
        expect(top not in {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}, f"{path.name} uses '{top}'")
    for path, node in _nodes(subject):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            expect(called not in {"torch.load", "eval", "exec"}, f"{path.name} calls '{called}'")
            unsafe = any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords)
            expect(not unsafe, f"{path.name} calls '{called}' with 'allow_pickle'")


def _package(subject: Subject) -> str:
    return subject.cls.__module__.partition(".")[0]


def _nodes(subject: Subject) -> Iterator[tuple[Path, ast.AST]]:
    """All that stands in the files of the plugin's package, or in its single file."""
    package = _package(subject)
    spec = None if package in ("__main__", inrkit.__name__) else importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise NotAskedError("the plugin's source cannot be found")
    folders = spec.submodule_search_locations
    paths = (path for folder in folders for path in Path(folder).rglob("*.py")) if folders else [Path(spec.origin)]
    for path in sorted(paths):
        yield from ((path, node) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def _imports(subject: Subject) -> Iterator[tuple[Path, str]]:
    for path, node in _nodes(subject):
        if isinstance(node, ast.Import):
            yield from ((path, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield path, node.module
