"""`propos audit`: verifies the audit log."""

import typer

from cli.options import AsJson, Data
from cli.transaction import in_transaction

app = typer.Typer(help="Verify the audit log.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Verify the audit log."""


@app.command()
def verify(data: Data = None, as_json: AsJson = False) -> None:
    """Recompute the hash of every entry and anchor. Exits with 1 if one is broken."""
    from store.read import audit

    found = in_transaction(data, lambda session: audit.check_all(session, "command-line"))
    if as_json:
        typer.echo(found.model_dump_json())
    elif found.broken_at is not None:
        typer.echo(f"Broken at entry {found.broken_at}. The {found.through} entries before were checked.")
    else:
        typer.echo(f"All {found.entries} entries are right, up to entry {found.through}.")
    if found.broken_at is not None:
        raise typer.Exit(1)
