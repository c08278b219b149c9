"""`propos platform`: check an adapter, list its symbols, compare its accounts, stop its trading, begin a new one."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, Data

app = typer.Typer(
    help="Trading platforms: check one, list its symbols, compare its accounts, stop its trading, begin a new adapter.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="Name of the platform in the settings.")]
Currency = Annotated[str, typer.Option("--currency", help="Currency of the accounts.")]


@app.command()
def check(
    name: Name,
    group: Annotated[str, typer.Option("--group", help="Group of the test accounts.")] = "two-step/1",
    currency: Currency = "USD",
    leverage: Annotated[int, typer.Option("--leverage", min=1, help="Leverage of the test accounts.")] = 100,
    login: Annotated[
        int | None, typer.Option("--login", help="A test account that exists, if the venue cannot create one.")
    ] = None,
    patience: Annotated[float, typer.Option("--patience", min=1, help="Seconds to wait for what must come.")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Hold an adapter to every promise of a platform. It opens accounts, moves money, locks, and stops the whole venue
    for a moment if it can: use a test venue. Exit code 1 if a check fails."""
    from cli.platforms.show import show_check
    from cli.platforms.world import Terms
    from settings import load

    terms = Terms(group=group, currency=currency, leverage=leverage, login=login, patience=patience)
    if not show_check(load(), name, terms, as_json=as_json):
        raise typer.Exit(1)


@app.command()
def symbols(name: Name, currency: Currency = "USD", as_json: AsJson = False) -> None:
    """List the symbols of a platform and what is missing in the symbol map. Exit code 1 if something is missing."""
    from cli.platforms.show import show_symbols
    from settings import load

    if not show_symbols(load(), name, currency, as_json=as_json):
        raise typer.Exit(1)


@app.command("day-ends")
def day_ends(
    name: Name,
    day: Annotated[str, typer.Option("--day", help="Trading day, such as 2026-03-06.")],
    tolerance: Annotated[int, typer.Option("--tolerance", min=0, help="Minor units that do not count.")] = 0,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Compare the anchors of daily loss limits with the venue's own figures of the end of a day. Exit code 1 if some
    differ. The firm's trading day must end when the venue's does."""
    from datetime import date

    from cli.platforms.day_ends import compare
    from domain.errors import BadInput

    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        raise BadInput(f"{day!r} is no day.", field="day", remedy="Write it like 2026-03-06.") from None
    if not compare(data, name, wanted, tolerance, as_json=as_json):
        raise typer.Exit(1)


@app.command()
def halt(
    name: Name,
    login: Annotated[str, typer.Option("--as", help="Your login; you are asked for the password.")],
    reason: Annotated[str, typer.Option("--reason", help="Reason, for the audit log.")],
    symbol: Annotated[str | None, typer.Option("--symbol", help="Stop this symbol only, by the venue's name.")] = None,
    product: Annotated[str | None, typer.Option("--product", help="Stop the accounts of this product only.")] = None,
    action: Annotated[
        str, typer.Option("--action", help="close-only; then, while that binds, cancel-orders or flatten.")
    ] = "close-only",
    lift: Annotated[bool, typer.Option("--lift", help="End the stop.")] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Stop the opening of positions by all accounts of a platform (`*`: of all platforms), or let it go on. Two persons
    give the same command within an hour; the second one carries it out. Exit code 1 if accounts are left."""
    import json

    from cli.platforms.halt import Wanted, say
    from cli.platforms.halt import halt as stop
    from front.stops import action_named

    wanted = Wanted(name, symbol, product, action_named(action), lift)
    answer = stop(data, wanted, reason=reason, login=login)
    failed = {} if answer.outcome is None else answer.outcome.failed
    if as_json:
        state = "waits" if answer.outcome is None else "left" if failed else "done"
        typer.echo(json.dumps({"id": answer.stop_id, "state": state, "failed": failed}))
    else:
        typer.echo(say(wanted, answer))
    if failed:
        raise typer.Exit(1)


@app.command()
def reconcile(name: Name, data: Data = None, as_json: AsJson = False) -> None:
    """Compare all accounts of a platform with the record now: accounts, balances, positions, rights and loss limits.
    Nothing is traded or locked. Exit code 1 if something differs."""
    from cli.platforms.reconcile import show_reconcile
    from settings import load

    if not show_reconcile(load(data_dir=data), name, as_json=as_json):
        raise typer.Exit(1)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the adapter: letters, digits and dashes.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the new package; it must not exist or be empty.")],
) -> None:
    """Write the package of a new adapter: its two halves with what is to do, and a test that checks it."""
    from cli.platforms.new import write

    for path in write(name, out):
        typer.echo(path)
