"""Trading strategies of hosted traders, by temper. Each one gets a `Turn`: it reads the market and may trade.

Money and prices are Decimal; random floats (0..1) only choose what to do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol
from zlib import crc32

from domain.errors import Conflict, RateMissing
from ports.platform import Side, SymbolSpec
from sandbox.books import Position, VenueAccount
from sandbox.instants import DAY, HOUR, MINUTE, SECOND
from sandbox.tape import Tape

_MASK: Final = (1 << 64) - 1
_STANDARD_SIZE_MINOR: Final = 10_000_000  # lots below are meant for an account of 100,000.00
_GOLD: Final = "XAUUSD"


def _mix(value: int) -> int:
    """Returns a 64-bit hash of `value` (splitmix64)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class TradedVenue(Protocol):
    """What hosted traders see of their venue, and how they order."""

    @property
    def accounts(self) -> Mapping[int, VenueAccount]: ...

    @property
    def quotes(self) -> Mapping[str, tuple[Decimal, Decimal]]: ...

    @property
    def specs(self) -> Mapping[str, SymbolSpec]: ...

    def order(
        self,
        login: int,
        symbol: str,
        side: Side,
        lots: Decimal,
        *,
        position_id: str | None = None,
        stop_loss: Decimal | None = None,
        take_profit: Decimal | None = None,
    ) -> str: ...

    def equity_minor(self, account: VenueAccount) -> int: ...

    def profit_minor(self, account: VenueAccount, position: Position, lots: Decimal | None = None) -> int: ...


@dataclass(slots=True)
class Turn:
    """One turn of one trader: its account, the market, the time, and random numbers."""

    venue: TradedVenue
    tape: Tape
    account: VenueAccount
    memo: dict[str, Any]
    base: int
    slot: int
    now_us: int
    period_seconds: int
    recorded: bool
    closing: bool
    led_by: list[VenueAccount]

    # random numbers

    def draw(self, what: str) -> float:
        """Returns a random number 0..1, new in each turn."""
        return _mix(self.base ^ _mix(self.slot ^ crc32(what.encode()))) / (_MASK + 1)

    def trait(self, what: str) -> float:
        """Returns a random number 0..1 that stays the same for this trader's account."""
        return _mix(self.base ^ crc32(what.encode())) / (_MASK + 1)

    def pace(self, recorded: int, live: int) -> int:
        """Returns `recorded` or `live`. On a live market people watch, so traders make more and smaller trades."""
        return recorded if self.recorded else live

    def ready(self, entries_per_hour: float, live: float) -> bool:
        """Returns whether to enter now, at this mean rate. Recorded days are busiest when Europe and the US overlap."""
        hour = self.now_us % DAY // HOUR
        weight = 1.6 if 12 <= hour < 16 else 1.0 if 7 <= hour < 20 else 0.2
        per_hour = entries_per_hour * weight if self.recorded else live
        return self.draw("enter") < per_hour * self.period_seconds / 3600

    # reading

    @property
    def positions(self) -> list[Position]:
        return list(self.account.positions.values())

    def symbol(self, gold_share: float) -> str:
        """Returns gold with this probability, if it is quoted, else another quoted symbol."""
        quoted = sorted(self.venue.quotes)
        others = [symbol for symbol in quoted if symbol != _GOLD]
        if not others or (_GOLD in quoted and self.draw("symbol") < gold_share):
            return quoted[-1] if _GOLD not in quoted else _GOLD
        return others[int(self.draw("other") * len(others))]

    def side(self) -> Side:
        return "buy" if self.draw("side") < 0.5 else "sell"

    def move(self, symbol: str, minutes: int) -> Decimal:
        return self.tape.move(symbol, minutes, self.venue.quotes[symbol][0])

    def gain_percent(self) -> Decimal:
        """Returns the gain of equity in percent of all deposits."""
        gained = self.venue.equity_minor(self.account) - self.account.deposited_minor
        return Decimal(gained * 100) / max(self.account.deposited_minor, 1)

    def age_us(self, position: Position) -> int:
        return self.now_us - position.opened_us

    def lots(self, what: str, symbol: str, low: int, high: int) -> Decimal:
        """Returns between `low` and `high` hundredths of a lot of gold per 100,000 of account size.

        Other symbols get five times as many lots, because a lot of them moves about a fifth of the money in a day.
        """
        hundredths = low + int((high - low) * self.draw(what))
        scaled = hundredths * self.account.deposited_minor // _STANDARD_SIZE_MINOR
        return Decimal(max(scaled, 1) * (1 if symbol == _GOLD else 5)).scaleb(-2)

    # trading

    def open(
        self, symbol: str, side: Side, lots: Decimal, stop: Decimal | None = None, target: Decimal | None = None
    ) -> str | None:
        """Open a position; stop and target are distances from the price. Returns its id, or None when refused."""
        bid, ask = self.venue.quotes[symbol]
        price, sign = (ask, 1) if side == "buy" else (bid, -1)
        unit = Decimal(1).scaleb(-self.venue.specs[symbol].digits)
        levels = [
            None if d is None else (price + sign * way * max(d, 2 * (ask - bid))).quantize(unit)
            for d, way in ((stop, -1), (target, 1))
        ]
        try:
            return self.venue.order(
                self.account.login, symbol, side, min(lots, Decimal(200)), stop_loss=levels[0], take_profit=levels[1]
            )
        except (Conflict, RateMissing):
            return None

    def close(self, position: Position) -> None:
        side: Side = "sell" if position.side == "buy" else "buy"
        self.venue.order(self.account.login, position.symbol, side, position.lots, position_id=position.position_id)

    def close_all(self) -> None:
        for position in self.positions:
            self.close(position)

    def part_of_price(self, symbol: str, hundredths_of_percent: int) -> Decimal:
        return self.venue.quotes[symbol][0] * hundredths_of_percent / 10_000


