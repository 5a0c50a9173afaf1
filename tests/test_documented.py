"""Nothing is undocumented: hooks, commands and their flags, options of every kind, public names, laws."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import inrkit
from inrkit import hookspecs
from inrkit.cli import main
from inrkit.config.run import RunConfig
from inrkit.config.schema import fields_of
from inrkit.core.noise import READOUTS
from inrkit.plugins import Registry, discover
from inrkit.plugins.loading import GROUP, installed
from inrkit.plugins.registry import KINDS
from inrkit.testing import CHECKS, PIECE_CHECKS

DOCS = Path(__file__).parents[1] / "docs"


def ours() -> Registry:
    """What the built-in plugins offer, whatever else is installed."""
    return discover([point for point in installed([]) if point.dist is not None and point.dist.name == GROUP])


def commands(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    """A command and all below it."""
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, click.Context(below, info_name=name, parent=context))


def test_every_command_and_every_flag_says_what_it_is_for() -> None:
    """In its help text, with an example; and stands on the page of commands."""
    page = (DOCS / "commands.md").read_text()
    for context in commands(main, click.Context(main, info_name="inrkit")):
        path, command = context.command_path, context.command
        assert f"## {path}\n" in page, path
        assert command.help, path
        assert "inrkit " in command.help, f"{path}: an example"
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{path} {parameter.opts[0]}"


def option_classes() -> Iterator[tuple[str, type]]:
    """Every class whose fields somebody can set."""
    yield "a run", RunConfig
    for readout in READOUTS.values():
        yield readout.name, readout
    registry = ours()
    for entry in registry.entries():
        kind = KINDS[entry.kind]
        if (settings := kind.settings(kind.load(registry, entry.name))) is not None:
            yield f"{entry.kind} {entry.name}", settings


def test_every_option_says_what_it_is_for() -> None:
    """In its metadata, from where help texts and the page of options take it."""
    silent = [f"{of}: {key}" for of, cls in option_classes() for key, field in fields_of(cls).items() if not field.help]
    assert not silent


def test_every_hook_stands_on_its_page() -> None:
    """With its contract and an example; there is one for each kind of thing that can be registered."""
    page = (DOCS / "hooks.md").read_text()
    for kind in KINDS.values():
        hook = getattr(hookspecs, f"register_{kind.plural}")
        assert f"## `register_{kind.plural}`\n" in page
        assert "@inrkit.hookimpl" in hook.__doc__


def test_every_law_stands_on_the_page_of_hooks() -> None:
    """By the name that a failing test shows."""
    page = (DOCS / "hooks.md").read_text()
    for name, check in [*CHECKS.items(), *(one for checks in PIECE_CHECKS.values() for one in checks.items())]:
        assert f"| `{name}` | {check.law.replace('``', '`')} |" in page


def test_every_public_name_stands_on_its_page() -> None:
    """With a sentence."""
    lines = (DOCS / "names.md").read_text().splitlines()
    said = {line.split("`")[1]: line.split("|")[2].strip() for line in lines if line.startswith("| `")}
    for name in inrkit.__all__:
        if name != "__version__":
            assert said.get(name), name


def test_the_page_of_plugins_shows_a_test_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its Python is a test file that has every law in it."""
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "plugins.md").read_text(), re.DOTALL)
    (tmp_path / "shown_in_plugins.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    test = importlib.import_module("shown_in_plugins").test_conformance
    cases = {case.id: case.values[0] for case in test.pytestmark[0].args[1]}
    assert set(cases) == set(CHECKS)
    test(cases["rows_are_independent"])
