"""Reads an economic calendar: CSV with a header and columns time (ISO 8601 with an offset), title, place, impact."""

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from domain.errors import CalendarUnreadable
from ports.news import Release

# Calendars name places, products name currencies.
CURRENCIES: Final[Mapping[str, str]] = {
    "us": "USD",
    "united states": "USD",
    "eurozone": "EUR",
    "euro area": "EUR",
    "germany": "EUR",
    "uk": "GBP",
    "united kingdom": "GBP",
    "ch": "CHF",
    "switzerland": "CHF",
    "japan": "JPY",
    "jp": "JPY",
    "canada": "CAD",
    "australia": "AUD",
    "new zealand": "NZD",
}


@dataclass(frozen=True, slots=True)
class Columns:
    """The headers of the four columns."""

    time: str = "datetime_utc"
    title: str = "event"
    place: str = "country"
    impact: str = "impact"


def read_calendar(text: str, name: str, columns: Columns) -> list[Release]:
    """Returns every release of the file. Raises CalendarUnreadable, which lists every wrong row."""
    reader = csv.DictReader(io.StringIO(text))
    missing = [
        c for c in (columns.time, columns.title, columns.place, columns.impact) if c not in (reader.fieldnames or ())
    ]
    if missing:
        raise CalendarUnreadable(
            f"{name} has no column {', '.join(missing)}.", field=missing[0], remedy="Name the columns with --column."
        )
    releases, problems = [], []
    for row in reader:
        try:
            if None in row:
                raise ValueError("it has more fields than the header; quote the one with a comma")
            releases.append(_release(row, columns))
        except (ValidationError, ValueError) as exc:
            why = exc.errors()[0]["msg"] if isinstance(exc, ValidationError) else str(exc)
            problems.append(f"{name}:{reader.line_num} {why}")
    if problems:
        raise CalendarUnreadable("\n".join(problems), field=name, remedy="Mend these rows; nothing was imported.")
    return releases


def _release(row: Mapping[str, str], columns: Columns) -> Release:
    place, at, title = row[columns.place].strip(), row[columns.time].strip(), row[columns.title].strip()
    name = CURRENCIES.get(place.lower(), place.upper())
    key = hashlib.sha256(f"{at}|{name}|{title}".encode()).hexdigest()[:32]
    return Release.model_validate(
        {
            "key": key,
            "released_at": at,
            "names": (name,) if name else (),
            "impact": row[columns.impact],
            "title": title[:200],
        }
    )
