"""All work that waits for a person, most urgent first. For staff. The order is explained in domain/work_queue.py.

The caller says which kinds of work there are: each kind is a `Waiting`, under its name. What somebody has put aside is
in no list and no count but those of what is put aside. It comes back two hours before its deadline, and at once when
its deadline or its state changes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any, Final, Literal, NamedTuple, get_args

from sqlalchemy import (
    Boolean,
    DateTime,
    Integer,
    Interval,
    Select,
    String,
    Subquery,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlalchemy.types import BigInteger

from domain.approvals import Actor
from domain.money import Money
from domain.work_queue import SOON
from store.clock import WATERMARK, market_now
from store.models import Account, ServiceDeadline, Trader, User, WorkMark
from store.read.pages import Page, View, Window, account_number, beside, decode_cursor, keyset, not_ours
from store.read.work_people import Deciders, involved, is_given, of_staff, role_given
from store.together import OneFixedValueEach, fixed


class QueueItem(View):
    """`subject_id` is what a decision names (the trader for kind identity). `due` is the deadline, or, without one,
    `since` plus the target age of the kind; it orders the list. Times are market time.

    `alike`: how many of the same thing this one item stands for. `holder` has claimed it until `held_until`, a time of
    the service clock. `escalated_to`: the person or the role that it was given to."""

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
    alike: int = 1
    holder_id: str | None = None
    holder: str | None = None
    held_until: datetime | None = None
    escalated_to: str | None = None


# mine: to be checked by this person, and given to nobody else. made: they asked for it, approved it or escalated it,
# and it waits for somebody else.
# returned: it came back after a decision. aside: put aside for a while.
Part = Literal["", "mine", "made", "returned", "aside"]


PARTS: Final[tuple[Part, ...]] = get_args(Part)


@dataclass(frozen=True)
class Chosen:
    """The part of the work that is asked for. `decides`: the kinds of work that `actor` may decide. `deciders`: the
    roles that decide each kind."""

    part: Part = ""
    actor: Actor | None = None
    decides: frozenset[str] = frozenset()
    deciders: Deciders = field(default_factory=dict)


ALL: Final = Chosen()


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
    of an item; the trader and the account number follow it.
    """

    rows: Callable[[], Select[Any]]
    target: timedelta
    words: Callable[[Row], str]


Kinds = Mapping[str, Waiting]

_MOMENT: Final = DateTime(timezone=True)
_LAST_YEAR: Final = 9_000  # of a cursor: later times cannot be added to
_NO_TIME: Final = cast(null(), _MOMENT)
_NO_TEXT: Final = cast(null(), String)
_ONE: Final = literal(1, Integer)


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
    asked_by: Any = _NO_TEXT,
    round_now: Any = None,
    returned: Any = None,
    alike: Any = _ONE,
    holder_id: Any = _NO_TEXT,
    held_until: Any = _NO_TIME,
) -> Select[Any]:
    """A SELECT of the columns that every kind of work has; the caller adds its joins and conditions.

    `asked_by`: the user who asked for it. `round_now`: decisions of other rounds no longer count. `returned`: it came
    back after a decision. `alike`: of how many this row is made. `holder_id`, `held_until`: a claim that the kind
    keeps itself.
    """
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
        asked_by.label("asked_by"),
        (cast(null(), Integer) if round_now is None else round_now).label("round"),
        (cast(literal(False), Boolean) if returned is None else returned).label("returned"),
        cast(alike, Integer).label("alike"),
        holder_id.label("own_holder_id"),
        held_until.label("own_held_until"),
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


def _work(kinds: Kinds) -> Subquery:
    """The items of these kinds with their claims, and whether each is put aside."""
    return _work_of(tuple(kinds.items()))


@lru_cache(maxsize=64)
def _work_of(kinds: tuple[tuple[str, Waiting], ...]) -> Subquery:
    """Put together once: to build it anew takes longer than to run it. It holds no value of a request."""
    every = union_all(*(_of_kind(name, waiting) for name, waiting in kinds)).subquery("every")
    mark, now = WorkMark, select(func.service_now()).scalar_subquery()  # asked once, not for each row
    market_time = func.coalesce(WATERMARK.scalar_subquery(), func.now())
    far = or_(every.c.deadline.is_(None), every.c.deadline > market_time + literal(SOON, Interval()))
    as_it_was = and_(mark.aside_state == every.c.state, mark.aside_deadline.is_not_distinct_from(every.c.deadline))
    claims = (
        (mark.held_until > now, mark.holder_id, mark.held_until),
        (every.c.own_held_until > now, every.c.own_holder_id, every.c.own_held_until),
    )
    given = aliased(User)
    rows = select(
        every,
        func.coalesce(and_(mark.aside_until > now, far, as_it_was), False).label("aside"),
        case(*((lasts, who) for lasts, who, _ in claims)).label("holder_id"),
        case(*((lasts, until) for lasts, _, until in claims)).label("held_until"),
        mark.escalated_role,
        mark.escalated_id,
        mark.escalated_by,
        role_given(mark, given).label("given_role"),
    )
    rows = rows.outerjoin(mark, and_(mark.kind == every.c.kind, mark.subject_id == every.c.subject_id))
    return fixed(rows.outerjoin(given, and_(given.id == mark.escalated_id, of_staff(given))), "work")


