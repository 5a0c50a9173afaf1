"""Help that teaches: a summary, the commonest calls, what the command does, and its options by what they are about."""

import shlex
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


class Command(click.Command):
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
