"""Recorded histories of the accounts of a product version, for a replay under other terms.

A challenge that began before the record was cut (`removed_rows`) has no whole history any more: it is left out.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Row, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from domain.histories.impact import AccountLife, ChallengeLife, LiveDecision, PayoutRow
from domain.histories.recorded import Bar, Fill, Operation, RecordedLife
from store.db import allow_long_job
from store.models import (
    Account,
    BalanceOperationRow,
    Breach,
    DailySnapshot,
    DealRow,
    Payout,
    PhasePass,
    RemovedRows,
)
from store.read.bars import ALL
from store.read.pages import account_number

_Rows = dict[str, list[Any]]  # by account
_AT_ONCE: Final = 25  # challenges read together; their bars fill the memory


async def count(session: AsyncSession, product: str, version: int) -> int:
    """Returns the number of challenges with opened accounts and a whole history under this version."""
    return len(await _challenges(session, product, version, whole=True))


async def count_cut(session: AsyncSession, product: str, version: int) -> int:
    """Returns the number of challenges of this version that `lives` leaves out: part of their record was removed."""
    return len(await _challenges(session, product, version, whole=False))


async def lives(session: AsyncSession, product: str, version: int) -> AsyncIterator[ChallengeLife]:
    """Yields every challenge with opened accounts and a whole history under this version, oldest first."""
    await allow_long_job(session)
    challenges = await _challenges(session, product, version, whole=True)
    for start in range(0, len(challenges), _AT_ONCE):
        for challenge in await _read(session, challenges[start : start + _AT_ONCE], product, version):
            yield challenge


async def life(session: AsyncSession, account: Account, *, bars: bool = True) -> RecordedLife:
    """Returns the recorded history of one opened account. `bars` includes its one-minute equity bars."""
    ids = [account.id]
    return _life(
        account,
        (await _bars(session, ids)) if bars else {},
        await _by_account(session, DealRow.account_id, ids, DealRow.seq),
        await _by_account(session, BalanceOperationRow.account_id, ids, BalanceOperationRow.seq),
        await _by_account(session, DailySnapshot.account_id, ids, DailySnapshot.day),
    )


def _life(account: Account, bars: _Rows, deals: _Rows, operations: _Rows, snapshots: _Rows) -> RecordedLife:
    return RecordedLife(
        opened_at=_utc(account.opened_at),
        bars=tuple(_bar(row) for row in bars.get(account.id, ())),
        fills=tuple(_fill(row) for row in deals.get(account.id, ())),
        operations=tuple(_operation(row) for row in operations.get(account.id, ())),
        snapshots={_utc(row.reset_at): row.equity_minor for row in snapshots.get(account.id, ())},
    )


async def _challenges(session: AsyncSession, product: str, version: int, *, whole: bool) -> Sequence[str]:
    """Returns the challenges with opened accounts under this version, oldest first: those with a whole history, or the
    others."""
    cut = select(func.max(RemovedRows.before)).scalar_subquery()
    begun = func.min(Account.opened_at)
    statement = (
        select(Account.challenge_id)
        .where(*_under(product, version))
        .group_by(Account.challenge_id)
        .having(or_(cut.is_(None), begun >= cut) if whole else begun < cut)
        .order_by(func.min(Account.number))
    )
    return (await session.scalars(statement)).all()


def _under(product: str, version: int) -> tuple[Any, ...]:
    return (Account.product == product, Account.version == version, Account.opened_at.is_not(None))


async def _read(session: AsyncSession, challenges: Sequence[str], product: str, version: int) -> list[ChallengeLife]:
    accounts = list(
        await session.scalars(
            select(Account)
            .where(Account.challenge_id.in_(challenges), *_under(product, version))
            .order_by(Account.number)
        )
    )
    ids = [account.id for account in accounts]
    bars = await _bars(session, ids)
    deals = await _by_account(session, DealRow.account_id, ids, DealRow.seq)
    operations = await _by_account(session, BalanceOperationRow.account_id, ids, BalanceOperationRow.seq)
    snapshots = await _by_account(session, DailySnapshot.account_id, ids, DailySnapshot.day)
    breaches = await _by_account(session, Breach.account_id, ids, Breach.seq)
    passes = await _by_account(session, PhasePass.account_id, ids, PhasePass.seq)
    payouts = await _by_account(session, Payout.account_id, ids, Payout.requested_at)
    found: dict[str, list[AccountLife]] = {challenge: [] for challenge in challenges}
    for account in accounts:
        found[account.challenge_id].append(
            AccountLife(
                number=account_number(account.number),
                phase_index=account.phase_index,
                life=_life(account, bars, deals, operations, snapshots),
                live=_verdict(breaches.get(account.id, ()), passes.get(account.id, ())),
                payouts=tuple(_payout(row) for row in payouts.get(account.id, ()) if row.state == "paid"),
                initial_minor=account.initial_minor,
            )
        )
    return [ChallengeLife(challenge, _ordered(members)) for challenge, members in found.items() if members]


def _ordered(members: list[AccountLife]) -> tuple[AccountLife, ...]:
    return tuple(sorted(members, key=lambda account: account.phase_index))


async def _by_account(
    session: AsyncSession, column: InstrumentedAttribute[str], ids: Sequence[str], order: Any
) -> dict[str, list[Any]]:
    """Returns the rows of the column's table, {account id: rows in `order`}."""
    rows = await session.scalars(select(column.class_).where(column.in_(ids)).order_by(column, order))
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(getattr(row, column.key), []).append(row)
        session.expunge(row)
    return found


async def _bars(session: AsyncSession, ids: Sequence[str]) -> _Rows:
    """Returns the minute and hour bars, {account id: bars in order of time}."""
    found: _Rows = {}
    for row in await session.execute(
        select(ALL).where(ALL.c.account_id.in_(ids)).order_by(ALL.c.account_id, ALL.c.minute)
    ):
        found.setdefault(row.account_id, []).append(row)
    return found


def _utc(at: datetime | None) -> datetime:
    assert at is not None
    return at.astimezone(UTC)


def _bar(row: Row[Any]) -> Bar:
    money = (row.open_minor, row.high_minor, row.low_minor, row.close_minor, row.balance_minor)
    return Bar(_utc(row.minute), *money, minutes=row.minutes)


def _fill(row: DealRow) -> Fill:
    return Fill(
        at=_utc(row.at),
        position_id=row.position_id,
        symbol=row.symbol,
        side="buy" if row.side == "buy" else "sell",
        entry="in" if row.entry == "in" else "out",
        lots=row.lots,
        price=row.price,
        profit_minor=row.profit_minor,
        commission_minor=row.commission_minor,
        swap_minor=row.swap_minor,
        balance_minor=row.balance_minor,
        reason=row.reason,
    )


def _operation(row: BalanceOperationRow) -> Operation:
    return Operation(_utc(row.at), row.operation, row.amount_minor, row.balance_minor)


def _payout(row: Payout) -> PayoutRow:
    return PayoutRow(row.id, _utc(row.requested_at), row.gross_minor, row.trader_minor)


def _verdict(breaches: Sequence[Breach], passes: Sequence[PhasePass]) -> LiveDecision:
    """Returns the first breach that is not overturned, else the pass, else `none`."""
    breach = next((row for row in breaches if row.status == "confirmed"), None)
    if breach is not None:
        return LiveDecision("breach", _utc(breach.occurred_at), breach.rule_id)
    return LiveDecision("pass", _utc(passes[0].occurred_at)) if passes else LiveDecision("none")
