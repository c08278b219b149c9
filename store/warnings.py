"""Warnings to traders that the monitor does not write: one per account, kind, rule and period."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.money import Money
from domain.rules.room import Room
from store.models import Account, WarningRow

LIMIT_USED: Final = "limit_used"
RESET_WOULD_BREACH: Final = "reset_would_breach"
PAYOUT_LEAVES_NO_ROOM: Final = "payout_leaves_no_room"


def figures(room: Room, equity_minor: int, **more: Any) -> dict[str, Any]:
    """Returns the exact figures of a warning about one limit, money in minor units."""
    return {
        "floor_minor": room.floor_minor,
        "allowance_minor": room.allowance_minor,
        "room_minor": room.room_minor,
        "used_pct": str(room.used_pct),
        "operator": room.spec.operator,
        "direction": room.spec.direction,
        "equity_minor": equity_minor,
        **more,
    }


async def record_no_room_after_payout(
    session: AsyncSession, account: Account, rooms: Iterable[Room], gross: Money, at: datetime
) -> None:
    """Record a warning for each limit under which the requested payout leaves no room. `rooms` are those after it."""
    rows = [
        {
            "account_id": account.id,
            "kind": PAYOUT_LEAVES_NO_ROOM,
            "rule_id": room.spec.key,
            "period": at.isoformat(),
            "at": at,
            "figures": figures(room, room.floor_minor + room.room_minor, gross_minor=gross.minor),
        }
        for room in rooms
        if room.is_none
    ]
    if rows:
        await session.execute(insert(WarningRow).values(rows).on_conflict_do_nothing())
