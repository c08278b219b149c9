"""What surveillance has read for a payout. A payout is not paid before all trades up to its request were judged."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.payouts.payout import OPEN_TO_PEOPLE
from store.models import Account, DealRow, Payout, PayoutReading


@dataclass(frozen=True, slots=True)
class ToRead:
    """A payout that waits for its reading. `begins`: market time from which its profit may come: of the payout before,
    else of the opening of the account. `last_deal`: number of the last deal that must be judged."""

    payout_id: str
    account_id: str
    trader_id: str
    begins: datetime
    requested_at: datetime
    last_deal: int


def unread_query() -> Select[Any]:
    """The newest deal of `:account` until `:requested` that was not judged for `:payout`; no row if all were."""
    read_to = select(PayoutReading.read_to).where(PayoutReading.payout_id == bindparam("payout")).scalar_subquery()
    return (
        select(DealRow.id)
        .where(
            DealRow.account_id == bindparam("account"),
            DealRow.at <= bindparam("requested"),
            DealRow.id > func.coalesce(read_to, 0),
        )
        .order_by(DealRow.id.desc())
        .limit(1)
    )


def is_awaited(payout: Payout) -> bool:
    """Returns whether the payout was held, when it was last judged, because its reading was missing."""
    was_read = payout.checks.get("surveillance", {}).get("ok", True)
    return payout.state in OPEN_TO_PEOPLE and payout.reopened_at is None and not was_read


async def to_read(session: AsyncSession, payout_id: str) -> ToRead | None:
    """Returns what must be judged for a payout; None when it has been, or when its account has no deal."""
    payout, account = (
        await session.execute(
            select(Payout, Account).join(Account, Account.id == Payout.account_id).where(Payout.id == payout_id)
        )
    ).one()
    names = {"account": account.id, "requested": payout.requested_at, "payout": payout.id}
    last = await session.scalar(unread_query(), names)
    if last is None:
        return None
    before = await session.scalar(
        select(func.max(Payout.requested_at)).where(
            Payout.account_id == account.id, Payout.requested_at < payout.requested_at
        )
    )
    begins = before or account.opened_at or payout.requested_at
    return ToRead(payout.id, account.id, payout.trader_id, begins, payout.requested_at, int(last))


async def record(
    session: AsyncSession,
    read: ToRead,
    *,
    read_to: int,
    patterns: dict[str, str],
    cannot_judge: dict[str, str],
) -> None:
    """Stores that all trades up to deal `read_to` were judged. `patterns`: name -> version and that of its
    thresholds. `cannot_judge`: name -> why."""
    row = {
        "read_to": read_to,
        "window_from": read.begins,
        "window_to": read.requested_at,
        "patterns": patterns,
        "cannot_judge": cannot_judge,
    }
    made = insert(PayoutReading).values(payout_id=read.payout_id, **row)
    await session.execute(made.on_conflict_do_update(index_elements=["payout_id"], set_=row))
