"""`propos sandbox`: runs the simulated platform, and writes files with planted abuse."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import DEFAULT_SYMBOLS, Day, MarketDir, Seed, Speed, Symbols, names_of

app = typer.Typer(invoke_without_command=True)


@app.callback()
def sandbox(
    context: typer.Context,
    market: MarketDir = None,
    symbols: Symbols = DEFAULT_SYMBOLS,
    date: Day = None,
    speed: Speed = None,
    seed: Seed = 7,
) -> None:
    """Run the simulated trading platform and payment provider."""
    if context.invoked_subcommand is not None:
        return
    from cli.sandbox import serve

    serve(market, names_of(symbols), date, speed, seed)


@app.command("inject")
def sandbox_inject(
    out: Annotated[Path, typer.Option("--out", help="New folder for the files.")],
    accounts: Annotated[int, typer.Option("--accounts", min=0, help="Number of ordinary accounts to add.")] = 2_000,
    stories: Annotated[int, typer.Option("--stories", min=0, help="Planted stories of each pattern.")] = 6,
    decoys: Annotated[int, typer.Option("--decoys", min=0, help="Decoys of each pattern.")] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed writes the same files.")] = 1,
    pattern: Annotated[
        list[str] | None, typer.Option("--pattern", help="Plant this pattern only; may be given several times.")
    ] = None,
    into: Annotated[Path | None, typer.Option("--into", help="Folder of files into whose trades to plant.")] = None,
    statement: Annotated[
        Path | None, typer.Option("--statement", help="Broker's statement into whose trades to plant.")
    ] = None,
    prices: Annotated[Path | None, typer.Option("--prices", help="Folder of recorded quotes to trade on.")] = None,
    calendar: Annotated[Path | None, typer.Option("--calendar", help="Releases of the time of --prices.")] = None,
    zone: Annotated[str, typer.Option("--zone", help="Zone of the statement's times.")] = "UTC",
) -> None:
    """Write files of trades with labelled abuse of each pattern, and decoys, among ordinary traders."""
    from cli.injection import inject

    counts = inject(
        out,
        accounts=accounts,
        stories=stories,
        decoys=decoys,
        seed=seed,
        patterns=tuple(pattern or ()),
        into=into,
        statement=statement,
        prices=prices,
        calendar=calendar,
        zone=zone,
    )
    typer.echo(", ".join(f"{value} {name}" for name, value in counts.items()) + f" written to {out}.")
