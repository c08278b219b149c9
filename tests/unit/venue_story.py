"""Random but repeatable lives of accounts at a venue: products, prices, fills, payouts, days and daylight-saving."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from cli.bench.agreement.equity_terms import CLOCKS, lockable_rules
from domain.pnl import conversion_rate, position_profit_minor
from domain.products.product import Product
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
# around the changes of clocks in Europe and America, and an ordinary week
_DATES = [datetime(2014, 3, 8, 20), datetime(2014, 3, 29, 20), datetime(2014, 11, 1, 20), datetime(2014, 5, 2, 9)]


def product(random: Random, number: int = 1) -> Product:
    """A one-step product with random rules; its first phase has a target, its second (funded) has none."""
    clocks = [{"zone": zone, "reset": reset} for zone, reset in random.sample(CLOCKS, 2)]
    tested, funded = lockable_rules(random), lockable_rules(random)
    timed = any(
        rule.get("anchor", "initial_balance") != "initial_balance" or rule.get("peak_basis", "").startswith("eod")
        for rule in [*tested, *funded]
    )
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
            "clock": clocks[0],
            "loss_clock": clocks[1] if timed and random.random() < 0.5 else None,
            "phases": [
                {
                    "name": "Test",
                    "target": {"type": "pct_of_initial", "value": str(random.choice([1, 1, 2, 4, 9]))},
                    "min_trading_days": random.choice([0, 0, 1, 2]),
                    "rules": tested,
                }
            ],
            "funded": {"name": "Funded", "rules": funded},
            "payout": {
                "first_after_days": 0,
                "every_days": 1,
                "split_pct": "80",
                "min_request": "1",
            },
        }
    )


class Story:
    """A venue that invents what happens next. `logins` each trade; `events` grows by every `step`.

    In a coarse story every result is whole hundreds, so that accounts often stand at a level exactly.
    """

    def __init__(self, random: Random, logins: list[int]) -> None:
        self.random, self.logins = random, logins
        self.at = random.choice(_DATES).replace(tzinfo=UTC)
        self.seq = 0
        self.events: list[Event] = []
        self.mids = {symbol: Decimal(price) for symbol, price in _START.items()}
        self.digits = {spec.symbol: spec.digits for spec in SPECS}
        self.coarse = random.random() < 0.5
        self.symbols = ["EURUSD", "GBPUSD", "XAUUSD"] if self.coarse else list(_START)
        self.lots = random.choice([50, 200, 800])
        self.pace = random.choice([[60, 25, 12, 4, 1], [5, 5, 30, 50, 10], [1, 1, 2, 8, 2]])
        self.slope = random.choice([[-3, -1, -1, 0, 1, 1, 2], [-2, -1, 1, 1, 3], [-3, -2, 2, 3]])
        self.balance = dict.fromkeys(logins, 0)
        self.held = dict.fromkeys(logins, 0)
        self.open: dict[int, dict[str, tuple[str, str, Decimal, Decimal]]] = {login: {} for login in logins}
        self.quotes: dict[str, tuple[Decimal, Decimal]] = {}
        self.quoted_at: dict[str, datetime] = {}
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
        self.mids[symbol] += steps * grain * (100 if self.coarse else self.random.randint(1, 250))
        bid, ask = self.mids[symbol] - spread, self.mids[symbol] + spread
        late = bool(self.quotes.get(symbol)) and self.random.random() < 0.06
        at = self.at - timedelta(seconds=self.random.randint(1, 9000)) if late else self.at
        if at >= self.quoted_at.get(symbol, at):  # what is older than the quote we have changes nothing at the venue
            self.quotes[symbol], self.quoted_at[symbol] = (bid, ask), at
        self.emit(Tick(seq=self.next(), at=at, symbol=symbol, bid=bid, ask=ask))

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
        commission = 0 if self.coarse else self.random.choice([0, -350])
        swap = self.random.choice([0, 0, -1275, 410]) if entry == "out" and not self.coarse else 0
        self.balance[login] += profit + commission + swap
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
                    "swap_minor": swap,
                    "balance_minor": self.balance[login],
                    "reason": "client",
                }
            )
        )

    def open_position(self, login: int) -> None:
        """A long or short; or both, of which one will be taken with its profit and the other kept with its loss."""
        sides = self.random.choice([["buy"], ["sell"], ["buy", "sell"]])
        symbol = self.random.choice(self.symbols)
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
        lots = held if whole or self.coarse or self.random.random() < 0.7 else (held / 2).quantize(Decimal("0.01"))
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

    def take_profits(self, login: int) -> None:
        """Out of everything when it shows a profit altogether: how phases are passed."""
        if sum(self.profit(name, login, held[2]) for name, held in self.open[login].items()) > 0:
            self.close_all(login)

    def hedge(self, login: int) -> None:
        """Both ways at once; the winner is taken before the reset, the loser kept over it: balance above equity."""
        symbol, lots = (
            "EURUSD",
            Decimal(self.random.randint(1, 3) if self.coarse else self.random.randint(1, 30) / Decimal(10)),
        )
        bid, ask = self.quotes[symbol]
        for side in ("buy", "sell"):
            name = f"p{self.seq}"
            self.open[login][name] = (symbol, side, lots, ask if side == "buy" else bid)
            self.deal(login, name, symbol, side, lots, "in", 0)
        self.tick(symbol, self.random.choice([-4, 4]))
        self.close_position(login)
        self.at += timedelta(hours=self.random.randint(0, 24))

    def creep(self, login: int) -> None:
        """The price of something held goes one way, step by step: past the warning, to the level, and through it."""
        if self.open[login]:
            symbol, side, _, _ = self.random.choice(list(self.open[login].values()))
            way = self.random.choice([-1, -1, 1]) * (1 if side == "buy" else -1)
            for _ in range(self.random.randint(2, 8)):
                self.tick(symbol, way)

    def payout(self, login: int) -> None:
        if self.held[login]:
            if self.random.random() < 0.5:
                self.cash(login, "payout_release", self.held[login])
            else:
                self.cash(login, "payout_settled", 0)
            self.held[login] = 0
            return
        profit = self.balance[login] - 1_000_000
        self.held[login] = 10_000 if self.coarse else self.random.randint(1, max(profit, 6_000))
        self.cash(login, "payout_hold", -self.held[login])

    def step(self) -> None:
        random = self.random
        gap = random.choices([1, 60, 3600, 86400 // 3, 86400 * 2], self.pace)[0]
        self.at += timedelta(seconds=random.randint(0, gap))
        what, login = random.random(), random.choice(self.logins)
        if what < 0.46:
            self.tick(random.choice(self.symbols), random.choice(self.slope))
        elif what < 0.52:
            self.creep(login)
        elif what < 0.68:
            self.open_position(login)
        elif what < 0.82:
            self.close_position(login)
        elif what < 0.86:
            self.take_profits(login)
        elif what < 0.91:
            self.hedge(login)
        elif what < 0.97:
            self.payout(login)
        else:
            self.emit(ClockMark(seq=self.next(), at=self.at))