def careful(turn: Turn) -> None:
    """Trades small, always with stop and target, a few times a day."""
    if turn.closing:
        turn.close_all()
    elif turn.positions:
        if turn.age_us(turn.positions[0]) > 2 * HOUR:
            turn.close_all()
    elif turn.ready(0.5, live=5):
        symbol = turn.symbol(0.5)
        stop = turn.part_of_price(symbol, turn.pace(15, 6))
        target = turn.part_of_price(symbol, turn.pace(22, 9))
        turn.open(symbol, turn.side(), turn.lots("lots", symbol, 20, 50), stop, target)


def gambler(turn: Turn) -> None:
    """Trades large without a stop, until a big gain or ruin. About one in five keeps its losing positions."""
    if turn.trait("keeps losers") < 0.2:
        _keep_losers(turn)
        return
    target = Decimal(83 + int(25 * turn.trait("target"))) / 10
    if turn.closing:
        turn.close_all()
    elif turn.positions:
        bored = not turn.recorded and turn.age_us(turn.positions[0]) > int(3 + 12 * turn.trait("patience")) * MINUTE
        if bored or turn.gain_percent() >= target:
            turn.close_all()
    elif turn.gain_percent() < target and turn.ready(0.5, live=12):
        symbol = turn.symbol(0.75)
        turn.open(symbol, turn.side(), turn.lots("lots", symbol, 300, 600))


def reckless(turn: Turn) -> None:
    """Buys far too much gold minutes before the 12:30 release: a gap far below every floor, or a large gain."""
    if not turn.recorded:
        gambler(turn)
        return
    minute = turn.now_us % DAY // MINUTE
    if turn.closing:
        turn.close_all()
    elif turn.positions:
        if turn.gain_percent() >= Decimal("8.3"):
            turn.close_all()
    elif 748 <= minute < 750 and not turn.memo.get("bet"):
        turn.memo["bet"] = 1
        turn.open(turn.symbol(1.0), turn.side(), turn.lots("lots", _GOLD, 1800, 2600))


