"""`propos proof`: shows, checks and exports proof sheets."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, Data

app = typer.Typer(help="Show, check and export proof sheets.", no_args_is_help=True)


@app.command("show")
def proof_show(
    proof_id: Annotated[str, typer.Argument(help="Id of the sheet, such as prf_01k…")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show a proof sheet: the verdict, the rule, and every step and input behind it."""
    from cli.proof import show
    from settings import load

    show(proof_id, load(data_dir=data), as_json=as_json)


@app.command("check")
def proof_check(
    file: Annotated[list[Path], typer.Argument(help="Files with one sheet each, or folders of such files.")],
) -> None:
    """Recompute proof sheets from their files alone; exit code 1 if one differs."""
    from cli.proof import check

    if not check(file):
        raise typer.Exit(1)


@app.command("chain")
def proof_chain(
    account_id: Annotated[str, typer.Argument(help="Id of the account, such as acc_01k…")], data: Data = None
) -> None:
    """Fold an account's history from the start of its phase, point by point, and compare the points that its proofs
    begin from; exit code 1 if one differs."""
    from cli.proof import chain
    from settings import load

    if not chain(account_id, load(data_dir=data)):
        raise typer.Exit(1)


@app.command("export")
def proof_export(
    into: Annotated[Path, typer.Option("--into", help="Folder for the files.")], data: Data = None
) -> None:
    """Write every stored proof sheet to a file of its own."""
    from cli.proof import export
    from settings import load

    typer.echo(f"Wrote {export(load(data_dir=data), into)} proof sheets to {into}.")
