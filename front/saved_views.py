"""Views of lists that staff keep under a name: filters and order, never what was searched."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput, NotFound
from firm import saved_filters
from front import permissions
from front.subjects.subject import Subjects
from store.models import SavedFilter
from store.read import (
    accounts,
    breaches,
    cases,
    challenges,
    deals,
    decided,
    entries,
    listing,
    passes,
    payouts,
    people,
    tickets,
)
from store.read.listing import Asked, Listing
from store.read.pages import View
from store.read.queue import PARTS, Part

RIGHT: Final = "views.own"
QUEUE: Final = "queue"
# Name of a list -> what it offers, and the right to read it.
LISTS: Final[Mapping[str, tuple[Listing, str]]] = {
    "accounts": (accounts.ACCOUNTS, "accounts.read"),
    "breaches": (breaches.BREACHES, "breaches.read"),
    "cases": (cases.CASES, "cases.read"),
    "challenges": (challenges.CHALLENGES, "challenges.read"),
    "deals": (deals.DEALS, "deals.read"),
    "decisions": (decided.DECISIONS, "reports.read"),
    "ledger": (entries.ENTRIES, "ledger.read"),
    "passes": (passes.PASSES, "passes.read"),
    "payouts": (payouts.PAYOUTS, "payouts.read"),
    "tickets": (tickets.TICKETS, "tickets.read"),
    "traders": (people.TRADERS, "traders.list"),
}
NAMES: Final = (*LISTS, QUEUE)


class SavedView(View):
    """`list`: one of NAMES. `filters`: as the list has them; those of the queue are `kind`, names separated by commas,
    and `show`. `sort`: empty for the usual order."""

    list: str
    name: str
    filters: dict[str, str] = Field(default_factory=dict)
    sort: str = ""


def page_of(name: str) -> str:
    """The address of a list in the console, under which its views are kept."""
    return f"/{name}"


def may_keep(actor: Actor, name: str) -> None:
    """Raises NotFound for no list, NotAllowed for one that the person may not read or keep views of."""
    if name not in NAMES:
        raise NotFound
    permissions.check(actor, "queue.read" if name == QUEUE else LISTS[name][1])
    permissions.check(actor, RIGHT)


def query_of(name: str, asked: Asked) -> str:
    """The query of an address that shows the list so. Raises BadInput for what the list does not offer, and for a
    search: a name is kept nowhere in the clear."""
    offered = LISTS[name][0]
    private = [name for name, value in asked.filters.items() if value and _is_private(offered, name)]
    if asked.search or private:
        raise BadInput(
            "A saved view cannot contain a search, because a search may be a name.",
            field=private[0] if private else "q",
            remedy="Clear the search, then save the filters.",
        )
    return _short({**asked.filters, "sort": asked.order})


def _is_private(offered: Listing, name: str) -> bool:
    return name in offered.filters and offered.filters[name].private


def work_filter(given: Mapping[str, str], subjects: Subjects) -> tuple[str, Part]:
    """The kinds of work, separated by commas, and the part of the queue that are asked for. Raises BadInput that names
    the field."""
    names, wanted = [name for name in given.get("kind", "").split(",") if name], given.get("show", "")
    if unknown := [name for name in names if name not in subjects.by_name]:
        raise BadInput(
            f"There is no kind of work named {unknown[0][:40]}.",
            field="kind",
            remedy=f"Use {', '.join(subjects.by_name)}.",
        )
    part = next((part for part in PARTS if part == wanted), None)
    if part is None:
        known = ", ".join(name for name in PARTS if name)
        raise BadInput(f"The queue has no part named {wanted[:40]}.", field="show", remedy=f"Use {known}.")
    return ",".join(dict.fromkeys(names)), part


def query_of_queue(given: Mapping[str, str], subjects: Subjects) -> str:
    """Raises BadInput."""
    kinds, part = work_filter(given, subjects)
    return _short({"kind": kinds, "show": part})


def _short(given: Mapping[str, str]) -> str:
    query = urlencode({name: value for name, value in given.items() if value}, safe=",")
    if len(query) > saved_filters.LONGEST:
        raise BadInput("This view is too long to be saved.", field="query", remedy="Use fewer filters.")
    return query


async def kept(session: AsyncSession, actor: Actor, name: str | None) -> tuple[SavedView, ...]:
    """A person's views of the lists that they may read, or of one of them, by list and name."""
    found = list[SavedView]()
    for each in sorted(NAMES) if name is None else (name,):
        right = "queue.read" if each == QUEUE else LISTS[each][1]
        if permissions.may(actor, right):
            found += [_view(each, row) for row in await saved_filters.of(session, actor, page_of(each))]
    return tuple(found)


async def keep(session: AsyncSession, actor: Actor, wanted: SavedView, subjects: Subjects) -> SavedView:
    """Keeps a view that a program describes; one of the same name is replaced. Raises NotFound, NotAllowed, or
    BadInput that names the field."""
    may_keep(actor, wanted.list)
    if wanted.list == QUEUE:
        if odd := [name for name in (*wanted.filters, *(["sort"] if wanted.sort else [])) if name not in _OF_QUEUE]:
            raise BadInput(f"{odd[0][:40]} is no filter of the queue.", field=odd[0][:40], remedy="Use kind and show.")
        query = query_of_queue(wanted.filters, subjects)
    else:
        asked = Asked(wanted.filters, order=wanted.sort)
        listing.check(LISTS[wanted.list][0], asked)
        query = query_of(wanted.list, asked)
    await saved_filters.save(session, actor, page_of(wanted.list), wanted.name, query)
    return _described(wanted.list, wanted.name, query)


async def forget(session: AsyncSession, actor: Actor, name: str, view: str) -> SavedView:
    """Raises NotFound, also for a view that is not there, and NotAllowed."""
    may_keep(actor, name)
    gone = await saved_filters.forget(session, actor, page_of(name), view)
    if gone is None:
        raise NotFound("You keep no view of this name.")
    return _described(name, view, gone)


_OF_QUEUE: Final = ("kind", "show")


def _view(name: str, row: SavedFilter) -> SavedView:
    return _described(name, row.name, row.query)


def _described(name: str, view: str, query: str) -> SavedView:
    filters = dict(parse_qsl(query))
    return SavedView(list=name, name=view, sort=filters.pop("sort", ""), filters=filters)
