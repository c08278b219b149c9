"""The same instants, written in another time zone."""

import re
from datetime import datetime, timedelta, timezone
from typing import Final

_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", re.ASCII)
_ZONE: Final = timezone(timedelta(hours=5, minutes=30))


def in_other_zone(text: str) -> str:
    """Returns a text whose ISO 8601 instants in UTC are written five and a half hours ahead of it."""
    return _INSTANT.sub(lambda found: datetime.fromisoformat(found[0]).astimezone(_ZONE).isoformat(), text)
