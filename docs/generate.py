"""Writes the pages that the program itself can write: python docs/generate.py [--check]"""

import ast
import importlib
import inspect
import itertools
import json
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import click

HERE = Path(__file__).parent
# Ours alone, whatever else is installed; said before inrkit is asked for its plugins.
OURS = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]["entry-points"]["inrkit"]


def pages() -> dict[str, str]:
    """Every generated page with its text."""
    before = os.environ.get("INRKIT_PLUGINS")
    os.environ["INRKIT_PLUGINS"] = ",".join(OURS)
    try:
        return {"commands.md": commands(), "config.md": config(), "hooks.md": hooks(), "names.md": names()}
    finally:
        os.environ.pop("INRKIT_PLUGINS")
        os.environ.update({} if before is None else {"INRKIT_PLUGINS": before})


# ---------------------------------------------------------------------------------------------- commands


def commands() -> str:
    """Every command's --help."""
    from inrkit.cli import main

    parts = ["# Commands\n\nMade by `make docs` from the program's own `--help`.\n"]
    parts += _helps(main, "inrkit", None)
    return "\n".join(parts)


def _helps(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    settings: dict[str, Any] = {**command.context_settings, "terminal_width": 100, "max_content_width": 100}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            child = command.get_command(context, below)
            assert child is not None
            yield from _helps(child, below, context)


# ---------------------------------------------------------------------------------------------- config


def config() -> str:
    """Every key of a config, with what each modality, objective and read-out can be told."""
    from inrkit.config.run import RunConfig
    from inrkit.core.noise import READOUTS
    from inrkit.plugins import load_plugins

    parts = [
        "# Configuration\n\nMade by `make docs`. Values come from the preset, then the file (`--config`), then the "
        "flags, then\n`--set KEY=VALUE`, where KEY is any key of this page; the later wins. "
        "`inrkit train --print-config` prints the outcome,\nand the run directory keeps it as `config.toml`.\n\n"
        "Editors that know JSON Schema complete the keys of a TOML file, show the texts of this page and underline\n"
        "mistakes: write `inrkit train --modality image --print-schema > schema.json`, and begin the file with\n"
        "`#:schema ./schema.json`.\n",
        f"## Keys of a run\n\n{_table(RunConfig, '')}",
    ]
    registry = load_plugins()
    for name in sorted(registry.modalities):
        modality = registry.modality(name)
        parts.append(f"## Options of `{name}`\n\n{_table(modality.Options, 'options.')}")
        parts.append(f"## Presets of `{name}`\n\nThe first is the default.\n\n{_presets(modality.presets)}")
    for name in sorted(registry.functions):
        parts.append(_part("function", name, registry.function(name)))
    for name in sorted(registry.denoisers):
        parts.append(_part("denoiser", name, registry.denoiser(name)))
    parts += [_kind("objective", name, registry.objective(name)) for name in registry.objectives]
    parts += [_kind("readout", name, kind) for name, kind in READOUTS.items()]
    return "\n".join(parts)


def _kind(what: str, name: str, cls: type) -> str:
    """What one objective or read-out is, with its equations, and its options."""
    described = inspect.cleandoc(cls.__doc__ or "").replace("``", "`")
    return f'## With `{what} = "{name}"`\n\n{described}\n\n{_table(cls, f"{what}_options.")}'


def _part(what: str, name: str, cls: Any) -> str:
    """What one function or denoiser is, in a line, and its options."""
    first = inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].replace("``", "`")
    table = _table(cls.Options, f"options.{what}_options.") if attrs.fields(cls.Options) else ""
    return f'## With `options.{what} = "{name}"`\n\n{first}\n\n{table}'


def _table(cls: type, prefix: str) -> str:
    """The keys of a settings class; a column for what they are where that is said."""
    from inrkit.config.toml import describe

    keys = describe(cls)
    columns = ["key", "type", "default", "what"] if any(key.help for key in keys) else ["key", "type", "default"]
    rows = [columns, ["---"] * len(columns)]
    rows += [[f"`{prefix}{key.key}`", key.type, _default(key.default), key.help][: len(columns)] for key in keys]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)


