"""`propos shards`: which shard judges how many accounts, and moves between them. What it asks for is on the audit log,
made by `command-line`; the shards carry it out themselves."""

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.transaction import in_transaction
from domain.errors import Unavailable

app = typer.Typer(
    help="Which shard judges which accounts: list them, move accounts, even them out.", no_args_is_help=True
)

_BY: Final = "command-line"
_LOOK_SECONDS: Final = 0.2

Data = Annotated[Path | None, typer.Option("--data", help="Data folder [PROPOS_DATA, default .propos].")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands on the audit log.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until it is done; 0 does not wait.")]


@app.command("list")
def list_shards(data: Data = None, as_json: AsJson = False) -> None:
    """Every shard: its owner, how far it has come, its live accounts, and those on their way."""
    from store.shards import overview

    found = in_transaction(data, overview)
    if as_json:
        typer.echo(json.dumps({"shards": [_plain(shard) for shard in found]}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "shard", "platform", "new accounts", "accounts", "leaving", "coming", "epoch", "owner", "batch", "market time"
    )
    for shard in found:
        counts = (shard.accounts, shard.leaving, shard.coming, shard.epoch)
        table.add_row(
            str(shard.number),
            shard.platform,
            "yes" if shard.accepting else "no",
            *map(str, counts),
            shard.owner or "nobody yet",
            str(shard.batch),
            shard.watermark.isoformat() if shard.watermark else "-",
        )
    Console().print(table)


@app.command()
def move(
    accounts: Annotated[list[str], typer.Argument(metavar="ACCOUNT...", help="Ids (acc_...) or numbers (A-10001).")],
    to: Annotated[int, typer.Option("--to", min=0, help="The shard that is to judge them.")],
    reason: Reason = "",
    wait: Wait = 30.0,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Have accounts judged by another shard. Nothing of them is lost or judged twice on the way."""
    from store.shards import request_move

    asked = in_transaction(
        data, lambda session: request_move(session, accounts=accounts, to=to, actor=_BY, reason=reason)
    )
    _follow(asked, wait, data, as_json)


@app.command()
def balance(reason: Reason = "", wait: Wait = 60.0, data: Data = None, as_json: AsJson = False) -> None:
    """Move the fewest accounts after which every shard that takes new ones has its share, and the others none."""
    from store.shards import request_balance

    asked = in_transaction(data, lambda session: request_balance(session, actor=_BY, reason=reason))
    _follow(asked, wait, data, as_json)


def _follow(asked: Sequence[str], wait: float, data: Path | None, as_json: bool) -> None:
    """Say how far the moves have come, once they are done or `wait` seconds are over."""
    from store.shards import moves

    deadline = time.monotonic() + wait
    while True:
        found = in_transaction(data, lambda session: moves(session, asked)) if asked else []
        unfinished = [seen for seen in found if seen.state != "done"]
        if not unfinished or time.monotonic() >= deadline:
            break
        time.sleep(_LOOK_SECONDS)
    if as_json:
        typer.echo(json.dumps({"moves": [_plain(seen) for seen in found]}))
    elif not found:
        typer.echo("Nothing to move.")
    else:
        for seen in found:
            typer.echo(f"{seen.accounts} accounts from shard {seen.from_shard} to {seen.to_shard}: {seen.state}.")
    if unfinished and wait:
        raise Unavailable(
            f"{len(unfinished)} moves are not done after {wait:.0f} s; they go on by themselves.",
            remedy="See `propos shards list`: a shard that nobody judges has an old market time.",
        )


def _plain(view: Any) -> dict[str, Any]:
    values: dict[str, Any] = dataclasses.asdict(view)
    return {name: v.isoformat() if hasattr(v, "isoformat") else v for name, v in values.items()}
