"""A naive second opinion on floors: everything is recomputed from the whole history at every event, in Decimal major
units. It shares no arithmetic with the engine, only the event types and the product's terms."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from domain.products import Product
from domain.rules.base import EquityRule, Size
from domain.rules.equity.daily_loss import DailyLoss
from domain.rules.equity.max_loss_static import MaxLossStatic
from domain.rules.equity.max_loss_trailing import MaxLossTrailing
from ports.platform import BalanceOperation, Deal, Event, SymbolSpec, Tick

CENT = Decimal("0.01")


def cents(value: Decimal) -> Decimal:
    return value.quantize(CENT, rounding=ROUND_HALF_UP)


@dataclass
class Entry:
    """One event of the account's life: what kind, and the money after it."""

    kind: str
    balance: Decimal
    equity: Decimal
    amount: Decimal = Decimal(0)


@dataclass
class Finding:
    kind: str  # breach | pass
    seq: int
    event: str
    floors: dict[str, Decimal] = field(default_factory=dict)  # of the rules that broke


@lru_cache(maxsize=10_000)
def resets_of(zone: str, reset: str, day: date) -> list[datetime]:
    """The resets within one UTC day: minute by minute, the first time the wall clock reaches the reset of a date."""
    tz = ZoneInfo(zone)
    found: list[datetime] = []
    hour, minute = map(int, reset.split(":"))
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(minutes=1)
    wall = moment.astimezone(tz).replace(tzinfo=None)
    for _ in range(24 * 60):
        moment, earlier = moment + timedelta(minutes=1), wall
        wall = moment.astimezone(tz).replace(tzinfo=None)
        target = wall.replace(hour=hour, minute=minute)
        if earlier < target <= wall and not found:  # a clock set back passes it again, which does not count
            found.append(moment)
    return found


def resets_between(zone: str, reset: str, after: datetime, until: datetime) -> list[datetime]:
    """Every reset in (after, until]."""
    days = [after.date() + timedelta(n) for n in range((until.date() - after.date()).days + 1)]
    return [moment for day in days for moment in resets_of(zone, reset, day) if after < moment <= until]


def size(value: Size, initial: Decimal, basis: Decimal) -> Decimal:
    if value.type == "amount":
        return cents(value.value)
    return cents((initial if value.type == "pct_of_initial" else basis) * value.value / 100)


def floor(rule: EquityRule, initial: Decimal, history: list[Entry]) -> Decimal:
    if isinstance(rule, MaxLossStatic):
        return initial - size(rule.allowance, initial, initial)
    if isinstance(rule, DailyLoss):
        anchor = initial
        for entry in history:
            if entry.kind == "rollover":
                anchor = {
                    "balance": entry.balance,
                    "equity": entry.equity,
                    "max(balance,equity)": max(entry.balance, entry.equity),
                }[rule.anchor]
        return anchor - size(rule.allowance, initial, anchor)
    assert isinstance(rule, MaxLossTrailing)
    peak, paid = initial, False
    for entry in history:
        if rule.peak_falls_by_payout:
            peak += {"payout_hold": -entry.amount, "payout_release": entry.amount}.get(entry.kind, Decimal(0))
        paid = paid or entry.kind == "payout_settled"
        if entry.kind == "payout_settled" and rule.payout_effect == "full_reset":
            peak = initial
        if rule.peak_basis == "intraday_balance_peak" or (
            rule.peak_basis == "eod_balance_peak" and entry.kind == "rollover"
        ):
            peak = max(peak, entry.balance)
        elif rule.peak_basis == "intraday_equity_peak":
            peak = max(peak, entry.equity)
        elif rule.peak_basis == "eod_max_balance_equity_peak" and entry.kind == "rollover":
            peak = max(peak, entry.balance, entry.equity)
    level = initial + (rule.lock.offset if rule.lock else 0)
    if paid and rule.payout_effect == "locks_at_initial":
        return level
    if paid and rule.payout_effect == "floor_set_to_zero":
        return Decimal(0)
    trailing = peak - size(rule.allowance, initial, peak)
    return min(trailing, level) if rule.lock else trailing


