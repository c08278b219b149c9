"""`propos dispute`: the evidence of a dispute, checked without a database."""

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The evidence of a dispute.", no_args_is_help=True)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The zip of the dispute.")],
    digest: Annotated[str, typer.Option(help="The digest that the dispute's page names.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check an evidence pack: every file has its hash, and the proof sheet follows from its own inputs. Exits with 1
    when something is wrong."""
    from domain import dispute_pack

    found = dispute_pack.check(file.read_bytes(), digest)
    if as_json:
        typer.echo(json.dumps({"ok": not found.problems, "dispute": found.dispute_id, "digest": found.digest,
                               "files": list(found.files), "problems": list(found.problems)}, indent=2))  # fmt: skip
    else:
        for problem in found.problems:
            typer.echo(problem)
        if not found.problems:
            typer.echo(f"Dispute {found.dispute_id}: {len(found.files)} files are whole; digest {found.digest}")
    if found.problems:
        raise typer.Exit(1)
