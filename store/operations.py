"""Housekeeping on the record: daily closes, reconciliation with payment providers, forgotten holds."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain import keys
from domain.payouts.payout import PAYOUT
from store import inbox
from store.models import (
    Account,
    Breach,
    DailyClose,
    DailySnapshot,
    Intent,
    LedgerTransaction,
    Payout,
    PhasePass,
    Posting,
    ProviderEntryRow,
    Review,
)

# Kinds of ledger transactions that a provider entry can match, by the entry's kind.
LEDGER_KINDS: Final[dict[str, tuple[str, ...]]] = {
    "charge": ("fee_paid", "payment_suspended"),
    "refund": ("fee_refunded", "fee_partly_refunded", "suspense_refunded", "suspense_partly_refunded"),
    "dispute": ("fee_charged_back", "suspense_charged_back"),
    "transfer": ("payout_sent",),
    "transfer_return": ("payout_returned",),
}
# The webhook event of a provider entry that takes a fee back.
_MONEY_BACK: Final = {"refund": "charge.refunded", "dispute": "charge.disputed"}


# daily close


async def first_activity(session: AsyncSession, clock_group: str) -> datetime | None:
    """Returns the market time at which the group's first account became active, or None."""
    statement = select(func.min(Account.opened_at)).where(Account.clock_group == clock_group)
    first: datetime | None = await session.scalar(statement)
    return first


async def last_close(session: AsyncSession, clock_group: str) -> date | None:
    """Returns the group's newest checked day, or None."""
    newest: date | None = await session.scalar(
        select(func.max(DailyClose.day)).where(DailyClose.clock_group == clock_group)
    )
    return newest


async def close_day(
    session: AsyncSession, clock_group: str, day: date, *, starts_at: datetime, ends_at: datetime, now: datetime
) -> int:
    """Check that every account that was active for the whole `day` has a snapshot. Returns the number missing.

    Each missing snapshot opens a review. Checking a day again changes nothing.
    """
    ended = or_(
        exists().where(Breach.account_id == Account.id, Breach.status == "confirmed", Breach.occurred_at <= ends_at),
        exists().where(PhasePass.account_id == Account.id, PhasePass.occurred_at <= ends_at),
    )
    active = (
        Account.clock_group == clock_group,
        Account.opened_at < starts_at,
        or_(Account.ended_at.is_(None), Account.ended_at > ends_at),
        ~ended,
    )
    has_snapshot = exists().where(DailySnapshot.account_id == Account.id, DailySnapshot.day == day)
    accounts = await session.scalar(select(func.count()).select_from(Account).where(*active)) or 0
    missing = (await session.scalars(select(Account.id).where(*active, ~has_snapshot).order_by(Account.id))).all()
    await session.execute(
        insert(DailyClose)
        .values(clock_group=clock_group, day=day, accounts=accounts, missing=len(missing), checked_at=now)
        .on_conflict_do_nothing()
    )
    for account_id in missing:
        key = keys.missed_reset_review(account_id, day)
        await session.execute(
            insert(Review)
            .values(
                id=keys.review_id(key),
                key=key,
                kind="missed_reset",
                account_id=account_id,
                detail={"day": day.isoformat(), "clock_group": clock_group},
                status="open",
                occurred_at=ends_at,
            )
            .on_conflict_do_nothing(index_elements=["key"])
        )
    return len(missing)


# reconciliation


async def last_entry(session: AsyncSession, provider: str) -> str | None:
    """Returns the id of the provider's newest entry on the record, or None."""
    newest: str | None = await session.scalar(
        select(ProviderEntryRow.entry_id)
        .where(ProviderEntryRow.provider == provider)
        .order_by(ProviderEntryRow.position.desc())
        .limit(1)
    )
    return newest


async def store_entries(session: AsyncSession, provider: str, rows: Sequence[dict[str, Any]]) -> int:
    """Add entries in the provider's order; stored ones are skipped. Returns how many were new."""
    new = 0
    for row in rows:
        made = await session.execute(
            insert(ProviderEntryRow)
            .values(provider=provider, **row)
            .on_conflict_do_nothing(index_elements=["provider", "entry_id"])
            .returning(ProviderEntryRow.entry_id)
        )
        new += made.scalar_one_or_none() is not None
    return new


