"""The simulated platform's engine: hedging accounts, market orders, stops, locks, balance operations.

Nothing here waits or writes. A change adds events to `pending` (the market numbers them later) and rows for the journal
to `drain`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from domain.errors import BadInput, Conflict, NotFound
from domain.money import half_up, to_minor
from domain.pnl import conversion_rate, position_profit_minor
from ports.platform import (
    AccountChanged,
    AccountSnapshot,
    BalanceKind,
    BalanceOperation,
    Correction,
    Deal,
    Side,
    StopsChanged,
    SymbolSpec,
)
from sandbox.access import Access
from sandbox.answers import Answers
from sandbox.books import Position, StopBook, VenueAccount
from sandbox.feed import Quote
from sandbox.instants import from_us
from sandbox.journal import Row
from sandbox.order_checks import check_may_open, check_order, check_stops

Reason = Literal["client", "stop_loss", "take_profit", "dealer"]
VenueEvent = Deal | StopsChanged | BalanceOperation | AccountChanged | Correction

STATES_GROUPS: Final = "states/"  # accounts of groups with this prefix are reported by balance and equity, not by ticks
_FIRST_LOGIN: Final = 10_001
_SIGNS: Final[Mapping[BalanceKind, tuple[int, ...]]] = {
    "deposit": (1,),
    "payout_hold": (-1,),
    "payout_release": (1,),
    "payout_settled": (0,),
    "adjustment": (-1, 1),
}


@dataclass(slots=True)
class PendingEvent:
    """An event of the next batch. `by_lock` is the login when a lock caused it."""

    event: VenueEvent
    by_lock: int | None = None


class Venue:
    """All accounts, quotes and orders of the platform. Methods with a key take effect once per key."""

    def __init__(self, specs: Mapping[str, SymbolSpec]) -> None:
        self.specs = specs
        self.accounts: dict[int, VenueAccount] = {}
        self.quotes: dict[str, tuple[Decimal, Decimal]] = {}
        self.quoted_at: dict[str, int] = {}
        self.now_us = 0
        self.pending: list[PendingEvent] = []
        self._stops = {symbol: StopBook() for symbol in specs}
        self.answers = Answers()
        self.access = Access(self.answers, specs, self.account, self._told)
        self._changed: dict[int, VenueAccount] = {}
        self._locking: int | None = None
        self.locks = 0  # since the process started

    # accounts and money

    def create_account(self, key: str, group: str, currency: str, leverage: int) -> int:
        """Open a disabled, empty account. Returns its login; the same key returns the same login."""
        scope, given = f"account:{key}", [group, currency, leverage]
        known = self.answers.stored(scope, key, given)
        if known is not None:
            return int(known)
        login = _FIRST_LOGIN + len(self.accounts)
        self.accounts[login] = self._changed[login] = VenueAccount(login, key, group, currency, leverage)
        self._emit_change(login, "opened")
        self.answers.store(scope, given, login)
        return login

    def find_account(self, key: str) -> int | None:
        """Returns the login of the account opened under this key, or None."""
        known = self.answers.get(f"account:{key}")
        return None if known is None else int(known[1])

    def balance_operation(self, login: int, key: str, operation: BalanceKind, amount_minor: int) -> None:
        """Book an amount once per (operation, key). Raises BadInput for a wrong sign, Conflict for too little money."""
        account = self.account(login)
        scope = _balance_scope(login, operation, key)
        if self.answers.stored(scope, key, [amount_minor]) is not None:
            return
        if (amount_minor > 0) - (amount_minor < 0) not in _SIGNS[operation]:
            raise BadInput(
                f"A {operation} of {amount_minor} makes no sense.",
                field="amount_minor",
                remedy="Deposits and releases are positive, holds negative, settlements 0, adjustments not 0.",
            )
        free = min(account.balance_minor, self.equity_minor(account)) if amount_minor < 0 else 0
        if amount_minor < 0 and free + amount_minor < 0:
            raise Conflict(f"Account {login} holds only {free} minor units free; {-amount_minor} cannot be taken out.")
        account.balance_minor += amount_minor
        if operation == "deposit":
            account.deposited_minor += amount_minor
        self._changed[login] = account
        self._emit(
            BalanceOperation(
                seq=0,
                at=from_us(self.now_us),
                login=login,
                operation=operation,
                key=key,
                amount_minor=amount_minor,
                balance_minor=account.balance_minor,
            )
        )
        self.answers.store(scope, [amount_minor], True)

    def find_balance_operation(self, login: int, key: str, operation: BalanceKind) -> int | None:
        """Returns the amount booked under this operation and key, or None."""
        known = self.answers.get(_balance_scope(self.account(login).login, operation, key))
        return None if known is None else int(known[0][0])

    def set_trading(self, login: int, key: str, enabled: bool) -> None:
        self.access.set_trading(login, key, enabled)

    def lock(self, login: int, key: str) -> None:
        """Disable trading and close every position at market, once per key. Raises NotFound."""
        account = self.account(login)
        scope = f"lock:{login}:{key}"
        if self.answers.stored(scope, key, []) is not None:
            return
        self._locking = login
        try:
            self.access.put(account, enabled=False)
            for position in list(account.positions.values()):
                self._close(account, position, position.lots, "dealer")
        finally:
            self._locking = None
        self.locks += 1
        self.answers.store(scope, [], True)

    def close_positions(self, login: int, key: str, position_ids: list[str]) -> None:
        """Close these positions at market, once per key. Trading stays enabled."""
        account = self.account(login)
        scope = f"close:{login}:{key}"
        if self.answers.stored(scope, key, position_ids) is None:
            for position_id in position_ids:
                position = account.positions.get(position_id)
                if position is not None:
                    self._close(account, position, position.lots, "dealer")
            self.answers.store(scope, position_ids, True)

    def account(self, login: int) -> VenueAccount:
        account = self.accounts.get(login)
        if account is None:
            raise NotFound(f"There is no account with login {login}.")
        return account

    def snapshot(self, login: int, seq: int) -> AccountSnapshot:
        account = self.account(login)
        return AccountSnapshot(
            login=login,
            currency=account.currency,
            balance_minor=account.balance_minor,
            equity_minor=self.equity_minor(account),
            trading_enabled=account.may_trade,
            positions=tuple(position.state() for position in account.positions.values()),
            seq=seq,
        )

    def correct(self, corrects_seq: int, **corrected: Any) -> None:
        """Correct or cancel an earlier event (see `Correction`). The venue's own accounts do not change."""
        self._emit(Correction(seq=0, at=from_us(self.now_us), corrects_seq=corrects_seq, **corrected))

    # orders and marks

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
        key: str | None = None,
    ) -> str:
        """Fill a market order at once. Returns the position's id.

        With `position_id`, closes that position or a part of it; `side` is the opposite side. Raises BadInput, Conflict
        or NotFound when the order cannot be filled.
        """
        account = self.account(login)
        given = [symbol, side, *(None if v is None else str(v) for v in (lots, position_id, stop_loss, take_profit))]
        scope = f"order:{login}:{key}"
        known = None if key is None else self.answers.stored(scope, key, given)
        if known is not None:
            return str(known)
        check_order(account, symbol, lots, self.specs, self.quotes)
        if position_id is None:
            check_may_open(account, symbol, self.access.is_stopped(symbol))
            position_id = self._open(account, symbol, side, lots, stop_loss, take_profit)
        else:
            position = account.positions.get(position_id)
            if position is None or position.symbol != symbol:
                raise NotFound(f"Account {login} has no open position {position_id} in {symbol}.")
            if position.side == side or lots > position.lots:
                raise BadInput(
                    f"Position {position_id} is {position.side} {position.lots}: this order does not close it.",
                    field="side" if position.side == side else "lots",
                    remedy="Give the opposite side and at most the position's lots.",
                )
            self._close(account, position, lots, "client")
        if key is not None:
            self.answers.store(scope, given, position_id)
        return position_id

    def protect(self, login: int, position_id: str, stop: Decimal | None, target: Decimal | None) -> None:
        """Give an open position a new stop loss and take profit; None: none. Raises BadInput or NotFound."""
        account = self.account(login)
        position = account.positions.get(position_id)
        if position is None:
            raise NotFound(f"Account {login} has no open position {position_id}.")
        check_stops(position.side, *self.quotes[position.symbol], stop, target)
        self._stops[position.symbol].remove(position)
        position.stop_loss, position.take_profit = stop, target
        self._stops[position.symbol].add(account, position)
        self._changed[login] = account
        moment: dict[str, Any] = {"seq": 0, "at": from_us(self.now_us), "login": login, "position_id": position_id}
        self._emit(StopsChanged(**moment, stop_loss=stop, take_profit=target))

    def tick(self, quote: Quote) -> None:
        """Apply a quote, and fill the stops and targets it reaches."""
        _, symbol, bid, ask = quote
        self.now_us = quote.at_us
        self.quotes[symbol] = (bid, ask)
        self.quoted_at[symbol] = quote.at_us
        for account, position, is_stop in self._stops[symbol].hits(bid, ask):
            self._close(account, position, position.lots, "stop_loss" if is_stop else "take_profit")

    def equity_minor(self, account: VenueAccount) -> int:
        """Returns the balance plus the rounded floating profit of each position at the last quotes."""
        return account.balance_minor + sum(self.profit_minor(account, p) for p in account.positions.values())

    def profit_minor(self, account: VenueAccount, position: Position, lots: Decimal | None = None) -> int:
        spec = self.specs[position.symbol]
        bid, ask = self.quotes[position.symbol]
        return position_profit_minor(
            position.side,
            position.lots if lots is None else lots,
            spec.contract_size,
            position.open_price,
            bid if position.side == "buy" else ask,
            conversion_rate(spec.quote_currency, account.currency, self.quotes),
            account.currency,
        )

    # for the journal

    def drain(self) -> Iterable[Row]:
        """Rows changed since the last call."""
        for account in self._changed.values():
            yield Row("account", str(account.login), account.to_json())
        self._changed.clear()
        yield from self.answers.drain()

    def restore(self, accounts: Iterable[Any], keys: Iterable[tuple[str, Any]]) -> None:
        for data in accounts:
            account = VenueAccount.from_data(data)
            self.accounts[account.login] = account
            for position in account.positions.values():
                self._stops[position.symbol].add(account, position)
        self.answers.restore(keys)

    # inside

    def _emit(self, event: VenueEvent) -> None:
        self.pending.append(PendingEvent(event, self._locking))

    def _emit_change(self, login: int, change: Literal["opened", "enabled", "disabled"]) -> None:
        self._emit(AccountChanged(seq=0, at=from_us(self.now_us), login=login, change=change))

    def _told(self, account: VenueAccount, could_trade: bool) -> None:
        self._changed[account.login] = account
        if account.may_trade != could_trade:
            self._emit_change(account.login, "enabled" if account.may_trade else "disabled")

    def _margin_minor(self, account: VenueAccount, symbol: str, lots: Decimal, price: Decimal) -> int:
        spec = self.specs[symbol]
        rate = conversion_rate(spec.quote_currency, account.currency, self.quotes)
        return to_minor(lots * spec.contract_size * price * rate / account.leverage, account.currency)

    def _open(
        self,
        account: VenueAccount,
        symbol: str,
        side: Side,
        lots: Decimal,
        stop: Decimal | None,
        target: Decimal | None,
    ) -> str:
        bid, ask = self.quotes[symbol]
        price = ask if side == "buy" else bid
        check_stops(side, bid, ask, stop, target)
        used = sum(self._margin_minor(account, p.symbol, p.lots, p.open_price) for p in account.positions.values())
        needed = self._margin_minor(account, symbol, lots, price)
        if used + needed > self.equity_minor(account):
            raise Conflict(f"Account {account.login} has not enough free margin for {lots} lots of {symbol}.")
        account.positions_made += 1
        position_id = f"{account.login}-{account.positions_made}"
        position = Position(position_id, symbol, side, lots, price, self.now_us, stop, target)
        account.positions[position_id] = position
        self._stops[symbol].add(account, position)
        commission = -half_up(lots * self.specs[symbol].commission_minor_per_lot)
        self._fill(account, position, side, lots, price, "in", 0, commission, "client")
        return position_id

    def _close(self, account: VenueAccount, position: Position, lots: Decimal, reason: Reason) -> None:
        bid, ask = self.quotes[position.symbol]
        profit = self.profit_minor(account, position, lots)
        position.lots -= lots
        if not position.lots:
            del account.positions[position.position_id]
            self._stops[position.symbol].remove(position)
        side: Side = "sell" if position.side == "buy" else "buy"
        price = bid if side == "sell" else ask
        self._fill(account, position, side, lots, price, "out", profit, 0, reason)

    def _fill(
        self,
        account: VenueAccount,
        position: Position,
        side: Side,
        lots: Decimal,
        price: Decimal,
        entry: Literal["in", "out"],
        profit_minor: int,
        commission_minor: int,
        reason: Reason,
    ) -> None:
        account.deals_made += 1
        account.balance_minor += profit_minor + commission_minor
        self._changed[account.login] = account
        self._emit(
            Deal(
                seq=0,
                at=from_us(self.now_us),
                deal_id=f"{account.login}-{account.deals_made}",
                login=account.login,
                position_id=position.position_id,
                symbol=position.symbol,
                side=side,
                lots=lots,
                price=price,
                entry=entry,
                profit_minor=profit_minor,
                commission_minor=commission_minor,
                swap_minor=0,
                balance_minor=account.balance_minor,
                reason=reason,
                stop_loss=position.stop_loss,
                take_profit=position.take_profit,
            )
        )


def _balance_scope(login: int, operation: BalanceKind, key: str) -> str:
    return f"balance:{login}:{operation}:{key}"
