"""Market time of a venue: how its clock stands to ours, and which of its times are believed."""

from collections import deque
from datetime import datetime, timedelta
from typing import Final

from ports.platform import ClockReading
from ports.venue import Unreadable

_SAMPLES: Final = 200
_ENOUGH: Final = 20  # messages before an estimate is told
AHEAD: Final = timedelta(seconds=60)


class VenueClock:
    """`wall`: the venue lives in real time. False for a simulated venue with a time of its own: nothing is compared."""

    def __init__(self, *, wall: bool) -> None:
        self._wall = wall
        self._lags: deque[timedelta] = deque(maxlen=_SAMPLES)
        self._newest: datetime | None = None  # of a simulated venue's times

    def sample(self, at: datetime, received_at: datetime) -> None:
        """Takes note of a live message: the venue's time, and ours at receipt."""
        self._lags.append(received_at - at)

    @property
    def lag(self) -> timedelta | None:
        """The shortest time from the venue's clock to receipt, over the last 200 live messages: the offset of the two
        clocks plus the quickest way. None before the first."""
        return min(self._lags, default=None)

    @property
    def reading(self) -> ClockReading:
        """Returns what is known of the venue's clock; nothing before some live messages came."""
        if not self._wall:
            return ClockReading(ahead_us=0, simulated=True)
        lag = self.lag if len(self._lags) >= _ENOUGH else None
        ahead = None if lag is None else -lag // timedelta(microseconds=1)
        return ClockReading(ahead_us=ahead, samples=len(self._lags))

    def told(self, at: datetime | None, received_at: datetime) -> datetime:
        """Returns the time of a fact. Without a time of the venue: that of receipt, moved by the lag; of a simulated
        venue the newest time that it has told, because its time is not ours. Raises Unreadable for a time that is ahead
        of the venue's own clock by more than a minute: it would carry market time away."""
        if not self._wall:
            if at is not None:
                self._newest = at if self._newest is None else max(self._newest, at)
            return at or self._newest or received_at
        if at is None:
            return received_at - (self.lag or timedelta())
        if at - received_at + (self.lag or timedelta()) > AHEAD:
            raise Unreadable(f"Its time {at.isoformat()} lies ahead: the venue sent it at {received_at.isoformat()}.")
        return at
