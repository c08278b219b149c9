"""When something is due next in the weeks after the trading day, so that the demo passes over the days between.

What a provider says of itself has no date here, such as a payment that arrives: the market stops at its news.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cli.demo.personas import Persona
from domain.chargebacks import DECIDED
from domain.lifecycle import CHALLENGE
from store.models import Challenge, Chargeback, Payout, Wakeup

CHARGEBACK_AFTER: Final = timedelta(days=2)
DESK_REFUND_AFTER: Final = timedelta(days=3)
_LONGEST_STEP: Final = timedelta(days=7)
SENT_BACK_AFTER: Final = timedelta(days=2)  # until a payee's bank sends back what has arrived
_COMES_BACK_WITHIN: Final = timedelta(days=8)  # two business days, also over Easter and Christmas


async def next_date(
    session: AsyncSession, now: datetime, habits: Mapping[str, Persona], payable: Mapping[str, datetime]
) -> datetime | None:
    """Returns the next instant at which something is due, at most a week on; None once nothing is due and no news is
    awaited. `habits`: by challenge id. `payable`: from when on the trader may be paid, of the accounts that have
    enough."""
    woken = Wakeup.workflow_id.regexp_match("^(challenge|payout|chargeback)/")
    wakeup = await session.scalar(select(func.min(Wakeup.due_at)).where(Wakeup.fired_at.is_(None), woken))
    dates = [wakeup] if wakeup else []
    arrived = select(Payout.changed_at).where(Payout.state == "paid", Payout.changed_at > now - _COMES_BACK_WITHIN)
    paid = (await session.scalars(arrived)).all()
    dates += [at + SENT_BACK_AFTER for at in paid]
    open_now = (await session.scalars(select(Challenge).where(Challenge.state.not_in(CHALLENGE.terminal)))).all()
    for challenge in open_now:
        habit = habits[challenge.id]
        if habit.charges_back:
            dates.append(challenge.bought_at + CHARGEBACK_AFTER)
        if habit.refunded_at_desk:
            dates.append(challenge.bought_at + DESK_REFUND_AFTER)
        if challenge.state == "funded" and (due := payable.get(challenge.account_id or "")) is not None:
            dates.append(due)
    ahead = [date for date in dates if date > now]
    if ahead or paid or await _news_awaited(session, [(each, habits[each.id]) for each in open_now]):
        return min(*ahead, now + _LONGEST_STEP) if ahead else now + _LONGEST_STEP
    return None


async def _news_awaited(session: AsyncSession, open_now: Iterable[tuple[Challenge, Persona]]) -> bool:
    """Returns whether a bank or the acquirer has still to say what became of a payment."""
    if any(each.state == "awaiting_payment" and habit.pays == "bank_debit" for each, habit in open_now):
        return True
    sent = select(func.count()).select_from(Payout).where(Payout.state == "sent")
    undecided = select(func.count()).select_from(Chargeback).where(Chargeback.state.not_in(DECIDED))
    return any([await session.scalar(sent), await session.scalar(undecided)])
