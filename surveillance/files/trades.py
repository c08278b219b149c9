"""The file of trades: one row per closing part of a position, one per position that is still open.

The last row with a `trade_id` of an account counts: an equal row before it is a duplicate, a different one has been
corrected. A row whose `state` is `deleted` (also cancelled, busted, removed, void), or that comes later with zero lots,
takes the trade out.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from domain.currencies import DIGITS
from surveillance.book import NEVER, Accounts
from surveillance.build import places
from surveillance.files import words
from surveillance.files.columns import NOT_TOLD, Array, Format, Read, minor

FORMAT: Final = Format(
    "trades",
    text=(
        *("trade_id", "position_id", "account_id", "owner_id", "symbol", "side"),
        *("reason", "expert_id", "comment", "state"),
    ),
    numbers=("lots", "open_price", "close_price", "profit", "stop_loss", "take_profit", "bid", "ask"),
    times=("open_time", "close_time"),
    required=(
        *("trade_id", "account_id", "symbol", "side", "lots", "open_time", "open_price"),
        *("close_time", "close_price", "profit"),
    ),
)
Flags = npt.NDArray[np.bool_]


def clean(read: Read) -> Read:
    """Returns the rows that are trades: without duplicates, what was corrected and deleted, and what cannot be used."""
    _report_order(read)
    read = _with_ids(read).without("account_not_told", "account_id", _equals(read["account_id"], ""))
    read = _last_of_each(read)
    read = read.without("no_side", "side", _equals(words.coded(read, "side", words.SIDES), 0))
    read = read.without("no_size", "lots", ~(read["lots"] > 0))
    read = read.without("no_time", "open_time", _equals(read["open_time"], NOT_TOLD))
    read = read.without("unknown_symbol", "symbol", _equals(read["symbol"], ""))
    closes = (read["close_time"] != NOT_TOLD) & (read["close_time"] < read["open_time"])
    read = read.without("closes_before_it_opens", "close_time", closes)
    read.problems.files[read.file]["used"] = len(read)
    return read


def told(read: Read, accounts: Accounts) -> dict[str, Array]:
    """Returns the columns that `surveillance.build` takes; the accounts are all there."""
    is_closed = read["close_time"] != NOT_TOLD
    read.report("no_price", "open_price", ~(read["open_price"] > 0))
    read.report("no_price", "close_price", is_closed & ~(read["close_price"] > 0))
    read.report("no_profit", "profit", is_closed & np.isnan(read["profit"]))
    row = places(read["account_id"], accounts.id)
    scale = scales(accounts)[row]
    return {
        "id": read["trade_id"],
        "position": read["position_id"],
        "account": read["account_id"],
        "symbol": read["symbol"],
        "side": words.coded(read, "side", words.SIDES),
        "lots": read["lots"],
        "opened": read["open_time"],
        "closed": np.where(is_closed, read["close_time"], NEVER),
        "open_price": _positive(read["open_price"]),
        "close_price": _positive(read["close_price"]),
        "profit_minor": np.where(is_closed, minor(read["profit"], scale, 0), 0),
        "reason": words.translated(read, "reason", words.REASONS),
        "expert": read["expert_id"],
        "comment": read["comment"],
        "stop": _positive(read["stop_loss"]),
        "target": _positive(read["take_profit"]),
        "bid": _positive(read["bid"]),
        "ask": _positive(read["ask"]),
    }


def scales(accounts: Accounts) -> npt.NDArray[np.int64]:
    """Returns how many minor units of its currency one unit of each account's money has."""
    each = np.array([10 ** DIGITS.get(name, 2) for name in accounts.currencies], dtype=np.int64)
    return each[accounts.currency] if len(each) else np.zeros(0, dtype=np.int64)


def _report_order(read: Read) -> None:
    """A file may be sorted by opening, by close, or account by account: rows against the order that fits best count."""
    opened, closed = read["open_time"], read["close_time"]
    accounts = read["account_id"]
    apart = accounts[1:] != accounts[:-1]
    ways = ((opened, None), (closed, None), (opened, apart), (closed, apart))
    against = []
    for column, excused in ways:
        late = np.zeros(len(read), dtype=bool)
        late[1:] = (column[1:] < column[:-1]) & (column[1:] != NOT_TOLD)
        if excused is not None:
            late[1:] &= ~excused
        against.append(late)
    by_account = pd.factorize(accounts)[0]
    is_grouped = len(read) < 2 or int(apart.sum()) + 1 == int(by_account.max(initial=-1)) + 1
    best = min(against if is_grouped else against[:2], key=lambda late: int(late.sum()))
    read.report("out_of_order", "open_time", best)


def _with_ids(read: Read) -> Read:
    nameless = _equals(read["trade_id"], "")
    if not nameless.any():
        return read
    read.report("no_id", "trade_id", nameless)
    ids = read["trade_id"].copy()
    ids[nameless] = [f"row-{row}" for row in read.row[nameless]]
    return Read(read.file, {**read.columns, "trade_id": ids}, read.row, read.problems)


def _last_of_each(read: Read) -> Read:
    """Keeps the last row of each trade of each account; none of what was deleted."""
    frame = pd.DataFrame({"account": pd.factorize(read["account_id"])[0], "trade": pd.factorize(read["trade_id"])[0]})
    keyed = frame["account"].to_numpy(np.int64) * (len(frame) + 1) + frame["trade"].to_numpy(np.int64)
    last = ~pd.Series(keyed).duplicated(keep="last").to_numpy()
    _report_shared(read, frame)
    later = pd.Series(keyed).duplicated(keep="first").to_numpy()
    deleted = last & (words.is_deleted(read["state"]) | (later & _equals(read["lots"], 0)))
    if not (~last).any() and not deleted.any():
        return read
    equal = _equals_last(read, keyed, last)
    gone = np.isin(keyed, keyed[deleted])
    read.report("deleted", "trade_id", deleted)
    read.report("duplicate", "trade_id", ~last & equal & ~gone)
    read.report("corrected", "trade_id", ~last & ~equal & ~gone)
    return read.rows(last & ~deleted)


def _report_shared(read: Read, frame: pd.DataFrame) -> None:
    pairs = frame.drop_duplicates()
    which = np.zeros(len(read), dtype=bool)
    which[pairs.index[pairs["trade"].duplicated(keep="first").to_numpy()]] = True
    read.report("id_of_several_accounts", "trade_id", which)


def _equals_last(read: Read, keyed: Array, last: Flags) -> Flags:
    """Returns which rows are equal to the last row of their trade, in every column that is read."""
    doubled = np.flatnonzero(~last)
    kept = np.flatnonzero(last)
    place = places(keyed[doubled], keyed[kept])
    equal = np.ones(len(doubled), dtype=bool)
    for values in read.columns.values():
        mine, its = values[doubled], values[kept][place]
        same = np.asarray(mine == its, dtype=bool)
        if values.dtype == np.float64:
            same |= np.isnan(mine) & np.isnan(its)
        equal &= same
    found = np.zeros(len(last), dtype=bool)
    found[doubled] = equal
    return found


def _positive(values: Array) -> Array:
    """Platforms write 0 for no stop and no target."""
    return np.where(values > 0, values, np.nan)


def _equals(values: Array, what: object) -> Flags:
    return np.asarray(values == what, dtype=bool)
