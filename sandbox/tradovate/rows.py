"""The entities of the fake Tradovate, by type and id, and who is told when one is made or changed."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from sandbox.tradovate.config import ADMIN_ID, CONTRACTS, RISK_CATEGORY_ID, TEMPLATE_ID, USD_ID

Row = dict[str, Any]
# One change: the entity's type, Created or Updated, and the entity.
Change = tuple[str, str, Row]
_FIRST_ID: Final = 10_000


def stamp(at: datetime) -> str:
    """Returns an instant as the API writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def date_row(at: datetime) -> Row:
    return {"year": at.year, "month": at.month, "day": at.day}


class Rows:
    """`told`: called with the changes of one call at once; `kept`: before that, with the rows that have changed.
    `fixed_now`: the venue's clock stands there; None: it is
    the machine's clock."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[int, Row]] = {}
        self.told: Callable[[list[Change]], None] = lambda _: None
        self.kept: Callable[[list[tuple[str, Row]]], None] = lambda _: None
        self.fixed_now: datetime | None = None
        self._ids = itertools.count(_FIRST_ID)
        self._changes: list[Change] | None = None
        self._dirty: dict[tuple[str, int], Row] = {}
        self._by: dict[tuple[str, str], dict[Any, list[Row]]] = {}  # rows of a type by a field that never changes
        self._seed()

    def now(self) -> datetime:
        return self.fixed_now or datetime.now(UTC)

    @contextmanager
    def one_call(self) -> Iterator[None]:
        """The changes within are told together, at the end."""
        if self._changes is not None:
            yield
            return
        self._changes = []
        try:
            yield
        finally:
            changes, self._changes = self._changes, None
            self._tell(changes)

    def add(self, kind: str, row: Row, id: int | None = None) -> Row:
        made = {"id": next(self._ids) if id is None else id, **row}
        self._put(kind, made)
        self.tell(kind, "Created", made)
        return made

    def _put(self, kind: str, row: Row) -> None:
        self.tables.setdefault(kind, {})[row["id"]] = row
        for (indexed, field), found in self._by.items():
            if indexed == kind and field in row:
                found.setdefault(row[field], []).append(row)

    def change(self, kind: str, row: Row, **values: Any) -> None:
        row.update(values)
        self.tell(kind, "Updated", row)

    def note(self, kind: str, row: Row) -> None:
        """A row has changed, of which nobody is told."""
        self._dirty[kind, row["id"]] = row

    def tell(self, kind: str, how: str, row: Row) -> None:
        self.note(kind, row)
        if self._changes is None:
            self._tell([(kind, how, dict(row))])
        else:
            self._changes.append((kind, how, dict(row)))

    def _tell(self, changes: list[Change]) -> None:
        dirty, self._dirty = self._dirty, {}
        if dirty:
            self.kept([(kind, row) for (kind, _), row in dirty.items()])
        if changes:
            self.told(changes)

    def restore(self, kind: str, rows: Iterable[Row]) -> None:
        """Replaces the rows of a type by those of an earlier process."""
        self.tables[kind] = {row["id"]: row for row in rows}
        self._by = {index: found for index, found in self._by.items() if index[0] != kind}
        newest = max(self.tables[kind], default=0)
        self._ids = itertools.count(max(next(self._ids), newest + 1))

    def all(self, kind: str) -> list[Row]:
        return list(self.tables.get(kind, {}).values())

    def get(self, kind: str, id: int) -> Row | None:
        return self.tables.get(kind, {}).get(id)

    def find(self, kind: str, name: str) -> Row | None:
        return next((row for row in self.all(kind) if row.get("name") == name), None)

    def where(self, kind: str, field: str, ids: set[int]) -> list[Row]:
        """Returns the rows of a type by the id of what they belong to, which never changes."""
        if (kind, field) not in self._by:
            found: dict[Any, list[Row]] = {}
            for row in self.all(kind):
                if field in row:
                    found.setdefault(row[field], []).append(row)
            self._by[kind, field] = found
        return sorted((row for id in ids for row in self._by[kind, field].get(id, ())), key=lambda row: int(row["id"]))

    def account_of(self, kind: str, row: Row) -> int | None:
        """The account that an entity belongs to; None for one of the whole organization."""
        if kind in ("account", "accountRiskStatus", "userAccountAutoLiq"):
            return int(row["id"])
        if kind in ("fill", "orderVersion"):
            order = self.get("order", row["orderId"])
            return None if order is None else order["accountId"]
        if kind == "fillFee":
            fill = self.get("fill", row["id"])
            return None if fill is None else self.account_of("fill", fill)
        if kind == "fillPair":
            position = self.get("position", row["positionId"])
            return None if position is None else position["accountId"]
        return row.get("accountId")

    def _seed(self) -> None:
        now = stamp(self.now())
        self.add("currency", {"name": "USD", "symbol": "$"}, USD_ID)
        self.add("currency", {"name": "EUR", "symbol": "€"}, 2)
        self.add("riskCategory", {"name": "Evaluation"}, RISK_CATEGORY_ID)
        admin = {"name": "propos-admin", "timestamp": now, "email": "a@example.com", "status": "Active"}
        self.add("user", {**admin, "professional": True}, ADMIN_ID)
        self.add("account", account_row("TEMPLATE1", ADMIN_ID, RISK_CATEGORY_ID, now), TEMPLATE_ID)
        for each in CONTRACTS:
            product = {
                "name": each.product,
                "currencyId": USD_ID,
                "productType": "Futures",
                "description": each.product,
                "exchangeId": 1,
                "contractGroupId": 1,
                "status": "Verified",
                "valuePerPoint": each.point,
                "priceFormatType": "Decimal",
                "priceFormat": 2,
                "tickSize": each.tick,
            }
            self.add("product", product, each.product_id)
            maturity = {"productId": each.product_id, "expirationMonth": 202612, "isFront": True}
            self.add("contractMaturity", {**maturity, "expirationDate": "2026-12-18T14:30:00Z"}, each.maturity_id)
            contract = {"name": each.name, "contractMaturityId": each.maturity_id, "timestamp": now}
            self.add("contract", contract, each.contract_id)


def account_row(name: str, user_id: int, risk_category_id: int, now: str) -> Row:
    return {
        "name": name,
        "userId": user_id,
        "accountType": "Customer",
        "clearingHouseId": 2,
        "riskCategoryId": risk_category_id,
        "autoLiqProfileId": 1,
        "marginAccountType": "Speculator",
        "legalStatus": "Individual",
        "timestamp": now,
    }
