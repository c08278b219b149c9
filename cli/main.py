"""The `propos` command. Each sub-command imports its dependencies when it runs, so that `--help` is fast."""

import asyncio
import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer

from cli.bench.command import app as bench_app
from cli.news import app as news_app
from cli.options import AsJson, Data
from cli.products import app as products_app
from cli.rules import app as rules_app
from cli.shards import app as shards_app
from cli.stack.exits import leave
from cli.user import app as user_app
from domain.errors import PropOSError

app = typer.Typer(
    help="PropOS, the operating system of a prop trading firm.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)
proof_app = typer.Typer(help="Show, check and export proof sheets.", no_args_is_help=True)
app.add_typer(proof_app, name="proof")
app.add_typer(news_app, name="news")
app.add_typer(user_app, name="user")
app.add_typer(bench_app, name="bench")
app.add_typer(shards_app, name="shards")
app.add_typer(products_app, name="products")
app.add_typer(rules_app, name="rules")

MarketDir = Annotated[Path | None, typer.Option("--market", help="Folder of recorded quotes to replay.")]
Symbols = Annotated[str, typer.Option("--symbols", help="Symbols, separated by commas.")]
Day = Annotated[str | None, typer.Option("--date", help="Day to replay, such as 2014-05-02.")]
Speed = Annotated[float | None, typer.Option("--speed", help="Market seconds per second of replay.")]
Seed = Annotated[int, typer.Option("--seed", help="Random seed of the sandbox.")]
DEFAULT_SYMBOLS = "EURUSD,XAUUSD"


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """PropOS, the operating system of a prop trading firm."""


@app.command()
def up(
    data: Data = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Port of API and console (PROPOS_API_PORT, or 8000).")
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Create a demo firm and print its logins.")] = False,
    market: MarketDir = None,
    symbols: Symbols = DEFAULT_SYMBOLS,
    date: Day = None,
    speed: Speed = None,
    seed: Seed = 7,
) -> None:
    """Start the whole firm and keep it running until Ctrl-C."""
    from cli.stack.options import Quotes, StackOptions
    from cli.up import up as run_up

    pace = (speed or 1.0) if market else None
    quotes = Quotes(directory=market, symbols=_names(symbols), date=date, speed=pace)
    run_up(StackOptions(data_dir=data, api_port=port, quotes=quotes, seed=seed), demo=demo)


@app.command()
def stop(data: Data = None) -> None:
    """Stop the firm that `propos up` runs on a data folder."""
    from cli.up import stop as stop_up

    stop_up(data)


@app.command()
def doctor(data: Data = None, as_json: AsJson = False) -> None:
    """Check every part; report what is wrong and how to fix it."""
    from cli.doctor.command import examine

    if not examine(data, as_json=as_json):
        raise typer.Exit(1)


@app.command()
def migrate() -> None:
    """Upgrade the database to the newest schema."""
    from settings import load
    from store.migrate import current, upgrade

    url = load().required("database_url")
    upgrade(url)
    typer.echo(f"The database is at revision {current(url)[0]}.")


@app.command()
def keep(data: Data = None, as_json: AsJson = False) -> None:
    """Show what the growing tables hold and for how long they keep it. Changes nothing: the relay removes."""
    from cli.keep import keep as show_kept

    show_kept(data, as_json=as_json)


@app.command()
def api() -> None:
    """Run the API and the console."""
    from cli.compose import build_api
    from cli.service import run_service, serve_http
    from settings import load

    settings = load()
    run_service("api", settings, lambda stop: serve_http(build_api(settings), settings, stop))


@app.command()
def worker() -> None:
    """Run a worker for the workflows and activities of the task queue `core`."""
    from cli.service import run_service
    from settings import load
    from worker import run_worker

    settings = load()
    run_service("worker", settings, lambda stop: run_worker(settings, stop), settings.worker_metrics_port)


@app.command()
def monitor() -> None:
    """Run a monitor, which judges accounts live (task queue `monitor`)."""
    from cli.service import run_service
    from settings import load
    from worker import run_monitor

    settings = load()
    run_service("monitor", settings, lambda stop: run_monitor(settings, stop), settings.monitor_metrics_port)


@app.command()
def relay() -> None:
    """Run the relay, which delivers the messages of inbox and outbox."""
    from cli.compose import run_relay
    from cli.service import run_service
    from settings import load

    settings = load()
    run_service("relay", settings, lambda stop: run_relay(settings, stop), settings.relay_metrics_port)


@app.command()
def sandbox(
    market: MarketDir = None,
    symbols: Symbols = DEFAULT_SYMBOLS,
    date: Day = None,
    speed: Speed = None,
    seed: Seed = 7,
) -> None:
    """Run the simulated trading platform and payment provider."""
    from cli.sandbox import serve

    serve(market, _names(symbols), date, speed, seed)


@app.command()
def demo(
    market: Annotated[
        Path | None, typer.Option("--market", help="Folder of recorded quotes; without it, synthetic ones.")
    ] = None,
    date: Annotated[str, typer.Option("--date", help="Day to replay.")] = "2026-03-06",
    symbols: Symbols = DEFAULT_SYMBOLS,
    accounts: Annotated[int, typer.Option("--accounts", min=1, help="Number of challenges bought.")] = 300,
    seed: Seed = 7,
    data: Annotated[Path | None, typer.Option("--data", help="Empty data folder; without it, a temporary one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Simulate a whole firm: a trading day, then every time limit, dispute and payout that follows from it."""
    from cli.demo.command import demo as run_demo

    run_demo(
        market=market, symbols=_names(symbols), date=date, accounts=accounts, seed=seed, data=data, as_json=as_json
    )


@app.command()
def conformance(
    file: Annotated[Path, typer.Argument(help="JSON file with a list of cases.", exists=True, dir_okay=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per case.")] = False,
) -> None:
    """Check the engine against a firm's worked examples; exit code 1 if one fails."""
    from cli.conformance.command import conformance as check_cases

    check_cases(file, as_json=as_json)


@app.command()
def evaluate(
    product: Annotated[str, typer.Option("--product", help="Product (name or name@version), or a YAML file.")],
    statement: Annotated[Path, typer.Option("--statement", help="MT5 or MT4 report (HTML), or a CSV file.")],
    mapping: Annotated[Path | None, typer.Option("--mapping", help="Mapping of the CSV's columns (YAML).")] = None,
    venue: Annotated[str | None, typer.Option("--from", help="The venue that wrote a CSV, such as tradovate.")] = None,
    market: Annotated[Path | None, typer.Option("--market", help="Folder of recorded quotes.")] = None,
    zone: Annotated[str, typer.Option("--zone", help="Time zone of the broker's server.")] = "UTC",
    phase: Annotated[int, typer.Option("--phase", min=1, help="Phase whose rules apply.")] = 1,
    proofs: Annotated[Path | None, typer.Option("--proofs", help="Folder to write the proof sheets to.")] = None,
    as_json: AsJson = False,
) -> None:
    """Judge a broker's statement under the rules of a product."""
    from cli.evaluate import evaluate as judge

    judge(
        product,
        statement,
        mapping=mapping,
        preset=venue,
        market=market,
        zone=zone,
        phase=phase,
        proofs=proofs,
        as_json=as_json,
    )


@proof_app.command("show")
def proof_show(
    proof_id: Annotated[str, typer.Argument(help="Id of the sheet, such as prf_01k…")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show a proof sheet: the verdict, the rule, and every step and input behind it."""
    from cli.proof import show
    from settings import load

    show(proof_id, load(data_dir=data), as_json=as_json)


@proof_app.command("check")
def proof_check(
    file: Annotated[list[Path], typer.Argument(help="Files with one sheet each, or folders of such files.")],
) -> None:
    """Recompute proof sheets from their files alone; exit code 1 if one differs."""
    from cli.proof import check

    if not check(file):
        raise typer.Exit(1)


@proof_app.command("chain")
def proof_chain(
    account_id: Annotated[str, typer.Argument(help="Id of the account, such as acc_01k…")], data: Data = None
) -> None:
    """Fold an account's history from the start of its phase, point by point, and compare the points that its proofs
    begin from; exit code 1 if one differs."""
    from cli.proof import chain
    from settings import load

    if not chain(account_id, load(data_dir=data)):
        raise typer.Exit(1)


@proof_app.command("export")
def proof_export(
    into: Annotated[Path, typer.Option("--into", help="Folder for the files.")], data: Data = None
) -> None:
    """Write every stored proof sheet to a file of its own."""
    from cli.proof import export
    from settings import load

    typer.echo(f"Wrote {export(load(data_dir=data), into)} proof sheets to {into}.")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"propos {installed_version('propos')}")


def run() -> None:
    """Runs the command and exits with its code. An error is printed as one line with its remedy.

    `--debug` is accepted anywhere among the arguments.
    """
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    code = 1
    try:
        app(arguments)
        code = 0
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except PropOSError as error:
        _print_error(error.message, error.remedy, debug)
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 130
    except Exception as error:  # noqa: BLE001 -- the outermost frame: people see a sentence, and the traceback with --debug
        _print_error(
            f"{type(error).__name__}: {error}", "Run the command again with --debug to see the traceback.", debug
        )
    leave(code)


def _names(symbols: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in symbols.split(",") if name.strip())


def _print_error(message: str, remedy: str | None, debug: bool) -> None:
    import traceback

    if debug:
        traceback.print_exc()
    typer.echo(f"propos: {message}", err=True)
    if remedy:
        typer.echo(f"  {remedy}", err=True)


if __name__ == "__main__":
    run()
