"""`propos proof`: shows a stored proof sheet, and recomputes sheets from their files alone."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from cli.reports.proof import tables
from domain.errors import BadInput
from domain.proofs.chain import check_beginning, check_points
from domain.proofs.check import check as recompute
from domain.proofs.check_departure import check_joined
from domain.proofs.difference import Difference
from domain.proofs.document import document
from domain.proofs.points import Point
from domain.proofs.sheets import DepartureSheet, read
from settings import Settings
from store.db import connect
from store.live import history_points, proof_bodies, proof_body, proofs_of

_MAX_BYTES = 20_000_000  # a sheet with thousands of positions or events is far smaller
_MAX_TEXT = 300  # characters of each side of a difference


def show(proof_id: str, settings: Settings, *, as_json: bool = False) -> None:
    """Prints a stored sheet as tables, or as the JSON that `check` reads. Raises NotFound."""
    body = proof_body(settings.required("database_url"), proof_id)
    if as_json:
        print(json.dumps(body, indent=2, sort_keys=True))
        return
    console = Console()
    for part in tables(document(read(body), str(body["hash"]))):
        console.print(part)
    _report(console, recompute(body))


def export(settings: Settings, into: Path) -> int:
    """Writes every stored sheet to `into` as ID.json, which `check` reads; returns their number."""
    into.mkdir(parents=True, exist_ok=True)
    count = 0
    for proof_id, body in proof_bodies(settings.required("database_url")):
        (into / f"{proof_id}.json").write_text(json.dumps(body, indent=2, sort_keys=True))
        count += 1
    return count


def check(paths: Sequence[Path]) -> bool:
    """Recomputes the sheets in these files and folders and prints the differences; returns whether there are none.

    Of a folder every .json file is read. Raises BadInput for a file that is not a JSON object, and for a folder
    without files.
    """
    files = [file for path in paths for file in _files(path)]
    console, wrong = Console(), 0
    for file in track(files, "sheets", console=Console(stderr=True), transient=True, disable=len(files) < 20):
        differences = recompute(_read(file))
        wrong += bool(differences)
        if differences and len(files) > 1:
            console.print(f"[bold]{escape(str(file))}[/]")
        if differences or len(files) == 1:
            _report(console, differences)
    if len(files) > 1:
        console.print(f"{len(files) - wrong} sheets hold, {wrong} do not", highlight=False)
    return not wrong


def chain(account_id: str, settings: Settings) -> bool:
    """Folds the points of an account's history from the start of its phase. Compares each proof with the point from
    which it begins and with the departure from which it continues, and prints the differences. Returns whether there
    are none. Raises NotFound for an unknown account, and BadInput for points that cannot be read."""
    from adapters.calendars.exchange import ExchangeCalendars
    from monitor.record.recorded_accounts import RecordedTerms

    url, console = settings.required("database_url"), Console()
    try:
        points = {name: Point.model_validate(body) for name, body in history_points(url, account_id).items()}
    except ValidationError as exc:
        raise BadInput(f"A point of {account_id} is not as this software writes it: {exc}", field="points") from exc
    with connect(url) as connection:
        terms = RecordedTerms(connection, ExchangeCalendars())
        found = [(f"point {point.number}: {each.field}", each) for point, each in check_points(points, terms.of)]
    bodies = {str(body["proof_id"]): body for body in proofs_of(url, account_id)}
    sheets = {proof_id: read(body) for proof_id, body in bodies.items()}
    departures = {proof_id: sheet for proof_id, sheet in sheets.items() if isinstance(sheet, DepartureSheet)}
    hashes = {proof_id: str(bodies[proof_id]["hash"]) for proof_id in departures}
    for proof_id, sheet in sheets.items():
        differences = [*check_beginning(sheet, points), *check_joined(sheet, departures, hashes)]
        found += [(f"{proof_id}: {each.field}", each) for each in differences]
    early = sum(point.kind == "found" for point in points.values())
    console.print(f"{len(points)} points of {account_id}, {len(found)} differences", highlight=False)
    if early:
        console.print(f"{early} of them were taken over from an earlier version: nothing before them can be folded.")
    _table(console, found)
    return not found


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.json"))
    if not files:
        raise BadInput(
            f"{path} contains no proof sheet.", field="file", remedy="Write them with `propos proof export`."
        )
    return files


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise BadInput(f"{file} is too large to be a proof sheet.", field="file")
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise BadInput(
            f"{file} cannot be read as JSON: {exc}",
            field="file",
            remedy="Write one with `propos proof show ID --json`.",
        ) from exc
    if not isinstance(data, dict):
        raise BadInput(
            f"{file} holds no proof sheet.", field="file", remedy="Write one with `propos proof show ID --json`."
        )
    return data


def _report(console: Console, differences: list[Difference]) -> None:
    if not differences:
        console.print("[green]The sheet holds: everything in it follows from its own figures.[/]")
        return
    _table(console, [(each.field, each) for each in differences])


def _table(console: Console, differences: Sequence[tuple[str, Difference]]) -> None:
    """Prints (where, difference) as a table, if there is any."""
    if not differences:
        return
    table = Table(
        "Field", "On the sheet", "Recomputed", title=f"{len(differences)} differences", title_style="bold red"
    )
    for where, d in differences:
        table.add_row(escape(where), _short(d.stated), _short(d.recomputed))
    console.print(table)


def _short(text: str) -> str:
    return escape(text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…")
