"""Help that teaches: a summary, the commonest calls, what the command does, and its options by what they are about."""

from collections.abc import Callable
from typing import Any

import click

GROUPS = {
    "What": "modality preset size_name config set data base init objective readout task mask box text invert factor "
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
    """A command of ours."""

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


def command(name: str | None = None) -> Callable[[Callable[..., Any]], Command]:
    """In place of `click.command`."""
    return click.command(name, cls=Command)