class Oracle:
    """One account. Feed it every event of the stream in order; `finding` is set at the first verdict."""

    def __init__(self, product: Product, phase_index: int, login: int, specs: list[SymbolSpec]) -> None:
        self.product, self.login = product, login
        self.phase = product.phase(phase_index)
        self.specs = {spec.symbol: spec for spec in specs}
        self.initial = product.initial_balance
        self.balance = Decimal(0)
        self.positions: dict[str, list[tuple[str, str, Decimal, Decimal]]] = {}
        self.quotes: dict[str, tuple[Decimal, Decimal]] = {}
        self.history: list[Entry] = []
        self.days: set[int] = set()
        self.resets = 0
        self.live = False
        self.now: datetime | None = None
        self.finding: Finding | None = None

    def rate(self, quote: str) -> Decimal:
        if quote == "USD":
            return Decimal(1)
        if quote + "USD" in self.quotes:
            return self.quotes[quote + "USD"][0]
        return 1 / self.quotes["USD" + quote][1]

    def equity(self) -> Decimal:
        total = self.balance
        for legs in self.positions.values():
            profit = Decimal(0)
            for symbol, side, lots, price in legs:
                bid, ask = self.quotes[symbol]
                move = bid - price if side == "buy" else price - ask
                profit += move * lots * self.specs[symbol].contract_size * self.rate(self.specs[symbol].quote_currency)
            total += cents(profit)
        return total

    def event(self, event: Event) -> None:
        if self.finding is None and self.live and self.now is not None:
            clock = self.product.clock
            for _ in resets_between(clock.zone, clock.reset, self.now, event.at):
                self.resets += 1
                self.entry("rollover", event.seq)
        self.now = max(self.now or event.at, event.at)
        if self.finding is not None:
            return
        if isinstance(event, Tick):
            self.quotes[event.symbol] = (event.bid, event.ask)
            if self.live:
                self.entry("tick", event.seq)
        elif event.kind == "account" and event.login == self.login and event.change == "enabled":
            self.live = True
            self.entry("account", event.seq)
        elif isinstance(event, Deal) and event.login == self.login:
            self.deal(event)
            self.entry("deal", event.seq)
            self.target(event.seq)
        elif isinstance(event, BalanceOperation) and event.login == self.login:
            self.balance = Decimal(event.balance_minor) / 100
            if self.live:
                self.entry(event.operation, event.seq, abs(Decimal(event.amount_minor)) / 100)
                self.target(event.seq)

    def deal(self, deal: Deal) -> None:
        self.balance += Decimal(deal.profit_minor + deal.commission_minor + deal.swap_minor) / 100
        legs = self.positions.setdefault(deal.position_id, [])
        if deal.entry == "in":
            legs.append((deal.symbol, deal.side, deal.lots, deal.price))
            self.days.add(self.resets)  # the number of resets passed names the trading day
            return
        held = sum(lots for _, _, lots, _ in legs)
        left = held - deal.lots
        legs[:] = [(s, side, lots * left / held, price) for s, side, lots, price in legs] if left else []
        if not legs:
            del self.positions[deal.position_id]

    def entry(self, kind: str, seq: int, amount: Decimal = Decimal(0)) -> None:
        equity = self.equity()
        self.history.append(Entry(kind, self.balance, equity, amount))
        broken = {}
        for rule in self.phase.equity_rules:
            level = floor(rule, self.initial, self.history)
            if equity < level or (equity == level and rule.breach_when == "equity <= floor"):
                broken[rule.id] = level
        if broken and self.finding is None:
            self.finding = Finding("breach", seq, kind, broken)

    def target(self, seq: int) -> None:
        target = self.phase.target
        if self.finding is not None or target is None or self.positions:
            return
        wanted = target.value if target.type == "amount" else self.initial * target.value / 100
        if self.balance >= self.initial + cents(wanted) and len(self.days) >= self.phase.min_trading_days:
            self.finding = Finding("pass", seq, "pass")

    def floors(self) -> dict[str, Decimal]:
        return {rule.id: floor(rule, self.initial, self.history) for rule in self.phase.equity_rules}
