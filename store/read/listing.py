"""What people and programs can ask of a list: filters, a search, an order, and how much there is in all.

A list counts and adds up at most COUNTED rows, so that its cost does not grow with the firm.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput
from store.read.finding import Named, named
from store.read.pages import Paged, View, Window, both_ways
from store.scope import Scope

COUNTED: Final = 10_000
LONGEST: Final = 80  # characters of a filter or of a search
UPDATED: Final = "updated"  # the order of lists that others copy, by the time of the last change
OVERLAP: Final = timedelta(minutes=10)  # longer than a transaction lasts that changes what others copy
Condition = ColumnElement[bool]
Keys = Sequence[Any]


@dataclass(frozen=True)
class Filter:
    """`where` returns the condition for a value, and raises BadInput for one that cannot be. `values`: all that there
    are, where they are known. `private`: a value is personal data, and no matter for a log. `needs`: the filters that
    must be given with it: no index answers it, so that they say how much is looked through."""

    label: str
    where: Callable[[str], Condition]
    values: tuple[str, ...] = ()
    private: bool = False
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """`keys` are unique together and never NULL. `closest_first`: the least comes first unless somebody turns it
    around. `joined`: adds the table that has the keys, where it is another one than the list's. `none`: the value of
    the first key, beyond every other, of rows that come last in both directions."""

    keys: Callable[[bool], Keys]
    closest_first: bool = False
    none: int | None = None
    joined: Callable[[Select[Any]], Select[Any]] = lambda statement: statement


@dataclass(frozen=True)
class Sum:
    """An amount that is added up, by currency."""

    label: str
    amount: Any
    currency: Any


@dataclass(frozen=True)
class Listing:
    """`name` is that of its page, its files and its entries in the audit log. `rows`: the model. `owner`: its trader's
    id; None for a list that only staff reads. `order`: the one without a choice. `finds` returns the conditions of a
    search, any of which is enough; `searches` says in words what it looks for. `only`: which rows of the model are
    rows of the list. `needs`: as that of a filter, whatever is asked for."""

    name: str
    rows: Any
    owner: Any
    filters: Mapping[str, Filter]
    orders: Mapping[str, Order]
    order: str
    finds: Callable[[Named], list[Condition]]
    searches: str
    sums: tuple[Sum, ...] = ()
    only: tuple[Condition, ...] = ()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """What somebody asks of a list. Empty texts ask for nothing. `order`: a name of the list's orders, with a leading
    minus for descending; empty for the usual one."""

    filters: Mapping[str, str] = field(default_factory=dict)
    search: str = ""
    order: str = ""

    @property
    def narrows(self) -> bool:
        return bool(self.search or any(self.filters.values()))


EVERYTHING: Final = Asked()


class Amount(View):
    label: str
    currency: str
    minor: int


class Totals(View):
    """`count`: how many there are; with `more`, there are more than that, and nothing is added up."""

    count: int
    more: bool
    amounts: tuple[Amount, ...] = ()


async def conditions(session: AsyncSession, listing: Listing, scope: Scope, asked: Asked) -> list[Condition]:
    """Raises BadInput, naming the field, for what the list does not offer."""
    found = [scope.own(listing.owner)] if listing.owner is not None else []
    found += listing.only
    given = {name: value for name, value in asked.filters.items() if value}
    found += [_filtered(listing, name, value) for name, value in given.items()]
    for needs in (listing.needs, *(listing.filters[name].needs for name in given)):
        if lacks := [name for name in needs if name not in given]:
            raise BadInput(f"{lacks[0]} is missing.", field=lacks[0], remedy=f"Give {' and '.join(needs)} as well.")
    if text := asked.search.strip():
        found.append(or_(false(), *listing.finds(await named(session, scope, text[:LONGEST]))))
    return found


def check(listing: Listing, asked: Asked) -> None:
    """Raises BadInput, naming the field, for filters and an order that the list does not offer."""
    for name, value in asked.filters.items():
        _filtered(listing, name, value)
    order_of(listing, asked)


def _filtered(listing: Listing, name: str, value: str) -> Condition:
    if name not in listing.filters:
        raise BadInput(
            f"{name} is no filter of {listing.name}.", field=name, remedy=f"Use one of {', '.join(listing.filters)}."
        )
    wanted = listing.filters[name]
    if wanted.values and value not in wanted.values:
        raise BadInput(
            f"There is no {name} {value[:40]!r}.", field=name, remedy=f"Use one of {', '.join(wanted.values)}."
        )
    return wanted.where(value)


def order_of(listing: Listing, asked: Asked) -> tuple[Order, bool]:
    """Returns the order and whether it is descending; without a choice, `updated_since` gives the oldest change first.
    Raises BadInput."""
    text = asked.order or (UPDATED if asked.filters.get("updated_since") else listing.order)
    name = text.removeprefix("-")
    if name not in listing.orders:
        raise BadInput(
            f"{listing.name} cannot be sorted by {name[:40]!r}.",
            field="sort",
            remedy=f"Use one of {', '.join(listing.orders)}, with a leading minus for descending.",
        )
    return listing.orders[name], text.startswith("-")


async def rows(
    session: AsyncSession,
    listing: Listing,
    statement: Select[Any],
    scope: Scope,
    window: Window,
    asked: Asked,
    also: Sequence[Condition] = (),
) -> Paged:
    """Returns one page of `statement`, which selects the list's rows with what belongs to them. `also`: conditions
    beside those that are asked for."""
    order, descending = order_of(listing, asked)
    wanted = order.joined(statement).where(*await conditions(session, listing, scope, asked), *also)
    return await both_ways(session, wanted, order.keys(descending), window, descending=descending, none=order.none)


async def totals(
    session: AsyncSession, listing: Listing, scope: Scope, asked: Asked, also: Sequence[Condition] = ()
) -> Totals:
    """Returns how much there is on all pages. Amounts are read only where they are shown."""
    asked_for = [*await conditions(session, listing, scope, asked), *also]
    rows = select(listing.rows.id).select_from(listing.rows).where(*asked_for).limit(COUNTED + 1).subquery()
    count = int(await session.scalar(select(func.count()).select_from(rows)) or 0)
    if count > COUNTED:
        return Totals(count=COUNTED, more=True)
    found = list[Amount]()
    for each in listing.sums if count else ():
        part = select(each.amount.label("amount"), each.currency.label("currency")).select_from(listing.rows)
        added = part.where(*asked_for).limit(COUNTED + 1).cte("part").prefix_with("MATERIALIZED")
        per_currency = select(added.c.currency, func.sum(added.c.amount)).group_by(added.c.currency)
        lines = await session.execute(per_currency.order_by(added.c.currency))
        found += [Amount(label=each.label, currency=line[0], minor=int(line[1])) for line in lines]
    return Totals(count=count, more=False, amounts=tuple(found))


def equals(column: Any) -> Callable[[str], Condition]:
    """The condition that a column has the value."""

    def where(value: str) -> Condition:
        condition: Condition = column == value
        return condition

    return where


def since(column: Any, name: str) -> Callable[[str], Condition]:
    """The condition that a moment is not before a day or a time. Raises BadInput."""

    def where(value: str) -> Condition:
        condition: Condition = column >= moment(value, name)
        return condition

    return where


def before(column: Any, name: str) -> Callable[[str], Condition]:
    """The condition that a moment is before a day or a time. Raises BadInput."""

    def where(value: str) -> Condition:
        condition: Condition = column < moment(value, name)
        return condition

    return where


def updated_since(column: Any) -> Filter:
    """Rows that changed at a moment or later. A change gets its time when it is written and is seen when it commits, so
    rows of OVERLAP before the moment are answered too: none is lost, and some come twice."""

    def where(value: str) -> Condition:
        from_here = max(moment(value, "updated_since"), datetime.min.replace(tzinfo=UTC) + OVERLAP) - OVERLAP
        condition: Condition = column >= from_here
        return condition

    return Filter("Changed since", where)


def moment(value: str, name: str) -> datetime:
    """Reads "2026-03-06" (from midnight UTC on) or a time with its zone. Raises BadInput."""
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        found = None
    if found is not None and len(value) == len("2026-03-06"):
        return datetime.combine(found, time(), UTC)
    if found is None or found.tzinfo is None:
        raise BadInput(
            f"{name} is neither a day nor a time.", field=name, remedy="Write 2026-03-06 or 2026-03-06T14:30:00Z."
        )
    return found
