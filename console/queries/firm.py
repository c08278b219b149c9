"""The firm's day: what happened since midnight UTC of market time, and the latest verdicts."""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from console.addresses import href
from console.present import closed
from console.views.parts import Entry
from domain.money import Money
from store.models import Account, Breach, Decision, Payout, PhasePass
from store.read import breaches
from store.read.pages import Window
from store.scope import FIRM

_TO_TRADER: Final = Payout.trader_minor + Payout.refund_minor


class Today(NamedTuple):
    """`since`: the day, in UTC. `paid` and `held`: what goes to the traders, by currency."""

    since: str
    breaches: int
    passes: int
    payouts: int
    paid: list[Money]
    held: list[Money]


async def today(session: AsyncSession, now: datetime) -> Today:
    since = now.replace(hour=0, minute=0, second=0, microsecond=0)
    paid = await session.execute(
        select(Payout.currency, func.count(), func.sum(_TO_TRADER))
        .where(Payout.state == "paid", Payout.closed_at >= since)
        .group_by(Payout.currency)
    )
    paid_rows = [(str(currency), int(count), int(total)) for currency, count, total in paid]
    held = await session.execute(
        select(Payout.currency, func.sum(_TO_TRADER))
        .where(Payout.closed_at.is_(None), Payout.state != "requested")
        .group_by(Payout.currency)
    )
    return Today(
        since=f"{since:%Y-%m-%d}",
        breaches=await _since(session, Breach.occurred_at, since),
        passes=await _since(session, PhasePass.occurred_at, since),
        payouts=sum(count for _, count, _ in paid_rows),
        paid=[Money(minor=total, currency=currency) for currency, _, total in paid_rows],
        held=[Money(minor=int(total), currency=currency) for currency, total in held],
    )


async def _since(session: AsyncSession, column: InstrumentedAttribute[datetime], since: datetime) -> int:
    return await session.scalar(select(func.count()).where(column >= since)) or 0


async def recent(session: AsyncSession, limit: int = 8) -> list[Entry]:
    """The latest breaches and decisions, newest first."""
    found = await breaches.page(session, FIRM, Window(limit=limit))
    entries = [
        Entry(
            at=row.occurred_at,
            kind="breach",
            text=f"{row.account_number} broke {row.rule_id.replace('_', ' ')}",
            href=f"/proofs/{row.proof_id}",
            link="proof",
            tone="bad",
        )
        for row in found.items
    ]
    newest = select(PhasePass.id).order_by(PhasePass.occurred_at.desc()).limit(limit)
    passes = await session.execute(
        select(PhasePass, Account.number)
        .join(Account, Account.id == PhasePass.account_id)
        .where(PhasePass.id.in_(newest))
        .order_by(PhasePass.occurred_at.desc())
    )
    entries += [
        Entry(
            at=row.occurred_at,
            kind="pass",
            text=f"A-{number} passed phase {row.phase_index}",
            href=f"/proofs/{row.proof_id}",
            link="proof",
            tone="ok",
        )
        for row, number in passes
    ]
    decided = await session.scalars(select(Decision).order_by(Decision.id.desc()).limit(limit))
    entries += [
        Entry(
            at=row.occurred_at,
            kind=row.subject_kind.replace("_", " "),
            text=f"{closed.done(row.decision)} by {row.role}",
            href=href(row.subject_kind, row.subject_id),
            link="View",
            tone="info",
        )
        for row in decided
    ]
    return sorted(entries, key=lambda entry: entry.at, reverse=True)[:limit]
