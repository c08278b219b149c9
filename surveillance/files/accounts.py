"""The file of accounts: one account is one phase. Accounts that only trades name are added, with no facts."""

from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from domain.currencies import DIGITS
from surveillance.book import NEVER, UNKNOWN
from surveillance.build import places
from surveillance.files import words
from surveillance.files.columns import NOT_TOLD, Array, Format, Read, minor

FORMAT: Final = Format(
    "accounts",
    text=("account_id", "owner_id", "challenge_id", "phase", "product", "currency", "timezone", "outcome"),
    numbers=("size", "daily_loss", "max_loss", "target", "min_days"),
    times=("opened_at", "ended_at"),
    required=("account_id", "owner_id"),
)


def told(read: Read, trades: Read) -> dict[str, Array]:
    """Returns the columns that `surveillance.build` takes, one row per account of both files."""
    read = read.without("account_not_told", "account_id", np.asarray(read["account_id"] == "", dtype=bool))
    read = _last_of_each(read)
    read.problems.files[read.file]["used"] = len(read)
    _report(read)
    strangers = _strangers(read, trades)
    ended = read["ended_at"]
    impossible = (ended != NOT_TOLD) & (read["opened_at"] != NOT_TOLD) & (ended < read["opened_at"])
    read.report("ends_before_it_opens", "ended_at", impossible)
    scale = np.array([10 ** DIGITS.get(name.upper(), 2) for name in read["currency"]], dtype=np.int64)
    columns = {
        "id": read["account_id"],
        "owner": _owners(read, trades),
        "challenge": read["challenge_id"],
        "phase": read["phase"],
        "product": read["product"],
        "currency": np.array([name.upper() for name in read["currency"]], dtype=object),
        "zone": _zones(read),
        "size_minor": _amounts(read["size"], scale),
        "daily_loss_minor": _amounts(read["daily_loss"], scale),
        "max_loss_minor": _amounts(read["max_loss"], scale),
        "target_minor": _amounts(read["target"], scale),
        "min_days": _amounts(read["min_days"], np.ones_like(scale)),
        "opened": np.where(read["opened_at"] == NOT_TOLD, UNKNOWN, read["opened_at"]),
        "ended": np.where((ended == NOT_TOLD) | impossible, NEVER, ended),
        "outcome": words.translated(read, "outcome", words.OUTCOMES),
    }
    return _with_strangers(columns, strangers, _owner_by_account(trades))


def _last_of_each(read: Read) -> Read:
    last = ~pd.Series(read["account_id"]).duplicated(keep="last").to_numpy()
    if last.all():
        return read
    kept = read.rows(last)
    place = places(read["account_id"], kept["account_id"])
    equal = np.ones(len(read), dtype=bool)
    for name, values in read.columns.items():
        same = np.asarray(values == kept[name][place], dtype=bool)
        if values.dtype == np.float64:
            same |= np.isnan(values) & np.isnan(kept[name][place])
        equal &= same
    read.report("duplicate", "account_id", ~last & equal)
    read.report("corrected", "account_id", ~last & ~equal)
    return kept


def _report(read: Read) -> None:
    unknown = np.array([name.upper() not in DIGITS for name in read["currency"]], dtype=bool)
    read.report("unknown_currency", "currency", unknown)


def _zones(read: Read) -> Array:
    """Returns the IANA names; UTC where none is told, or, counted, where there is no such zone."""
    codes, found = pd.factorize(read["timezone"])
    known = np.array([_is_zone(name) for name in found], dtype=bool)
    names = np.array([name if fits and name else "UTC" for name, fits in zip(found, known, strict=True)], dtype=object)
    if not len(codes):
        return read["timezone"]
    read.report("unknown_zone", "timezone", ~known[codes])
    return names[codes]


def _is_zone(name: str) -> bool:
    try:
        return not name or bool(ZoneInfo(name))
    except (KeyError, ValueError, OSError):
        return False


def _owners(read: Read, trades: Read) -> Array:
    """Returns the owner of each account; where the file tells none, the one that its trades tell."""
    by_account = _owner_by_account(trades)
    said = np.array([by_account.get(id, "") for id in read["account_id"]], dtype=object)
    blank = np.asarray(read["owner_id"] == "", dtype=bool)
    differs = ~blank & np.asarray((said != "") & (said != read["owner_id"]), dtype=bool)
    read.report("owner_differs", "owner_id", differs)
    found = np.where(blank, said, read["owner_id"]).astype(object)
    read.report("unknown_owner", "owner_id", np.asarray(found == "", dtype=bool))
    return found


def _owner_by_account(trades: Read) -> dict[str, str]:
    told = np.asarray(trades["owner_id"] != "", dtype=bool)
    frame = pd.DataFrame({"account": trades["account_id"][told], "owner": trades["owner_id"][told]})
    first = frame.drop_duplicates("account")
    return dict(zip(first["account"].tolist(), first["owner"].tolist(), strict=True))


def _strangers(read: Read, trades: Read) -> Array:
    """Returns the ids of accounts that trades name and the file of accounts does not."""
    codes, found = pd.factorize(trades["account_id"])
    lacking = places(found, read["account_id"]) < 0
    unknown = lacking[codes] if len(found) else np.zeros(len(trades), dtype=bool)
    trades.report("unknown_account", "account_id", unknown)
    return np.array(sorted(found[lacking].tolist()), dtype=object)


def _with_strangers(columns: dict[str, Array], ids: Array, owners: dict[str, str]) -> dict[str, Array]:
    if not len(ids):
        return columns
    blank = {"owner": np.array([owners.get(id, "") for id in ids], dtype=object), "id": ids}
    added = {}
    for name, values in columns.items():
        if name in blank:
            more = blank[name]
        elif values.dtype == object:
            more = np.full(len(ids), "UTC" if name == "zone" else "", dtype=object)
        else:
            more = np.full(len(ids), NEVER if name == "ended" else UNKNOWN, dtype=np.int64)
        added[name] = np.concatenate([values, more])
    return added


def _amounts(values: Array, scale: Array) -> Array:
    """A limit of zero is no limit."""
    return minor(np.where(values > 0, values, np.nan), scale)