def _within(work: Subquery, chosen: Chosen) -> Any:
    """Whether an item belongs to the part that is asked for."""
    if chosen.part == "aside":
        return work.c.aside
    if chosen.part == "returned":
        return and_(~work.c.aside, work.c.returned)
    if chosen.part == "" or chosen.actor is None:
        return ~work.c.aside
    actor, given = chosen.actor, is_given(work, chosen.deciders)
    theirs = func.coalesce(or_(work.c.escalated_id == actor.user_id, work.c.escalated_role == actor.role), False)
    if chosen.part == "made":
        given_away = and_(given, func.coalesce(work.c.escalated_by == actor.user_id, False), ~theirs)
        return and_(~work.c.aside, or_(involved(work, actor.person_id), given_away))
    decides = work.c.kind.in_(sorted(chosen.decides))
    return and_(~work.c.aside, decides, ~involved(work, actor.person_id), or_(~given, theirs))


def _of_kind(name: str, waiting: Waiting) -> Select[Any]:
    rows = waiting.rows().subquery()
    target = rows.c.since + literal(waiting.target, Interval())
    due = func.coalesce(rows.c.deadline, target, type_=_MOMENT)
    return select(literal(name).label("kind"), due.label("due"), rows)


async def page(session: AsyncSession, window: Window, kinds: Kinds, chosen: Chosen = ALL) -> Page[QueueItem]:
    """The items of these kinds, most urgent first.

    Which deadlines are close depends on the time. The cursor carries the market time of the first page, so later
    pages continue in the same order.
    """
    work = _work(kinds)
    as_of = _as_of(window.cursor) or await market_now(session)
    wanted = select(work).where(_within(work, chosen))
    part = beside(wanted, _order(work, as_of), window, descending=False).subquery("part")  # names of these alone
    rows, cursor = await keyset(session, _named(part), _order(part, as_of), window, descending=False)
    items = tuple(_item(row._asdict(), kinds) for row in rows)
    return Page[QueueItem](items=items, next_cursor=cursor)


def _order(work: Subquery, as_of: datetime) -> list[Any]:
    close = case((work.c.deadline <= as_of + SOON, 0), else_=1)
    moment = cast(literal(as_of, _MOMENT), _MOMENT)
    return [moment, cast(close, Integer), work.c.due, work.c.kind, work.c.subject_id]


async def one(session: AsyncSession, name: str, waiting: Waiting, subject_id: str) -> QueueItem | None:
    """One item of a kind, also when it is put aside; None when it does not wait."""
    kinds = {name: waiting}
    work = _work(kinds)
    row = (await session.execute(_named(work).where(work.c.subject_id == subject_id))).one_or_none()
    return None if row is None else _item(row._asdict(), kinds)


def _named(work: Subquery) -> Select[Any]:
    """The items with the number and the platform of the account, the trader's name, and that of who has the item."""
    given = aliased(User)
    # not COALESCE: row security lets nothing but what cannot tell of a row be looked up in an index, and counts it out
    trader = case((work.c.trader_id.is_not(None), work.c.trader_id), else_=Account.trader_id)
    return (
        select(
            work, Account.number, Account.platform, Trader.name, User.name.label("holder"), given.name.label("given_to")
        )
        .outerjoin(Account, Account.id == work.c.account_id)
        .outerjoin(Trader, Trader.id == trader)
        .outerjoin(User, User.id == work.c.holder_id)
        .outerjoin(given, given.id == work.c.escalated_id)
    )


def _as_of(cursor: str | None) -> datetime | None:
    """The market time of the first page; raises BadInput for a cursor that is not ours."""
    if cursor is None:
        return None
    as_of: datetime = decode_cursor(cursor, (datetime, int, datetime, str, str))[0]
    if as_of.year > _LAST_YEAR:
        raise not_ours()
    return as_of


