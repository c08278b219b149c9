"""Disputes that were decided before and are like this one: the same rule, the same product, the same kind of cause."""

from datetime import datetime

from sqlalchemy import case, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.disputes import DISPUTE
from store.models import Account, Breach, Dispute
from store.read.pages import View, account_number

_SHOWN = 6


class Precedent(View):
    """`state`: upheld or reinstated. `same_cause`: the same kind of event decided its breach, such as a tick."""

    id: str
    account_number: str
    state: str
    instance: int
    cause: str
    same_cause: bool
    overshoot_minor: int | None
    currency: str
    closed_at: datetime | None


async def of(session: AsyncSession, dispute: Dispute, breach: Breach, product: str) -> tuple[Precedent, ...]:
    """Returns the nearest, those of the same cause first, then the newest. One of this trader is no precedent for the
    trader's own case more than any other."""
    cause = dispute.evidence.get("cause", "")
    their_cause = Dispute.evidence["cause"].astext
    found = await session.execute(
        select(Dispute, Account.number, Account.currency)
        .join(Breach, Breach.id == Dispute.breach_id)
        .join(Account, Account.id == Dispute.account_id)
        .where(
            Dispute.id != dispute.id,
            Dispute.state.in_(DISPUTE.terminal),
            Breach.rule_id == breach.rule_id,
            Account.product == product,
        )
        .order_by(case((their_cause == cause, 0), else_=1), Dispute.closed_at.desc(), Dispute.id)
        .limit(_SHOWN)
    )
    return tuple(
        Precedent(
            id=row.id,
            account_number=account_number(number),
            state=row.state,
            instance=row.instance,
            cause=row.evidence.get("cause", ""),
            same_cause=row.evidence.get("cause", "") == cause,
            overshoot_minor=row.evidence.get("overshoot_minor"),
            currency=currency,
            closed_at=row.closed_at,
        )
        for row, number, currency in found
    )
