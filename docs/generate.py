"""Writes the pages that are made from the program: python docs/generate.py"""

from pathlib import Path

import click

from inrkit.cli import main
from inrkit.engine.config import RunConfig
from inrkit.io.config import describe
from inrkit.plugins import load_plugins

HERE = Path(__file__).parent


def commands() -> str:
    """Every command's --help."""
    parts = ["# Commands\n\nMade by `python docs/generate.py` from the program's own `--help`.\n"]
    parts += _helps(main, click.Context(main, info_name="inrkit"))
    return "\n".join(parts)


def _helps(command: click.Command, context: click.Context) -> list[str]:
    context.max_content_width = context.terminal_width = 100
    found = [f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            found += _helps(child, click.Context(child, info_name=name, parent=context))
    return found


def config() -> str:
    """Every key of a config, with what each modality can be told."""
    parts = ["# Configuration\n\nMade by `python docs/generate.py`. Any key can be set by `--set KEY=VALUE`.\n"]
    parts.append(_table("Keys of a run", RunConfig, ""))
    registry = load_plugins()
    for name in sorted(registry.modalities):
        parts.append(_table(f"Options of `{name}`", registry.modality(name).Options, "options."))
    return "\n".join(parts)


def _table(title: str, cls: type, prefix: str) -> str:
    rows = [f"## {title}\n", "| key | type | default | what |", "| --- | --- | --- | --- |"]
    for key in describe(cls):
        kind = str(key.type).replace("|", "\\|")
        default = "(required)" if "NOTHING" in str(key.default) else key.default
        rows.append(f"| `{prefix}{key.key}` | {kind} | {default} | {key.help} |")
    return "\n".join(rows) + "\n"


PAGES = {"commands.md": commands, "config.md": config}

if __name__ == "__main__":
    for name, make in PAGES.items():
        (HERE / name).write_text(make())
