"""Reads an economic calendar: CSV with a header and columns time (ISO 8601 with an offset), title, place, impact.

Two columns more are read where they are named: `ends`, the end of a speech (empty: it takes a moment), and `id`, the
source's own id of a release. Without an id a release that was moved cannot be told from a new one.
"""

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from domain.currencies import OF_PLACE
from domain.file_errors import CalendarUnreadable
from ports.news import Release


@dataclass(frozen=True, slots=True)
class Columns:
    """The headers of the columns. `ends` and `id` may be absent."""

    time: str = "datetime_utc"
    title: str = "event"
    place: str = "country"
    impact: str = "impact"
    ends: str | None = None
    id: str | None = None

    @property
    def named(self) -> tuple[str, ...]:
        each = (self.time, self.title, self.place, self.impact, self.ends, self.id)
        return tuple(header for header in each if header is not None)


def read_calendar(text: str, name: str, columns: Columns) -> list[Release]:
    """Returns every release of the file. Raises CalendarUnreadable, which lists every wrong row."""
    reader = csv.DictReader(io.StringIO(text))
    missing = [header for header in columns.named if header not in (reader.fieldnames or ())]
    if missing:
        raise CalendarUnreadable(
            f"{name} has no column {', '.join(missing)}.", field=missing[0], remedy="Name the columns with --column."
        )
    releases, problems, keys = list[Release](), list[str](), set[str]()
    for row in reader:
        try:
            if None in row:
                raise ValueError("it has more fields than the header; quote the one with a comma")
            release = _release(row, columns)
            if columns.id is not None and release.key in keys:
                raise ValueError(f"id {row[columns.id]} is in the file twice")
            keys.add(release.key)
            releases.append(release)
        except (ValidationError, ValueError) as exc:
            why = exc.errors()[0]["msg"] if isinstance(exc, ValidationError) else str(exc)
            problems.append(f"{name}:{reader.line_num} {why}")
    if problems:
        raise CalendarUnreadable("\n".join(problems), field=name, remedy="Mend these rows; nothing was imported.")
    return releases


def _release(row: Mapping[str, str], columns: Columns) -> Release:
    place, at, title = row[columns.place].strip(), row[columns.time].strip(), row[columns.title].strip()
    name = OF_PLACE.get(place.lower(), place.upper())
    ends = row[columns.ends].strip() if columns.ends else ""
    return Release.model_validate(
        {
            "key": _key(row, columns, f"{at}|{name}|{title}"),
            "released_at": at,
            "ends_at": ends or None,
            "names": (name,) if name else (),
            "impact": row[columns.impact],
            "title": title[:200],
        }
    )


def _key(row: Mapping[str, str], columns: Columns, content: str) -> str:
    """Returns the key of a release: from its id in the source, else from its content."""
    if columns.id is not None:
        own = row[columns.id].strip()
        if not own:
            raise ValueError(f"its {columns.id} is empty; the id says which release it is")
        content = f"id|{own}"
    return hashlib.sha256(content.encode()).hexdigest()[:32]
