"""Market time inside the sandbox: whole microseconds since 1970 (UTC)."""

from datetime import UTC, datetime, timedelta
from typing import Final

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_us(at: datetime) -> int:
    """Returns an aware datetime as microseconds since 1970."""
    delta = at - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def from_us(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)


def iso(us: int) -> str:
    """Returns the instant as in JSON, such as 2014-05-02T12:30:00.046204Z."""
    return from_us(us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Stamper:
    """`iso` for rising instants: formats each second once."""

    def __init__(self) -> None:
        self._second, self._prefix = -1, ""

    def __call__(self, us: int) -> str:
        second, rest = divmod(us, SECOND)
        if second != self._second:
            self._second, self._prefix = second, iso(second * SECOND)[:20]
        return f"{self._prefix}{rest:06d}Z"
