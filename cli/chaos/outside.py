"""What really moved, read from the simulated companies' own journal once they have stopped."""

import json
import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Moved:
    """What a company did under one key. `amounts`: of each transfer it made; `back_minor`: what came back of them."""

    amounts: list[int] = field(default_factory=list)
    back_minor: int = 0

    @property
    def out_minor(self) -> int:
        return sum(self.amounts) - self.back_minor


@dataclass(frozen=True)
class Outside:
    """`transfers`: by key. `cash_minor`: the firm's money in dollars by company."""

    transfers: dict[str, Moved]
    cash_minor: dict[str, int]


def read(journal: Path) -> Outside:
    """Reads the journal of a sandbox that does not run."""
    with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as db:
        rows: dict[str, dict[str, Any]] = defaultdict(dict)
        for kind, id, value in db.execute("SELECT kind, id, value FROM rows"):
            if kind == "stripe" or kind.startswith("bank_"):
                rows[kind][id] = json.loads(value)
    transfers: dict[str, Moved] = defaultdict(Moved)
    _bank(rows, transfers)
    _stripe(rows["stripe"], transfers)
    booked = (each for each in rows["stripe"].values() if each["object"] == "balance_transaction")
    cash = {
        "bank": int(rows["bank_account"].get("USD", {"balance_minor": 0})["balance_minor"]),
        "stripe": sum(each["net"] for each in booked if not each["_account"] and each["currency"] == "usd"),
    }
    return Outside(dict(transfers), cash)


def _bank(rows: dict[str, dict[str, Any]], transfers: dict[str, Moved]) -> None:
    """A payment that comes back is in `bank_payment` from its booking until the money is back."""
    waiting = rows["bank_payment"]
    for number, payment in {**rows["bank_booked"], **waiting}.items():
        moved = transfers[payment["key"]]
        moved.amounts.append(payment["amount_minor"])
        if payment["comes_back"] and number not in waiting:
            moved.back_minor += payment["amount_minor"]


def _stripe(objects: dict[str, Any], transfers: dict[str, Moved]) -> None:
    """A reversed transfer is back. One whose payout failed is not: its money is on the payee's account."""
    for made in objects.values():
        if made["object"] == "transfer":
            moved = transfers[made["transfer_group"]]
            moved.amounts.append(made["amount"])
            moved.back_minor += made["amount_reversed"]
