"""The files of orders, symbols, identity facts and economic releases."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from domain.currencies import OF_PLACE
from domain.file_errors import SurveillanceFileInvalid
from surveillance.book import NEVER, UNKNOWN, Accounts
from surveillance.build import places
from surveillance.files import words
from surveillance.files.columns import NOT_TOLD, Array, Format, Read, header_of
from surveillance.known_symbols import SymbolFacts

ORDERS: Final = Format(
    "orders",
    text=("order_id", "account_id", "symbol", "side", "type", "state", "position_id"),
    numbers=("lots", "price"),
    times=("placed_at", "done_at"),
    required=("order_id", "account_id", "symbol", "side", "type", "placed_at", "state"),
)
SYMBOLS: Final = Format(
    "symbols",
    text=("symbol", "class", "base", "quote", "synonym_of", "group"),
    numbers=("contract_size", "digits"),
    times=(),
    required=("symbol",),
)
IDENTITY: Final = Format(
    "identity facts",
    text=("account_id", "owner_id", "kind", "value"),
    numbers=(),
    times=("time",),
    required=("kind", "value"),
)
CALENDAR: Final = Format(
    "releases",
    text=("currency", "impact", "title"),
    numbers=(),
    times=("time",),
    required=("time", "currency", "impact"),
)
# The same as published calendars have it: a place instead of a currency.
PUBLISHED_CALENDAR: Final = Format(
    "releases",
    text=("country", "impact", "event"),
    numbers=(),
    times=("datetime_utc",),
    required=("datetime_utc", "country", "impact"),
)
MANY_OWNERS: Final = 100
_CLASSES: Final = words.spellings("""
forex fx currency currencies
metal metals
index indices indexes
crypto cryptos cryptocurrency
equity equities stock stocks share shares
energy energies oil
commodity commodities
future futures
""")


def orders(read: Read, accounts: Accounts) -> dict[str, Array]:
    """Returns the columns that `surveillance.build` takes. The last row of an order counts."""
    last = ~pd.DataFrame({"account": read["account_id"], "id": read["order_id"]}).duplicated(keep="last").to_numpy()
    read = read.without("duplicate", "order_id", ~last)
    read = read.without("unknown_account", "account_id", places(read["account_id"], accounts.id) < 0)
    read = read.without("no_side", "side", words.coded(read, "side", words.SIDES) == 0)
    read = read.without("no_time", "placed_at", read["placed_at"] == NOT_TOLD)
    read = read.without("unknown_symbol", "symbol", np.asarray(read["symbol"] == "", dtype=bool))
    is_done = read["done_at"] != NOT_TOLD
    impossible = is_done & (read["done_at"] < read["placed_at"])
    read = read.without("closes_before_it_opens", "done_at", impossible)
    read.problems.files[read.file]["used"] = len(read)
    return {
        "id": read["order_id"],
        "account": read["account_id"],
        "symbol": read["symbol"],
        "side": words.coded(read, "side", words.SIDES),
        "type": words.translated(read, "type", words.TYPES),
        "lots": read["lots"],
        "price": np.where(read["price"] > 0, read["price"], np.nan),
        "placed": read["placed_at"],
        "done": np.where(read["done_at"] == NOT_TOLD, NEVER, read["done_at"]),
        "state": words.translated(read, "state", words.STATES),
        "position": read["position_id"],
    }


def symbols(read: Read) -> list[SymbolFacts]:
    """Returns what the file tells of symbols, the last row of each."""
    read = read.without("no_value", "symbol", np.asarray(read["symbol"] == "", dtype=bool))
    found = {}
    for name, asset, base, quote, size, digits, synonym, group in zip(
        *(read[column].tolist() for column in ("symbol", "class", "base", "quote")),
        *(read[column].tolist() for column in ("contract_size", "digits", "synonym_of", "group")),
        strict=True,
    ):
        point = 10.0**-digits if 0 <= digits <= 12 else np.nan
        spelled = _CLASSES.get(asset.lower(), asset.lower())
        contract = size if size > 0 else np.nan
        found[name] = SymbolFacts(name, spelled, base.upper(), quote.upper(), contract, point, group, synonym)
    return list(found.values())


def identities(read: Read, accounts: Accounts) -> dict[str, Array]:
    """Returns the columns that `surveillance.build` takes. A fact of an owner alone is told of his first account."""
    kinds = words.translated(read, "kind", words.KINDS)
    read = Read(read.file, {**read.columns, "kind": kinds}, read.row, read.problems)
    read = read.without("unknown_kind", "kind", np.asarray(kinds == "", dtype=bool))
    read = read.without("no_value", "value", np.asarray(read["value"] == "", dtype=bool))
    account = places(read["account_id"], accounts.id)
    first = {accounts.owners[owner]: row for row, owner in reversed(list(enumerate(accounts.owner.tolist())))}
    by_owner = np.array([first.get(name, UNKNOWN) for name in read["owner_id"]], dtype=np.int64)
    row = np.where(account >= 0, account, by_owner)
    read.report("unknown_account", "account_id", row == UNKNOWN)
    known = row != UNKNOWN
    read, row = read.rows(known), row[known]
    values = np.array([" ".join(str(value).casefold().split()) for value in read["value"]], dtype=object)
    _report_common(read, accounts.owner[row], values)
    read.problems.files[read.file]["used"] = len(read)
    return {
        "account": accounts.id[row],
        "kind": read["kind"],
        "value": values,
        "at": np.where(read["time"] == NOT_TOLD, UNKNOWN, read["time"]),
    }


def _report_common(read: Read, owner: Array, values: Array) -> None:
    frame = pd.DataFrame({"kind": read["kind"], "value": values, "owner": owner, "row": read.row})
    each = frame.drop_duplicates(["kind", "value", "owner"]).groupby(["kind", "value"], sort=True)
    owners = each.agg(owners=("owner", "size"), row=("row", "min"))
    many = owners[owners["owners"] >= MANY_OWNERS]
    examples = [
        (int(row), str(index[0]), f"{count} owners")
        for index, count, row in zip(many.index, many["owners"], many["row"], strict=True)
    ]
    read.problems.add("value_of_many_owners", read.file, len(many), examples)


def is_published(path: Path) -> bool:
    """Returns whether a calendar has the columns of published ones. A file that cannot be read does not."""
    try:
        return set(PUBLISHED_CALENDAR.required) <= set(header_of(path, PUBLISHED_CALENDAR))
    except SurveillanceFileInvalid:
        return False


def releases(read: Read, *, published: bool) -> dict[str, Array]:
    """Returns the columns that `surveillance.build` takes. `published`: the file names places, not currencies."""
    at = "datetime_utc" if published else "time"
    place = "country" if published else "currency"
    impact = words.coded(read, "impact", words.IMPACTS)
    read.report("unknown_impact", "impact", impact == 0)
    read, impact = read.rows(impact > 0), impact[impact > 0]
    known = read[at] != NOT_TOLD
    read.report("no_time", at, ~known)
    read, impact = read.rows(known), impact[known]
    read.problems.files[read.file]["used"] = len(read)
    names: list[Any] = [OF_PLACE.get(name.lower(), name.upper()) for name in read[place]]
    return {
        "at": read[at],
        "currency": np.array(names, dtype=object),
        "impact": impact,
        "title": read["event" if published else "title"],
    }
