"""`propos news`: the economic calendar that news rules use."""

from pathlib import Path
from typing import Annotated, Final

import typer

from cli.options import Data
from cli.transaction import in_transaction
from domain.errors import BadInput

_FIELDS: Final = ("time", "title", "place", "impact", "ends", "id")

app = typer.Typer(help="Import the economic calendar that news rules use.", no_args_is_help=True)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV file with a header.", exists=True, dir_okay=False)],
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help=f"Column of a field: {', '.join(f'{name}=…' for name in _FIELDS)}. Repeatable."),
    ] = None,
    data: Data = None,
) -> None:
    """Import scheduled releases from a file. Releases that are already known stay unchanged.

    With the column `id`, a release that the source has moved is moved. With the column `ends`, a speech has an end.
    """
    from adapters.news.calendar_csv import Columns, read_calendar
    from store import news

    given = dict(_pair(text) for text in column or ())
    unknown = sorted(set(given) - set(_FIELDS))
    if unknown:
        raise BadInput(
            f"--column {unknown[0]} is not a known field.", field="column", remedy=f"Use {', '.join(_FIELDS)}."
        )
    releases = read_calendar(file.read_text(encoding="utf-8"), file.name, Columns(**given))
    rows = [news.NewRelease(r.key, r.at, r.ends_at, r.names, r.impact, r.title) for r in releases]
    added, moved = in_transaction(data, lambda session: news.add_releases(session, rows))
    typer.echo(f"Read {len(releases)} releases, {added} of them new{f', {moved} moved' if moved else ''}.")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not value:
        raise BadInput(
            f"--column {text} is not NAME=HEADER.", field="column", remedy="Write it like --column time=date."
        )
    return name, value
