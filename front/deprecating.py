"""An operation that goes one day: every answer of it says since when and until when (RFC 9745, RFC 8594)."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime

from fastapi import Response


@dataclass(frozen=True)
class Deprecated:
    """A dependency of the route. `instead`: the page of the operation to use."""

    since: date
    until: date
    instead: str

    async def __call__(self, response: Response) -> None:
        since, until = (datetime.combine(day, time(), UTC) for day in (self.since, self.until))
        response.headers["Deprecation"] = f"@{int(since.timestamp())}"
        response.headers["Sunset"] = format_datetime(until, usegmt=True)
        response.headers["Link"] = f'</docs/{self.instead}>; rel="successor-version"'
