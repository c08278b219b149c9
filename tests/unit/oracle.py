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
from domain.rules.equity.floating_loss import FloatingLoss
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
    day: date | None = None  # that a rollover begins
    results: list[tuple[str, str, Decimal]] = field(default_factory=list)  # of open positions: id, symbol, result


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


@dataclass
class Figures:
    """What a size may be a percentage of."""

    initial: Decimal
    anchor: Decimal
    peak: Decimal
    balance: Decimal
    left: Decimal  # by the last payout

    def size(self, value: Size) -> Decimal | None:
        """None: no limit."""
        profits = {"pct_of_anchor_profit": self.anchor, "pct_of_peak_profit": self.peak}
        bases = {
            "pct_of_peak": self.peak,
            "pct_of_peak_profit": self.peak,
            "pct_of_balance": self.balance,
            "pct_of_payout_balance": self.left,
        }
        basis = bases.get(value.type, self.anchor)
        amount: Decimal | None = value.value
        for step in value.steps:
            if max(basis - self.initial, Decimal(0)) >= step.from_profit:
                amount = step.value
        if amount is None:
            return None
        if value.type != "amount":
            of = self.initial if value.type == "pct_of_initial" else basis
            of = profits[value.type] - self.initial if value.type in profits else of
            amount = cents(max(of, Decimal(0)) * amount / 100)
        return max(cents(amount), value.at_least or Decimal(0))


def counted(entry: Entry, holds: WorthParts) -> tuple[Decimal, Decimal]:
    """(balance, equity) as a rule sees them that leaves out some of what an account holds."""
    balance, equity = entry.balance, entry.equity
    if not holds.floating:
        equity = balance
    for holds_it, paid in ((holds.commissions, entry.commission), (holds.swaps, entry.swap)):
        if not holds_it:
            balance, equity = balance - paid, equity - paid
    return balance, equity


def anew(rule: EquityRule, history: list[Entry]) -> list[Entry]:
    """The history since the last payout that began the rule anew, that payout included."""
    if getattr(rule, "payout_effect", None) != "full_reset":
        return history
    paid = [number for number, entry in enumerate(history) if entry.kind == "payout_settled"]
    return history[paid[-1] :] if paid else history


def figures(rule: EquityRule, initial: Decimal, history: list[Entry]) -> Figures:
    holds = getattr(rule, "holds", WorthParts())
    rolled = [counted(entry, holds)[0] for entry in anew(rule, history) if entry.kind == "rollover"]
    left = [initial]
    for entry in history:
        if entry.kind == "payout_hold":
            left.append(counted(entry, holds)[0])
        elif entry.kind == "payout_release":
            left.pop()
    balance = counted(history[-1], holds)[0] if history else initial
    anchor, peak = (rolled[-1], max(rolled)) if rolled else (initial, initial)
    return Figures(initial, anchor, peak, balance, left[-1])


def begins(period: str, day: date) -> bool:
    if period == "week":
        return day.weekday() == 0
    return day.day == 1 if period == "month" else True


def anchor(rule: DailyLoss | DailyMoveCap, initial: Decimal, history: list[Entry]) -> Decimal:
    """The money at the last reset, less what payouts took since then where the rule says so."""
    found = initial
    for entry in history:
        balance, equity = counted(entry, rule.holds)
        if isinstance(rule, DailyLoss) and rule.payout_effects:
            found += {"payout_hold": -entry.amount, "payout_release": entry.amount}.get(entry.kind, Decimal(0))
        if entry.kind == "rollover" and entry.day is not None and begins(rule.period, entry.day):
            found = {
                "balance": balance,
                "equity": equity,
                "session_start_net_pnl": equity,
                "intraday_equity_peak": equity,
                "max(balance,equity)": max(balance, equity),
                "initial_balance": initial,
            }[rule.anchor]
        if rule.anchor == "intraday_equity_peak":
            found = max(found, equity)
    return found


def peak_of(rule: MaxLossTrailing, initial: Decimal, history: list[Entry]) -> Decimal:
    peak = initial
    for entry in anew(rule, history):
        balance, equity = counted(entry, rule.holds)
        if rule.peak_falls_by_payout:
            peak += {"payout_hold": -entry.amount, "payout_release": entry.amount}.get(entry.kind, Decimal(0))
        if rule.peak_basis.startswith("intraday") or entry.kind == "rollover":
            reached = {
                "eod_balance_peak": [balance],
                "eod_max_balance_equity_peak": [balance, equity],
                "intraday_balance_peak": [balance],
                "intraday_equity_peak": [equity],
            }[rule.peak_basis]
            peak = max(peak, *reached)
    return peak


