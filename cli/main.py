"""The `propos` command. Each sub-command imports its dependencies when it runs, so that `--help` is fast."""

import asyncio
import gc
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from cli import risk_commands
from cli.audit import app as audit_app
from cli.backup.command import backup, restore
from cli.bench.command import app as bench_app
from cli.coupons import app as coupons_app
from cli.dispute import app as dispute_app
from cli.gateway.command import app as gateway_app
from cli.keys import app as keys_app
from cli.ledger import app as ledger_app
from cli.mail import command as mail_commands
from cli.messages import app as messages_app
from cli.news import app as news_app
from cli.notifications import app as notifications_app
from cli.options import (
    DEFAULT_SEED,
    DEFAULT_SYMBOLS,
    AsJson,
    Data,
    Day,
    MarketDir,
    Seed,
    Speed,
    Symbols,
    Venues,
    names_of,
)
from cli.platforms.command import app as platform_app
from cli.products import app as products_app
from cli.proof_command import app as proof_app
from cli.rates import app as rates_app
from cli.release import app as release_app
from cli.rules import app as rules_app
from cli.run.command import api, monitor, relay, worker
from cli.sanctions import app as sanctions_app
from cli.sandbox_command import app as sandbox_app
from cli.shards import app as shards_app
from cli.stack.exits import leave
from cli.user import app as user_app
from cli.workflows import app as workflows_app
from domain.errors import PropOSError, Unavailable

# Python looks for garbage after 700 new objects; importing makes hundreds of thousands, and all of them stay.
_COLLECT_AFTER: Final = (50_000, 20, 20)

app = typer.Typer(
    help="PropOS, the operating system of a prop trading firm.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)
app.add_typer(audit_app, name="audit")
app.add_typer(messages_app, name="messages")
app.add_typer(proof_app, name="proof")
app.add_typer(ledger_app, name="ledger")
app.add_typer(dispute_app, name="dispute")
app.add_typer(mail_commands.app, name="mails")
app.add_typer(notifications_app, name="notifications")
app.command("mail-in")(mail_commands.mail_in)
app.command()(risk_commands.liability)
app.command("what-if")(risk_commands.what_if)
app.add_typer(news_app, name="news")
app.add_typer(gateway_app, name="gateway")
app.add_typer(platform_app, name="platform")
app.add_typer(sandbox_app, name="sandbox")
app.add_typer(rates_app, name="rates")
app.add_typer(user_app, name="user")
app.add_typer(coupons_app, name="coupons")
app.add_typer(bench_app, name="bench")
app.add_typer(shards_app, name="shards")
app.add_typer(products_app, name="products")
app.add_typer(rules_app, name="rules")
app.add_typer(keys_app, name="keys")
app.add_typer(workflows_app, name="workflows")
app.add_typer(release_app, name="release")
app.add_typer(sanctions_app, name="sanctions")


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
    seed: Seed = DEFAULT_SEED,
    venues: Venues = "",
) -> None:
    """Start the whole firm and keep it running until Ctrl-C."""
    from cli.demo.personas import PRODUCTS
    from cli.stack.options import Quotes, StackOptions
    from cli.stack.venues import check_venues
    from cli.up import up as run_up

    pace = (speed or 1.0) if market else None
    quotes = Quotes(directory=market, symbols=names_of(symbols), date=date, speed=pace)
    others = check_venues(names_of(venues), quotes.symbols)
    options = StackOptions(
        data_dir=data,
        api_port=port,
        quotes=quotes,
        seed=seed,
        venues=others,
        products=PRODUCTS if demo else (),
        simulated_people=demo,
    )
    run_up(options, demo=demo)


@app.command()
def stop(data: Data = None) -> None:
    """Stop the firm that `propos up` runs on a data folder."""
    from cli.stop import stop as stop_up

    stop_up(data)


@app.command()
def doctor(data: Data = None, as_json: AsJson = False) -> None:
    """Check every part; report what is wrong and how to fix it."""
    from cli.doctor.command import examine

    if not examine(data, as_json=as_json):
        raise typer.Exit(1)


