"""`propos what-if`: what a shock would do to all accounts, asked of the shards that run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:  # only annotations need them; importing them would slow down `--help`
    from domain.exposure.shocks import Shock
    from domain.exposure.what_if import FirmAnswer
    from store.db import Database

    Asked = tuple[tuple[Shock, ...], FirmAnswer]


def show(data: Path | None, asked: Mapping[str, Any], *, as_json: bool) -> None:
    """`asked`: the fields of `WhatIfBody`. Raises BadInput, Unavailable."""
    from cli.transaction import with_database
    from firm.exposure import what_if
    from front.what_if import read_body, shock_of

    body = read_body(asked)
    shock = shock_of(body)

    async def work(db: "Database") -> "Asked":
        shocks: tuple[Shock, ...] = (shock,)
        if body.ladder:
            async with db.transaction() as session:
                shocks = await what_if.ladder(session, shock)
        return shocks, await what_if.ask(db, shocks, "cli")

    shocks, answer = with_database(data, work)
    if as_json:
        said = {"shocks": [each.model_dump(mode="json") for each in shocks], "answer": answer.model_dump(mode="json")}
        typer.echo(json.dumps(said))
    else:
        _print(shocks, answer)


def _print(shocks: "tuple[Shock, ...]", answer: "FirmAnswer") -> None:
    from rich.console import Console
    from rich.table import Table

    from domain.money import Money

    def money(minor: int) -> str:
        return str(Money(minor=minor, currency=answer.currency))

    at = "before any account" if answer.at is None else f"at market time {answer.at:%Y-%m-%d %H:%M:%S} UTC"
    title = f"{answer.accounts:,} accounts {at}; the firm would owe {money(answer.owed_minor)} now"
    table = Table("Shock", "Break", "Lesser offence", "Pass", "Open profit changes", "The firm would owe", title=title)
    for shock, outcome in zip(shocks, answer.outcomes, strict=True):
        moves = ", ".join(f"{symbol} {percent:+} %" for symbol, percent in list(shock.moves.items())[:4])
        more = f" and {len(shock.moves) - 4} more" if len(shock.moves) > 4 else ""
        counts = [f"{each:,}" for each in (outcome.breaches, outcome.offences, outcome.passes)]
        table.add_row((moves or "nothing") + more, *counts, money(outcome.floating_minor), money(outcome.owed_minor))
    console = Console()
    console.print(table)
    if answer.missing:
        console.print(f"Shards that did not answer: {', '.join(map(str, answer.missing))}. Their accounts are missing.")
