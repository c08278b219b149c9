"""Every list reads as much in a large firm as in a small one: in each of its orders, with each of its filters."""

import importlib
import pkgutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

import store.read
from store.models import LedgerTransaction, Trader, User
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
from store.read.pages import Window
from store.scope import FIRM
from tests.console_world import ConsoleWorld, console_world
from tests.large_lists import LONG, SHORT, grow
from tests.query_costs import Statement, caught_statements, explained

_Page = Callable[[AsyncSession, Window, Asked], Awaitable[Any]]
_LISTS: Final[tuple[tuple[Listing, _Page], ...]] = (
    (accounts.ACCOUNTS, lambda session, window, asked: accounts.page(session, FIRM, window, asked)),
    (challenges.CHALLENGES, lambda session, window, asked: challenges.page(session, FIRM, window, asked)),
    (people.TRADERS, lambda session, window, asked: people.page(session, FIRM, window, asked)),
    (payouts.PAYOUTS, lambda session, window, asked: payouts.page(session, FIRM, window, asked)),
    (breaches.BREACHES, lambda session, window, asked: breaches.page(session, FIRM, window, asked)),
    (tickets.TICKETS, lambda session, window, asked: tickets.page(session, FIRM, window, asked)),
    (deals.DEALS, deals.page),
    (entries.ENTRIES, entries.page),
    (cases.CASES, cases.page),
    (passes.PASSES, passes.page),
    (decided.DECISIONS, decided.page),
)
_GROWING: Final = tuple(each.rows.__tablename__ for each, _ in _LISTS)
_ROOM: Final = 600  # rows that a page may read beyond what it read before: statistics are estimates
# Sorted by a figure of the monitor's row: all accounts that the filters leave are read. Both sides and both ends of
# trades are about half of all deals; here one of them is rare.
_READS_ALL: Final = frozenset(
    {
        *("accounts equity", "accounts -equity", "accounts status equity", "accounts state updated (total)"),
        *(f"deals {name} {order}" for name in ("side", "entry") for order in ("", "stored", "updated")),
        *(f"deals {name} updated (total)" for name in ("side", "entry")),
    }
)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def _values(session: AsyncSession) -> dict[str, str]:
    """Returns a value for each filter that has no list of them: one that some rows of the firm have, or none."""
    transaction = await session.scalar(select(LedgerTransaction.id).limit(1))
    return {
        "account": "A-10001",
        "number": "A-10001",
        "login": "9000001",
        "trader": str(await session.scalar(select(Trader.id).limit(1))),
        "assigned_to": str(await session.scalar(select(User.id).limit(1))),
        "transaction": str(transaction or 1),
        "reference": "chl_nothing",
        "product": "rare",
        "platform": "rare",
        "country": "CZ",
        "email": "mara@example.org",
        "since": "2026-01-01",
        "closed_since": "2026-01-01",
        "bought_since": "2026-01-01",
        "bought_before": "2026-01-01",
        "sold_product": "two-step",
        "sold_version": "1",
        "version": "1",
        "stage": "in transit",
        "currency": "USD",
        "decided_since": "2026-01-01",
        "decided_before": "2026-02-01",
        "updated_since": "2026-01-01",
    }


def _questions(offered: Listing, values: dict[str, str]) -> Iterator[Asked]:
    always = {name: values[name] for name in offered.needs}
    for order in offered.orders:
        yield Asked(always, order=order)
        yield Asked(always, order=f"-{order}")
    for name, each in offered.filters.items():
        needed = always | {name: values[name] for name in each.needs}
        for value in each.values or (("fees",) if (offered.name, name) == ("ledger", "account") else (values[name],)):
            yield Asked(needed | {name: value})
        for order in offered.orders:
            yield Asked(needed | {name: value}, order=order)


async def _statements(world: ConsoleWorld) -> tuple[list[Statement], dict[str, str]]:
    """Returns what the questions ask the database, each once: the page, the next one, and the totals. And the last
    question that asks each statement."""
    found, asks = dict[tuple[str, str], Statement](), dict[str, str]()
    db = world.app.state.deps.db
    for offered, page in _LISTS:
        async with db.transaction() as session:
            values = await _values(session)
        for asked in _questions(offered, values):
            with caught_statements(db) as caught:
                async with db.transaction(FIRM) as session:
                    first = await page(session, Window(limit=50), asked)
                    if first.next_cursor:
                        await page(session, Window(limit=50, cursor=first.next_cursor), asked)
                    await listing.totals(session, offered, FIRM, asked)
            words = " ".join((offered.name, *asked.filters, asked.order))
            for statement, given in caught:
                found[statement, repr(given)] = statement, given
                asks[statement] = f"{words} (total)" if "count(" in statement or "sum(" in statement else words
    return list(found.values()), asks


@pytest.mark.timeout(900)
async def test_every_list_reads_as_much_in_a_large_firm_in_each_order_and_with_each_filter(
    world: ConsoleWorld, owner_url: str
) -> None:
    grow(owner_url, 1, SHORT)
    short = explained(owner_url, (await _statements(world))[0], _GROWING)
    grow(owner_url, SHORT + 1, LONG)
    statements, asks = await _statements(world)
    long = explained(owner_url, statements, _GROWING)
    worse = {
        asks[one]: (short.get(one, (0, []))[0], read)
        for one, (read, _) in long.items()
        if read > short.get(one, (0, []))[0] + _ROOM
    }
    unexpected = [f"{name}: {before} -> {after}" for name, (before, after) in worse.items() if name not in _READS_ALL]
    assert not unexpected, "\n".join(unexpected)


def test_no_list_is_left_out() -> None:
    modules = [importlib.import_module(f"store.read.{each.name}") for each in pkgutil.iter_modules(store.read.__path__)]
    found = {
        id(value): value.name for module in modules for value in vars(module).values() if isinstance(value, Listing)
    }
    assert sorted(found.values()) == sorted(offered.name for offered, _ in _LISTS)
