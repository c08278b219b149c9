"""The gateway's own book of each account: what it must hold after everything that was told."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from pydantic import ConfigDict

from domain.money import exponent
from ports.platform import AccountSnapshot, PositionState, Side, SymbolSpec
from ports.venue import Fill

_SIGN: Final = {"buy": 1, "sell": -1}


@dataclass(slots=True)
class Held:
    """An open position. `lots` above zero."""

    symbol: str
    side: Side
    lots: Decimal
    open_price: Decimal
    opened_at: datetime
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None


@dataclass(slots=True)
class Book:
    """`stated`: balance and equity that the venue stated last; `told`: those that shards were told last. None before
    the first. `estimated`: those that were told are uncertain. `proven`: it has agreed with the venue since it began.
    """

    login: int
    currency: str
    balance_minor: int = 0
    enabled: bool = False
    positions: dict[str, Held] = field(default_factory=dict)
    stated: tuple[int, int] | None = None
    told: tuple[int, int] | None = None
    estimated: bool = False
    proven: bool = False

    def begin_anew(self, venue: AccountSnapshot) -> None:
        """Takes money and positions of the venue. Stops of positions that stay are kept."""
        before, self.balance_minor, self.positions = self.positions, venue.balance_minor, _held(venue)
        for name in before.keys() & self.positions.keys():
            now, held = self.positions[name], before[name]
            now.stop_loss, now.take_profit = held.stop_loss, held.take_profit

    def apply(self, fill: Fill, profit_minor: int) -> None:
        """Adds a fill to positions and balance."""
        self.balance_minor += profit_minor + fill.commission_minor + fill.swap_minor + fill.fee_minor
        held = self.positions.get(fill.position_id)
        if fill.entry == "in":
            self.positions[fill.position_id] = _added(held, fill)
        elif held is not None:
            held.lots -= fill.lots
            if held.lots <= 0:
                del self.positions[fill.position_id]

    def profit_of(self, fill: Fill, spec: SymbolSpec | None) -> int | None:
        """Returns the realised profit of a fill, in minor units; None when it cannot be computed: its position or
        symbol is unknown, or the symbol is quoted in another currency than the account's."""
        if fill.profit_minor is not None:
            return fill.profit_minor
        if fill.entry == "in":
            return 0
        held = self.positions.get(fill.position_id)
        if held is None or spec is None or spec.quote_currency != self.currency:
            return None
        moved = (fill.price - held.open_price) * _SIGN[held.side] * fill.lots * spec.contract_size
        minor = moved.scaleb(exponent(self.currency))
        return int(minor.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))

    def differences(self, venue: AccountSnapshot) -> list[str]:
        """Returns in words where this book and the venue differ; empty when they agree. Whether trading is on is left
        out: that heals by itself."""
        found = []
        if venue.balance_minor != self.balance_minor:
            found.append(f"balance {self.balance_minor} here and {venue.balance_minor} at the venue, in minor units")
        ours = {name: (held.symbol, held.side, held.lots) for name, held in self.positions.items()}
        theirs = {each.position_id: (each.symbol, each.side, each.lots) for each in venue.positions}
        for name in sorted(ours.keys() | theirs.keys()):
            if ours.get(name) != theirs.get(name):
                found.append(f"position {name}: {_words(ours.get(name))} here, {_words(theirs.get(name))} at the venue")
        return found

    def snapshot(self, seq: int) -> AccountSnapshot:
        """Returns the account as of event `seq`. The equity is the one that the venue stated last, moved by what the
        balance has changed since; without one, the balance."""
        equity = self.balance_minor
        if self.stated is not None:
            equity = self.stated[1] + self.balance_minor - self.stated[0]
        return AccountSnapshot(
            login=self.login,
            currency=self.currency,
            balance_minor=self.balance_minor,
            equity_minor=equity,
            trading_enabled=self.enabled,
            positions=tuple(_position(name, held) for name, held in sorted(self.positions.items())),
            seq=seq,
        )

    def to_json(self) -> str:
        return _StoredBook(
            **self.snapshot(0).model_dump(),
            stops=self._stops(),
            stated=self.stated,
            told=self.told,
            estimated=self.estimated,
            proven=self.proven,
        ).model_dump_json()

    def _stops(self) -> dict[str, tuple[Decimal | None, Decimal | None]]:
        held = self.positions.items()
        return {name: (each.stop_loss, each.take_profit) for name, each in held if each.stop_loss or each.take_profit}


class _StoredBook(AccountSnapshot):
    model_config = ConfigDict(frozen=True, extra="forbid")

    stops: dict[str, tuple[Decimal | None, Decimal | None]]
    stated: tuple[int, int] | None
    told: tuple[int, int] | None
    estimated: bool = False
    proven: bool = True


def from_json(text: str) -> Book:
    stored = _StoredBook.model_validate_json(text)
    book = from_snapshot(stored)
    for name, (stop_loss, take_profit) in stored.stops.items():
        book.positions[name].stop_loss, book.positions[name].take_profit = stop_loss, take_profit
    book.stated, book.told = stored.stated, stored.told
    book.estimated, book.proven = stored.estimated, stored.proven
    return book


def from_snapshot(venue: AccountSnapshot) -> Book:
    """Returns the book of an account as the venue has it."""
    stated = (venue.balance_minor, venue.equity_minor)
    return Book(venue.login, venue.currency, venue.balance_minor, venue.trading_enabled, _held(venue), stated)


def _held(venue: AccountSnapshot) -> dict[str, Held]:
    return {
        each.position_id: Held(each.symbol, each.side, each.lots, each.open_price, each.opened_at)
        for each in venue.positions
    }


def _added(held: Held | None, fill: Fill) -> Held:
    if held is None:
        return Held(fill.symbol, fill.side, fill.lots, fill.price, fill.at, fill.stop_loss, fill.take_profit)
    lots = held.lots + fill.lots
    held.open_price = (held.open_price * held.lots + fill.price * fill.lots) / lots
    held.lots = lots
    return held


def _position(name: str, held: Held) -> PositionState:
    return PositionState(
        position_id=name,
        symbol=held.symbol,
        side=held.side,
        lots=held.lots,
        open_price=held.open_price,
        opened_at=held.opened_at,
    )


def _words(position: tuple[str, Side, Decimal] | None) -> str:
    return "none" if position is None else f"{position[1]} {position[2]} {position[0]}"
