"""`propos bench`: measures the engine on this machine and prints the figures as lines or JSON."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

app = typer.Typer(help="Measure the engine on this machine and compare it with baselines.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")]
_MONITOR_STEPS = 16
_RULES_STEPS = 22
_INSTALL = "uv sync --group dev"


@app.command("monitor")
def bench_monitor(
    accounts: Annotated[int, typer.Option("--accounts", min=50, help="Number of accounts.")] = 50_000,
    positions: Annotated[int, typer.Option("--positions", min=1, max=50, help="Open positions per account.")] = 3,
    symbols: Annotated[int, typer.Option("--symbols", min=8, max=500, help="Number of symbols.")] = 40,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="Seconds under load.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Measure marks, ticks, breaches and rebuild of the live monitor."""
    from cli.bench.monitor import measure

    with _progress(_MONITOR_STEPS) as step:
        figures = measure(accounts, positions, symbols, seconds, step)
    for name, package in (("polars_ms", "polars"), ("duckdb_ms", "duckdb")):
        if figures[name] is None:
            typer.echo(f"{package} is not installed, so {name} is missing. Install it with: {_INSTALL}", err=True)
    _print(figures, as_json=as_json)


@app.command("rules")
def bench_rules(
    seconds: Annotated[float, typer.Option("--seconds", min=0.05, help="Seconds per kind of rule.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Measure exact evaluations per second on one core, and what an event costs in a short and in a long life."""
    from cli.bench.rules import measure

    with _progress(_RULES_STEPS) as step:
        figures = measure(seconds, step)
    _print(figures, as_json=as_json)


@app.command("agreement")
def bench_agreement(
    lives: Annotated[int, typer.Option("--lives", min=1, help="Number of random lives.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed makes the same lives.")] = 1,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Number of processes.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Judge random lives under random products live, in a replay, as a statement and by proof sheets. Exit code 1 when
    two of them disagree."""
    from cli.bench.agreement.run import LIVES, measure

    with _progress(-(-lives // LIVES)) as step:
        figures = measure(lives, seed, workers, lambda done: step(f"{done} lives"))
    _print(figures, as_json=as_json)
    if figures["disagreements"]:
        raise typer.Exit(1)


@contextmanager
def _progress(steps: int) -> Iterator[Callable[[str], None]]:
    """Shows a progress bar; yields the function to call with the name of each step."""
    columns = (TextColumn("{task.description:<60}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting", total=steps)

        def step(what: str) -> None:
            progress.update(task, description=what, advance=1)

        yield step


def _print(figures: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(figures, indent=1))
        return
    for name, value in figures.items():
        typer.echo(f"{name:<42} {json.dumps(value)}")
