"""`ebll export`: a sweep as one HTML page with sliders that needs neither a kernel nor the network."""

from __future__ import annotations

import warnings

import click

from ebll.cli.options import examples

__all__ = ["export"]


@click.command(
    epilog=examples(
        "ebll export page.html",
        "ebll export page.html --store out/alphas",
        'ebll export site/week7.html --title "Week 7: what alpha does"',
    )
)
@click.argument("file", type=click.Path(), metavar="FILE.html")
@click.option(
    "--store", type=click.Path(), metavar="DIR",
    help="A store of `ebll sweep`, or its output folder.  [default: the sweep that comes with the kit]",
)  # fmt: skip
@click.option("--title", default="", metavar="TEXT", help="Headline of the page.")
def export(file: str, store: str | None, title: str) -> None:
    """Write one self-contained page that shows a sweep: maps over two settings, curves, trade-off and seeds.

    The page works from disk, from a course site and without a network. It is written whole or not at all; a file that
    is there is replaced.
    """
    from ebll.sweeps.page import export as write, size_text

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a large page, which is said below
        path = write(file, store, title)
    click.echo(size_text(path))
