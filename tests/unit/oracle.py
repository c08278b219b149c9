"""A naive second opinion on floors: everything is recomputed from the whole history at every event, in Decimal major
units. It shares no arithmetic with the engine, only the event types and the product's terms."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from domain.products.product import Product
from domain.rules.base import EquityRule
from domain.rules.equity.daily_loss import DailyLoss
from domain.rules.equity.daily_move_cap import DailyMoveCap
from domain.rules.equity.max_loss_static import MaxLossStatic
from domain.rules.equity.max_loss_trailing import MaxLossTrailing
from domain.rules.floors import WorthParts
from domain.rules.terms import Size
from ports.platform import BalanceOperation, Deal, Event, SymbolSpec, Tick

CENT = Decimal("0.01")


def cents(value: Decimal) -> Decimal:
    return value.quantize(CENT, rounding=ROUND_HALF_UP)


@dataclass
class Entry:
    """One event of the account's life: what kind, and the money after it. `commission` and `swap`: all that was paid
    so far, negative when it cost."""

    kind: str
    balance: Decimal
    equity: Decimal
    commission: Decimal
    swap: Decimal
    amount: Decimal = Decimal(0)


@dataclass
class Finding:
    kind: str  # breach | pass
    seq: int
    event: str
    floors: dict[str, Decimal] = field(default_factory=dict)  # of the rules that broke


def wall_clock(zone: str, moment: datetime) -> datetime:
    """What a clock on the wall shows at `moment` (UTC), without a zone."""
    words = zone.split()
    if len(words) == 5:  # "+02:00 to +03:00 as America/New_York"
        summer = moment.astimezone(ZoneInfo(words[4])).dst() != timedelta(0)
        zone = words[2] if summer else words[0]
    if zone[0] in "+-":
        hours, minutes = map(int, zone[1:].split(":"))
        ahead = timedelta(hours=hours, minutes=minutes)
        return moment.replace(tzinfo=None) + (ahead if zone[0] == "+" else -ahead)
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@lru_cache(maxsize=20_000)
def reset_of(zone: str, reset: str, day: date) -> datetime:
    """The reset on local date `day`: minute by minute, the first time the clock on the wall shows it; a time that the
    clock skips comes as if it had not been changed."""
    hour, minute = map(int, reset.split(":"))
    target = datetime(day.year, day.month, day.day, hour, minute)
    moment = target.replace(tzinfo=UTC) - timedelta(hours=15)
    wall = wall_clock(zone, moment)
    while wall < target:
        moment, earlier = moment + timedelta(minutes=1), wall
        wall = wall_clock(zone, moment)
    return moment if wall == target else moment - timedelta(minutes=1) + (target - earlier)


def resets_between(zone: str, reset: str, after: datetime, until: datetime) -> list[datetime]:
    """Every reset in (after, until]."""
    days = [after.date() + timedelta(n) for n in range(-2, (until.date() - after.date()).days + 3)]
    return sorted({at for day in days if after < (at := reset_of(zone, reset, day)) <= until})


def size(value: Size, initial: Decimal, basis: Decimal) -> Decimal:
    if value.type == "amount":
        return cents(value.value)
    return cents((initial if value.type == "pct_of_initial" else basis) * value.value / 100)


def counted(entry: Entry, holds: WorthParts) -> tuple[Decimal, Decimal]:
    """(balance, equity) as a rule sees them that leaves out some of what an account holds."""
    balance, equity = entry.balance, entry.equity
    if not holds.floating:
        equity = balance
    for holds_it, paid in ((holds.commissions, entry.commission), (holds.swaps, entry.swap)):
        if not holds_it:
            balance, equity = balance - paid, equity - paid
    return balance, equity


def anchor(rule: DailyLoss | DailyMoveCap, initial: Decimal, history: list[Entry]) -> Decimal:
    """The money at the last reset, less what payouts took since then where the rule says so."""
    found = initial
    for entry in history:
        balance, equity = counted(entry, rule.holds)
        if isinstance(rule, DailyLoss) and rule.payout_effects:
            found += {"payout_hold": -entry.amount, "payout_release": entry.amount}.get(entry.kind, Decimal(0))
        if entry.kind == "rollover":
            found = {
                "balance": balance,
                "equity": equity,
                "session_start_net_pnl": equity,
                "max(balance,equity)": max(balance, equity),
                "initial_balance": initial,
            }[rule.anchor]
    return found


def trailing(rule: MaxLossTrailing, initial: Decimal, history: list[Entry]) -> Decimal:
    peak = initial
    for entry in history:
        balance, equity = counted(entry, rule.holds)
        if rule.peak_falls_by_payout:
            peak += {"payout_hold": -entry.amount, "payout_release": entry.amount}.get(entry.kind, Decimal(0))
        if entry.kind == "payout_settled" and rule.payout_effect == "full_reset":
            peak = initial
        if rule.peak_basis.startswith("intraday") or entry.kind == "rollover":
            figures = {
                "eod_balance_peak": [balance],
                "eod_max_balance_equity_peak": [balance, equity],
                "intraday_balance_peak": [balance],
                "intraday_equity_peak": [equity],
            }[rule.peak_basis]
            peak = max(peak, *figures)
    level = peak - size(rule.allowance, initial, peak)
    return min(level, initial + rule.lock.offset) if rule.lock else level


def levels(rule: EquityRule, initial: Decimal, history: list[Entry]) -> dict[str, Decimal]:
    """The floor of a rule under its id, and its ceiling under `id.up`."""
    if isinstance(rule, DailyLoss | DailyMoveCap):
        basis = anchor(rule, initial, history)
        allowance = size(rule.allowance, initial, basis)
        sides = rule.directions if isinstance(rule, DailyMoveCap) else ("down",)
        both = {"down": (rule.id, basis - allowance), "up": (f"{rule.id}.up", basis + allowance)}
        return dict(both[side] for side in sides)
    assert isinstance(rule, MaxLossStatic | MaxLossTrailing)
    if any(entry.kind == "payout_settled" for entry in history):
        if rule.payout_effect == "floor_set_to_zero":
            return {rule.id: Decimal(0)}
        if rule.payout_effect == "locks_at_initial":
            lock = rule.lock.offset if isinstance(rule, MaxLossTrailing) and rule.lock else 0
            return {rule.id: initial + lock}
    if isinstance(rule, MaxLossTrailing):
        return {rule.id: trailing(rule, initial, history)}
    return {rule.id: initial - size(rule.allowance, initial, initial)}


def broken(rule: EquityRule, worth: Decimal, key: str, level: Decimal) -> bool:
    reaches = rule.breach_when == "equity <= floor"
    if key.endswith(".up"):
        return worth >= level if reaches else worth > level
    return worth <= level if reaches else worth < level


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
        self.quoted: dict[str, datetime] = {}
        self.commission = self.swap = Decimal(0)
        self.history: list[Entry] = []
        self.days: set[int] = set()
        self.day = 0  # the number of resets passed names the trading day
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
            self.resets(event)
        self.now = max(self.now or event.at, event.at)
        if self.finding is not None:
            return
        if isinstance(event, Tick):
            if event.symbol in self.quoted and event.at < self.quoted[event.symbol]:
                return  # there is a newer one
            self.quotes[event.symbol], self.quoted[event.symbol] = (event.bid, event.ask), event.at
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

    def resets(self, event: Event) -> None:
        """What the clocks did between the last event and this one."""
        assert self.now is not None
        trading, loss = self.product.clock, self.product.loss_clock or self.product.clock
        self.day += len(resets_between(trading.zone, trading.reset, self.now, event.at))
        for _ in resets_between(loss.zone, loss.reset, self.now, event.at):
            self.entry("rollover", event.seq)

    def deal(self, deal: Deal) -> None:
        self.balance += Decimal(deal.profit_minor + deal.commission_minor + deal.swap_minor) / 100
        self.commission += Decimal(deal.commission_minor) / 100
        self.swap += Decimal(deal.swap_minor) / 100
        legs = self.positions.setdefault(deal.position_id, [])
        if deal.entry == "in":
            legs.append((deal.symbol, deal.side, deal.lots, deal.price))
            self.days.add(self.day)
            return
        held = sum(lots for _, _, lots, _ in legs)
        left = held - deal.lots
        legs[:] = [(s, side, lots * left / held, price) for s, side, lots, price in legs] if left else []
        if not legs:
            del self.positions[deal.position_id]

    def entry(self, kind: str, seq: int, amount: Decimal = Decimal(0)) -> None:
        if self.finding is not None:
            return
        now = Entry(kind, self.balance, self.equity(), self.commission, self.swap, amount)
        self.history.append(now)
        found = {}
        for rule in self.phase.equity_rules:
            assert isinstance(rule, DailyLoss | DailyMoveCap | MaxLossStatic | MaxLossTrailing)
            _, worth = counted(now, rule.holds)
            for key, level in levels(rule, self.initial, self.history).items():
                if broken(rule, worth, key, level):
                    found[key] = level
        if found:
            self.finding = Finding("breach", seq, kind, found)

    def target(self, seq: int) -> None:
        target = self.phase.target
        if self.finding is not None or target is None or self.positions:
            return
        wanted = target.value if target.type == "amount" else self.initial * target.value / 100
        if self.balance >= self.initial + cents(wanted) and len(self.days) >= self.phase.min_trading_days:
            self.finding = Finding("pass", seq, "pass")

    def floors(self) -> dict[str, Decimal]:
        return {k: v for rule in self.phase.equity_rules for k, v in levels(rule, self.initial, self.history).items()}
