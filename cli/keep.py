"""`propos keep`: what the growing tables hold, and for how long they keep it. It changes nothing: the relay does."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.transaction import in_transaction

if TYPE_CHECKING:  # only annotations need them; importing them would slow down `--help`
    from datetime import datetime

    from store.held import Held

_UNITS = ("B", "kB", "MB", "GB", "TB")


def keep(data: Path | None, *, as_json: bool) -> None:
    """Print the report, as a table or as one JSON object."""
    from cli.compose import keeping_policy
    from settings import load
    from store.held import held

    policy = keeping_policy(load(data_dir=data))
    found = in_transaction(data, lambda session: held(session, policy))
    if as_json:
        typer.echo(json.dumps({"tables": [_as_json(each) for each in found]}))
        return
    from rich.table import Table

    from cli.tables import show_table

    table = Table("Table", "Parts", "Size", "Rows, about", "A day", "Oldest", "Kept", "Next removal", "Due")
    for each in found:
        table.add_row(
            each.table,
            str(each.parts or "-"),
            _size(each.bytes),
            f"{each.rows:,}",
            f"{each.rows_a_day:,}",
            _day(each.oldest),
            f"{each.days} days" if each.days else "for ever",
            _day(each.next_removal),
            "yes" if each.due else "no, still needed" if each.needed else "no",
        )
    show_table(table)


def _as_json(each: "Held") -> dict[str, object]:
    times = {"oldest": each.oldest, "before": each.before, "next_removal": each.next_removal}
    moments = {name: at.isoformat() if at else None for name, at in times.items()}
    return {**dataclasses.asdict(each), **moments}


def _day(at: "datetime | None") -> str:
    return f"{at:%Y-%m-%d}" if at else "-"


def _size(count: float) -> str:
    for unit in _UNITS:
        if count < 1000 or unit == _UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