def _item(row: Mapping[str, Any], kinds: Kinds) -> QueueItem:
    number = None if row["number"] is None else account_number(row["number"])
    read = ("kind", "subject_id", "state", "account_id", "trader_id", "amount_minor", "currency", "alike")
    claim = ("holder_id", "holder", "held_until")
    return QueueItem(
        **{name: row[name] for name in (*read, *claim, "since", "deadline", "due")},
        words=_words(row, kinds[row["kind"]], number),
        account_number=number,
        platform=row["platform"],
        trader_name=row["name"],
        escalated_to=(row["given_to"] or row["escalated_role"]) if row["given_role"] else None,
    )


def _words(row: Mapping[str, Any], waiting: Waiting, number: str | None) -> str:
    minor = row["amount_minor"]
    amount = None if minor is None else Money(minor=minor, currency=row["currency"])
    heading = waiting.words(Row(amount, row["note"]))
    return ", ".join(part for part in (heading, row["name"], number) if part)


async def counts(
    session: AsyncSession, kinds: Kinds, *, at_most: int | None = None, snoozed: bool = False
) -> dict[str, int]:
    """How many items of each kind wait; every kind is in it. `at_most`: no more are counted of a kind. `snoozed`: with
    those that are put aside."""
    found = await _counting(tuple(kinds.items()), at_most, snoozed).read(session)
    return {name: int(count) for name, count in zip(kinds, found, strict=True)}


@cache
def _counting(kinds: tuple[tuple[str, Waiting], ...], at_most: int | None, snoozed: bool) -> OneFixedValueEach:
    """The counts of these kinds, put together once: every page of the staff shows them."""
    return OneFixedValueEach(**{name: _count({name: waiting}, at_most, snoozed) for name, waiting in kinds})


def _count(kind: Kinds, at_most: int | None, snoozed: bool) -> Select[Any]:
    work = _work(kind)
    rows = select(work.c.subject_id).where(true() if snoozed else _within(work, ALL)).limit(at_most)
    return select(func.count()).select_from(rows.subquery())


async def table(
    session: AsyncSession, kinds: Kinds, chosen: Chosen, parts: Sequence[Part] = PARTS
) -> dict[str, dict[Part, int]]:
    """How many items of each kind wait in each part, for the person in `chosen`; every kind is in it."""
    work = _work(kinds)
    numbers = (func.count().filter(_within(work, replace(chosen, part=part))) for part in parts)
    rows = await session.execute(select(work.c.kind, *numbers).group_by(work.c.kind))
    found = {str(kind): dict(zip(parts, map(int, of_part), strict=True)) for kind, *of_part in rows}
    return {kind: found.get(kind, dict.fromkeys(parts, 0)) for kind in kinds}


class DueItem(NamedTuple):
    """An item whose deadline is near or past. `holder_id` has claimed it. It was given to `given_id`, who has
    `given_role`, or, without an id, to everybody with that role; None when nobody who is active has it."""

    kind: str
    subject_id: str
    deadline: datetime
    holder_id: str | None
    given_id: str | None
    given_role: str | None


async def due_before(session: AsyncSession, kinds: Kinds, moment: datetime) -> list[DueItem]:
    """The items that are not put aside and must be decided before `moment`, market time: the latest deadline last, and
    of very many the latest ones."""
    work, who = _work(kinds), ("holder_id", "escalated_id", "given_role")
    rows = await session.execute(
        select(*(getattr(work.c, name) for name in ("kind", "subject_id", "deadline", *who)))
        .where(_within(work, ALL), work.c.deadline <= moment)
        .order_by(work.c.deadline.desc(), work.c.kind, work.c.subject_id)
        .limit(_MOST_DUE)
    )
    return [DueItem(*row) for row in reversed(rows.all())]


def free_people(kinds: Kinds, subject_id: str) -> Any:
    """A condition on users: they neither asked for this item of the one kind nor have decided on it in this round."""
    work = _work(kinds)
    return ~exists().where(work.c.subject_id == subject_id, involved(work, User.person_id)).correlate(User)


async def some(session: AsyncSession, kinds: Kinds, ids: Mapping[str, Collection[str]]) -> list[QueueItem]:
    """The items with these ids, by kind."""
    work = _work(kinds)
    wanted = or_(*(and_(work.c.kind == kind, work.c.subject_id.in_(list(own))) for kind, own in ids.items()))
    return [_item(row._asdict(), kinds) for row in await session.execute(_named(work).where(wanted))]


_MOST_DUE: Final = 5_000
