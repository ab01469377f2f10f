"""`ebll tasks`: the built-in tasks."""

from __future__ import annotations

import textwrap

import click

from ebll.cli.options import examples
from ebll.data import task_table

__all__ = ["tasks"]


@click.command(epilog=examples("ebll tasks", "ebll tasks --csv > tasks.csv"))
@click.option("--csv", "as_csv", is_flag=True, help="Print a CSV with one row a task.")
def tasks(as_csv: bool) -> None:
    """List the built-in tasks: classes, sizes, source, licence, and whether the images are on this machine."""
    table = task_table()
    if as_csv:
        click.echo(table.to_csv(index=False, lineterminator="\n").rstrip("\n"))
        return
    short = [column for column in table.columns if table[column].astype(str).str.len().max() <= 12]
    click.echo(table[short].to_string(index=False))
    for _, row in table.iterrows():
        click.echo(f"\n{row['name']}")
        for column in table.columns.difference(short, sort=False):
            if str(row[column]):
                click.echo(
                    textwrap.fill(f"{column}: {row[column]}", 100, initial_indent="  ", subsequent_indent="    ")
                )
    click.echo("\nYour own images: give the path of a folder with one subfolder a class, such as ./leaves.")