def stepped(rule: MaxLossStatic, initial: Decimal, history: list[Entry]) -> Decimal | None:
    """The floor that the last of the reached steps has set; None without one."""
    reached, floor = -1, None
    for entry in anew(rule, history):
        balance, equity = counted(entry, rule.holds)
        for number, step in enumerate(rule.steps):
            figure = balance if step.when == "balance" else equity
            if number > reached and figure >= initial + step.reaches.value:
                base = initial if step.anchor == "initial" else figure
                size = step.allowance.value
                floor = base - (cents(base * size / 100) if step.allowance.type == "pct_of_anchor" else size)
                reached = number
    return floor


def levels(rule: EquityRule, initial: Decimal, history: list[Entry]) -> dict[str, Decimal | None]:
    """The floor of a rule under its id, and its ceiling under `id.up`; None without a limit."""
    known = figures(rule, initial, history)
    if isinstance(rule, FloatingLoss):
        limit, base = known.size(rule.limit), known.balance if rule.per == "account" else Decimal(0)
        return {rule.id: None if limit is None else base - limit}
    if isinstance(rule, DailyLoss | DailyMoveCap):
        known.anchor = basis = anchor(rule, initial, history)
        allowance = known.size(rule.allowance)
        sides = rule.directions if isinstance(rule, DailyMoveCap) else ("down",)
        if allowance is None:
            return {rule.id if side == "down" else f"{rule.id}.up": None for side in sides}
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
        known.peak = peak = peak_of(rule, initial, history)
        allowance = known.size(rule.allowance)
        if allowance is None:
            return {rule.id: None}
        return {rule.id: min(peak - allowance, initial + rule.lock.offset) if rule.lock else peak - allowance}
    set_by_step = stepped(rule, initial, history)
    allowance = known.size(rule.allowance)
    if set_by_step is None and allowance is None:
        return {rule.id: None}
    return {rule.id: initial - (allowance or 0) if set_by_step is None else set_by_step}


def worths(rule: EquityRule, entry: Entry) -> list[Decimal]:
    if isinstance(rule, FloatingLoss) and rule.per != "account":
        sums: dict[str, Decimal] = {}
        for position, symbol, made in entry.results:
            subject = symbol if rule.per == "symbol" else position
            sums[subject] = sums.get(subject, Decimal(0)) + made
        return list(sums.values())
    return [counted(entry, getattr(rule, "holds", WorthParts()))[1]]


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

    def results(self) -> list[tuple[str, str, Decimal]]:
        found = []
        for position, legs in self.positions.items():
            profit = Decimal(0)
            for symbol, side, lots, price in legs:
                bid, ask = self.quotes[symbol]
                move = bid - price if side == "buy" else price - ask
                profit += move * lots * self.specs[symbol].contract_size * self.rate(self.specs[symbol].quote_currency)
            found.append((position, legs[0][0], cents(profit)))
        return found

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
        for at in resets_between(loss.zone, loss.reset, self.now, event.at):
            local = wall_clock(loss.zone, at).date()
            early = loss.reset < "12:00"
            self.entry("rollover", event.seq, day=local if early else local + timedelta(1))

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

    def entry(self, kind: str, seq: int, amount: Decimal = Decimal(0), day: date | None = None) -> None:
        if self.finding is not None:
            return
        results = self.results()
        equity = self.balance + sum((made for _, _, made in results), Decimal(0))
        now = Entry(kind, self.balance, equity, self.commission, self.swap, amount, day, results)
        self.history.append(now)
        found = {}
        for rule in self.phase.equity_rules:
            assert isinstance(rule, DailyLoss | DailyMoveCap | MaxLossStatic | MaxLossTrailing | FloatingLoss)
            history = self.history
            if rule.judged_at == "eod":
                if kind != "rollover":
                    continue
                history = history[:-1]
            for key, level in levels(rule, self.initial, history).items():
                if level is not None and any(broken(rule, worth, key, level) for worth in worths(rule, now)):
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

    def floors(self) -> dict[str, Decimal | None]:
        return {k: v for rule in self.phase.equity_rules for k, v in levels(rule, self.initial, self.history).items()}
