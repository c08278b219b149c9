"""Keeps the state of the fake Tradovate in a file, so that a killed process goes on as it was.

A change is in the file before anybody is told of it.
"""

import json
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from sandbox.books import VenueAccount
from sandbox.journal import Journal
from sandbox.journal import Row as Stored
from sandbox.tradovate.fake import FakeTradovate
from sandbox.tradovate.floor import TradingFloor
from sandbox.tradovate.rows import Row

_NUMBER: Final = "decimal"


class Keeper:
    """The file in `folder`. It belongs to one process."""

    def __init__(self, folder: Path, fake: FakeTradovate, floor: TradingFloor) -> None:
        self._journal, self._fake, self._floor = Journal(folder), fake, floor
        self._restore()
        fake.rows.kept = self._keep

    def keep_market(self) -> None:
        """Writes prices, time and what hosted traders hold and remember."""
        trading = self._fake.trading
        state = {
            "quotes": {str(id): list(prices) for id, prices in trading.quotes.items()},
            "peaks": trading.peaks,
            "day_peaks": trading.day_peaks,
            "day": None if trading.day is None else trading.day.isoformat(),
            "lowest": trading.lowest,
            "now": None if self._fake.rows.fixed_now is None else self._fake.rows.fixed_now.isoformat(),
            "floor": self._floor.state(),
        }
        self._journal.write([Stored("state", "market", _text(state)), *self._floor.drain()])

    def close(self) -> None:
        self._journal.close()

    def _keep(self, changed: Iterable[tuple[str, Row]]) -> None:
        self._journal.write(Stored(f"row/{kind}", str(row["id"]), _text(row)) for kind, row in changed)

    def _restore(self) -> None:
        fake, journal = self._fake, self._journal
        text = journal.texts("state", "market")
        if not text:
            changed = ((kind, row) for kind, rows in fake.rows.tables.items() for row in rows.values())
            self._keep(changed)
            return
        for kind in journal.kinds("row/"):
            rows = (_read(each) for each in journal.texts(kind, ""))
            fake.rows.restore(kind.removeprefix("row/"), sorted(rows, key=lambda row: int(row["id"])))
        state = _read(text[0])
        fake.trading.quotes = {int(id): (bid, ask) for id, (bid, ask) in state["quotes"].items()}
        fake.trading.peaks = {int(id): worth for id, worth in state["peaks"].items()}
        fake.trading.day_peaks = {int(id): worth for id, worth in state["day_peaks"].items()}
        fake.trading.day = None if state["day"] is None else date.fromisoformat(state["day"])
        fake.trading.lowest = {int(id): worth for id, worth in state["lowest"].items()}
        fake.rows.fixed_now = None if state["now"] is None else datetime.fromisoformat(state["now"])
        accounts = [VenueAccount.from_data(json.loads(each)) for each in journal.texts("account", "")]
        names, memos = dict(journal.all("name")), dict(journal.all("trader"))
        self._floor.restore(state["floor"], names, accounts, journal.all("binding"), memos)


def _text(value: object) -> str:
    return json.dumps(value, default=lambda number: {_NUMBER: str(number)})


def _read(text: str) -> Any:
    return json.loads(text, object_hook=_number)


def _number(value: dict[str, Any]) -> Any:
    return Decimal(value[_NUMBER]) if value.keys() == {_NUMBER} else value
