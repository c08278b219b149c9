"""The loss limits of an account at its venue, beside what was sent. For staff."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from domain.products.second_wall import VenueFloors, differences
from store.models import VenueLimits
from store.read.pages import View


class LevelView(View):
    """`holds`: exact, looser, no."""

    rule_id: str
    holds: str
    sentence: str


class VenueLimitsView(View):
    """Minor units; None: no such limit. `sent_at` None: nothing was sent yet. `compared_at`: when the venue was asked
    last; None: not yet. `agrees`: whether it then held what it was sent. `waits`: something is on its way."""

    sent: dict[str, int | str | None] | None
    sent_at: datetime | None
    shown: dict[str, int | str | None] | None
    compared_at: datetime | None
    agrees: bool
    waits: bool
    levels: tuple[LevelView, ...]


async def of_account(session: AsyncSession, account_id: str) -> VenueLimitsView | None:
    """Returns None for an account whose venue holds no limits."""
    row = await session.get(VenueLimits, account_id)
    if row is None:
        return None
    agrees = False
    if row.sent is not None and row.shown is not None:
        agrees = not differences(VenueFloors(**row.sent), VenueFloors(**row.shown))
    return VenueLimitsView(
        sent=row.sent,
        sent_at=row.sent_at,
        shown=row.shown,
        compared_at=row.compared_at,
        agrees=agrees,
        waits=row.asked or row.sending is not None,
        levels=tuple(LevelView(**each) for each in row.levels),
    )
