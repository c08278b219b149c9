"""`propos mails`: the firm's outgoing mail."""

import json
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.options import AsJson, Data
from cli.transaction import in_transaction
from domain.errors import NotFound

if TYPE_CHECKING:  # only annotations need them; importing them would slow down `--help`
    from sqlalchemy.ext.asyncio import AsyncSession

    from store.read.mails import MailRow, UnreachableAddress

app = typer.Typer(help="Show the mail that the firm sends, and addresses that cannot be reached.", no_args_is_help=True)

_BY: Final = "command-line"


@app.command("list")
def list_mails(
    state: Annotated[
        str | None, typer.Option("--state", help="waiting, sent, refused, undeliverable, bounced or withdrawn.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="Only mail to this address.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="The newest so many.")] = 20,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List outgoing mail, newest first."""
    from store.read import mails
    from store.read.pages import Window

    async def work(session: "AsyncSession") -> "tuple[MailRow, ...]":
        return (await mails.page(session, Window(limit=limit), state=state, recipient=to)).items

    for row in in_transaction(data, work):
        if as_json:
            typer.echo(row.model_dump_json())
        else:
            said = f"  ({row.error})" if row.error and row.state != "sent" else ""
            typer.echo(
                f"{row.id}  {row.recorded_at:%Y-%m-%d %H:%M}  {row.state:<9} {row.recipient}  {row.subject}{said}"
            )


@app.command()
def show(mail_id: Annotated[str, typer.Argument(help="Id of the mail.")], data: Data = None) -> None:
    """Print the text of a mail."""
    from store.read import mails

    async def work(session: "AsyncSession") -> str | None:
        return await mails.body_of(session, mail_id)

    body = in_transaction(data, work)
    if body is None:
        raise NotFound
    typer.echo(body)


@app.command()
def unreachable(data: Data = None, as_json: AsJson = False) -> None:
    """List addresses to which nothing is sent, because mail to them came back for good."""
    from store.read import mails

    async def work(session: "AsyncSession") -> "tuple[UnreachableAddress, ...]":
        return await mails.unreachable(session)

    for row in in_transaction(data, work):
        if as_json:
            typer.echo(json.dumps(row.model_dump(mode="json")))
        else:
            typer.echo(f"{row.address}  {row.code}  since {row.marked_at:%Y-%m-%d %H:%M}")


@app.command()
def clear(address: Annotated[str, typer.Argument(help="The whole address.")], data: Data = None) -> None:
    """Send to an address again that was marked as unreachable."""
    from firm import mails

    async def work(session: "AsyncSession") -> None:
        await mails.clear_address(session, address=address, actor=_BY, role="system")

    in_transaction(data, work)
    typer.echo(f"Mail is sent to {address} again.")


def mail_in() -> None:
    """Run the doors by which mail comes in."""
    from cli.mail.incoming import run_mail_in
    from cli.service import run_service
    from settings import load

    settings = load()
    run_service("mail-in", settings, lambda stop: run_mail_in(settings, stop), settings.mail_in_metrics_port)