@app.command()
def init(
    public_url: Annotated[
        str, typer.Option("--public-url", help="Address of the console, such as https://desk.example.com.")
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the installation, where docker-compose.yml is.", file_okay=False)
    ] = Path(),
) -> None:
    """Make the secrets and settings of a production installation."""
    from cli.init import init as make

    make(out, public_url)


@app.command()
def migrate() -> None:
    """Upgrade the database to the newest schema, and put the firm's policies and its desk of tickets in force."""
    from cli.backup.noting import note_after_upgrade
    from cli.name_index import check_keys, index_names
    from cli.policy import put_in_force
    from settings import load
    from store.migrate import current, upgrade

    settings = load()
    url = settings.required("database_url")
    upgrade(settings.owner_database_url or url, url)
    check_keys(settings)
    note_after_upgrade(settings)
    put_in_force(settings)
    index_names(settings)
    typer.echo(f"The database is at revision {current(url)[0]}.")


@app.command()
def keep(data: Data = None, as_json: AsJson = False) -> None:
    """Show what the growing tables hold and for how long they keep it. Changes nothing: the relay removes."""
    from cli.keep import keep as show_kept

    show_kept(data, as_json=as_json)


for command in (backup, restore, api, worker, monitor, relay):
    app.command()(command)


@app.command()
def demo(
    market: Annotated[
        Path | None, typer.Option("--market", help="Folder of recorded quotes; without it, synthetic ones.")
    ] = None,
    date: Annotated[str, typer.Option("--date", help="Day to replay.")] = "2026-03-06",
    symbols: Symbols = DEFAULT_SYMBOLS,
    accounts: Annotated[int, typer.Option("--accounts", min=1, help="Number of challenges bought.")] = 300,
    seed: Seed = DEFAULT_SEED,
    data: Annotated[Path | None, typer.Option("--data", help="Empty data folder; without it, a temporary one.")] = None,
    venues: Venues = "",
    as_json: AsJson = False,
) -> None:
    """Simulate a whole firm: a trading day, then every time limit, dispute and payout that follows from it. Exit code 1
    if the books do not balance at the end, or something is not reconciled."""
    from cli.demo.command import demo as run_demo

    if not run_demo(
        market=market,
        symbols=names_of(symbols),
        date=date,
        accounts=accounts,
        seed=seed,
        data=data,
        venues=names_of(venues),
        as_json=as_json,
    ):
        raise typer.Exit(1)


@app.command()
def screenshots(
    out: Annotated[Path, typer.Option("--out", help="Empty folder for the pictures.", file_okay=False)],
    roles: Annotated[str, typer.Option("--roles", help="Roles, separated by commas; without it, all.")] = "",
    docs: Annotated[Path | None, typer.Option("--docs", help="Also renew the pictures of design.md there.")] = None,
    seed: Seed = DEFAULT_SEED,
) -> None:
    """Take a picture of every kind of page of a demo firm for every role: light, dark and narrow. Exit code 1 if a page
    is an error, a script fails, or a page is wider than the screen."""
    from cli.screenshots import screenshots as take_pictures

    if not take_pictures(out, names_of(roles), seed, docs):
        raise typer.Exit(1)


