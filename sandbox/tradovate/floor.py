"""The trading floor of the fake Tradovate: hosted traders who trade its contracts by the prices of the sandbox.

They think in the sandbox's symbols and lots. Here a symbol is a contract, a number of lots is the nearest whole number
of contracts, and prices are those of the contract's ticks. Stops and targets are the traders' own: they close at market
when the price is reached.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any, Final

from domain.errors import BadInput, Conflict
from domain.money import to_minor
from domain.pnl import position_profit_minor
from ports.platform import Side, SymbolSpec
from sandbox.books import Position, StopBook, VenueAccount
from sandbox.feed import Quote
from sandbox.instants import from_us
from sandbox.journal import Row as Stored
from sandbox.order_checks import check_order, check_stops
from sandbox.symbols import INSTRUMENTS
from sandbox.tape import Tape
from sandbox.traders import TraderDesk
from sandbox.tradovate.config import CONTRACT_OF, CONTRACTS, FakeContract
from sandbox.tradovate.fake import FakeTradovate
from sandbox.tradovate.rows import Change, Row
from sandbox.tradovate.trading import Refused

_BY_NAME: Final = {each.name: each for each in CONTRACTS}
_MILLI: Final = 1000  # microseconds: the venue's times have no more digits
_LEVERAGE: Final = 100
_DEPOSIT: Final = "D"  # begins the comment of a deposit


@dataclass(frozen=True, slots=True)
class _Listed:
    """A symbol and its contract. `lots`: how many lots of the symbol one contract is."""

    spec: SymbolSpec
    contract: FakeContract

    @property
    def lots(self) -> Decimal:
        return self.contract.point / self.spec.contract_size

    def rounded(self, bid: Decimal, ask: Decimal) -> tuple[Decimal, Decimal]:
        tick = self.contract.tick
        return _to_tick(bid, tick, ROUND_FLOOR), _to_tick(ask, tick, ROUND_CEILING)

    def contracts(self, lots: Decimal) -> int:
        return max(1, int((lots / self.lots).to_integral_value(ROUND_HALF_UP)))


class TradingFloor:
    """`symbols`: of the sandbox. Those without a contract are not traded here. `news`: how often an account was locked
    or liquidated by the firm or the venue.

    Raises BadInput when none of the symbols has a contract.
    """

    def __init__(self, fake: FakeTradovate, symbols: Iterable[str]) -> None:
        self._fake = fake
        self._listed = {
            symbol: _Listed(INSTRUMENTS[symbol].spec, _BY_NAME[CONTRACT_OF[symbol]])
            for symbol in symbols
            if symbol in CONTRACT_OF
        }
        if not self._listed:
            raise BadInput(
                f"The simulated Tradovate has no contract for {', '.join(symbols)}.",
                field="symbols",
                remedy=f"Take one of {', '.join(CONTRACT_OF)} among the symbols.",
            )
        self.specs = {symbol: each.spec for symbol, each in self._listed.items()}
        self.quotes: dict[str, tuple[Decimal, Decimal]] = {}
        self.accounts: dict[int, VenueAccount] = {}
        self.news = 0
        self._changed: set[int] = set()
        self._new_keys: dict[str, str] = {}
        self._keys: dict[str, str] = {}  # of accounts, by the name that the venue gives them
        self._stops = {symbol: StopBook() for symbol in self._listed}
        self._now_us = 0
        self._tape = Tape(tuple(self._listed))
        self._desk = TraderDesk(self, self._tape)
        self._ordering = False
        self._tell = fake.rows.told
        fake.rows.told = self._told

    # who trades

    def bind(self, reference: str, temper: str, seed: int, leader: str | None, accounts: Mapping[str, str]) -> None:
        """Lets a hosted trader trade the accounts of these names, as soon as they are there. `accounts`: the key that
        the sandbox would know an account by (`reference/phase`), by its name here."""
        self._keys |= accounts
        self._new_keys |= accounts
        self._desk.bind(reference, temper, seed, leader)
        for row in self._fake.rows.all("account"):
            self._adopt(row)

    def _adopt(self, row: Row) -> None:
        login = int(row["id"])
        if login in self.accounts or row["name"] not in self._keys:
            return
        account = VenueAccount(login, self._keys[row["name"]], "", "USD", _LEVERAGE)
        self.accounts[login] = account
        self._agree(account)
        self._desk.adopt(account)

    def _agree(self, account: VenueAccount) -> None:
        """Brings an account to what the venue says now. A position that is not explained is one without stops."""
        account.deposited_minor = 0
        rows, login = self._fake.rows, account.login
        for kind in ("accountRiskStatus", "cashBalance", "cashBalanceLog"):
            for each in rows.where(kind, "id" if kind == "accountRiskStatus" else "accountId", {login}):
                self._look_at(account, kind, each)
        nets = {row["contractId"]: row for row in rows.where("position", "accountId", {login})}
        for symbol, listed in self._listed.items():
            held = [each for each in account.positions.values() if each.symbol == symbol]
            row = nets.get(listed.contract.contract_id)
            net = 0 if row is None else int(row["netPos"])
            if net == sum(listed.contracts(each.lots) * (1 if each.side == "buy" else -1) for each in held):
                continue
            for position in held:
                self._forget(account, position)
            if row is not None and net:
                self._hold(account, listed, "buy" if net > 0 else "sell", abs(net), row["netPrice"])

    # the market

    def play(self, quotes: Iterable[Quote], start_us: int, end_us: int, ends_at: int | None) -> None:
        """What happens from `start_us` to `end_us`: the traders have their turn, then prices move. `ends_at`: end of
        the recording, None for endless prices."""
        self._clock(start_us)
        self._desk.act(start_us, ends_at)
        traded = [quote for quote in quotes if quote.symbol in self._listed]
        for quote in traded:
            self._tick(quote)
        self._tape.record(traded, self.quotes, start_us, end_us)
        self._clock(end_us)

    def _clock(self, us: int) -> None:
        """The venue's clock has milliseconds. It is never behind the sandbox, whose time dates are due at."""
        self._now_us = max(self._now_us, us)
        self._fake.rows.fixed_now = from_us(-(-self._now_us // _MILLI) * _MILLI)

    def _tick(self, quote: Quote) -> None:
        listed = self._listed[quote.symbol]
        prices = listed.rounded(quote.bid, quote.ask)
        if self.quotes.get(quote.symbol) == prices:
            return
        self._clock(quote.at_us)
        self.quotes[quote.symbol] = prices
        self._fake.quote(listed.contract.contract_id, *prices)
        for account, position, _ in self._stops[quote.symbol].hits(*prices):
            if account.enabled:  # else whoever locked it closes it
                self._close(account, position)

    # for the file

    def state(self) -> dict[str, Any]:
        quotes = {symbol: list(prices) for symbol, prices in self.quotes.items()}
        return {"now_us": self._now_us, "acted_us": self._desk.acted_us, "news": self.news, "quotes": quotes}

    def drain(self) -> Iterator[Stored]:
        """Yields the rows that have changed since the last call."""
        yield from self._desk.drain()
        for login in self._changed:
            yield Stored("account", str(login), self.accounts[login].to_json())
        for name, key in self._new_keys.items():
            yield Stored("name", name, json.dumps(key))
        self._changed.clear()
        self._new_keys.clear()

    def restore(
        self,
        state: Mapping[str, Any],
        names: Mapping[str, str],
        accounts: Iterable[VenueAccount],
        bindings: Iterable[tuple[str, Any]],
        memos: dict[str, Any],
    ) -> None:
        """Goes on as an earlier process was. The venue's own rows are there again."""
        self._now_us, self.news = state["now_us"], state["news"]
        self.quotes = {symbol: (bid, ask) for symbol, (bid, ask) in state["quotes"].items()}
        self._keys = dict(names)
        for account in accounts:
            self.accounts[account.login] = account
            for position in account.positions.values():
                self._stops[position.symbol].add(account, position)
            self._agree(account)
        self._desk.restore(bindings, memos, state["acted_us"])

    # what hosted traders do

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
    ) -> str:
        """Fills a market order at once. Returns the position's id. With `position_id`, closes that position. Raises
        Conflict or BadInput when it cannot be filled."""
        account = self.accounts[login]
        if position_id is not None:
            self._close(account, account.positions[position_id])
            return position_id
        check_order(account, symbol, lots, self.specs, self.quotes)
        check_stops(side, *self.quotes[symbol], stop_loss, take_profit)
        if any(held.symbol == symbol and held.side != side for held in account.positions.values()):
            raise Conflict("This venue nets: an order the other way would close the position.")
        listed = self._listed[symbol]
        count = listed.contracts(lots)
        price = self.quotes[symbol][1 if side == "buy" else 0]
        self._check_margin(account, symbol, count * listed.lots, price)
        self._trade(account, listed, side, count)
        return self._hold(account, listed, side, count, price, stop_loss, take_profit)

    def _hold(
        self,
        account: VenueAccount,
        listed: _Listed,
        side: Side,
        count: int,
        price: Decimal,
        stop: Decimal | None = None,
        target: Decimal | None = None,
    ) -> str:
        account.positions_made += 1
        id, lots = f"{account.login}-{account.positions_made}", count * listed.lots
        made = Position(id, listed.spec.symbol, side, lots, price, self._now_us, stop, target)
        account.positions[id] = made
        self._changed.add(account.login)
        self._stops[made.symbol].add(account, made)
        return id

    def equity_minor(self, account: VenueAccount) -> int:
        return account.balance_minor + sum(self.profit_minor(account, each) for each in account.positions.values())

    def profit_minor(self, account: VenueAccount, position: Position, lots: Decimal | None = None) -> int:
        bid, ask = self.quotes[position.symbol]
        return position_profit_minor(
            position.side,
            position.lots if lots is None else lots,
            self.specs[position.symbol].contract_size,
            position.open_price,
            bid if position.side == "buy" else ask,
            Decimal(1),
            account.currency,
        )

    def _close(self, account: VenueAccount, position: Position) -> None:
        listed = self._listed[position.symbol]
        self._forget(account, position)
        self._trade(account, listed, "sell" if position.side == "buy" else "buy", listed.contracts(position.lots))

    def _trade(self, account: VenueAccount, listed: _Listed, side: Side, count: int) -> None:
        trading, contract_id = self._fake.trading, listed.contract.contract_id
        self._ordering = True
        try:
            with self._fake.rows.one_call():
                trading.fill(trading.place(account.login, contract_id, side.capitalize(), count, "Market"))
        except Refused as refused:
            raise Conflict(f"The venue refuses the order: {refused}.") from refused
        finally:
            self._ordering = False

    def _check_margin(self, account: VenueAccount, symbol: str, lots: Decimal, price: Decimal) -> None:
        held = [(each.symbol, each.lots, each.open_price) for each in account.positions.values()]
        worths = (size * self.specs[name].contract_size * at for name, size, at in [*held, (symbol, lots, price)])
        if to_minor(sum(worths, Decimal(0)) / account.leverage, account.currency) > self.equity_minor(account):
            raise Conflict(f"Account {account.login} has not enough free margin for {lots} lots of {symbol}.")

    def _forget(self, account: VenueAccount, position: Position) -> None:
        if account.positions.pop(position.position_id, None) is not None:
            self._stops[position.symbol].remove(position)
            self._changed.add(account.login)

    # what the venue says of the accounts

    def _told(self, changes: list[Change]) -> None:
        self._tell(changes)
        for kind, _, row in changes:
            if kind == "account":
                self._adopt(row)
            account = self.accounts.get(int(row["id"] if kind == "accountRiskStatus" else row.get("accountId", 0)))
            if account is not None:
                self._look_at(account, kind, row)

    def _look_at(self, account: VenueAccount, kind: str, row: Row) -> None:
        self._changed.add(account.login)
        if kind == "accountRiskStatus":
            enabled = row["adminAction"] == "Normal"
            self.news += account.enabled and not enabled
            account.enabled = enabled
        elif kind == "cashBalance":
            account.balance_minor = to_minor(row["amount"], account.currency)
        elif kind == "cashBalanceLog" and row.get("comment", "").startswith(_DEPOSIT):
            account.deposited_minor += to_minor(row["delta"], account.currency)
        elif kind == "position" and not row["netPos"] and not self._ordering:
            gone = [each for each in account.positions.values() if self._is_in(each, row["contractId"])]
            for position in gone:
                self._forget(account, position)

    def _is_in(self, position: Position, contract_id: int) -> bool:
        return self._listed[position.symbol].contract.contract_id == contract_id


def _to_tick(price: Decimal, tick: Decimal, rounding: str) -> Decimal:
    return (price / tick).to_integral_value(rounding) * tick
