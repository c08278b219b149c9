"""`propos proof`: shows a stored proof sheet, and recomputes sheets from their files alone."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from cli.reports.proof import tables
from domain.errors import BadInput
from domain.proofs.check import check as recompute
from domain.proofs.difference import Difference
from domain.proofs.document import document
from domain.proofs.sheets import read
from settings import Settings
from store.live import proof_bodies, proof_body

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
    table = Table(
        "Field", "On the sheet", "Recomputed", title=f"{len(differences)} differences", title_style="bold red"
    )
    for d in differences:
        table.add_row(escape(d.field), _short(d.stated), _short(d.recomputed))
    console.print(table)


def _short(text: str) -> str:
    return escape(text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…")
