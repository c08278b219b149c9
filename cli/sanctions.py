"""`propos sanctions`: load published lists, see what is loaded, set the firm's policy of screening."""

from pathlib import Path
from typing import Annotated, Final

import typer

from cli.options import Data
from cli.transaction import in_transaction
from domain.errors import BadInput
from domain.screening.entries import LISTS, ListName

_NAMES: Final[dict[str, ListName]] = {name: name for name in LISTS}

app = typer.Typer(help="Load sanctions lists and set the policy of screening.", no_args_is_help=True)


@app.command("load")
def load(
    file: Annotated[
        Path, typer.Argument(help="List as its publisher has it, XML or CSV.", exists=True, dir_okay=False)
    ],
    name: Annotated[str, typer.Option("--list", help=f"Whose list: {', '.join(LISTS)}.")],
    data: Data = None,
) -> None:
    """Make a file the current version of a list. The relay then screens every trader against it."""
    from adapters.sanctions.lists import read_list
    from store import screening

    if name not in _NAMES:
        raise BadInput(f"--list {name} is not known.", field="list", remedy=f"Use {', '.join(LISTS)}.")
    known = _NAMES[name]
    found = read_list(file.read_bytes(), file.name, known)
    version, is_new = in_transaction(data, lambda session: screening.load(session, known, found))
    how = "" if is_new else "; this file was loaded before"
    dated = version.published or "no date in the file"
    typer.echo(f"{LISTS[known]}: {version.names} names, {dated}, sha256 {version.sha256[:12]}{how}.")


@app.command("policy")
def policy(
    threshold: Annotated[float, typer.Option("--threshold", help="Least score of a hit, 0.3 to 1.")] = 0.72,
    without_list: Annotated[str, typer.Option("--without-list", help="warn or hold.")] = "warn",
    block: Annotated[list[str] | None, typer.Option("--block-country", help="ISO code. Repeatable.")] = None,
    data: Data = None,
) -> None:
    """Set the whole policy: what is not given gets its default."""
    from firm import screening

    chosen = screening.Policy(round(threshold * 1000), without_list, tuple(code.upper() for code in block or ()))
    in_transaction(data, lambda session: screening.set_policy(session, chosen, "system"))
    typer.echo(
        f"Threshold {threshold}, without a list: {without_list}, blocked: {', '.join(chosen.blocked) or 'none'}."
    )
