"""All work that waits for a person, most urgent first. For staff. The order is explained in domain/work_queue.py.

The caller says which kinds of work there are: each kind is a `Waiting`, under its name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    CompoundSelect,
    DateTime,
    Integer,
    Interval,
    Select,
    String,
    Subquery,
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
from domain.work_queue import SOON
from store.clock import market_now
from store.models import Account, ServiceDeadline, Trader
from store.read.pages import Page, View, Window, account_number, decode_cursor, keyset
from store.together import OneFixedValueEach


class QueueItem(View):
    """`subject_id` is what a decision names (the trader for kind identity). `due` is the deadline, or, without one,
    `since` plus the target age of the kind; it orders the list. Times are market time."""

    kind: str
    subject_id: str
    words: str
    state: str
    account_id: str | None
    account_number: str | None
    platform: str | None
    trader_id: str | None
    trader_name: str | None
    amount_minor: int | None
    currency: str | None
    since: datetime
    deadline: datetime | None
    due: datetime


@dataclass(frozen=True)
class Row:
    """What the words of an item are made of."""

    amount: Money | None
    note: str | None


@dataclass(frozen=True)
class Waiting:
    """How one kind of work waits.

    `rows` returns a SELECT made by `waiting_rows`, the same one each time. `target`: how long an item without a
    deadline may wait. It orders the list and nothing else: nothing happens when it passes. `words` returns the heading
    of an item; the trader and the account number follow it, unless the heading `names_accounts` itself.
    """

    rows: Callable[[], Select[Any]]
    target: timedelta
    words: Callable[[Row], str]
    names_accounts: bool = False


Kinds = Mapping[str, Waiting]

_MOMENT: Final = DateTime(timezone=True)
_NO_TIME: Final = cast(null(), _MOMENT)
_NO_TEXT: Final = cast(null(), String)


def waiting_rows(
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
    """A SELECT of the columns that every kind of work has; the caller adds its joins and conditions."""
    return select(
        cast(subject_id, String).label("subject_id"),
        state.label("state"),
        since.label("since"),
        deadline.label("deadline"),
        account_id.label("account_id"),
        trader_id.label("trader_id"),
        (cast(null(), BigInteger) if amount_minor is None else amount_minor).label("amount_minor"),
        currency.label("currency"),
        cast(note, Text).label("note"),
    )


def by_calendar(kind: str, subject_id: Any, first: Any = None) -> Any:
    """The deadline that the firm's calendar gives a decision of this kind, in wall time. NULL until the relay has seen
    that it waits. `first` goes before it where it is not NULL."""
    stamped = (
        select(ServiceDeadline.due_at)
        .where(
            ServiceDeadline.kind == kind, ServiceDeadline.subject_id == subject_id, ServiceDeadline.ended_at.is_(None)
        )
        .scalar_subquery()
    )
    return stamped if first is None else func.coalesce(first, stamped)


def _all(kinds: Kinds) -> CompoundSelect[Any]:
    return union_all(*(_of_kind(name, waiting) for name, waiting in kinds.items()))


def _of_kind(name: str, waiting: Waiting) -> Select[Any]:
    rows = waiting.rows().subquery()
    target = rows.c.since + literal(waiting.target, Interval())
    due = func.coalesce(rows.c.deadline, target, type_=_MOMENT)
    return select(literal(name).label("kind"), due.label("due"), rows)


async def page(session: AsyncSession, window: Window, kinds: Kinds) -> Page[QueueItem]:
    """The items of these kinds, most urgent first.

    Which deadlines are close depends on the time. The cursor carries the market time of the first page, so later
    pages continue in the same order.
    """
    work = _all(kinds).subquery("work")
    as_of = _as_of(window.cursor) or await market_now(session)
    close = case((work.c.deadline <= as_of + SOON, 0), else_=1)
    order = [cast(literal(as_of, _MOMENT), _MOMENT), cast(close, Integer), work.c.due, work.c.kind, work.c.subject_id]
    rows, cursor = await keyset(session, _named(work), order, window, descending=False)
    items = tuple(_item(row._asdict(), kinds) for row in rows)
    return Page[QueueItem](items=items, next_cursor=cursor)


async def one(session: AsyncSession, name: str, waiting: Waiting, subject_id: str) -> QueueItem | None:
    """One item of a kind; None when it does not wait."""
    kinds = {name: waiting}
    work = _all(kinds).subquery("work")
    row = (await session.execute(_named(work).where(work.c.subject_id == subject_id))).one_or_none()
    return None if row is None else _item(row._asdict(), kinds)


def _named(work: Subquery) -> Select[Any]:
    """The items with the number and the platform of the account, and the trader's name."""
    return (
        select(work, Account.number, Account.platform, Trader.name)
        .outerjoin(Account, Account.id == work.c.account_id)
        .outerjoin(Trader, Trader.id == func.coalesce(work.c.trader_id, Account.trader_id))
    )


def _as_of(cursor: str | None) -> datetime | None:
    """The market time of the first page; raises BadInput for a cursor that is not ours."""
    if cursor is None:
        return None
    as_of: datetime = decode_cursor(cursor, (datetime, int, datetime, str, str))[0]
    return as_of


def _item(row: Mapping[str, Any], kinds: Kinds) -> QueueItem:
    number = None if row["number"] is None else account_number(row["number"])
    read = ("kind", "subject_id", "state", "account_id", "trader_id", "amount_minor", "currency")
    return QueueItem(
        **{name: row[name] for name in (*read, "since", "deadline", "due")},
        words=_words(row, kinds[row["kind"]], number),
        account_number=number,
        platform=row["platform"],
        trader_name=row["name"],
    )


def _words(row: Mapping[str, Any], waiting: Waiting, number: str | None) -> str:
    minor = row["amount_minor"]
    amount = None if minor is None else Money(minor=minor, currency=row["currency"])
    heading = waiting.words(Row(amount, row["note"]))
    return heading if waiting.names_accounts else ", ".join(part for part in (heading, row["name"], number) if part)


async def counts(session: AsyncSession, kinds: Kinds, *, at_most: int | None = None) -> dict[str, int]:
    """How many items of each kind wait; every kind is in it. `at_most`: no more are counted of a kind."""
    found = await _counting(tuple(kinds.items()), at_most).read(session)
    return {name: int(count) for name, count in zip(kinds, found, strict=True)}


@cache
def _counting(kinds: tuple[tuple[str, Waiting], ...], at_most: int | None) -> OneFixedValueEach:
    """The counts of these kinds, put together once: every page of the staff shows them."""
    return OneFixedValueEach(
        **{name: select(func.count()).select_from(waiting.rows().limit(at_most).subquery()) for name, waiting in kinds}
    )
