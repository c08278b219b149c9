"""`propos bench`: figures of this machine, as JSON or in lines."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

app = typer.Typer(help="Measure the engine on this machine, against baselines in the same run.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")]
_MONITOR_STEPS = 16
_INSTALL = "uv sync --group dev"


@app.command("monitor")
def bench_monitor(
    accounts: Annotated[int, typer.Option("--accounts", min=50, help="Accounts of the shard.")] = 50_000,
    positions: Annotated[int, typer.Option("--positions", min=1, max=50, help="Open positions an account.")] = 3,
    symbols: Annotated[int, typer.Option("--symbols", min=8, max=500, help="Symbols that tick.")] = 40,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="How long the service runs under load.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Marks, ticks, breaches and rebuild of the live monitor."""
    from cli.bench.monitor import measure

    with _progress(_MONITOR_STEPS) as step:
        figures = measure(accounts, positions, symbols, seconds, step)
    for name, package in (("polars_ms", "polars"), ("duckdb_ms", "duckdb")):
        if figures[name] is None:
            typer.echo(f"{package} is not installed, so that there is no {name}: {_INSTALL}", err=True)
    _print(figures, as_json=as_json)


@app.command("rules")
def bench_rules(
    seconds: Annotated[float, typer.Option("--seconds", min=0.05, help="For each kind of rule.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Exact evaluations a second on one core, by kind of rule."""
    from cli.bench.rules import measure

    with _progress(1) as step:
        figures = measure(seconds, step)
    _print(figures, as_json=as_json)


@contextmanager
def _progress(steps: int) -> Iterator[Callable[[str], None]]:
    """Gives what to call with the name of the step that begins."""
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
