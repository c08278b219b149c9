"""A venue that invents what happens to its accounts, and does what the consequences of their offences ask for."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from domain import keys
from domain.pnl import conversion_rate, position_profit_minor
from domain.products.phase_terms import PhaseTerms
from domain.rules.marking import Instrument
from ports.platform import (
    AccountChanged,
    BalanceOperation,
    ClockMark,
    Deal,
    Event,
    PendingOrder,
    Side,
    StopsChanged,
    Tick,
)
from store.news import ScheduledRelease

# contract size, quote currency, digits of a price, first price; what only converts is not traded
_SYMBOLS: Final = {
    "EURUSD": (100_000, "USD", 5, "1.10000"),
    "GBPUSD": (100_000, "USD", 5, "1.30000"),
    "XAUUSD": (100, "USD", 2, "1300.00"),
    "EURCHF": (100_000, "CHF", 5, "1.05000"),
    "USDJPY": (100_000, "JPY", 3, "110.000"),
    "USDKWD": (100_000, "KWD", 5, "0.30000"),
    "USDCHF": (100_000, "CHF", 5, "0.95000"),
    "CHFJPY": (100_000, "JPY", 3, "115.000"),
    "GBPCHF": (100_000, "CHF", 5, "1.24000"),
    "KWDCHF": (100_000, "CHF", 5, "3.20000"),
}
INSTRUMENTS: Final = {
    symbol: Instrument(symbol, Decimal(size), quote) for symbol, (size, quote, _, _) in _SYMBOLS.items()
}
# into CHF or out of it: while they are not quoted, nobody knows what a position in EURCHF is worth
_LATE: Final = ("USDCHF", "CHFJPY", "GBPCHF", "KWDCHF")
# around the changes of clocks in Europe and America, the end of a month, and an ordinary week
_DATES: Final = (
    datetime(2014, 3, 8, 20, tzinfo=UTC),
    datetime(2014, 3, 29, 20, tzinfo=UTC),
    datetime(2014, 11, 1, 20, tzinfo=UTC),
    datetime(2014, 5, 2, 9, tzinfo=UTC),
    datetime(2014, 6, 5, 7, tzinfo=UTC),
)
_GAPS: Final = (1, 60, 3600, 28_800, 100_000)
_PACES: Final = ([60, 25, 12, 4, 1], [5, 5, 30, 40, 10], [1, 5, 20, 20, 4])
_SIDES: Final[tuple[tuple[Side, ...], ...]] = (("buy",), ("buy",), ("sell",), ("buy", "sell"))
_DRIFTS: Final = ([-3, -1, -1, 0, 1, 1, 2], [-2, -1, 1, 1, 3], [-3, -2, 2, 3])

Quotes = dict[str, tuple[Decimal, Decimal]]


@dataclass(slots=True)
class Held:
    """An open position at the venue."""

    symbol: str
    side: Side
    lots: Decimal
    price: Decimal


@dataclass(slots=True)
class Account:
    """One account at the venue. `closed_out`: it does not trade any more. `paused`: until its next reset."""

    login: int
    terms: PhaseTerms
    balance: int = 0
    held: int = 0
    requested: int = 0
    paused: bool = False
    closed_out: bool = False
    open: dict[str, Held] = field(default_factory=dict)
    orders: list[str] = field(default_factory=list)

    @property
    def currency(self) -> str:
        return self.terms.product.currency


class Venue:
    """Every instant is later than the one before, by a second at least. In a coarse market every price moves by whole
    hundreds of its account's money, so that accounts often are exactly at a level. `events` waits to be taken."""

    def __init__(self, random: Random, terms: dict[int, PhaseTerms]) -> None:
        self.random = random
        self.at = random.choice(_DATES)
        self.seq = 0
        self.events: list[Event] = []
        self.coarse = random.random() < 0.5
        self.late = random.random() < 0.15
        self.charges_openings = not self.coarse and random.random() < 0.5
        self.pace, self.drift = random.choice(_PACES), random.choice(_DRIFTS)
        self.symbols = ["EURUSD", "GBPUSD", "XAUUSD"] + (["EURCHF"] if self.late else [])
        self.mids = {symbol: Decimal(row[3]) for symbol, row in _SYMBOLS.items()}
        self.quotes: Quotes = {}
        self.quoted_at: dict[str, datetime] = {}
        self.rates: Quotes = {symbol: (mid, mid) for symbol, mid in self.mids.items()}
        self.releases: list[ScheduledRelease] = []
        for symbol in _SYMBOLS:
            if not (self.late and symbol in _LATE):
                self.tick(symbol, 0)
        self.accounts = {login: Account(login, each) for login, each in terms.items()}
        for account in self.accounts.values():
            self.cash(account, "deposit", account.terms.product.initial_minor)
            self.emit(AccountChanged(seq=self.next(), at=self.at, login=account.login, change="enabled"))

    def next(self) -> int:
        """Returns the number of the next event, which is a little later."""
        self.seq += 1
        self.at += timedelta(seconds=1)
        return self.seq

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def take(self) -> list[Event]:
        """Returns the events since the last call, closed by a clock mark that adds no time."""
        taken, self.events = self.events, []
        return [*taken, ClockMark(seq=taken[-1].seq, at=self.at)] if taken else []

    # what happens

    def step(self) -> None:
        """The next thing that happens."""
        random = self.random
        gap = random.choices(_GAPS, self.pace)[0]
        self.at += timedelta(seconds=random.randint(0, gap))
        living = [account for account in self.accounts.values() if not account.closed_out]
        if random.random() < 0.35 or not living:
            self.market()
            return
        account, what = random.choice(living), random.random()
        if what < 0.36:
            self.open_position(account)
        elif what < 0.62:
            self.close_position(account)
        elif what < 0.68:
            self.take_profits(account)
        elif what < 0.76:
            self.creep(account)
        elif what < 0.82:
            self.payout(account)
        elif what < 0.90:
            self.change_stops(account)
        elif what < 0.95:
            self.pending(account)
        else:
            self.schedule()

    def market(self) -> None:
        if self.late and self.random.random() < 0.2:
            self.late = False
            for symbol in _LATE:
                self.tick(symbol, 0)
        elif self.random.random() < 0.1:
            self.emit(ClockMark(seq=self.next(), at=self.at))
        else:
            self.tick(self.random.choice(self.symbols), self.random.choice(self.drift))

    def tick(self, symbol: str, steps: int) -> None:
        grain = Decimal(1).scaleb(-_SYMBOLS[symbol][2])
        spread = grain * (0 if self.coarse else self.random.randint(1, 30))
        self.mids[symbol] += steps * grain * (100 if self.coarse else self.random.randint(1, 250))
        bid, ask = self.mids[symbol] - spread, self.mids[symbol] + spread
        seq = self.next()
        late = symbol in self.quotes and self.random.random() < 0.06
        at = self.at - timedelta(seconds=self.random.randint(1, 9000)) if late else self.at
        if at >= self.quoted_at.get(symbol, at):  # what is older than the quote we have changes nothing at the venue
            self.quotes[symbol], self.quoted_at[symbol] = (bid, ask), at
        self.emit(Tick(seq=seq, at=at, symbol=symbol, bid=bid, ask=ask))

    def creep(self, account: Account) -> None:
        """The price of something held goes one way, step by step: past the warning, to the level, and through it."""
        if account.open:
            held = self.random.choice(list(account.open.values()))
            way = self.random.choice([-1, -1, 1]) * (1 if held.side == "buy" else -1)
            for _ in range(self.random.randint(2, 5)):
                self.tick(held.symbol, way)

    # fills

    def open_position(self, account: Account) -> None:
        """A long or a short; sometimes both at once, or more of what is open."""
        random = self.random
        if account.paused:
            return
        lots = Decimal(1) if self.coarse else Decimal(random.choice([50, 100, 100, 150, 333])) / 100
        if account.open and random.random() < 0.12 and not self.coarse:
            name = random.choice(list(account.open))
            held = account.open[name]
            self.fill(
                account, name, held.symbol, held.side, lots, "in", reason=random.choice(["client", "pending_fill"])
            )
            return
        symbol = random.choice(self.symbols)
        for side in random.choice(_SIDES):
            reason = random.choice(["client", "client", "pending_fill"])
            self.fill(account, f"p{self.seq + 1}", symbol, side, lots, "in", reason=reason)

    def close_position(self, account: Account, *, whole: bool = False) -> None:
        """Takes profits and lets losses run, more often than not: balance above equity, as at a breaching reset."""
        if not account.open:
            return
        random = self.random
        names = sorted(account.open, key=lambda name: -self.profit(account, name, account.open[name].lots))
        name = names[0] if random.random() < 0.8 else names[-1]
        held = account.open[name]
        part = (held.lots / 2).quantize(Decimal("0.01"))
        lots = held.lots if whole or self.coarse or not part or random.random() < 0.7 else part
        reason = random.choice(["client", "client", "stop_loss", "take_profit"])
        self.close(account, name, lots, reason)

    def take_profits(self, account: Account) -> None:
        """Out of everything when it shows a profit altogether: how phases are passed."""
        if sum(self.profit(account, name, held.lots) for name, held in account.open.items()) > 0:
            while account.open:
                self.close_position(account, whole=True)

    def close(self, account: Account, name: str, lots: Decimal, reason: str) -> None:
        held = account.open[name]
        side: Side = "sell" if held.side == "buy" else "buy"
        self.fill(account, name, held.symbol, side, lots, "out", self.profit(account, name, lots), reason)

    def profit(self, account: Account, name: str, lots: Decimal) -> int:
        held = account.open[name]
        instrument, (bid, ask) = INSTRUMENTS[held.symbol], self.quotes[held.symbol]
        rate = conversion_rate(instrument.quote_currency, account.currency, self.rates | self.quotes)
        close = bid if held.side == "buy" else ask
        size = instrument.contract_size
        return position_profit_minor(held.side, lots, size, held.price, close, rate, account.currency)

    def fill(
        self,
        account: Account,
        name: str,
        symbol: str,
        side: Side,
        lots: Decimal,
        entry: str,
        profit: int = 0,
        reason: str = "client",
    ) -> None:
        random, (bid, ask) = self.random, self.quotes[symbol]
        price = ask if side == "buy" else bid
        costs = {"commission_minor": 0, "swap_minor": 0, "fee_minor": 0}
        if not self.coarse and (entry == "out" or self.charges_openings):
            costs["commission_minor"] = random.choice([0, 0, -350])
            costs["fee_minor"] = random.choice([0, 0, 0, -40])
            costs["swap_minor"] = random.choice([0, 0, -1275, 410]) if entry == "out" else 0
        account.balance += profit + sum(costs.values())
        held = account.open.get(name)
        if entry == "in" and held is None:
            account.open[name] = Held(symbol, side, lots, price)
        elif entry == "in" and held is not None:
            held.price = (held.price * held.lots + price * lots) / (held.lots + lots)
            held.lots += lots
        elif held is not None:
            held.lots -= lots
            if not held.lots:
                del account.open[name]
        stops = self.stops(side, price) if entry == "in" else {}
        made: dict[str, Any] = {"login": account.login, "position_id": name, "symbol": symbol, "side": side}
        made |= {"lots": lots, "price": price, "entry": entry, "profit_minor": profit, "reason": reason}
        seq = self.next()
        made |= {"seq": seq, "at": self.at, "deal_id": f"d{seq}", "balance_minor": account.balance, **costs, **stops}
        self.emit(Deal(**made))

    def stops(self, side: Side, price: Decimal) -> dict[str, Decimal]:
        """Returns a stop loss and a take profit, each every other time; a stop may lie beyond the entry price."""
        way, found = (1 if side == "buy" else -1), dict[str, Decimal]()
        if self.random.random() < 0.5:
            found["stop_loss"] = price * (1 + way * Decimal(self.random.choice([-20, -5, -1, 2])) / 1000)
        if self.random.random() < 0.5:
            found["take_profit"] = price * (1 + way * Decimal(5) / 1000)
        return found

    def change_stops(self, account: Account) -> None:
        if account.open:
            name = self.random.choice(list(account.open))
            held = account.open[name]
            stops = self.stops(held.side, held.price)
            self.emit(StopsChanged(seq=self.next(), at=self.at, login=account.login, position_id=name, **stops))

    def pending(self, account: Account) -> None:
        gone = bool(account.orders) and self.random.random() < 0.5
        order = account.orders.pop() if gone else f"o{self.seq + 1}"
        if not gone:
            account.orders.append(order)
        about: dict[str, Any] = {"login": account.login, "order_id": order, "symbol": "EURUSD", "side": "buy"}
        about |= {"lots": Decimal(1), "change": "gone" if gone else "placed"}
        self.emit(PendingOrder(seq=self.next(), at=self.at, **about))

    def schedule(self) -> None:
        """A release is announced, or one that is known is moved or has another end."""
        random, number = self.random, len(self.releases) + 1
        key = f"n{number}" if number < 3 or random.random() < 0.6 else f"n{random.randint(1, number - 1)}"
        at = (self.at + timedelta(minutes=random.choice([1, 60, 600, 2000]))).replace(second=0, microsecond=0)
        ends = at + timedelta(minutes=45) if random.random() < 0.3 else None
        names = random.choice([(), ("USD",), ("EUR",), ("XAUUSD",)])
        impact = random.choice(["high", "high", "low"])
        self.releases.append(ScheduledRelease(number, key, at, names, impact, ends))

    # money

    def cash(self, account: Account, operation: str, amount: int, key: str = "") -> None:
        account.balance += amount
        seq = self.next()
        made: dict[str, Any] = {"login": account.login, "operation": operation, "key": key or f"{operation}/{seq}"}
        made |= {"amount_minor": amount, "balance_minor": account.balance}
        self.emit(BalanceOperation(seq=seq, at=self.at, **made))

    def payout(self, account: Account) -> None:
        """Holds the money of a payout; pays it or gives it back later."""
        if account.held:
            back = self.random.random() < 0.5
            self.cash(account, "payout_release" if back else "payout_settled", account.held if back else 0)
            account.held = 0
            return
        unit = account.terms.product.initial_minor // 10_000
        profit = (account.balance - account.terms.product.initial_minor) // unit
        account.held = 100 * unit if self.coarse else unit * self.random.randint(1, max(profit, 60))
        self.cash(account, "payout_hold", -account.held)

    # consequences

    def close_out(self, account: Account, names: tuple[str, ...] | None = None) -> None:
        """The venue closes these positions, or all."""
        for name in list(account.open) if names is None else names:
            if name in account.open:
                self.close(account, name, account.open[name].lots, "dealer")

    def pause(self, account: Account) -> None:
        account.paused = True
        self.close_out(account)

    def reset_balance(self, account: Account, offence_id: str) -> None:
        """Closes everything and brings the balance back to the initial one."""
        self.close_out(account)
        change = account.terms.product.initial_minor - account.balance
        self.cash(account, "adjustment", change, keys.reset_balance(offence_id))

    def end(self, account: Account) -> None:
        account.closed_out = True