def _default(value: Any) -> str:
    if value is attrs.NOTHING:
        return "(required)"
    return "none" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _presets(found: Mapping[str, Mapping[str, Any]]) -> str:
    rows = ["| preset | what it is | sets |", "| --- | --- | --- |"]
    for name, values in found.items():
        sets = (f"`{key}` = {json.dumps(value)}" for key, value in _leaves(values, "") if key != "summary")
        rows.append(f"| `{name}` | {values.get('summary', '')} | {', '.join(sets)} |")
    return "\n".join(rows) + "\n"


def _leaves(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


# ---------------------------------------------------------------------------------------------- for authors of plugins


def hooks() -> str:
    """Every hook with its contract, and every check of the conformance tests."""
    from inrkit import hookspecs
    from inrkit.testing import CHECKS, PIECE_CHECKS

    parts = [
        f"# Hooks and checks\n\nMade by `make docs`. {inspect.cleandoc(hookspecs.__doc__ or '')}\n".replace("``", "`")
    ]
    parts.append(f"The version of the hooks is {hookspecs.API}.\n")
    for name, hook in vars(hookspecs).items():
        if name.startswith("register_"):
            contract, _, example = inspect.cleandoc(hook.__doc__ or "").partition("@inrkit.hookimpl")
            contract = contract.replace("``", "`").strip()
            parts.append(f"## `{name}`\n\n{contract}\n\n```text\n@inrkit.hookimpl{example}\n```\n")
    parts.append(
        "## What every modality must do\n\n`inrkit.testing` checks each of these, for pytest as `checks_of(NAME)` "
        "and on the command line as\n`inrkit plugins check NAME`.\n"
    )
    parts += _laws(CHECKS)
    parts.append(
        "\n## What everything else must do\n\nFor pytest as `checks_of(NAME, kind=KIND)`, and on the command line "
        "among the checks of\n`inrkit plugins check NAME`.\n"
    )
    for kind, checks in sorted(PIECE_CHECKS.items()):
        parts += [f"### Of kind `{kind}`\n", *_laws(checks), ""]
    return "\n".join(parts).rstrip("\n") + "\n"


def _laws(checks: Mapping[str, Any]) -> list[str]:
    rows = [f"| `{name}` | {check.law.replace('``', '`')} |" for name, check in sorted(checks.items())]
    return ["| check | what holds |", "| --- | --- |", *rows]


def names() -> str:
    """Every public name, with the first sentence of what it says of itself."""
    import inrkit

    parts = [
        "# Names\n\nMade by `make docs`. Everything that `import inrkit` offers, by the module that holds it. The "
        "rest of a docstring is\nin `help(inrkit.NAME)`.\n"
    ]
    homes = inrkit._HOME
    for module in sorted(set(homes.values())):
        rows = [f"## `{module}`\n", "| name | what |", "| --- | --- |"]
        rows += [f"| `{name}` | {_sentence(name, module)} |" for name in homes if homes[name] == module]
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _sentence(name: str, home: str) -> str:
    module = importlib.import_module(home)
    first = inspect.cleandoc(_below(name, module) or getattr(module, name).__doc__ or "").split("\n\n")[0]
    return " ".join(first.split()).replace("``", "`").replace("|", chr(92) + "|")


def _below(name: str, module: ModuleType) -> str:
    """What stands below an alias of a type, which has no docstring of its own."""
    body = ast.parse(inspect.getsource(module)).body
    for line, after in itertools.pairwise(body):
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == name and isinstance(after, ast.Expr):
            return str(ast.literal_eval(after.value))
    return ""


# ---------------------------------------------------------------------------------------------- the program


def main(check: bool) -> int:
    """Writes the pages; or only says which are out of date, as the exit status."""
    made = pages()
    old = {name: (HERE / name).read_text() if (HERE / name).exists() else "" for name in made}
    stale = sorted(name for name, text in made.items() if text != old[name])
    for name in stale:
        if check:
            print(f"docs/{name} is out of date: run 'make docs'", file=sys.stderr)
        else:
            (HERE / name).write_text(made[name])
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
