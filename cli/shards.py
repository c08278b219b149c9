"""`propos shards`: lists the shards and moves accounts between them.

A move is requested here and recorded in the audit log under the actor `command-line`; the shards carry it out.
"""

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.options import AsJson, Data
from cli.transaction import in_transaction
from domain.errors import Unavailable

app = typer.Typer(help="List the shards that judge accounts, and move accounts between them.", no_args_is_help=True)

_BY: Final = "command-line"
_POLL_SECONDS: Final = 0.2

Reason = Annotated[str, typer.Option("--reason", help="Reason, for the audit log.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the result; 0: do not wait.")]


@app.command("list")
def list_shards(data: Data = None, as_json: AsJson = False) -> None:
    """List every shard: its owner, market time, live accounts, and accounts that are moving."""
    from store.shards import overview

    found = in_transaction(data, overview)
    if as_json:
        typer.echo(json.dumps({"shards": [_as_json(shard) for shard in found]}))
        return
    from rich.table import Table

    from cli.tables import show_table

    table = Table(
        *("Shard", "Platform", "Takes new accounts", "Accounts", "Leaving", "Arriving"),
        *("Epoch", "Owner", "Batch", "Market time"),
    )
    for shard in found:
        counts = (shard.accounts, shard.leaving, shard.coming, shard.epoch)
        table.add_row(
            str(shard.number),
            shard.platform,
            "yes" if shard.accepting else "no",
            *map(str, counts),
            shard.owner or "none yet",
            str(shard.batch),
            shard.watermark.isoformat() if shard.watermark else "-",
        )
    show_table(table)


@app.command()
def move(
    accounts: Annotated[
        list[str], typer.Argument(metavar="ACCOUNT...", help="Account ids (acc_…) or numbers (A-10001).")
    ],
    to: Annotated[int, typer.Option("--to", min=0, help="Shard that will judge them.")],
    reason: Reason = "",
    wait: Wait = 30.0,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Move accounts to another shard. Nothing is lost or judged twice during the move."""
    from store.shards import request_move

    asked = in_transaction(
        data, lambda session: request_move(session, accounts=accounts, to=to, actor=_BY, reason=reason)
    )
    _follow(asked, wait, data, as_json)


@app.command()
def balance(reason: Reason = "", wait: Wait = 60.0, data: Data = None, as_json: AsJson = False) -> None:
    """Spread accounts evenly over the shards that take new ones, with as few moves as possible; empty the others."""
    from store.shards import request_balance

    asked = in_transaction(data, lambda session: request_balance(session, actor=_BY, reason=reason))
    _follow(asked, wait, data, as_json)


def _follow(asked: Sequence[str], wait: float, data: Path | None, as_json: bool) -> None:
    """Prints the state of the moves when they are done, or after `wait` seconds."""
    from store.shards import moves

    deadline = time.monotonic() + wait
    while True:
        found = in_transaction(data, lambda session: moves(session, asked)) if asked else []
        unfinished = [move for move in found if move.state != "done"]
        if not unfinished or time.monotonic() >= deadline:
            break
        time.sleep(_POLL_SECONDS)
    if as_json:
        typer.echo(json.dumps({"moves": [_as_json(move) for move in found]}))
    elif not found:
        typer.echo("There is nothing to move.")
    else:
        for each in found:
            typer.echo(f"{each.accounts} accounts from shard {each.from_shard} to {each.to_shard}: {each.state}.")
    if unfinished and wait:
        raise Unavailable(
            f"{len(unfinished)} moves are not done after {wait:.0f} s; they continue by themselves.",
            remedy="See `propos shards list`: a shard without a running monitor has an old market time.",
        )


def _as_json(view: Any) -> dict[str, Any]:
    values: dict[str, Any] = dataclasses.asdict(view)
    return {name: v.isoformat() if hasattr(v, "isoformat") else v for name, v in values.items()}
