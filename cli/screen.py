"""`propos screen`: compares names with a list file, without a database."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import typer


@dataclass(frozen=True)
class Screened:
    """`score`: 0..1. `listed`: the listed name that is most like it, "" if none is. `reason`: the parts they share."""

    name: str
    score: float
    hit: bool
    listed: str = ""
    ref: str = ""
    reason: str = ""


def screen(list_file: Path, names_file: Path, threshold: float, *, as_json: bool) -> None:
    """Raises SanctionsUnreadable."""
    from adapters.sanctions.lists import read_any
    from adapters.sanctions.reading import refused, text_of
    from adapters.sanctions.table import read_table
    from domain.screening.index import Index

    index = Index(read_any(list_file.read_bytes(), list_file.name).entries)
    asked = read_table(text_of(names_file.read_bytes(), names_file.name), names_file.name).entries
    if not asked:
        raise refused(names_file.name, 1, "There is no name in the file.", "Write one name a line.")
    found = []
    for entry in asked:
        best = index.best(entry.names[0], entry.births, entry.countries)
        if best is None:
            found.append(Screened(entry.names[0], 0.0, False))
            continue
        value, is_hit = round(best.value, 4), best.value >= threshold
        found.append(Screened(entry.names[0], value, is_hit, best.name, best.entry.ref, best.score.reason))
    hits = sum(row.hit for row in found)
    if as_json:
        answer = {"names": len(found), "hits": hits, "threshold": threshold, "results": [asdict(row) for row in found]}
        typer.echo(json.dumps(answer, ensure_ascii=False))
        return
    for row in found:
        if row.hit:
            typer.echo(f"{row.score:.2f}  {row.name}  is like  {row.listed} ({row.ref}): {row.reason}")
    typer.echo(f"{hits} of {len(found)} names reach {threshold}.")
