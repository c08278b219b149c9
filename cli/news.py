"""`propos news`: the economic calendar that news rules go by."""

from pathlib import Path
from typing import Annotated

import typer

from cli.transaction import in_transaction
from domain.errors import BadInput

app = typer.Typer(help="The economic calendar that news rules go by.", no_args_is_help=True)

Data = Annotated[Path | None, typer.Option("--data", help="Data folder [PROPOS_DATA, default .propos].")]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A CSV with a header.", exists=True, dir_okay=False)],
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="Which column is what: time=…, title=…, place=…, impact=…. Several times."),
    ] = None,
    data: Data = None,
) -> None:
    """Take scheduled releases from a file; those that are known already stay as they are."""
    from adapters.news.calendar_csv import Columns, read_calendar
    from store import news

    given = dict(_pair(text) for text in column or ())
    unknown = sorted(set(given) - {"time", "title", "place", "impact"})
    if unknown:
        raise BadInput(f"--column {unknown[0]} is not known.", field="column", remedy="Use time, title, place, impact.")
    releases = read_calendar(file.read_text(encoding="utf-8"), file.name, Columns(**given))
    rows = [(r.key, r.at, r.names, r.impact, r.title) for r in releases]
    added = in_transaction(data, lambda session: news.add_releases(session, rows))
    typer.echo(f"{len(releases)} releases read, {added} of them new")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not value:
        raise BadInput(f"--column {text} is not NAME=HEADER.", field="column", remedy="Such as --column time=date.")
    return name, value
