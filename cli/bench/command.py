"""`propos bench`: measures the engine on this machine and prints the figures as lines or JSON."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

app = typer.Typer(help="Measure the engine on this machine and compare it with baselines.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")]
_MONITOR_STEPS = 16
_RULES_STEPS = 22
_EXPOSURE_STEPS = 2
_WHAT_IF_POSITIONS, _WHAT_IF_SYMBOLS, _WHAT_IF_ROUNDS = 3, 40, 5
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


@app.command("payouts")
def bench_payouts(
    count: Annotated[int, typer.Option("--count", min=3, help="Number of payouts of the automatic band.")] = 300,
    history: Annotated[
        bool, typer.Option("--history", help="First fill in 1,000,000 ledger entries and 500,000 inbox rows.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure whole payouts against bare workflows, approvals, and webhooks."""
    from cli.bench.payouts import STEPS, measure

    with _progress(STEPS) as step:
        figures = measure(count, history, step)
    _print(figures, as_json=as_json)


@app.command("support")
def bench_support(
    tickets: Annotated[int, typer.Option("--tickets", min=100, help="Number of tickets on the record.")] = 100_000,
    requests: Annotated[int, typer.Option("--requests", min=20, help="Requests of each kind.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Measure lists, pages and answers of tickets: the time of the server, the whole application included."""
    from cli.bench.support import STEPS, measure

    with _progress(STEPS) as step:
        figures = measure(tickets, requests, step)
    _print(figures, as_json=as_json)


@app.command("console")
def bench_console(
    accounts: Annotated[int, typer.Option("--accounts", min=100, help="Accounts of the firm.")] = 50_000,
    deals: Annotated[
        int | None, typer.Option("--deals", min=1_000, help="Trades on the record. [default: 20 for each account]")
    ] = None,
    requests: Annotated[int, typer.Option("--requests", min=3, help="Requests of each page.")] = 50,
    viewers: Annotated[int, typer.Option("--viewers", min=1, max=500, help="Viewers whose pages poll.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Measure the console's pages on a large firm, while viewers poll and live figures are written. A firm of 50,000
    accounts also has 500,000 outbox and inbox rows and 200,000 ledger entries; a smaller one has fewer."""
    from cli.bench.console import PAGES, STEPS, measure
    from cli.bench.console_fill import Size

    size = Size(accounts, accounts * 20 if deals is None else deals, messages=accounts * 10, ledger=accounts * 4)
    with _progress(STEPS + PAGES) as step:
        figures = measure(size, requests, viewers, step)
    _print(figures, as_json=as_json)


@app.command("history")
def bench_history(
    days: Annotated[int, typer.Option("--days", min=2, max=366, help="Days on the record in the end.")] = 90,
    accounts: Annotated[int, typer.Option("--accounts", min=20, help="Accounts of the firm.")] = 5_000,
    as_json: AsJson = False,
) -> None:
    """Measure what the same work costs while the record grows day by day, and how many gigabytes a day it takes."""
    from cli.bench.history.measure import STEPS, measure

    with _progress(STEPS + days) as step:
        figures = measure(days, accounts, step)
    _print(figures, as_json=as_json)


@app.command("gateway")
def bench_gateway(
    accounts: Annotated[int, typer.Option("--accounts", min=50, help="Number of accounts.")] = 50_000,
    messages: Annotated[int, typer.Option("--messages", min=100, help="Messages that are sent at once.")] = 200_000,
    missed: Annotated[
        int, typer.Option("--missed", min=100, help="Messages missed by a broken connection.")
    ] = 1_000_000,
    paced: Annotated[
        int, typer.Option("--paced", min=10, help="Messages of each round that measures latency.")
    ] = 3_000,
    adapters: Annotated[
        str, typer.Option("--adapters", help="Adapters whose wires are played, separated by commas.")
    ] = "tradovate,dxtrade,mt5,ctrader",
    recorded: Annotated[int, typer.Option("--recorded", min=100, help="Messages recorded of each wire.")] = 20_000,
    as_json: AsJson = False,
) -> None:
    """Measure a gateway from raw bytes to the journal and to a judging shard, with a file and with Redis, and with the
    wire of each adapter."""
    from cli.bench.gateway import STEPS, Scale, measure
    from cli.bench.wires.measure import wire_scale

    wires = wire_scale(adapters, recorded)
    with _progress(STEPS + 2 * len(wires.adapters)) as step:
        figures = measure(Scale(accounts, messages, missed, paced, wires), step)
    if figures["redis"] is None:
        typer.echo("redis is missing. Install redis-server: apt-get install redis-server", err=True)
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


@app.command("surveillance")
def bench_surveillance(
    accounts: Annotated[int, typer.Option("--accounts", min=100, help="Number of accounts.")] = 50_000,
    deals: Annotated[int, typer.Option("--deals", min=1_000, help="Number of trades in 22 days.")] = 1_000_000,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Number of processes.")] = 2,
    seconds: Annotated[int, typer.Option("--seconds", min=1, help="For how long deals are streamed.")] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed makes the same firm.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Measure all patterns over the trades of a made-up firm, the search for copy candidates beside duckdb, the stream
    of its last deals on a real database, and a what-if over as many accounts. Exit code 1 if a pattern could not be
    run, or if both searches find different candidates."""
    from cli.bench.exposure import measure_exposure
    from cli.bench.surveillance import stream
    from cli.bench.surveillance.batch import STEPS, measure

    with _progress(STEPS + stream.STEPS + _EXPOSURE_STEPS) as step:
        figures = measure(accounts, deals, workers, seed, step)
        figures |= stream.measure(accounts, deals, seconds, seed, step)
        asked = measure_exposure(accounts, _WHAT_IF_POSITIONS, _WHAT_IF_SYMBOLS, _WHAT_IF_ROUNDS, step)
        figures |= {name: asked[name] for name in ("what_if_ms", "first_what_if_ms")}
    if figures["duckdb_copy_seconds"] is None:
        typer.echo(f"duckdb is not installed, so its figures are missing. Install it with: {_INSTALL}", err=True)
    _print(figures, as_json=as_json)
    if figures["failed"] or figures["duckdb_copy_candidates"] not in (None, figures["copy_candidates"]):
        raise typer.Exit(1)


@app.command("detection")
def bench_detection(
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed makes the same firms.")] = 99,
    firms: Annotated[int, typer.Option("--firms", min=1, help="Number of firms that are made and judged.")] = 6,
    accounts: Annotated[int, typer.Option("--accounts", min=0, help="Ordinary accounts of each firm.")] = 1_200,
    stories: Annotated[int, typer.Option("--stories", min=0, help="Stories of each pattern in each firm.")] = 18,
    decoys: Annotated[int, typer.Option("--decoys", min=0, help="Decoys of each pattern in each firm.")] = 8,
    pattern: Annotated[
        list[str] | None, typer.Option("--pattern", help="Measure this pattern only; may be given several times.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Number of processes.")] = 1,
    details: Annotated[bool, typer.Option("--details", help="Also list what was missed and what was false.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure precision and recall of every abuse pattern on freshly made firms with planted abuse and decoys."""
    from cli.bench.detection.measure import Scale, measure

    scale = Scale(firms, accounts, stories, decoys)
    with _progress(scale.steps) as step:
        figures = measure(seed, scale, workers, tuple(pattern or ()), step, details=details)
    _print(figures, as_json=as_json)


@app.command("exposure")
def bench_exposure(
    accounts: Annotated[int, typer.Option("--accounts", min=50, help="Number of accounts.")] = 50_000,
    positions: Annotated[int, typer.Option("--positions", min=1, max=50, help="Open positions per account.")] = 3,
    symbols: Annotated[int, typer.Option("--symbols", min=8, max=500, help="Number of symbols.")] = 40,
    rounds: Annotated[int, typer.Option("--rounds", min=3, max=1_000, help="Repetitions of each measurement.")] = 15,
    as_json: AsJson = False,
) -> None:
    """Measure the firm's exposure and what-ifs on one shard, beside a plain numpy baseline."""
    from cli.bench.exposure import measure_exposure

    with _progress(_EXPOSURE_STEPS) as step:
        figures = measure_exposure(accounts, positions, symbols, rounds, step)
    _print(figures, as_json=as_json)


@app.command("start")
def bench_start(
    context: typer.Context,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=20, help="Runs of each command.")] = 3,
    demo: Annotated[
        bool, typer.Option("--demo/--no-demo", help="Start the demo firm and play its history before the kills.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Measure every command to its first line, `propos up` to its console and logins, and how long each process of the
    firm takes to be at work again after kill -9."""
    from cli.bench.start.first_lines import every_command
    from cli.bench.start.run import measure, steps

    commands = every_command(context.find_root().command)
    with _progress(steps(commands)) as step:
        figures = measure(commands, rounds, demo, step)
    _print(figures, as_json=as_json)


@contextmanager
def _progress(steps: int) -> Iterator[Callable[[str], None]]:
    """Shows a progress bar; yields the function to call with the name of each step."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

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
