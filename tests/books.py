"""Small books for tests of patterns, row by row. Times are seconds after START; amounts are major units."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any, Final

import numpy as np

from surveillance.book import (
    IDENTITY_KINDS,
    NEVER,
    ORDER_STATES,
    ORDER_TYPES,
    OUTCOMES,
    REASONS,
    SECOND,
    UNKNOWN,
    Accounts,
    Book,
    Events,
    Identities,
    Orders,
    Quotes,
    Symbols,
    Trades,
)

START: Final = 1_398_902_400 * SECOND  # 2014-05-01T00:00Z, a Thursday
_SYMBOLS: Final = {
    # name: asset, base, quote, contract size, point
    "EURUSD": ("forex", "EUR", "USD", 100_000.0, 0.00001),
    "GBPUSD": ("forex", "GBP", "USD", 100_000.0, 0.00001),
    "XAUUSD": ("metal", "XAU", "USD", 100.0, 0.01),
    "US500": ("index", "", "USD", 1.0, 0.1),
    "US30": ("index", "", "USD", 1.0, 1.0),
    "BTCUSD": ("crypto", "BTC", "USD", 1.0, 0.01),
}
_GROUPS: Final = {"US500": 0, "US30": 0}
_NAMES: Final = tuple(_SYMBOLS)


@dataclass
class Rows:
    """Collects rows; `book()` sorts and numbers them. Every account is added before its trades."""

    accounts: list[dict[str, Any]] = field(default_factory=list)
    trades: list[dict[str, Any]] = field(default_factory=list)
    orders: list[dict[str, Any]] = field(default_factory=list)
    identities: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    quotes: dict[str, Quotes] = field(default_factory=dict)

    def account(self, id: str, owner: str = "", **told: Any) -> None:
        """`told`: challenge, phase, product, zone, currency; size, daily_loss, max_loss, target; min_days, opened,
        ended, outcome."""
        self.accounts.append({"id": id, "owner": owner or f"owner of {id}", **told})

    def trade(
        self,
        account: str,
        at: float,
        lasted: float | None,
        *,
        symbol: str = "EURUSD",
        side: int = 1,
        lots: float = 1.0,
        profit: float = 0.0,
        **told: Any,
    ) -> str:
        """Returns the id of the trade. `lasted`: seconds, None while it is open. `told`: id, position, open_price,
        close_price, stop, target, reason, expert, comment, bid, ask."""
        id = told.pop("id", f"t{len(self.trades) + 1}")
        row = {"id": id, "account": account, "symbol": symbol, "side": side, "lots": lots, "profit": profit, **told}
        self.trades.append({**row, "opened": at, "closed": None if lasted is None else at + lasted})
        return str(id)

    def order(self, account: str, placed: float, done: float | None, *, state: str, type: str, **told: Any) -> None:
        """`told`: symbol, side, lots, price, position."""
        self.orders.append({"account": account, "placed": placed, "done": done, "state": state, "type": type, **told})

    def identity(self, account: str, kind: str, value: str, at: float = 0.0) -> None:
        self.identities.append({"account": account, "kind": kind, "value": value, "at": at})

    def event(self, at: float, currency: str = "USD", impact: int = 3, title: str = "Nonfarm Payrolls") -> None:
        self.events.append({"at": at, "currency": currency, "impact": impact, "title": title})

    def book(self) -> Book:
        accounts, numbers = self._accounts()
        trades = self._trades(numbers)
        positions = {name: n for n, name in enumerate(trades.positions)}
        return Book(
            trades=trades,
            accounts=accounts,
            symbols=_symbols(),
            orders=self._orders(numbers, positions) if self.orders else None,
            identities=self._identities(numbers, accounts) if self.identities else None,
            events=self._events() if self.events else None,
            quotes=self.quotes,
            missing={
                "orders": "no orders were given",
                "identities": "no identity facts were given",
                "events": "no calendar was given",
                "quotes": "no prices were given",
            },
        )

    def _accounts(self) -> tuple[Accounts, dict[str, int]]:
        rows = self.accounts

        def named(key: str, default: str) -> tuple[np.ndarray[Any, Any], tuple[str, ...]]:
            return _numbered([str(row.get(key, default)) for row in rows])

        def minor(key: str, default: float | None) -> np.ndarray[Any, Any]:
            told = [row.get(key, default) for row in rows]
            return np.array([UNKNOWN if each is None else round(each * 100) for each in told], dtype=np.int64)

        owner, owners = named("owner", "")
        challenge, challenges = _numbered([str(row.get("challenge", row["id"])) for row in rows])
        phase, phases = named("phase", "funded")
        product, products = named("product", "standard")
        currency, currencies = named("currency", "USD")
        zone, zones = named("zone", "UTC")
        accounts = Accounts(
            id=np.array([row["id"] for row in rows], dtype=object),
            owner=owner,
            challenge=challenge,
            phase=phase,
            product=product,
            currency=currency,
            zone=zone,
            size_minor=minor("size", 100_000),
            daily_loss_minor=minor("daily_loss", 5_000),
            max_loss_minor=minor("max_loss", 10_000),
            target_minor=minor("target", 8_000),
            min_days=np.array([row.get("min_days", UNKNOWN) for row in rows], dtype=np.int64),
            opened=_opened([row.get("opened", 0.0) for row in rows]),
            ended=_times([row.get("ended") for row in rows]),
            outcome=np.array([OUTCOMES.index(row.get("outcome", "open")) for row in rows], dtype=np.int8),
            owners=owners,
            challenges=challenges,
            phases=phases,
            products=products,
            currencies=currencies,
            zones=zones,
        )
        return accounts, {row["id"]: n for n, row in enumerate(rows)}

    def _trades(self, accounts: dict[str, int]) -> Trades:
        rows = sorted(self.trades, key=lambda row: (row["opened"], row["id"]))
        position, positions = _numbered([f"{row['account']}/{row.get('position', row['id'])}" for row in rows])
        expert, experts = _numbered_if_told([row.get("expert", "") for row in rows])
        comment, comments = _numbered_if_told([row.get("comment", "") for row in rows])
        symbol = np.array([_NAMES.index(row["symbol"]) for row in rows], dtype=np.int32)

        def prices(key: str, default: float) -> np.ndarray[Any, Any]:
            return np.array([row.get(key, default) for row in rows], dtype=np.float64)

        return Trades(
            id=np.array([row["id"] for row in rows], dtype=object),
            position=position,
            account=np.array([accounts[row["account"]] for row in rows], dtype=np.int32),
            symbol=symbol,
            listed=symbol,
            side=np.array([row["side"] for row in rows], dtype=np.int8),
            lots=prices("lots", 1.0),
            opened=_times([row["opened"] for row in rows]),
            open_price=prices("open_price", 1.0),
            closed=_times([row["closed"] for row in rows]),
            close_price=prices("close_price", 1.0),
            profit_minor=np.array([round(row["profit"] * 100) for row in rows], dtype=np.int64),
            stop=prices("stop", nan),
            target=prices("target", nan),
            reason=np.array([REASONS.index(row.get("reason", "")) for row in rows], dtype=np.int8),
            expert=expert,
            comment=comment,
            bid=prices("bid", nan),
            ask=prices("ask", nan),
            positions=positions,
            listed_symbols=_NAMES,
            experts=experts,
            comments=comments,
        )

    def _orders(self, accounts: dict[str, int], positions: dict[str, int]) -> Orders:
        rows = sorted(self.orders, key=lambda row: float(row["placed"]))
        return Orders(
            id=np.array([f"o{n}" for n, _ in enumerate(rows)], dtype=object),
            account=np.array([accounts[row["account"]] for row in rows], dtype=np.int32),
            symbol=np.array([_NAMES.index(row.get("symbol", "EURUSD")) for row in rows], dtype=np.int32),
            side=np.array([row.get("side", 1) for row in rows], dtype=np.int8),
            type=np.array([ORDER_TYPES.index(row["type"]) for row in rows], dtype=np.int8),
            lots=np.array([row.get("lots", 1.0) for row in rows], dtype=np.float64),
            price=np.array([row.get("price", nan) for row in rows], dtype=np.float64),
            placed=_times([row["placed"] for row in rows]),
            done=_times([row["done"] for row in rows]),
            state=np.array([ORDER_STATES.index(row["state"]) for row in rows], dtype=np.int8),
            position=np.array(
                [positions.get(f"{row['account']}/{row.get('position')}", UNKNOWN) for row in rows], dtype=np.int32
            ),
        )

    def _identities(self, accounts: dict[str, int], table: Accounts) -> Identities:
        value, values = _numbered([f"{row['kind']}:{row['value']}" for row in self.identities])
        account = np.array([accounts[row["account"]] for row in self.identities], dtype=np.int32)
        return Identities(
            account=account,
            owner=table.owner[account],
            kind=np.array([IDENTITY_KINDS.index(row["kind"]) for row in self.identities], dtype=np.int8),
            value=value.astype(np.int64),
            at=_times([row["at"] for row in self.identities]),
            values=values,
        )

    def _events(self) -> Events:
        rows = sorted(self.events, key=lambda row: float(row["at"]))
        return Events(
            at=_times([row["at"] for row in rows]),
            currency=np.array([row["currency"] for row in rows], dtype=object),
            impact=np.array([row["impact"] for row in rows], dtype=np.int8),
            title=np.array([row["title"] for row in rows], dtype=object),
        )


def _symbols() -> Symbols:
    told = list(_SYMBOLS.values())
    return Symbols(
        name=np.array(_NAMES, dtype=object),
        asset=np.array([row[0] for row in told], dtype=object),
        base=np.array([row[1] for row in told], dtype=object),
        quote=np.array([row[2] for row in told], dtype=object),
        contract_size=np.array([row[3] for row in told], dtype=np.float64),
        point=np.array([row[4] for row in told], dtype=np.float64),
        group=np.array([_GROUPS.get(name, UNKNOWN) for name in _NAMES], dtype=np.int32),
    )


def _opened(told: Sequence[float | None]) -> np.ndarray[Any, Any]:
    return np.where(np.array([each is None for each in told], dtype=bool), UNKNOWN, _times(told))


def _times(seconds: Sequence[float | None]) -> np.ndarray[Any, Any]:
    return np.array([NEVER if at is None else START + round(at * SECOND) for at in seconds], dtype=np.int64)


def _numbered(names: Sequence[str]) -> tuple[np.ndarray[Any, Any], tuple[str, ...]]:
    known = {name: n for n, name in enumerate(dict.fromkeys(names))}
    return np.array([known[name] for name in names], dtype=np.int32), tuple(known)


def _numbered_if_told(names: Sequence[str]) -> tuple[np.ndarray[Any, Any], tuple[str, ...]]:
    known = {name: n for n, name in enumerate(dict.fromkeys(name for name in names if name))}
    return np.array([known.get(name, UNKNOWN) for name in names], dtype=np.int32), tuple(known)
