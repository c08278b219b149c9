"""Makes the tables of a book from plain columns, as a file or the record has them: numbers the names, puts synonyms of
symbols together, sorts. The same rows in another order make the same book.

Columns are numpy arrays of equal length, by name. Names are strings in arrays of objects, "" when not told. Times are
int64 microseconds since 1970 in UTC, NEVER for what has not happened. Words such as reasons are those of `book.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from domain.errors import BadInput
from surveillance.book import (
    IDENTITY_KINDS,
    NEVER,
    ORDER_STATES,
    ORDER_TYPES,
    OUTCOMES,
    REASONS,
    UNKNOWN,
    Accounts,
    Codes,
    Events,
    Identities,
    Indexes,
    Ints,
    Orders,
    Trades,
)
from surveillance.symbols import SymbolTable

Array: TypeAlias = npt.NDArray[Any]
Told: TypeAlias = Mapping[str, Array]


def accounts_table(told: Told) -> Accounts:
    """Returns the accounts, sorted by id. `told`: id, owner, and what is known of challenge, phase, product, currency,
    zone (names), size_minor, daily_loss_minor, max_loss_minor, target_minor, min_days (UNKNOWN when there is none),
    opened, ended (times), outcome (a word of OUTCOMES). Accounts without an owner have each an owner of their own."""
    order = np.argsort(told["id"], kind="stable")
    given = {name: values[order] for name, values in told.items()}
    count = len(order)
    ids = given["id"]
    owner, owners = numbered(_with_own(given["owner"], ids, "unknown owner of "))
    challenge, challenges = numbered(_with_own(_names(given, "challenge", count), ids, ""))
    phase, phases = numbered(_names(given, "phase", count))
    product, products = numbered(_names(given, "product", count))
    currency, currencies = numbered(_names(given, "currency", count))
    zone, zones = numbered(_names(given, "zone", count))
    return Accounts(
        id=ids,
        owner=owner,
        challenge=challenge,
        phase=phase,
        product=product,
        currency=currency,
        zone=zone,
        size_minor=_ints(given, "size_minor", count, UNKNOWN),
        daily_loss_minor=_ints(given, "daily_loss_minor", count, UNKNOWN),
        max_loss_minor=_ints(given, "max_loss_minor", count, UNKNOWN),
        target_minor=_ints(given, "target_minor", count, UNKNOWN),
        min_days=_ints(given, "min_days", count, UNKNOWN),
        opened=_ints(given, "opened", count, UNKNOWN),
        ended=_ints(given, "ended", count, NEVER),
        outcome=_codes(given, "outcome", count, OUTCOMES),
        owners=owners,
        challenges=challenges,
        phases=phases,
        products=products,
        currencies=currencies,
        zones=zones,
    )


def trades_table(told: Told, accounts: Accounts, symbols: SymbolTable) -> Trades:
    """Returns the trades, sorted by (opened, id). `told`: id, account, symbol, side (+1, -1), lots, opened, closed,
    open_price, close_price, profit_minor, and what is known of position, reason (a word of REASONS), expert, comment,
    stop, target, bid, ask. A trade without a position is a position of its own."""
    order = order_by(told["opened"], told["id"])
    given = {name: values[order] for name, values in told.items()}
    count = len(order)
    account = account_rows(given["account"], accounts)
    listed = _rows(given["symbol"], symbols.listed, "symbol")
    own = _with_own(_names(given, "position", count), given["id"], "")
    position, positions = numbered(_joined(given["account"], own))
    expert, experts = numbered_if_told(_names(given, "expert", count))
    comment, comments = numbered_if_told(_names(given, "comment", count))
    prices = ("open_price", "close_price", "stop", "target", "bid", "ask")
    return Trades(
        id=given["id"],
        position=position,
        account=account,
        symbol=symbols.main[listed],
        listed=listed,
        side=given["side"].astype(np.int8),
        lots=given["lots"].astype(np.float64) * symbols.part[listed],
        opened=given["opened"].astype(np.int64),
        closed=_ints(given, "closed", count, NEVER),
        profit_minor=_ints(given, "profit_minor", count, 0),
        reason=_codes(given, "reason", count, REASONS),
        expert=expert,
        comment=comment,
        **{name: _floats(given, name, count) for name in prices},
        positions=positions,
        listed_symbols=symbols.listed,
        experts=experts,
        comments=comments,
    )


def orders_table(told: Told, accounts: Accounts, symbols: SymbolTable, positions: Sequence[str]) -> Orders:
    """Returns the orders, sorted by (placed, id). `told`: id, account, symbol, side, type (a word of ORDER_TYPES),
    lots, price, placed, done, state (a word of ORDER_STATES), and position if known. `positions`: of the trades."""
    order = order_by(told["placed"], told["id"])
    given = {name: values[order] for name, values in told.items()}
    count = len(order)
    listed = _rows(given["symbol"], symbols.listed, "symbol")
    named = _names(given, "position", count)
    position = places(_joined(given["account"], named), positions)
    return Orders(
        id=given["id"],
        account=account_rows(given["account"], accounts),
        symbol=symbols.main[listed],
        side=given["side"].astype(np.int8),
        type=_codes(given, "type", count, ORDER_TYPES),
        lots=_floats(given, "lots", count) * symbols.part[listed],
        price=_floats(given, "price", count),
        placed=given["placed"].astype(np.int64),
        done=_ints(given, "done", count, NEVER),
        state=_codes(given, "state", count, ORDER_STATES),
        position=np.where(named == "", UNKNOWN, position).astype(np.int32),
    )


def identities_table(told: Told, accounts: Accounts) -> Identities:
    """Returns the identity facts, sorted by (time, account). `told`: account, kind (a word of IDENTITY_KINDS), value,
    at. Equal values of different kinds are different values."""
    account = account_rows(told["account"], accounts)
    kind = _codes(told, "kind", len(account), IDENTITY_KINDS)
    order = np.lexsort((kind, account, told["at"]))
    value, values = numbered(_joined(told["kind"][order], told["value"][order], ":"))
    return Identities(
        account=account[order],
        owner=accounts.owner[account[order]],
        kind=kind[order],
        value=value.astype(np.int64),
        at=told["at"][order].astype(np.int64),
        values=values,
    )


def events_table(told: Told) -> Events:
    """Returns the releases by time. `told`: at, currency, impact (1 low, 2 medium, 3 high), title."""
    order = order_by(told["at"], told["title"])
    return Events(
        at=told["at"][order].astype(np.int64),
        currency=told["currency"][order],
        impact=told["impact"][order].astype(np.int8),
        title=told["title"][order],
    )


def column(values: Sequence[Any], kind: str) -> Array:
    """Returns a column of these values. `kind`: i1, i8, f8, or O for names."""
    made = np.empty(len(values), dtype=kind)
    made[:] = values
    return made


def numbered(names: Array) -> tuple[Indexes, tuple[str, ...]]:
    """Returns (the number of each name, the names), numbered in the order in which they come first."""
    codes, found = pd.factorize(names)
    return codes.astype(np.int32), tuple(found)


def numbered_if_told(names: Array) -> tuple[Indexes, tuple[str, ...]]:
    """Does the same; "" is UNKNOWN."""
    told = names.astype(object)
    told[names == ""] = None
    return numbered(told)


def order_by(times: Array, ids: Array) -> Ints:
    """Returns the rows in the order of (time, id)."""
    order = np.argsort(times, kind="stable")
    sorted_times = times[order]
    equal = np.zeros(len(order), dtype=bool)
    equal[1:] = sorted_times[1:] == sorted_times[:-1]
    equal[:-1] |= equal[1:]
    tied = order[equal]
    if len(tied):  # ids are compared where times are equal only: strings are slow
        ranks, _ = pd.factorize(ids[tied], sort=True)
        order[equal] = tied[np.lexsort((ranks, times[tied]))]
    return order.astype(np.int64)


def places(names: Array, table: Sequence[str] | Array) -> npt.NDArray[np.int64]:
    """Returns the row of each name in a table without duplicates, -1 for one that is not in it."""
    found = pd.Index(np.asarray(table, dtype=object)).get_indexer(pd.Index(names))
    return np.asarray(found, dtype=np.int64)


def account_rows(names: Array, accounts: Accounts) -> Indexes:
    """Returns the row of each account. Raises BadInput for one that is not in the table."""
    return _rows(names, accounts.id, "account")


def _rows(names: Array, table: Sequence[str] | Array, what: str) -> Indexes:
    rows = places(names, table).astype(np.int32)
    if (rows < 0).any():
        lacking = str(names[np.argmin(rows)])
        raise BadInput(
            f"The {what} {lacking[:80]!r} is not in the table of {what}s.",
            field=what,
            remedy=f"Give the facts of every {what} that is named.",
        )
    return rows


def _names(given: Told, name: str, count: int) -> Array:
    return given[name] if name in given else np.full(count, "", dtype=object)


def _with_own(names: Array, ids: Array, prefix: str) -> Array:
    """Returns the names; where one is not told, the prefix and the row's own id."""
    blank = names == ""
    if not blank.any():
        return names
    found = names.copy()
    found[blank] = [f"{prefix}{id}" for id in ids[blank]]
    return found


def _joined(left: Array, right: Array, by: str = "/") -> Array:
    found = np.empty(len(left), dtype=object)
    found[:] = [f"{a}{by}{b}" for a, b in zip(left.tolist(), right.tolist(), strict=True)]
    return found


def _ints(given: Told, name: str, count: int, otherwise: int) -> Ints:
    return given[name].astype(np.int64) if name in given else np.full(count, otherwise, dtype=np.int64)


def _floats(given: Told, name: str, count: int) -> npt.NDArray[np.float64]:
    return given[name].astype(np.float64) if name in given else np.full(count, np.nan)


def _codes(given: Told, name: str, count: int, words: Sequence[str]) -> Codes:
    """Returns the place of each word. Raises BadInput for a word that is not among them."""
    if name not in given:
        return np.zeros(count, dtype=np.int8)
    codes = places(given[name], words).astype(np.int8)
    if (codes < 0).any():
        raise BadInput(
            f"{str(given[name][np.argmin(codes)])[:40]!r} is no {name}.",
            field=name,
            remedy=f"Write one of {', '.join(word for word in words if word)}.",
        )
    return codes