def _keep_losers(turn: Turn) -> None:
    """Opens both sides, closes the winner and holds the loser overnight.

    The balance stays high while equity falls, so that the daily reset can breach.
    """
    if turn.memo.get("bet"):
        winners = [p for p in turn.positions if turn.venue.profit_minor(turn.account, p) > 0]
        wanted = turn.account.deposited_minor * 45 // 1000
        for position in winners if len(turn.positions) == 2 else []:
            if turn.venue.profit_minor(turn.account, position) >= wanted:
                turn.close(position)
        kept = turn.positions
        recovered = len(kept) == 1 and turn.venue.profit_minor(turn.account, kept[0]) >= 0
        if recovered or not kept or (len(kept) == 2 and turn.closing):
            turn.close_all()
            turn.memo.clear()
    elif not turn.closing and turn.ready(0.5, live=2) and (not turn.recorded or turn.now_us % DAY > 13 * HOUR):
        symbol = turn.symbol(1.0)
        lots = turn.lots("lots", symbol, 380, 420)
        if turn.open(symbol, "buy", lots) and turn.open(symbol, "sell", lots):
            turn.memo["bet"] = True


def martingale(turn: Turn) -> None:
    """Doubles after each loss until it wins or cannot double any more."""
    if turn.closing:
        turn.close_all()
        return
    if turn.positions:
        return
    before = turn.memo.pop("balance", None)
    if before is not None:
        lost = turn.account.balance_minor < before
        turn.memo["losses"] = turn.memo.get("losses", 0) + 1 if lost else 0
    if turn.memo.get("losses", 0) > 6:
        turn.memo["losses"] = 0
    if turn.draw("enter") < 0.2:
        symbol = turn.symbol(0.8)
        distance = turn.part_of_price(symbol, turn.pace(12, 7))
        lots = turn.lots("lots", symbol, 50, 80) * 2 ** turn.memo.get("losses", 0)
        turn.memo["balance"] = turn.account.balance_minor
        turn.open(symbol, turn.side(), lots, distance, distance)


def news(turn: Turn) -> None:
    """Waits for a burst of ticks, then trades large with the move or against it."""
    if turn.closing:
        turn.close_all()
        return
    if turn.positions:
        gain = turn.gain_percent()
        since = turn.age_us(turn.positions[0])
        patience = (turn.pace(20, 5) + int(turn.pace(100, 15) * turn.trait("patience"))) * MINUTE
        if gain >= Decimal(82 + int(20 * turn.trait("target"))) / 10 or since > patience:
            turn.close_all()
        return
    bursting = [symbol for symbol, burst in turn.tape.bursts.items() if burst]
    rested = turn.now_us - turn.memo.get("traded_us", 0) > turn.pace(40, 12) * MINUTE
    if bursting and rested and turn.draw("enter") < 0.15 and turn.gain_percent() < 8:
        symbol = bursting[int(turn.draw("which") * len(bursting))]
        follows = turn.trait("follows") < 0.4
        up = turn.move(symbol, 2) > 0
        turn.memo["traded_us"] = turn.now_us
        turn.open(symbol, "buy" if up == follows else "sell", turn.lots("lots", symbol, 500, 1000))


def idle(turn: Turn) -> None:
    """Never trades."""


def copier(turn: Turn) -> None:
    """Copies the leader's positions some seconds later, at a fixed ratio."""
    if turn.closing:
        turn.close_all()
        return
    copies: dict[str, str] = turn.memo.setdefault("copies", {})
    lag = (8 + int(12 * turn.trait("lag"))) * SECOND
    ratio = Decimal(50 + int(50 * turn.trait("ratio"))) / 100
    leading = {p.position_id: p for account in turn.led_by for p in account.positions.values()}
    for theirs, ours in list(copies.items()):
        if theirs not in leading:
            del copies[theirs]
            if ours in turn.account.positions:
                turn.close(turn.account.positions[ours])
    for theirs, position in leading.items():
        if theirs not in copies and lag <= turn.age_us(position) < lag + MINUTE:
            lots = max((position.lots * ratio).quantize(Decimal("0.01")), Decimal("0.01"))
            copies[theirs] = turn.open(position.symbol, position.side, lots) or ""


