"""The time limit of a phase, computed from the transitions on the record."""

from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.lifecycle import phase_deadline
from domain.products.product import Product
from store import suspensions
from store.models import Account, Challenge, Transition

_REINSTATED: Final = ("evaluation_reinstated", "funding_reinstated")


async def deadline(session: AsyncSession, challenge: Challenge, opened: Account, product: Product) -> datetime | None:
    """Returns the market time at which the phase times out; None without a time limit, before the account opens, and
    while trading is suspended: then the clock is stopped.

    Extensions are added. Time lost to overturned breaches and to suspensions does not count.
    """
    limit_days = product.phase(opened.phase_index).time_limit_days
    if opened.opened_at is None or limit_days is None:
        return None
    suspended = await suspensions.of_challenge(session, challenge.id)
    if any(ended is None for _, ended in suspended):
        return None
    steps = await session.execute(
        select(Transition.trigger, Transition.occurred_at, Transition.detail)
        .where(
            Transition.subject_kind == "challenge",
            Transition.subject_id == challenge.id,
            Transition.trigger.in_(("breach_detected", "extension_granted", *_REINSTATED)),
            Transition.detail["account_id"].astext == opened.id,
        )
        .order_by(Transition.id)
    )
    rows = steps.all()
    breached = [at for trigger, at, _ in rows if trigger == "breach_detected"]
    reinstated = [at for trigger, at, _ in rows if trigger in _REINSTATED]
    spans = list(zip(breached, reinstated, strict=False))  # the last breach may not be overturned
    spans += suspensions.spans(suspended, opened.opened_at)
    extended = sum(int(detail["days"]) for trigger, _, detail in rows if trigger == "extension_granted")
    return phase_deadline(opened.opened_at, limit_days, spans, extended)
