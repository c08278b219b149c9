"""All work that waits for a person, most urgent first. For staff. The order is explained in domain/work_queue.py.

The caller says which kinds of work there are: each kind is a `Waiting`, under its name. What somebody has put aside is
in no list and no count but those of what is put aside. It comes back two hours before its deadline, and at once when
its deadline or its state changes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Final, Literal, NamedTuple, get_args

from sqlalchemy import (
    JSON,
    Integer,
    Interval,
    Select,
    String,
    Subquery,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy import Row as SqlRow
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.approvals import Actor
from domain.money import Money
from domain.work_queue import SOON
from store.clock import market_now
from store.models import Account, Trader, User
from store.read.pages import (
    Page,
    View,
    Way,
    Window,
    account_number,
    bound_of,
    bound_values,
    cut_once,
    not_ours,
    paged,
    size_of,
    way_of,
    with_keys,
)
from store.read.waiting import Row, Waiting
from store.read.work_items import MOMENT, Kinds, KindsKey, items_of, key_of
from store.read.work_people import Deciders, Work, involved, is_given
from store.together import CompiledOnce, OneFixedValueEach


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


_LAST_YEAR: Final = 9_000  # of a cursor: later times cannot be added to
_Deciders = tuple[tuple[str, frozenset[str]], ...]


def _work(kinds: Kinds) -> Subquery:
    """The items of these kinds, to read from."""
    return items_of(key_of(kinds)).subquery("work")


_USER_ID: Final = bindparam("asks_user_id", type_=String)
_ROLE: Final = bindparam("asks_role", type_=String)
_PERSON_ID: Final = bindparam("asks_person_id", type_=String)


def _values(actor: Actor | None) -> dict[str, str]:
    """The parameters of `_within`."""
    if actor is None:
        return {}
    return {_USER_ID.key: actor.user_id, _ROLE.key: actor.role, _PERSON_ID.key: actor.person_id}


def _within(work: Work, part: Part, decides: frozenset[str], deciders: _Deciders) -> Any:
    """Whether an item belongs to the part that is asked for. Who asks is a parameter."""
    if part == "aside":
        return work.c.aside
    if part == "returned":
        return and_(~work.c.aside, work.c.returned)
    if part == "":
        return ~work.c.aside
    given = is_given(work, dict(deciders))
    theirs = func.coalesce(or_(work.c.escalated_id == _USER_ID, work.c.escalated_role == _ROLE), False)
    if part == "made":
        given_away = and_(given, func.coalesce(work.c.escalated_by == _USER_ID, False), ~theirs)
        return and_(~work.c.aside, or_(involved(work, _PERSON_ID), given_away))
    return and_(~work.c.aside, work.c.kind.in_(sorted(decides)), ~involved(work, _PERSON_ID), or_(~given, theirs))


async def page(session: AsyncSession, window: Window, kinds: Kinds, chosen: Chosen = ALL) -> Page[QueueItem]:
    """The items of these kinds, most urgent first. Raises BadInput for a cursor that is not ours.

    Which deadlines are close depends on the time. The cursor carries the market time of the first page, so later
    pages continue in the same order.
    """
    asked = _asked(window, kinds, chosen, kinds)
    rows = await _page(asked).rows(session, await _page_values(session, window, chosen))
    return _page_of(rows, window, kinds)


class CountedPage(NamedTuple):
    """A page of the work, and how many items of each kind wait in each part; every kind is in it."""

    page: Page[QueueItem]
    counts: dict[str, dict[Part, int]]


async def counted_page(
    session: AsyncSession, window: Window, kinds: Kinds, shown: Collection[str], chosen: Chosen
) -> CountedPage:
    """`page` of the kinds that are `shown`, and the counts of all, for the person in `chosen`: as of one moment. Raises
    BadInput for a cursor that is not ours."""
    asked = _asked(window, kinds, chosen, shown)
    rows = await _counted(asked).rows(session, await _page_values(session, window, chosen))
    found = {str(kind): dict(zip(PARTS, map(int, of_part), strict=True)) for kind, *of_part in rows[0].numbers or ()}
    counts = {kind: found.get(kind, dict.fromkeys(PARTS, 0)) for kind in kinds}
    return CountedPage(_page_of([row for row in rows if row.kind is not None], window, kinds), counts)


_KEYS: Final = (datetime, int, datetime, str, str)  # what `_order` sorts by
_AS_OF: Final = bindparam("as_of", type_=MOMENT)


class _Asked(NamedTuple):
    """What a statement is made for; it holds no value of a request. `shown`: kinds of which the page is."""

    kinds: KindsKey
    shown: tuple[str, ...]
    part: Part
    decides: frozenset[str]
    deciders: _Deciders
    way: Way
    limit: int


def _asked(window: Window, kinds: Kinds, chosen: Chosen, shown: Collection[str]) -> _Asked:
    part = "" if chosen.actor is None and chosen.part in ("mine", "made") else chosen.part
    names = tuple(name for name in kinds if name in shown)
    who = (chosen.decides, key_of(chosen.deciders))
    return _Asked(key_of(kinds), names, part, *who, way_of(window), size_of(window))


async def _page_values(session: AsyncSession, window: Window, chosen: Chosen) -> dict[str, Any]:
    bound = bound_of(window, _KEYS)
    if bound and bound[0].year > _LAST_YEAR:
        raise not_ours()
    as_of = bound[0] if bound else await market_now(session)
    return {_AS_OF.key: as_of, **_values(chosen.actor), **bound_values(bound)}


def _page_of(rows: Sequence[SqlRow[Any]], window: Window, kinds: Kinds) -> Page[QueueItem]:
    found = paged(rows, window, len(_KEYS))
    items = tuple(_item(row._asdict(), kinds) for row in found.rows)
    return Page[QueueItem](items=items, next_cursor=found.next_cursor)


@lru_cache(maxsize=256)
def _page(asked: _Asked) -> CompiledOnce:
    return CompiledOnce(_shown(items_of(asked.kinds).subquery("work"), asked))


@lru_cache(maxsize=256)
def _counted(asked: _Asked) -> CompiledOnce:
    """The page beside the counts, which every row repeats; one row without an item for an empty page. Both read the
    work from one place, so it is looked for once."""
    work = items_of(asked.kinds).cte("work")
    numbers = (func.count().filter(_within(work, part, asked.decides, asked.deciders)) for part in PARTS)
    table = select(func.json_build_array(work.c.kind, *numbers).label("line")).group_by(work.c.kind).subquery("table")
    counts = select(func.json_agg(table.c.line, type_=JSON).label("numbers")).subquery("counts")
    rows = _shown(work, asked).subquery("shown")
    order = [rows.c[f"_key_{index}"] for index in range(len(_KEYS))]
    both = select(rows, counts.c.numbers).select_from(counts.outerjoin(rows, true()))
    return CompiledOnce(both.order_by(*(key.desc() if asked.way == "newer" else key for key in order)))


def _shown(work: Work, asked: _Asked) -> Select[Any]:
    wanted = select(work).where(_within(work, asked.part, asked.decides, asked.deciders))
    if len(asked.shown) < len(asked.kinds):
        wanted = wanted.where(work.c.kind.in_(asked.shown))
    shown = _part(wanted, _order(work), asked.way, asked.limit).subquery("part")  # names of these alone
    order = _order(shown)
    return _part(with_keys(_named(shown), order), order, asked.way, asked.limit)


def _part(rows: Select[Any], order: list[Any], way: Way, limit: int) -> Select[Any]:
    """The rows of one page, and one more. Their number stands in the text: the server plans a statement whose limit is
    a parameter anew each time, and to plan this one takes as long as to run it."""
    return cut_once(rows, order, way, limit, descending=False).limit(literal_column(str(limit + 1), Integer))


def _order(work: Work) -> list[Any]:
    close = case((work.c.deadline <= cast(_AS_OF, MOMENT) + literal(SOON, Interval()), 0), else_=1)
    return [cast(_AS_OF, MOMENT), cast(close, Integer), work.c.due, work.c.kind, work.c.subject_id]


async def one(session: AsyncSession, name: str, waiting: Waiting, subject_id: str) -> QueueItem | None:
    """One item of a kind, also when it is put aside; None when it does not wait."""
    rows = await _one(name, waiting).rows(session, {"subject_id": subject_id})
    return _item(rows[0]._asdict(), {name: waiting}) if rows else None


@cache
def _one(name: str, waiting: Waiting) -> CompiledOnce:
    work = _work({name: waiting})
    return CompiledOnce(_named(work).where(work.c.subject_id == bindparam("subject_id", type_=String)))


def _named(work: Work) -> Select[Any]:
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
    found = await _counting(key_of(kinds), at_most, snoozed).read(session)
    return {name: int(count) for name, count in zip(kinds, found, strict=True)}


@cache
def _counting(kinds: KindsKey, at_most: int | None, snoozed: bool) -> OneFixedValueEach:
    """The counts of these kinds, put together once: every page of the staff shows them."""
    return OneFixedValueEach(**{name: _count({name: waiting}, at_most, snoozed) for name, waiting in kinds})


def _count(kind: Kinds, at_most: int | None, snoozed: bool) -> Select[Any]:
    work = _work(kind)
    rows = select(work.c.subject_id).where(true() if snoozed else ~work.c.aside).limit(at_most)
    return select(func.count()).select_from(rows.subquery())


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
        .where(~work.c.aside, work.c.deadline <= moment)
        .order_by(work.c.deadline.desc(), work.c.kind, work.c.subject_id)
        .limit(_MOST_DUE)
    )
    return [DueItem(*row) for row in reversed(rows.all())]


def free_people(kinds: Kinds, subject_id: Any) -> Any:
    """A condition on users: they neither asked for this item of the one kind nor have decided on it in this round.
    `subject_id`: a value or a parameter."""
    work = _work(kinds)
    return ~exists().where(work.c.subject_id == subject_id, involved(work, User.person_id)).correlate(User)


async def some(session: AsyncSession, kinds: Kinds, ids: Mapping[str, Collection[str]]) -> list[QueueItem]:
    """The items with these ids, by kind."""
    work = _work(kinds)
    wanted = or_(*(and_(work.c.kind == kind, work.c.subject_id.in_(list(own))) for kind, own in ids.items()))
    return [_item(row._asdict(), kinds) for row in await session.execute(_named(work).where(wanted))]


_MOST_DUE: Final = 5_000
