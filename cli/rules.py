"""`propos rules`: compares versions of a product on recorded history."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Data

if TYPE_CHECKING:  # only annotations need them; importing them would slow down `--help`
    from cli.progress import Progress
    from domain.histories.impact import Comparison
    from domain.products.product import Product
    from settings import Settings

app = typer.Typer(help="Compare versions of a product on recorded history.", no_args_is_help=True)


@app.callback()
def rules() -> None:  # with a callback, `impact` stays a sub-command although it is the only one
    """Compare versions of a product on recorded history."""


@app.command()
def impact(
    product: Annotated[str, typer.Option("--product", help="Version of the recorded accounts, such as two-step@1.")],
    against: Annotated[
        str, typer.Option("--against", help="Version to compare with (two-step@2), or a definition file.")
    ],
    as_json: AsJson = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Write a plot of survival under both versions to this SVG file.")
    ] = None,
    data: Data = None,
) -> None:
    """Replay recorded challenges under other terms: who passes, fails and is paid, and the effect on money."""
    from rich.console import Console

    from cli.progress import progress_bar
    from cli.reports.impact import show
    from cli.reports.impact_plot import check_name, draw
    from domain.histories.impact import totals
    from domain.histories.impact_report import as_object
    from settings import load

    if plot is not None:
        check_name(plot)
    with progress_bar() as report:
        a, b, found, left_out = asyncio.run(_compared(load(data_dir=data), product, against, report))
    sums = totals(a, [one.a for one in found]), totals(b, [one.b for one in found])
    if plot is not None:
        draw(plot, a, b, found)
    if as_json:
        print(json.dumps(as_object(a, b, found, sums, left_out), indent=2))
    else:
        show(Console(), a, b, found, sums, left_out)
        if plot is not None:
            typer.echo(f"Wrote the plot to {plot}.")


async def _compared(
    settings: "Settings", product: str, against: str, report: "Progress"
) -> "tuple[Product, Product, list[Comparison], int]":
    from cli.compose import build_database
    from cli.products import reference
    from firm.products.impact import compared
    from firm.products.shelf import read_file
    from store import products

    async def told(done: int, whole: int) -> None:
        report(f"replayed {done} of {whole} challenges", done / max(whole, 1))

    name, version = reference(product)
    db = build_database(settings, pool_size=1)
    try:
        async with db.transaction() as session:
            a = await products.load(session, name, version)
            is_reference = "@" in against and not Path(against).exists()
            b = await products.load(session, *reference(against)) if is_reference else read_file(Path(against))
            found, left_out = await compared(session, a, b, told)
    finally:
        await db.close()
    return a, b, found, left_out
