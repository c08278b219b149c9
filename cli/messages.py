"""`propos messages`: messages that the program has given up and that wait for a person.

The audit log records what is done here under the actor `command-line`.
"""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.options import AsJson, Data
from cli.transaction import in_transaction
from domain.errors import BadInput

if TYPE_CHECKING:  # only annotations need them; importing them would slow down `--help`
    from sqlalchemy.ext.asyncio import AsyncSession

    from firm.parked import Box

app = typer.Typer(help="List, try again or give up messages that could not be delivered.", no_args_is_help=True)

_BY: Final = "command-line"
_Name = Annotated[str, typer.Argument(metavar="BOX/NUMBER", help="As the list shows it, such as outbox/12.")]


@app.command("list")
def list_messages(
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="The oldest so many.")] = 50,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List messages that wait for a person, the oldest first, with their last error."""
    from store.read import parked
    from store.read.pages import Window

    for row in in_transaction(data, lambda session: parked.page(session, Window(limit=limit))).items:
        if as_json:
            typer.echo(row.model_dump_json())
        else:
            since = f"{row.since:%Y-%m-%d %H:%M}"
            said = f"(given up; payouts wait for it) {row.error}" if row.given_up else row.error
            typer.echo(f"{row.box}/{row.number}  since {since}  {row.name}  {row.about}  {said}")


@app.command()
def retry(name: _Name, data: Data = None) -> None:
    """Try a message again. It keeps its key, so what it did before is not done twice."""
    from firm import parked

    box, number = _named(name)

    async def work(session: "AsyncSession") -> None:
        await parked.retry(session, box, number, actor=_BY, role=_BY)

    in_transaction(data, work)
    typer.echo(f"{name} is tried again.")


@app.command()
def drop(
    name: _Name,
    reason: Annotated[str, typer.Option("--reason", help="Reason, for the audit log.")],
    data: Data = None,
) -> None:
    """Give a message up for good. Its effect never happens."""
    from firm import parked

    box, number = _named(name)

    async def work(session: "AsyncSession") -> None:
        await parked.drop(session, box, number, actor=_BY, role=_BY, reason=reason)

    in_transaction(data, work)
    typer.echo(f"{name} is given up.")


def _named(name: str) -> "tuple[Box, int]":
    """Raises BadInput."""
    box, _, number = name.partition("/")
    if box in ("inbox", "outbox") and number.isascii() and number.isdigit() and len(number) < 19:
        return ("inbox" if box == "inbox" else "outbox"), int(number)
    raise BadInput(f"{name} is no message.", field="name", remedy="Use a name of `propos messages list`.")