@app.command()
def chaos(
    what: Annotated[str, typer.Argument(help="What is put under chaos: money, venue or mail.")],
    payouts: Annotated[int, typer.Option("--payouts", min=12, help="money: number of payouts.")] = 200,
    kinds: Annotated[str, typer.Option("--kinds", help="venue: kinds of venue, separated by commas.")] = (
        "tradovate,dxtrade,mt5,ctrader"
    ),
    accounts: Annotated[int, typer.Option("--accounts", min=3, help="venue: accounts at each venue.")] = 20,
    messages: Annotated[int, typer.Option("--messages", min=100, help="mail: number of mails.")] = 2000,
    seed: Seed = DEFAULT_SEED,
    data: Annotated[Path | None, typer.Option("--data", help="Empty data folder; without it, a temporary one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Pay out while providers fail, processes are killed and people interfere; or trade a day at venues whose wires
    fail. Exit code 1 if money or a fill moved twice or was lost, a payout went without its approvals or got stuck, an
    account was judged wrongly or not locked, or if a fault did not happen."""
    from cli.chaos.command import money
    from cli.chaos.mail.command import mail
    from cli.chaos.venue.command import venue
    from domain.errors import BadInput

    if what == "money":
        good = money(payouts=payouts, seed=seed, data=data, as_json=as_json)
    elif what == "venue":
        good = venue(kinds=list(names_of(kinds)), accounts=accounts, seed=seed, data=data, as_json=as_json)
    elif what == "mail":
        good = mail(messages=messages, seed=seed, data=data, as_json=as_json)
    else:
        raise BadInput(f"There is no chaos of {what!r}.", field="what", remedy="Write `money`, `venue` or `mail`.")
    if not good:
        raise typer.Exit(1)


@app.command()
def conformance(
    file: Annotated[Path, typer.Argument(help="JSON file with a list of cases.", exists=True, dir_okay=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per case.")] = False,
) -> None:
    """Check the engine against a firm's worked examples; exit code 1 if one fails."""
    from cli.conformance.command import conformance as check_cases

    check_cases(file, as_json=as_json)


@app.command()
def screen(
    list_file: Annotated[
        Path, typer.Option("--list", help="Published list, or CSV of names.", exists=True, dir_okay=False)
    ],
    names: Annotated[
        Path, typer.Option("--names", help="CSV with a column of names, or lines.", exists=True, dir_okay=False)
    ],
    threshold: Annotated[float, typer.Option("--threshold", min=0.3, max=1.0, help="Least score of a hit.")] = 0.72,
    as_json: AsJson = False,
) -> None:
    """Compare names with a sanctions list; needs no database."""
    from cli.screen import screen as compare

    compare(list_file, names, threshold, as_json=as_json)


@app.command()
def surveil(
    trades: Annotated[Path, typer.Option("--trades", help="CSV, one row per closing part of a position.")],
    accounts: Annotated[Path, typer.Option("--accounts", help="CSV, one row per account.")],
    orders: Annotated[Path | None, typer.Option("--orders", help="CSV of orders, filled or not.")] = None,
    prices: Annotated[Path | None, typer.Option("--prices", help="Folder of recorded quotes.")] = None,
    symbols: Annotated[Path | None, typer.Option("--symbols", help="CSV of facts of symbols.")] = None,
    calendar: Annotated[Path | None, typer.Option("--calendar", help="CSV of economic releases.")] = None,
    identity: Annotated[Path | None, typer.Option("--identity", help="CSV of identity facts.")] = None,
    product: Annotated[
        Path | None, typer.Option("--product", help="YAML of thresholds by pattern, or of a product.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Number of processes.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Look for abuse in files of trades and accounts; needs no database. Exit code 1 if a pattern could not be run."""
    from cli.surveil import surveil as look
    from surveillance.files.read import Files

    files = Files(trades, accounts, orders, prices, symbols, calendar, identity)
    if not look(files, product, workers=workers, as_json=as_json):
        raise typer.Exit(1)


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


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed_version

    typer.echo(f"propos {installed_version('propos')}")


def run() -> None:
    """Runs the command and exits with its code. An error is printed as one line with its remedy.

    `--debug` is accepted anywhere among the arguments.
    """
    gc.set_threshold(*_COLLECT_AFTER)
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    code = 1
    try:
        app(arguments, prog_name="propos")
        code = 0
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except PropOSError as error:
        _print_error(error.message, error.remedy, debug)
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 130
    except Exception as error:  # noqa: BLE001 -- the outermost frame: people see a sentence, and the traceback with --debug
        from cli.refusals import in_words

        known = in_words(error) or Unavailable(
            f"{type(error).__name__}: {error}", remedy="Run the command again with --debug to see the traceback."
        )
        _print_error(known.message, known.remedy, debug)
    leave(code)


def _print_error(message: str, remedy: str | None, debug: bool) -> None:
    import traceback

    if debug:
        traceback.print_exc()
    typer.echo(f"propos: {message}", err=True)
    if remedy:
        typer.echo(f"  {remedy}", err=True)


if __name__ == "__main__":
    run()
