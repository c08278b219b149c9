"""Random but repeatable lives of accounts at a venue: products, prices, fills, payouts, days and daylight-saving."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from domain.pnl import conversion_rate, position_profit_minor
from domain.products import Product
from ports.platform import (
    AccountChanged,
    BalanceOperation,
    ClockMark,
    Deal,
    Event,
    Side,
    SymbolSpec,
    Tick,
)

SPECS = [
    SymbolSpec(symbol="EURUSD", contract_size=Decimal(100000), quote_currency="USD", digits=5),
    SymbolSpec(symbol="USDJPY", contract_size=Decimal(100000), quote_currency="JPY", digits=3),
    SymbolSpec(symbol="EURGBP", contract_size=Decimal(100000), quote_currency="GBP", digits=5),
    SymbolSpec(symbol="GBPUSD", contract_size=Decimal(100000), quote_currency="USD", digits=5),
    SymbolSpec(symbol="XAUUSD", contract_size=Decimal(100), quote_currency="USD", digits=2),
]
_START = {"EURUSD": "1.10000", "USDJPY": "110.000", "EURGBP": "0.85000", "GBPUSD": "1.30000", "XAUUSD": "1300.00"}
_CLOCKS = [
    ("Europe/Prague", "00:00"),
    ("America/Chicago", "17:00"),
    ("UTC", "00:30"),
    ("America/New_York", "17:00"),
    ("Asia/Ulaanbaatar", "05:00"),
]
# around the changes of clocks in Europe and America, and an ordinary week
_DATES = [datetime(2014, 3, 8, 20), datetime(2014, 3, 29, 20), datetime(2014, 11, 1, 20), datetime(2014, 5, 2, 9)]


def _pick(random: Random, *choices: Any) -> Any:
    return random.choice(choices)


def _allowance(random: Random, relative: str, largest: int) -> dict[str, str]:
    percent = str(Decimal(random.randint(100, largest * 100)) / 100)
    kind = _pick(random, "amount", "pct_of_initial", relative)
    return {"type": kind, "value": str(random.randint(1, largest) * 100) if kind == "amount" else percent}


def rules(random: Random) -> list[dict[str, Any]]:
    """One to three rules of an initial balance of 10,000."""
    operator = ("equity < floor", "equity <= floor")
    daily = {
        "type": "daily_loss",
        "anchor": _pick(random, "balance", "equity", "max(balance,equity)"),
        "allowance": _allowance(random, "pct_of_anchor", 6),
        "breach_when": _pick(random, *operator),
    }
    static = {
        "type": "max_loss_static",
        "allowance": _allowance(random, "pct_of_initial", 12),
        "breach_when": _pick(random, *operator),
    }
    trailing = {
        "type": "max_loss_trailing",
        "peak_basis": _pick(
            random,
            "eod_balance_peak",
            "eod_max_balance_equity_peak",
            "intraday_balance_peak",
            "intraday_equity_peak",
        ),
        "allowance": _allowance(random, "pct_of_peak", 12),
        "lock": _pick(random, None, {"offset": "0"}, {"offset": "100"}),
        "peak_falls_by_payout": _pick(random, False, True),
        "payout_effect": _pick(random, "unchanged", "locks_at_initial", "floor_set_to_zero", "full_reset"),
        "breach_when": _pick(random, *operator),
    }
    return random.sample([daily, static, trailing], random.randint(1, 3))


def product(random: Random, number: int = 1) -> Product:
    """A one-step product with random rules; its first phase has a target, its second (funded) has none."""
    zone, reset = random.choice(_CLOCKS)
    return Product.model_validate(
        {
            "product": f"random-{number}",
            "version": 1,
            "name": "Random",
            "family": "one-step",
            "currency": "USD",
            "initial_balance": "10000",
            "fee": "100",
            "leverage": 100,
            "clock": {"zone": zone, "reset": reset},
            "phases": [
                {
                    "name": "Test",
                    "target": {"type": "pct_of_initial", "value": str(random.randint(1, 5))},
                    "min_trading_days": random.randint(0, 2),
                    "rules": rules(random),
                }
            ],
            "funded": {"name": "Funded", "rules": rules(random)},
            "payout": {
                "first_after_days": 0,
                "every_days": 1,
                "split_pct": "80",
                "min_request": "1",
                "bands": [{"up_to": None, "approvers": 0}],
            },
        }
    )


class Story:
    """A venue that invents what happens next. `logins` each trade; `events` grows by every `step`."""

    def __init__(self, random: Random, logins: list[int]) -> None:
        self.random, self.logins = random, logins
        self.at = random.choice(_DATES).replace(tzinfo=UTC)
        self.seq = 0
        self.events: list[Event] = []
        self.mids = {symbol: Decimal(price) for symbol, price in _START.items()}
        self.digits = {spec.symbol: spec.digits for spec in SPECS}
        self.coarse = random.random() < 0.4
        self.lots = random.choice([10, 50, 200])
        self.pace = random.choice([[60, 25, 12, 4, 1], [5, 5, 30, 50, 10]])
        self.slope = random.choice([[-3, -1, -1, 0, 1, 1, 2], [-2, -1, 1, 1, 3], [-3, -2, 2, 3]])
        self.balance = dict.fromkeys(logins, 0)
        self.held = {login: 0 for login in logins}
        self.open: dict[int, dict[str, tuple[str, str, Decimal, Decimal]]] = {login: {} for login in logins}
        self.quotes: dict[str, tuple[Decimal, Decimal]] = {}
        for symbol in _START:
            self.tick(symbol, 0)
        for login in logins:
            self.cash(login, "deposit", 1_000_000)
            self.emit(AccountChanged(seq=self.next(), at=self.at, login=login, change="enabled"))

    def next(self) -> int:
        self.seq += 1
        return self.seq

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def tick(self, symbol: str, steps: int) -> None:
        grain = Decimal(1).scaleb(-self.digits[symbol])
        spread = grain * (0 if self.coarse else self.random.randint(1, 30))
        self.mids[symbol] += steps * grain * (100 if self.coarse else self.random.randint(1, 99))
        self.quotes[symbol] = (self.mids[symbol] - spread, self.mids[symbol] + spread)
        bid, ask = self.quotes[symbol]
        self.emit(Tick(seq=self.next(), at=self.at, symbol=symbol, bid=bid, ask=ask))

    def cash(self, login: int, operation: str, amount: int) -> None:
        self.balance[login] += amount
        self.emit(
            BalanceOperation.model_validate(
                {
                    "seq": self.next(),
                    "at": self.at,
                    "login": login,
                    "operation": operation,
                    "key": f"{operation}/{self.seq}",
                    "amount_minor": amount,
                    "balance_minor": self.balance[login],
                }
            )
        )

    def deal(self, login: int, position: str, symbol: str, side: str, lots: Decimal, entry: str, profit: int) -> None:
        commission = self.random.choice([0, -350])
        self.balance[login] += profit + commission
        bid, ask = self.quotes[symbol]
        self.emit(
            Deal.model_validate(
                {
                    "seq": self.next(),
                    "at": self.at,
                    "deal_id": f"d{self.seq}",
                    "login": login,
                    "position_id": position,
                    "symbol": symbol,
                    "side": side,
                    "lots": lots,
                    "price": ask if side == "buy" else bid,
                    "entry": entry,
                    "profit_minor": profit,
                    "commission_minor": commission,
                    "swap_minor": 0,
                    "balance_minor": self.balance[login],
                    "reason": "client",
                }
            )
        )

    def open_position(self, login: int) -> None:
        """A long or short; or both, of which one will be taken with its profit and the other kept with its loss."""
        sides = self.random.choice([["buy"], ["sell"], ["buy", "sell"]])
        symbol = self.random.choice(list(_START))
        lots = Decimal(1) if self.coarse else Decimal(self.random.randint(1, self.lots)) / 100
        bid, ask = self.quotes[symbol]
        for side in sides:
            name = f"p{self.seq}"
            self.open[login][name] = (symbol, side, lots, ask if side == "buy" else bid)
            self.deal(login, name, symbol, side, lots, "in", 0)

    def profit(self, name: str, login: int, lots: Decimal) -> int:
        symbol, side, _, price = self.open[login][name]
        spec = next(spec for spec in SPECS if spec.symbol == symbol)
        bid, ask = self.quotes[symbol]
        rate = conversion_rate(spec.quote_currency, "USD", self.quotes)
        way: Side = "buy" if side == "buy" else "sell"
        close = bid if way == "buy" else ask
        return position_profit_minor(way, lots, spec.contract_size, price, close, rate, "USD")

    def close_position(self, login: int, *, whole: bool = False) -> None:
        """Takes profits and lets losses run, more often than not: balance above equity, as at a breaching reset."""
        if not self.open[login]:
            return
        names = sorted(self.open[login], key=lambda n: -self.profit(n, login, self.open[login][n][2]))
        name = names[0] if self.random.random() < 0.8 else names[-1]
        symbol, side, held, price = self.open[login][name]
        lots = held if whole or self.random.random() < 0.7 else (held / 2).quantize(Decimal("0.01"))
        lots = lots or held
        profit = self.profit(name, login, lots)
        if lots == held:
            del self.open[login][name]
        else:
            self.open[login][name] = (symbol, side, held - lots, price)
        self.deal(login, name, symbol, "sell" if side == "buy" else "buy", lots, "out", profit)

    def close_all(self, login: int) -> None:
        while self.open[login]:
            self.close_position(login, whole=True)

    def payout(self, login: int) -> None:
        if self.held[login]:
            if self.random.random() < 0.5:
                self.cash(login, "payout_release", self.held[login])
            else:
                self.cash(login, "payout_settled", 0)
            self.held[login] = 0
            return
        room = self.balance[login] - 1_000_000
        if room > 0:
            self.held[login] = self.random.randint(1, room)
            self.cash(login, "payout_hold", -self.held[login])

    def step(self) -> None:
        random = self.random
        gap = random.choices([1, 60, 3600, 86400 // 3, 86400 * 2], self.pace)[0]
        self.at += timedelta(seconds=random.randint(0, gap))
        what, login = random.random(), random.choice(self.logins)
        if what < 0.62:
            self.tick(random.choice(list(_START)), random.choice(self.slope))
        elif what < 0.74:
            self.open_position(login)
        elif what < 0.88:
            self.close_position(login)
        elif what < 0.90:
            self.close_all(login)
        elif what < 0.96:
            self.payout(login)
        else:
            self.emit(ClockMark(seq=self.next(), at=self.at))