def busy(turn: Turn) -> None:
    """Follows the last hour's move on every pullback, with small lots, small targets and wide stops; does not trade at
    the time of US data."""
    minute = turn.now_us % DAY // MINUTE
    quiet = turn.recorded and 12 * 60 + 15 <= minute < 14 * 60 + 30
    if turn.closing or quiet:
        turn.close_all()
    elif turn.positions:
        if turn.age_us(turn.positions[0]) > turn.pace(90, 12) * MINUTE:
            turn.close_all()
    elif turn.draw("enter") < 0.5 and not (turn.recorded and minute < 30):
        symbol = turn.symbol(0.4)
        part, stop, target = (Decimal("0.4"), 120, 5) if symbol == _GOLD else (Decimal("0.16"), 36, 1)
        side = _side_of_trend(turn, symbol, part)
        if side is not None:
            lots = turn.lots("lots", symbol, turn.pace(90, 50), turn.pace(130, 80))
            turn.open(symbol, side, lots, turn.part_of_price(symbol, stop), turn.part_of_price(symbol, target))


def steady(turn: Turn) -> None:
    """Fades small moves in the European morning, does not trade at the time of US data, then follows the last hour's
    move on a pullback. Uses small targets and wide stops. Stops for the day after enough gain or loss; ends flat."""
    day, minute = turn.now_us // DAY, turn.now_us % DAY // MINUTE
    busy = turn.recorded and 12 * 60 + 15 <= minute < 14 * 60 + 30
    if turn.memo.get("day") != day and not turn.positions:
        turn.memo.update(day=day, start=turn.account.balance_minor)
    if turn.closing or busy:
        turn.close_all()
    elif turn.positions:
        if turn.age_us(turn.positions[0]) > turn.pace(240, 12) * MINUTE:
            turn.close_all()
    elif turn.ready(4, live=5) and not (turn.recorded and minute < 6 * 60) and not _had_enough(turn):
        symbol = turn.symbol(0.4)
        # gold moves about three times as much as a currency
        part, stop, target = (Decimal(1), 60, 14) if symbol == _GOLD else (Decimal("0.4"), 18, 4)
        follows = turn.recorded and minute >= 12 * 60
        side = _side_of_trend(turn, symbol, part) if follows else _side_of_fade(turn, symbol, part)
        if side is not None:
            lots = turn.lots("lots", symbol, turn.pace(150, 50), turn.pace(250, 80))
            turn.open(symbol, side, lots, turn.part_of_price(symbol, stop), turn.part_of_price(symbol, target))


def _had_enough(turn: Turn) -> bool:
    made = turn.account.balance_minor - turn.memo.get("start", turn.account.balance_minor)
    enough = turn.account.deposited_minor * (3 + int(3 * turn.trait("enough"))) // 1000
    beaten = turn.account.deposited_minor * 15 // 1000
    return made <= -beaten or (turn.recorded and made >= enough)


def _side_of_fade(turn: Turn, symbol: str, part: Decimal) -> Side | None:
    """Returns the side against the last ten minutes' move if that is at least 0.03 % (gold), else None."""
    move = turn.move(symbol, 10)
    if abs(move) < turn.part_of_price(symbol, 3) * part:
        return None
    return "sell" if move > 0 else "buy"


def _side_of_trend(turn: Turn, symbol: str, part: Decimal) -> Side | None:
    """Returns the side of the last hour's move if that is at least 0.15 % (gold) and the last ten minutes went back."""
    move = turn.move(symbol, 60)
    if abs(move) < turn.part_of_price(symbol, 15) * part or move * turn.move(symbol, 10) >= 0:
        return None
    return "buy" if move > 0 else "sell"


class Temper(NamedTuple):
    """A strategy, and how often its traders get a turn."""

    period_seconds: int
    look: Callable[[Turn], None]


TEMPERS: Final[Mapping[str, Temper]] = {
    "careful": Temper(60, careful),
    "gambler": Temper(30, gambler),
    "reckless": Temper(30, reckless),
    "martingale": Temper(60, martingale),
    "news": Temper(5, news),
    "idle": Temper(3600, idle),
    "copier": Temper(5, copier),
    "steady": Temper(30, steady),
    "busy": Temper(30, busy),
}
