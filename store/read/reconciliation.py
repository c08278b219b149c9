"""Breaks of reconciliation with their age, and how every source stands. For staff."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from domain.reconciliation import BANDS, NOT_MONEY, WORDS, age_band
from store.clock import market_now
from store.models import Account, ReconciliationBreak, User
from store.read import history
from store.read.history import DecisionView
from store.read.pages import Page, View, Window, account_number, keyset
from store.reconciliation import balances, breaks, entries
from store.scope import FIRM


class BreakRow(View):
    """`amount_minor`: what the source has more than the books; 0 unless `is_money`. `age`: in words."""

    id: str
    kind: str
    words: str
    state: str
    source: str
    account: str | None
    subject: str
    entry_id: str | None
    posting_id: int | None
    account_id: str | None
    account_number: str | None
    amount_minor: int
    currency: str
    is_money: bool
    first_seen_at: datetime
    age: str
    owner: str | None
    owner_name: str | None
    resolution: str | None
    close_reason: str | None
    closed_at: datetime | None
    transaction_id: int | None
    round: int


class BreakView(BreakRow):
    detail: dict[str, Any]
    decisions: tuple[DecisionView, ...]


class SourceRow(View):
    """`shown_minor`: the source's own balance; `expected_minor`: the sum of what it showed."""

    source: str
    currency: str | None
    shown_minor: int | None
    expected_minor: int | None
    checked_at: datetime | None
    last_entry_at: datetime | None


class UnreconciledRow(View):
    """Something that has no other side. `what`: break, entry (of a source, without a line of the books), line (of the
    books, without an entry) or transit (money that should have arrived). `words`: the same for people."""

    what: str
    ref: str
    words: str
    source: str
    about: str
    amount_minor: int
    currency: str
    is_money: bool
    since: datetime


class ReconciliationView(View):
    """`ages`: open breaks by age. `unreconciled`: open breaks, and what has waited for its other side for too long.
    `waiting`: everything without its other side, however new."""

    unreconciled: int
    waiting: int
    ages: dict[str, int]
    sources: tuple[SourceRow, ...]


_WAITS: Final = {
    "entry": "Entry without a line of the books: {kind}",
    "line": "Line of the books without an entry: {kind}",
    "transit": "Money in transit that has not arrived",
}


def _statement() -> Select[Any]:
    return (
        select(ReconciliationBreak, Account.number, User.name.label("owner_name"))
        .outerjoin(Account, Account.id == ReconciliationBreak.account_id)
        .outerjoin(User, User.id == ReconciliationBreak.owner)
    )


def _fields(found: Any, now: datetime) -> dict[str, Any]:
    row: ReconciliationBreak = found.ReconciliationBreak
    derived = {"words", "age", "account_number", "owner_name", "is_money"}
    return {name: getattr(row, name) for name in BreakRow.model_fields if name not in derived} | {
        "words": WORDS[row.kind],
        "is_money": row.kind not in NOT_MONEY,
        "age": age_band(row.first_seen_at, now),
        "account_number": None if found.number is None else account_number(found.number),
        "owner_name": found.owner_name,
    }


async def page(session: AsyncSession, window: Window, *, state: str = "open") -> Page[BreakRow]:
    """Returns breaks in this state, the oldest first."""
    now = await market_now(session)
    statement = _statement().where(ReconciliationBreak.state == state)
    order = [ReconciliationBreak.first_seen_at, ReconciliationBreak.id]
    found, cursor = await keyset(session, statement, order, window, descending=False)
    return Page[BreakRow](items=tuple(BreakRow(**_fields(row, now)) for row in found), next_cursor=cursor)


async def unreconciled(session: AsyncSession, window: Window) -> Page[UnreconciledRow]:
    """Returns what the number `unreconciled` counts, the oldest first."""
    rows = breaks.unreconciled_rows(await market_now(session))
    order = [rows.c.since, rows.c.what, rows.c.ref]
    found, cursor = await keyset(session, select(rows), order, window, descending=False)
    return Page[UnreconciledRow](items=tuple(_unreconciled(row) for row in found), next_cursor=cursor)


def _unreconciled(row: Any) -> UnreconciledRow:
    is_break = row.what == "break"
    words = WORDS[row.kind] if is_break else _WAITS[row.what].format(kind=row.kind.replace("_", " "))
    money = not is_break or row.kind not in NOT_MONEY
    named = ("what", "ref", "source", "about", "amount_minor", "currency", "since")
    return UnreconciledRow(**{name: getattr(row, name) for name in named}, words=words, is_money=money)


async def of_platform(session: AsyncSession, platform: str, window: Window) -> tuple[BreakView, ...]:
    """Returns the open breaks between a platform and the record, the oldest first, without decisions."""
    now = await market_now(session)
    statement = _statement().where(
        ReconciliationBreak.state == "open",
        ReconciliationBreak.source == platform,
        ReconciliationBreak.kind.startswith("venue_", autoescape=True),
    )
    order = [ReconciliationBreak.first_seen_at, ReconciliationBreak.id]
    found, _ = await keyset(session, statement, order, window, descending=False)
    return tuple(BreakView(**_fields(row, now), detail=row.ReconciliationBreak.detail, decisions=()) for row in found)


async def one(session: AsyncSession, break_id: str) -> BreakView:
    """Raises NotFound."""
    statement = _statement().where(ReconciliationBreak.id == break_id, ReconciliationBreak.state != "suspected")
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        raise NotFound
    decisions = await history.decisions(session, FIRM, "break", break_id)
    detail = {name: value for name, value in found.ReconciliationBreak.detail.items() if name != "undo"}
    return BreakView(**_fields(found, await market_now(session)), detail=detail, decisions=decisions)


async def overview(session: AsyncSession) -> ReconciliationView:
    now = await market_now(session)
    seen = await session.scalars(select(ReconciliationBreak.first_seen_at).where(ReconciliationBreak.state == "open"))
    ages = dict.fromkeys(BANDS, 0)
    for first_seen in seen:
        ages[age_band(first_seen, now)] += 1
    return ReconciliationView(
        unreconciled=await breaks.unreconciled(session, now),
        waiting=await breaks.open_ends(session),
        ages=ages,
        sources=await _sources(session),
    )


async def _sources(session: AsyncSession) -> tuple[SourceRow, ...]:
    newest, told = await entries.newest(session), await balances.kept(session)
    found = [
        SourceRow(
            source=row.source,
            currency=row.currency,
            shown_minor=row.amount_minor,
            expected_minor=row.expected_minor,
            checked_at=row.checked_at,
            last_entry_at=newest.get(row.source),
        )
        for row in told
    ]
    silent = sorted(set(newest) - {row.source for row in told})
    nothing = dict.fromkeys(("currency", "shown_minor", "expected_minor", "checked_at"))
    return (*found, *(SourceRow(source=name, last_entry_at=newest[name], **nothing) for name in silent))
