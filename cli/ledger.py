"""`propos ledger`: the firm's books. Check them, read balances and statements, and close a period."""

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from cli.options import AsJson, Data
from domain.errors import BadInput

if TYPE_CHECKING:  # only annotations need them; importing them would slow down `--help`
    from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T")

app = typer.Typer(help="Check, read and close the firm's books.", no_args_is_help=True)

_BY: Final = "command-line"

Url = Annotated[
    str | None, typer.Option("--database-url", help="Database to read, such as a copy; without it, the firm's own.")
]
Copy = Annotated[bool, typer.Option("--copy", help="It is a copy: leave out roles and privileges.")]


@app.command()
def check(database_url: Url = None, copy: Copy = False, data: Data = None, as_json: AsJson = False) -> None:
    """Prove the invariants of the books; exit code 1 if one is broken. Changes nothing."""
    from store import ledger_check

    results = _read(database_url, data, lambda session: ledger_check.check(session, is_copy=copy))
    faults = sum(result.faults for result in results)
    if as_json:
        typer.echo(json.dumps({"faults": faults, "checks": [dataclasses.asdict(result) for result in results]}))
    else:
        rows = [(r.name, r.invariant, "ok" if not r.faults else f"{r.faults} faults: {r.example}") for r in results]
        _print(("Check", "Invariant", "Result"), rows)
    if faults:
        raise typer.Exit(1)


@app.command("trial-balance")
def trial_balance(database_url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Show every account: debits, credits, balance, and what is pending. Memorandum accounts come apart."""
    from store import ledger

    async def work(session: "AsyncSession") -> dict[str, Any]:
        books = {name: await ledger.trial_balance(session, memorandum=name != "money") for name in _BOOKS}
        return {"books": books, "imbalance": await ledger.imbalance(session)}

    found = _read(database_url, data, work)
    if as_json:
        books = {
            name: [dataclasses.asdict(row) | {"balance_minor": row.balance_minor} for row in rows]
            for name, rows in found["books"].items()
        }
        typer.echo(json.dumps({**books, "imbalance": found["imbalance"]}))
        return
    for name, rows in found["books"].items():
        typer.echo(f"{name.capitalize()} accounts")
        figures = [
            (
                *(r.account, r.title, r.type),
                *_amounts(r.currency, r.debit_minor, r.credit_minor, r.balance_minor, r.pending_minor),
            )
            for r in rows
        ]
        _print(("Account", "Name", "Type", "Debits", "Credits", "Balance", "Pending"), figures)


_BOOKS: Final = ("money", "memorandum")


@app.command()
def statement(
    account: Annotated[str, typer.Argument(help="Account, such as fees or provider:stripe.")],
    currency: Annotated[str, typer.Option("--currency", help="Currency of the statement.")],
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Lines of a page.")] = 50,
    cursor: Annotated[str | None, typer.Option("--cursor", help="Page that an earlier answer named.")] = None,
    database_url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show an account's lines, newest first, each with the balance after it."""
    from store import ledger

    lines, following = _read(
        database_url,
        data,
        lambda session: ledger.statement(session, account, currency, limit=limit, cursor=cursor),
    )
    if as_json:
        body = [dataclasses.asdict(line) | {"occurred_at": line.occurred_at.isoformat()} for line in lines]
        typer.echo(json.dumps({"lines": body, "next": following}))
        return
    rows = [
        (
            *(line.occurred_at.astimezone(UTC).isoformat(), line.kind, line.reference),
            *_amounts(currency, line.amount_minor, line.balance_minor),
        )
        for line in lines
    ]
    _print(("Time", "Kind", "Reference", "Amount", "Balance"), rows)
    if following:
        typer.echo(f"There is more: --cursor {following}")


@app.command()
def close(
    until: Annotated[str, typer.Option("--until", help="End of the period, not included, such as 2026-04-01.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Seal the books until a date of market time (UTC). Nothing is posted before that date any more."""
    from store import ledger_periods

    sealed = _read(None, data, lambda session: ledger_periods.close(session, until=_moment(until), by=_BY))
    if as_json:
        typer.echo(json.dumps({"number": sealed.number, "entries": sealed.entries, "hash": sealed.hash}))
    else:
        typer.echo(f"Sealed period {sealed.number} until {until} with {sealed.entries} entries. Hash {sealed.hash}.")


def _amounts(currency: str, *minors: int) -> list[str]:
    from domain.money import Money

    return [str(Money(minor=minor, currency=currency)) for minor in minors]


def _moment(written: str) -> datetime:
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        raise BadInput(f"{written!r} is not a date.", field="until", remedy="Write it like 2026-04-01.") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _read(url: str | None, data: Path | None, work: "Callable[[AsyncSession], Awaitable[T]]") -> T:
    """Runs `work` in one transaction on the database of `url`, or on the firm's own."""
    from cli.transaction import in_transaction
    from store.db import Database

    if url is None:
        return in_transaction(data, work)

    async def run() -> T:
        db = Database(url, pool_size=1)
        try:
            async with db.transaction() as session:
                return await work(session)
        finally:
            await db.close()

    return asyncio.run(run())


def _print(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.table import Table

    from cli.tables import show_table

    table = Table(*columns)
    for row in rows:
        table.add_row(*row)
    show_table(table)
