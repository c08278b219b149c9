"""When something is due next in the weeks after the trading day, so that the demo passes over the days between."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cli.demo.personas import Persona
from domain.chargebacks import DECIDED
from domain.lifecycle import CHALLENGE
from store.models import Challenge, Chargeback, Payout, Wakeup

CHARGEBACK_AFTER: Final = timedelta(days=2)
DESK_REFUND_AFTER: Final = timedelta(days=3)
_LONGEST_STEP: Final = timedelta(days=7)
_DAY: Final = timedelta(days=1)
_TRANSFER_TAKES: Final = timedelta(hours=4)  # more than a payout of the acquirer takes to arrive
SENT_BACK_AFTER: Final = timedelta(days=2)  # until a payee's bank sends back what has arrived
_COMES_BACK_WITHIN: Final = timedelta(days=8)  # two business days, also over Easter and Christmas
_BANK_ZONE, _BANK_CLOSES = ZoneInfo("Europe/Berlin"), time(18, 1)


async def next_date(
    session: AsyncSession, now: datetime, habits: Mapping[str, Persona], payable: Mapping[str, datetime]
) -> datetime | None:
    """Returns the next instant at which something is due; None if nothing is. `habits`: by challenge id. `payable`:
    from when on the trader may be paid, of the accounts that have enough."""
    woken = Wakeup.workflow_id.regexp_match("^(challenge|payout|chargeback)/")
    wakeup = await session.scalar(select(func.min(Wakeup.due_at)).where(Wakeup.fired_at.is_(None), woken))
    dates = [wakeup] if wakeup else []
    dates += await _of_payouts(session, now)
    open_now = (await session.scalars(select(Challenge).where(Challenge.state.not_in(CHALLENGE.terminal)))).all()
    for challenge in open_now:
        habit = habits[challenge.id]
        if challenge.state == "awaiting_payment" and habit.pays == "bank_debit":
            dates.append(now + _DAY)
        if habit.charges_back:
            dates.append(challenge.bought_at + CHARGEBACK_AFTER)
        if habit.refunded_at_desk:
            dates.append(challenge.bought_at + DESK_REFUND_AFTER)
        if challenge.state == "funded" and (due := payable.get(challenge.account_id or "")) is not None:
            dates.append(due)
    if await session.scalar(select(func.count()).where(Chargeback.state.not_in(DECIDED))):
        dates.append(now + _DAY)
    ahead = [date for date in dates if date > now]
    return min(*ahead, now + _LONGEST_STEP) if ahead else None


async def _of_payouts(session: AsyncSession, now: datetime) -> list[datetime]:
    """Returns when payouts arrive, and when those that have arrived may come back."""
    rails = await session.scalars(select(Payout.rail).where(Payout.state == "sent").distinct())
    dates = [_bank_closes(now) if rail == "bank" else now + _TRANSFER_TAKES for rail in rails]
    arrived = select(func.count()).where(Payout.state == "paid", Payout.changed_at > now - _COMES_BACK_WITHIN)
    return [*dates, now + _DAY] if await session.scalar(arrived) else dates


def _bank_closes(now: datetime) -> datetime:
    """Returns the next end of a day of the bank. On weekends nothing happens then."""
    local = now.astimezone(_BANK_ZONE)
    today = datetime.combine(local.date(), _BANK_CLOSES, _BANK_ZONE)
    return today if today > now else datetime.combine(local.date() + _DAY, _BANK_CLOSES, _BANK_ZONE)