async def match_entries(session: AsyncSession, provider: str) -> int:
    """Match each unmatched entry to a free ledger transaction of its kind, reference, amount and currency.

    Returns how many were matched.
    """
    waiting = await session.scalars(
        select(ProviderEntryRow)
        .where(ProviderEntryRow.provider == provider, ProviderEntryRow.transaction_id.is_(None))
        .order_by(ProviderEntryRow.position)
        .with_for_update()
    )
    matched = 0
    for entry in waiting.all():
        found = await session.scalar(
            _unmatched_lines(select(LedgerTransaction.id))
            .where(
                LedgerTransaction.kind.in_(LEDGER_KINDS.get(entry.kind, ())),
                LedgerTransaction.reference == entry.reference,
                Posting.account == f"provider:{provider}",
                Posting.amount_minor == entry.amount_minor,
                Posting.currency == entry.currency,
            )
            .order_by(LedgerTransaction.id)
            .limit(1)
        )
        if found is not None:
            await session.execute(
                update(ProviderEntryRow)
                .where(ProviderEntryRow.provider == provider, ProviderEntryRow.entry_id == entry.entry_id)
                .values(transaction_id=found)
            )
            matched += 1
    return matched


async def report_money_back(session: AsyncSession, provider: str) -> int:
    """Put unmatched refunds and chargebacks into the inbox, as if their webhook had arrived.

    Returns how many were new. Each is reported once, however often this runs.
    """
    waiting = await session.execute(
        select(ProviderEntryRow.entry_id, ProviderEntryRow.kind, ProviderEntryRow.object_id)
        .where(
            ProviderEntryRow.provider == provider,
            ProviderEntryRow.transaction_id.is_(None),
            ProviderEntryRow.kind.in_(_MONEY_BACK),
        )
        .order_by(ProviderEntryRow.position)
    )
    return sum(
        [
            await inbox.receive(
                session,
                provider=provider,
                event_id=f"entry/{row.entry_id}",
                kind=_MONEY_BACK[row.kind],
                object_id=row.object_id,
            )
            for row in waiting.all()
        ]
    )


def _unmatched_lines(statement: Select[Any]) -> Select[Any]:
    """Restrict `statement` to the ledger's provider lines without an entry. Leaves out reversals and reversed ones."""
    reversal = aliased(LedgerTransaction)
    unmatched: tuple[ColumnElement[bool], ...] = (
        Posting.account.startswith("provider:"),
        LedgerTransaction.reverses.is_(None),
        ~exists().where(reversal.reverses == LedgerTransaction.id),
        ~exists().where(ProviderEntryRow.transaction_id == LedgerTransaction.id),
    )
    return statement.join_from(LedgerTransaction, Posting, Posting.transaction_id == LedgerTransaction.id).where(
        *unmatched
    )


async def unreconciled(session: AsyncSession) -> int:
    """Returns the number of unmatched provider entries plus unmatched provider lines of the ledger."""
    entries = await session.scalar(
        select(func.count()).select_from(ProviderEntryRow).where(ProviderEntryRow.transaction_id.is_(None))
    )
    lines = await session.scalar(_unmatched_lines(select(func.count(Posting.id))))
    return int(entries or 0) + int(lines or 0)


async def open_holds(session: AsyncSession) -> int:
    """Returns the number of closed payouts that still hold money: in the books, or unpaid on the platform."""
    reserve = (
        select(func.coalesce(func.sum(Posting.amount_minor), 0))
        .join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)
        .where(LedgerTransaction.reference == Payout.id, Posting.account == "trader-payable")
        .correlate(Payout)
        .scalar_subquery()
    )
    held = exists().where(Intent.key == func.concat(Payout.id, keys.HOLD), Intent.done_at.is_not(None))
    released = exists().where(Intent.key == func.concat(Payout.id, keys.RELEASE), Intent.done_at.is_not(None))
    forgotten = or_(reserve != 0, (Payout.state != "paid") & held & ~released)
    statement = select(func.count()).select_from(Payout).where(Payout.state.in_(PAYOUT.terminal), forgotten)
    return int(await session.scalar(statement) or 0)
