"""All work that waits for a person, most urgent first. For staff. The order is explained in domain/work_queue.py."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    CompoundSelect,
    DateTime,
    Integer,
    Interval,
    Select,
    String,
    Text,
    case,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import BigInteger

from domain.money import Money
from domain.reviews import KINDS as REVIEW_KINDS
from domain.work_queue import SOON, TARGETS
from store.clock import market_now
from store.models import (
    Account,
    AccountMove,
    Alert,
    Case,
    CaseAccount,
    Challenge,
    Dispute,
    InboxEvent,
    OutboxMessage,
    Payout,
    ProductProposal,
    Review,
    Ticket,
    Trader,
)
from store.read.pages import Page, View, Window, decode_cursor, keyset, shown

KINDS: Final = (
    "payout", "dispute", "case", "identity", "product_version", "account_move", "review", "ticket", "inbox", "outbox",
)  # fmt: skip


class QueueItem(View):
    """`subject_id` is what a decision names (the trader for kind identity). `due` is the deadline, or, without one,
    `since` plus the target of the kind; it orders the list. Times are market time."""

    kind: str
    subject_id: str
    words: str
    state: str
    account_id: str | None
    account_number: str | None
    trader_id: str | None
    trader_name: str | None
    amount_minor: int | None
    currency: str | None
    since: datetime
    deadline: datetime | None
    due: datetime


_MOMENT: Final = DateTime(timezone=True)
_NO_TIME: Final = cast(null(), _MOMENT)
_NO_TEXT: Final = cast(null(), String)


def _row(
    kind: str,
    *,
    subject_id: Any,
    state: Any,
    since: Any,
    deadline: Any = _NO_TIME,
    account_id: Any = _NO_TEXT,
    trader_id: Any = _NO_TEXT,
    amount_minor: Any = None,
    currency: Any = _NO_TEXT,
    note: Any = _NO_TEXT,
) -> Select[Any]:
    return select(
        literal(kind).label("kind"),
        cast(subject_id, String).label("subject_id"),
        state.label("state"),
        since.label("since"),
        deadline.label("deadline"),
        func.coalesce(deadline, since + literal(TARGETS[kind], Interval()), type_=_MOMENT).label("due"),
        account_id.label("account_id"),
        trader_id.label("trader_id"),
        (cast(null(), BigInteger) if amount_minor is None else amount_minor).label("amount_minor"),
        currency.label("currency"),
        cast(note, Text).label("note"),
    )


def _waiting_for_identity() -> CompoundSelect[Any]:
    """Traders whose next step hangs on their identity: an evaluation passed, or a payout that cannot go out."""
    passed = select(
        Challenge.trader_id, Challenge.account_id.label("account_id"), Challenge.changed_at.label("since")
    ).where(Challenge.state == "identity_check")
    unpaid = (
        select(Payout.trader_id, Payout.account_id, Payout.requested_at)
        .join(Trader, Trader.id == Payout.trader_id)
        .where(Payout.state == "in_review", Trader.identity == "unverified")
    )
    return union_all(passed, unpaid)


def _versions() -> Mapping[str, Select[Any]]:
    """What waits for a second person, or, agreed to, for somebody to put it on sale. No account and no deadline: a
    proposal holds nobody up."""
    return {
        "product_version": _row(
            "product_version",
            subject_id=ProductProposal.id,
            state=ProductProposal.state,
            since=ProductProposal.proposed_at,
            note=ProductProposal.product + " version " + cast(ProductProposal.version, Text),
        ).where(ProductProposal.state.in_(("proposed", "approved"))),
        "account_move": _row(
            "account_move",
            subject_id=AccountMove.id,
            state=AccountMove.state,
            since=AccountMove.proposed_at,
            note=AccountMove.product + " to version " + cast(AccountMove.to_version, Text),
        ).where(AccountMove.state == "proposed"),
    }


def _sources() -> Mapping[str, Select[Any]]:
    """One SELECT per kind, all of the same columns."""
    first_account = (
        select(func.min(CaseAccount.account_id)).where(CaseAccount.case_id == Case.id).correlate(Case).scalar_subquery()
    )
    waiting = _waiting_for_identity().subquery()
    return {
        **_versions(),
        "payout": _row(
            "payout",
            subject_id=Payout.id,
            state=Payout.state,
            since=Payout.requested_at,
            deadline=Payout.decide_by,
            account_id=Payout.account_id,
            trader_id=Payout.trader_id,
            amount_minor=Payout.trader_minor + Payout.refund_minor,
            currency=Payout.currency,
        ).where(Payout.state.in_(("awaiting_approval", "in_review"))),
        "dispute": _row(
            "dispute",
            subject_id=Dispute.id,
            state=Dispute.state,
            since=Dispute.opened_at,
            account_id=Dispute.account_id,
            trader_id=Dispute.trader_id,
        ).where(Dispute.state == "awaiting_decision"),
        "case": _row(
            "case",
            subject_id=Case.id,
            state=Case.state,
            since=Case.opened_at,
            account_id=first_account,
            note=Alert.sentence,
        )
        .join(Alert, Alert.id == Case.alert_id)
        .where(Case.state == "open"),
        "identity": _row(
            "identity",
            subject_id=waiting.c.trader_id,
            state=literal("identity_check"),
            since=func.min(waiting.c.since),
            account_id=func.min(waiting.c.account_id),
            trader_id=waiting.c.trader_id,
        ).group_by(waiting.c.trader_id),
        "review": _row(
            "review",
            subject_id=Review.id,
            state=Review.status,
            since=Review.occurred_at,
            account_id=Review.account_id,
            note=Review.kind,
        ).where(Review.status == "open"),
        "ticket": _row(
            "ticket",
            subject_id=Ticket.id,
            state=Ticket.state,
            since=Ticket.changed_at,
            account_id=Ticket.account_id,
            trader_id=Ticket.trader_id,
        ).where(Ticket.state == "open"),
        "inbox": _row(
            "inbox",
            subject_id=InboxEvent.id,
            state=literal("parked"),
            since=InboxEvent.parked_at,
            note=InboxEvent.kind,
        ).where(InboxEvent.parked_at.is_not(None), InboxEvent.handled_at.is_(None)),
        "outbox": _row(
            "outbox",
            subject_id=OutboxMessage.id,
            state=literal("parked"),
            since=OutboxMessage.parked_at,
            note=OutboxMessage.target,
        ).where(OutboxMessage.parked_at.is_not(None), OutboxMessage.dispatched_at.is_(None)),
    }


def _words(row: Mapping[str, Any], number: str | None, name: str | None) -> str:
    kind, whose = row["kind"], ", ".join(part for part in (name, number) if part)
    heads: dict[str, Callable[[], str]] = {
        "payout": lambda: f"Payout {Money(minor=row['amount_minor'], currency=row['currency'])}",
        "dispute": lambda: "Disputed breach",
        "case": lambda: str(row["note"]),
        "identity": lambda: "Identity check",
        "product_version": lambda: f"New terms: {row['note']}",
        "account_move": lambda: f"Accounts move: {row['note']}",
        "review": lambda: f"Review: {REVIEW_KINDS[row['note']].words}",
        "ticket": lambda: "Question",
        "inbox": lambda: f"Payment event ({row['note']}) that nobody could act on",
        "outbox": lambda: f"Message to {row['note']} that cannot be delivered",
    }
    head = heads[kind]()
    return head if kind == "case" or not whose else f"{head}, {whose}"


async def page(session: AsyncSession, window: Window, *, kinds: Sequence[str] = KINDS) -> Page[QueueItem]:
    """The items of these kinds, most urgent first.

    Which deadlines are close depends on the time. The cursor carries the market time of the first page, so later
    pages go on in the same order.
    """
    sources = _sources()
    work = union_all(*(sources[kind] for kind in kinds)).subquery("work")
    statement = (
        select(work, Account.number, Trader.name)
        .outerjoin(Account, Account.id == work.c.account_id)
        .outerjoin(Trader, Trader.id == func.coalesce(work.c.trader_id, Account.trader_id))
    )
    as_of = _as_of(window.cursor) or await market_now(session)
    close = case((work.c.deadline <= as_of + SOON, 0), else_=1)
    order = [cast(literal(as_of, _MOMENT), _MOMENT), cast(close, Integer), work.c.due, work.c.kind, work.c.subject_id]
    rows, cursor = await keyset(session, statement, order, window, descending=False)
    items = tuple(_item(row._asdict()) for row in rows)
    return Page[QueueItem](items=items, next_cursor=cursor)


def _as_of(cursor: str | None) -> datetime | None:
    """The market time of the first page; raises BadInput for a cursor that is not ours."""
    if cursor is None:
        return None
    as_of: datetime = decode_cursor(cursor, (datetime, int, datetime, str, str))[0]
    return as_of


def _item(row: Mapping[str, Any]) -> QueueItem:
    number = None if row["number"] is None else shown(row["number"])
    read = ("kind", "subject_id", "state", "account_id", "trader_id", "amount_minor", "currency")
    return QueueItem(
        **{name: row[name] for name in (*read, "since", "deadline", "due")},
        words=_words(row, number, row["name"]),
        account_number=number,
        trader_name=row["name"],
    )


async def counts(session: AsyncSession) -> dict[str, int]:
    """How much of each kind waits; every kind is there."""
    work = union_all(*_sources().values()).subquery("work")
    rows = await session.execute(select(work.c.kind, func.count()).group_by(work.c.kind))
    return dict.fromkeys(KINDS, 0) | {str(kind): int(count) for kind, count in rows}
