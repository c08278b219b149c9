"""A trader's room to every limit, as a table of few words."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from console.formats import countdown, words
from domain.money import Money
from store.read.room import LimitRoom, RoomView


@dataclass(frozen=True)
class RoomRow:
    """One limit of one account; `share` of the allowance is left (0..1)."""

    number: str
    rule: str
    room: Money
    level: Money
    used: str
    share: float
    tone: str
    next_reset: datetime
    reset_in: str


def room_rows(views: Iterable[RoomView]) -> list[RoomRow]:
    return [_row(view, limit) for view in views for limit in view.limits]


def _row(view: RoomView, limit: LimitRoom) -> RoomRow:
    share = max(0.0, min(1.0, limit.room_minor / limit.allowance_minor)) if limit.allowance_minor else 0.0
    return RoomRow(
        number=view.number,
        rule=words(limit.rule_id.removesuffix(".up")).capitalize()
        + (" (gains)" if limit.direction == "ceiling" else ""),
        room=Money(minor=limit.room_minor, currency=view.currency),
        level=Money(minor=limit.floor_minor, currency=view.currency),
        used=f"{max(limit.used_pct, 0):.0f} %",
        share=share,
        tone="bad" if share < 0.1 else "warn" if limit.used_pct >= 80 else "ok",
        next_reset=view.next_reset,
        reset_in=countdown(timedelta(seconds=view.seconds_to_reset)),
    )
