"""What surveillance reads and writes: the deals, how far each detector has read them, and its alerts."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.surveillance import stored
from domain.surveillance.base import Fill
from domain.surveillance.findings import Finding
from store import chains
from store.models import Account, Alert, Case, CaseAccount, DealRow, SurveillanceCursor

# A deal can become visible after one with a higher number: this many of those that were read are read again.
OVERLAP: Final = 200


async def cursor(session: AsyncSession, detector: str) -> int:
    """Returns the number of the last deal that the detector has read; the first call makes the row."""
    await session.execute(insert(SurveillanceCursor).values(detector=detector).on_conflict_do_nothing())
    return (await session.get_one(SurveillanceCursor, detector, populate_existing=True)).last_deal


async def lock_cursor(session: AsyncSession, detector: str) -> SurveillanceCursor:
    """Returns the row, locked until the transaction ends: one reader at a time."""
    return (
        await session.execute(
            select(SurveillanceCursor)
            .where(SurveillanceCursor.detector == detector)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).scalar_one()


async def newest_deal(session: AsyncSession) -> int:
    """Returns the highest number of a deal; 0 when there is none."""
    return int(await session.scalar(select(func.coalesce(func.max(DealRow.id), 0))) or 0)


async def window_start(session: AsyncSession, until: int, window: timedelta) -> int:
    """Returns the number before the first deal that was in a detector's window when it had read up to `until`."""
    newest = await session.scalar(select(func.max(DealRow.at)).where(DealRow.id <= until))
    if newest is None:
        return until
    first = select(func.min(DealRow.id)).where(DealRow.id <= until, DealRow.at >= newest - window)
    return int((await session.execute(first)).scalar_one()) - 1


async def fills(session: AsyncSession, *, after: int, until: int) -> list[Fill]:
    """Returns the deals numbered above `after`, less the overlap, up to `until`, in the order of storing."""
    rows = await session.execute(
        select(
            DealRow.id,
            DealRow.account_id,
            Account.trader_id,
            DealRow.symbol,
            DealRow.side,
            DealRow.lots,
            DealRow.at,
            DealRow.entry,
            DealRow.position_id,
            DealRow.price,
            DealRow.profit_minor,
            Account.currency,
        )
        .join(Account, Account.id == DealRow.account_id)
        .where(DealRow.id > after - OVERLAP, DealRow.id <= until)
        .order_by(DealRow.id)
    )
    return [Fill(*row) for row in rows]


async def record_alert(session: AsyncSession, found: Finding) -> str | None:
    """Writes the alert of a finding and returns its id; None when there is one with this key already."""
    row = {
        "id": keys.alert_id(found.key),
        "key": found.key,
        "detector": found.detector,
        "score": found.score,
        "sentence": found.sentence,
        "evidence": stored.write(found),
        "occurred_at": found.at,
    }
    made: str | None = await session.scalar(
        insert(Alert).values(row).on_conflict_do_nothing(index_elements=["key"]).returning(Alert.id)
    )
    return made


def finding(alert: Alert) -> Finding:
    """Returns the finding that an alert holds, whenever it was written."""
    return stored.read(
        alert.evidence,
        key=alert.key,
        detector=alert.detector,
        at=alert.occurred_at,
        score=alert.score,
        sentence=alert.sentence,
    )


async def confirmed_against(session: AsyncSession, challenge_id: str) -> Sequence[str]:
    """Returns the ids of the confirmed cases that blame an account of this challenge, or of one that it goes on from.
    Who was only named in a case, such as the trader who was copied, has broken no rule."""
    chain = await chains.back_from(session, challenge_id)
    rows = await session.execute(
        select(Case.id, Alert, CaseAccount.account_id)
        .join(Alert, Alert.id == Case.alert_id)
        .join(CaseAccount, CaseAccount.case_id == Case.id)
        .join(Account, Account.id == CaseAccount.account_id)
        .where(Account.challenge_id.in_(chain), Case.state == "confirmed")
        .order_by(Case.id)
    )
    blaming = [case_id for case_id, alert, account_id in rows if account_id in finding(alert).blamed]
    return tuple(dict.fromkeys(blaming))
