"""Help that teaches: the same shape, and the same names, in every command."""

import re
from collections.abc import Iterator

import click
import pytest

from inrkit.cli import main
from inrkit.cli.help import GROUPS


def commands(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, click.Context(below, info_name=name, parent=context))


ALL = {c.command_path: c for c in commands(main, click.Context(main, info_name="inrkit"))}
OURS = {path: c for path, c in ALL.items() if not isinstance(c.command, click.Group)}


def options(context: click.Context) -> Iterator[click.Option]:
    return (parameter for parameter in context.command.params if isinstance(parameter, click.Option))


@pytest.mark.parametrize("path", list(ALL))
def test_help_begins_with_three_calls(path: str) -> None:
    """After one line that says what the command does."""
    summary, calls, *_ = (ALL[path].command.help or "").split("\n\n")
    assert summary.strip().endswith("."), path
    assert calls.lstrip().startswith("\b\n"), f"{path}: calls after the first paragraph"
    lines = calls.strip("\b\n ").splitlines()
    assert len(lines) >= 3, path
    assert all(re.match(r"\s*(inrkit|pip|torchrun) ", line) for line in lines), lines


@pytest.mark.parametrize("path", list(ALL))
def test_help_fits_the_terminal(path: str) -> None:
    """At 80 columns no line is broken by the terminal; nothing is lost, and calls can still be copied."""
    command, wide = ALL[path].command, ALL[path]
    narrow = click.Context(command, info_name=wide.info_name, parent=wide.parent, terminal_width=78)
    shown = command.get_help(narrow)
    assert max(map(len, shown.splitlines())) <= 80
    words = shown.replace(" \\\n", " ").split()
    assert sorted(words) == sorted(command.get_help(wide).replace(" \\\n", " ").split())


@pytest.mark.parametrize("path", list(OURS))
def test_every_default_is_shown(path: str) -> None:
    """Of every option that takes one value and need not be given."""
    for parameter in options(OURS[path]):
        if parameter.is_flag or parameter.required or parameter.multiple:
            continue
        _, text = parameter.get_help_record(OURS[path]) or ("", "")
        assert "[default: " in text, f"{path} {parameter.opts[0]}"


@pytest.mark.parametrize("path", list(OURS))
def test_options_stand_in_groups(path: str) -> None:
    """What, how much, how, and where to, in this order."""
    shown = OURS[path].command.get_help(OURS[path])
    heads = [line[:-1] for line in shown.splitlines() if line[:-1] in (*GROUPS, "Help") and line.endswith(":")]
    assert heads == [group for group in (*GROUPS, "Help") if group in heads]
    assert heads[-1] == "Help"


def test_values_are_named_in_words_of_the_user() -> None:
    """A number is N, a size WxH, a file FILE: never the name of a type."""
    shown = {p.make_metavar(c) for c in OURS.values() for p in options(c) if not p.is_flag}
    words = {word for metavar in shown if "[" not in metavar for word in re.split(r"[^A-Za-z]+", metavar)}
    assert not words & {"STR", "INT", "INTEGER", "FLOAT", "RANGE", "LIST", "PATH", "BOOLEAN", "NONE"}
    takes = {p.opts[-1]: p.make_metavar(c) for path, c in OURS.items() if "import images" in path for p in options(c)}
    found = [takes[name] for name in ("--size", "--limit", "--background", "--split-file")]
    assert found == ["WxH", "N", "N,N,N", "FILE"]


def test_one_name_for_one_thing() -> None:
    """A short flag has one long name; a flag that several commands have takes the same kind of value in all."""
    longs: dict[str, set[str]] = {}
    takes: dict[str, set[str]] = {}
    for path, context in OURS.items():
        for parameter in options(context):
            names = [*parameter.opts, *parameter.secondary_opts]
            for short in (name for name in names if not name.startswith("--")):
                longs.setdefault(short, set()).update(name for name in names if name.startswith("--"))
            for name in names:
                if path.startswith("inrkit data import") and name in ("--labels", "--split"):
                    continue  # words of a format, such as the name of a column
                # The size of training may also be the name of a network.
                takes.setdefault(name, set()).add(parameter.make_metavar(context).removeprefix("NAME|"))
    assert {short: names for short, names in longs.items() if len(names) > 1} == {}
    assert (longs["-o"], longs["-n"]) == ({"--out"}, {"--limit"})
    at_most = {
        p.opts[-1] for c in OURS.values() for p in options(c) if re.match("maximum number of (?!views)", p.help, re.I)
    }
    assert at_most == {"--limit"}
    assert {name: kinds for name, kinds in takes.items() if len(kinds) > 1} == {}
