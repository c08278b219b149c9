"""`propos notifications`: the texts that people are told with."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Data
from cli.transaction import in_transaction

if TYPE_CHECKING:  # only annotations need them; importing them would slow down `--help`
    from sqlalchemy.ext.asyncio import AsyncSession

    from firm.notifications.preview import Preview

app = typer.Typer(help="Check and preview the texts that people are told with.", no_args_is_help=True)


@app.command()
def check(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of your own texts (PROPOS_NOTIFICATION_TEXTS, or none).")
    ] = None,
    data: Data = None,
) -> None:
    """Check every text; name file, line and field of what is wrong. Nothing is put in force: `propos migrate` does."""
    from firm.notifications import texts
    from settings import load

    found = texts.load(folder or load(data_dir=data).notification_texts)
    typer.echo(f"The texts of all {len(found.templates)} kinds are right.")


@app.command()
def preview(
    kind: Annotated[str, typer.Argument(help="Such as account.warning; docs/notifications.md lists them.")],
    to: Annotated[str | None, typer.Option("--to", help="Mail the preview to this address.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show the text in force, filled in with the newest thing on record that it would tell of, or with examples."""
    from domain.notifications.kinds import named
    from firm.notifications import preview as previews
    from front import reminding
    from settings import load

    wanted, site = named(kind), load(data_dir=data).api_url

    async def work(session: "AsyncSession") -> "tuple[Preview, str | None]":
        shown = await previews.preview(session, wanted, site=site, works=reminding.works())
        return shown, None if to is None else await previews.send(session, shown, to=to)

    shown, mail_id = in_transaction(data, work)
    if as_json:
        typer.echo(shown.model_dump_json())
    else:
        source = "the newest such thing on record" if shown.real else "examples: the record has none yet"
        typer.echo(
            f"Filled in with {source}.\n\nSubject: {shown.subject}\nIn the console: {shown.short}\n\n{shown.text}"
        )
    if mail_id is not None:
        typer.echo(f"It leaves as mail {mail_id} to {to}.")
