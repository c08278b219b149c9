"""The clock of an MT5 trade server. It counts seconds since 1970 as if its own zone were UTC."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from domain.errors import Unavailable

_ZONE: Final = re.compile(r"([A-Za-z_]+(?:/[A-Za-z_+-]+)*?)([+-][0-9]{1,2})?")
_STEP: Final = 900  # seconds; zones differ by multiples of it
_FARTHEST: Final = 15 * 3600
_LIVE: Final = timedelta(hours=2)


class ServerClock:
    """`zone`: an IANA name, with hours added if need be ("America/New_York+7"). Empty: the offset is estimated from
    what the server says the time is. Raises ValueError for a zone that does not exist."""

    def __init__(self, zone: str) -> None:
        self._zone, self._shift, self._offset = None, timedelta(0), None if zone == "" else timedelta(0)
        self.estimated = zone == ""
        if zone:
            match = _ZONE.fullmatch(zone)
            if match is None:
                raise ValueError('must be an IANA zone such as "Europe/Athens", or one with hours added')
            try:
                self._zone = ZoneInfo(match[1])
            except (OSError, ValueError, KeyError):  # no such file, or no name of a file
                raise ValueError(f"there is no zone {match[1]!r}") from None
            self._shift = timedelta(hours=int(match[2] or 0))

    def learn(self, server_seconds: int, now: datetime) -> None:
        """Takes the server's time now to estimate the offset. Raises ValueError for one that no zone has."""
        if not self.estimated:
            return
        difference = server_seconds - now.timestamp()
        if abs(difference) > _FARTHEST:
            raise ValueError("the server's time is of another day")
        self._offset = timedelta(seconds=round(difference / _STEP) * _STEP)

    def error(self, server_seconds: int, now: datetime) -> float:
        """Returns by how many seconds the server's clock is ahead of ours, its zone apart."""
        return (self.utc(server_seconds * 1000, now) - now).total_seconds()

    def utc(self, server_ms: int, now: datetime) -> datetime:
        """Returns an instant for milliseconds of server time. `now`: decides which of the two same hours is meant when
        the clocks go back, for an instant of the last two hours; an older one is the first. Raises Unavailable while
        the offset is not known."""
        if not 0 < server_ms < 2**45:
            raise ValueError("not a time")
        wall = datetime.fromtimestamp(server_ms // 1000, UTC) + timedelta(milliseconds=server_ms % 1000)
        if self._zone is None:
            return wall - self._known()
        local = (wall - self._shift).replace(tzinfo=self._zone)
        first, second = local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
        near = abs(now - second) < min(abs(now - first), _LIVE)
        return second if near else first

    def seconds(self, at: datetime) -> int:
        """Returns an instant in seconds of server time."""
        if self._zone is None:
            return int((at + self._known()).timestamp())
        wall = at.astimezone(self._zone).replace(tzinfo=UTC) + self._shift
        return int(wall.timestamp())

    def __str__(self) -> str:
        if not self.estimated:
            return "in the zone that is set"
        if self._offset is None:
            return "in a zone not known yet"
        return f"{self._offset.total_seconds() / 3600:+g} h from UTC (estimated)"

    def _known(self) -> timedelta:
        if self._offset is None:
            raise Unavailable("The zone of the MT5 server is not known yet.", remedy="Set server_zone.")
        return self._offset
