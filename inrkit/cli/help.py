"""Help that teaches: a summary, the commonest calls, what the command does, and its options by what they are about."""

import inspect
import re
import shlex
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import click

from inrkit.errors import UsageError

GROUPS = {
    "What": "modality preset sizes config set data base init objective readout task mask box text invert factor "
    "level label split sets metrics features weights whole sizes at places orbit depth row rows pick only expected "
    "axes dtype license data_terms",
    "How much": "count n steps minutes batch_size lr passes size columns scale limit seeds equal",
    "How": "live port seed device precision sampler times guidance search_times skip_broken trackers extend dry_run "
    "public",
    "Where to": "out overwrite npz sheet table as_json print_config print_schema no_progress",
}
"""Headings of help, each with the options below it; options of importers and plugins are about what is read."""
_GROUP_OF = {name: group for group, names in GROUPS.items() for name in names.split()}


class Folding(click.Command):
    """A command whose calls and tables are folded where the terminal is narrower than they are."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        text, width = self.help, formatter.width - 2
        paragraphs = inspect.cleandoc(text or "").split("\n\n")
        self.help = "\n\n".join(_folded(part, width) if part.startswith("\b\n") else part for part in paragraphs)
        try:
            super().format_help_text(ctx, formatter)
        finally:
            self.help = text


def _folded(block: str, width: int) -> str:
    """Lines as they are, but those that are too long: what stands on the right, such as a comment, is folded.

    It stays in its column where that leaves room to read, and goes below otherwise. A call that is too long goes on
    after a backslash, as a shell takes it.
    """
    rows: list[list[str]] = []
    for line in block.splitlines():
        if rows and len(line) - len(line.lstrip()) == len(rows[-1][0]) > 4:  # goes on with the row above
            rows[-1].append(line.strip())
        else:
            row = re.fullmatch(r"( *\S.*?\S  +)(\S.*)", line)
            rows.append([row[1], row[2]] if row else ["", line])
    return "\n".join(line for left, *right in rows for line in _row(left, right, width))


def _row(left: str, right: list[str], width: int) -> list[str]:
    if max(len(left) + len(line) for line in right) <= width:
        return [left + right[0], *(" " * len(left) + line for line in right[1:])]
    text = " ".join(right)
    if not left:
        indent = len(text) - len(text.lstrip()) + 4
        folded = textwrap.wrap(text, width - 2, subsequent_indent=" " * indent, break_on_hyphens=False)
        return [f"{line} \\" for line in folded[:-1]] + folded[-1:]
    if width - len(left) >= 40:
        return textwrap.wrap(text, width, initial_indent=left, subsequent_indent=" " * len(left))
    return [left.rstrip(), *textwrap.wrap(text, width, initial_indent=" " * 8, subsequent_indent=" " * 8)]


class Command(Folding):
    """A command of ours; what it writes is named with -o and never by a word of its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing and any(parameter.name == "out" for parameter in self.params):
            given, rest, _ = self.make_parser(ctx).parse_args(list(args))
            if len(rest) == 1 and not given.keys() & {"out", "help"}:
                raise UsageError(_with_out(ctx.command_path, args, rest[0]))
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        grouped: dict[str, list[tuple[str, str]]] = {group: [] for group in (*GROUPS, "Help")}
        asks = self.get_help_option(ctx)
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                group = "Help" if parameter is asks else _GROUP_OF.get(parameter.name or "", "What")
                grouped[group].append(record)
        for group, records in grouped.items():
            if records:
                with formatter.section(group):
                    formatter.write_dl(records)


def _with_out(path: str, args: Sequence[str], word: str) -> str:
    """What to say of a word that is most likely the name of what is to be written."""
    last = len(args) - 1 - args[::-1].index(word)
    call = shlex.join([*path.split(), *args[:last], *args[last + 1 :], "-o", word])
    return f"what is written is named with '-o', found '{word}' without it. Did you mean '{call}'?"


def command(name: str | None = None) -> Callable[[Callable[..., Any]], Command]:
    """In place of `click.command`."""
    return click.command(name, cls=Command)
