"""The broker's books: symbols, accounts, tokens. Amounts are whole numbers of the account's money digits, volumes are
hundredths of a unit, times are milliseconds of Unix time."""

import itertools
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from domain.errors import BadInput, NotFound
from wire.ctrader.OpenApiModelMessages_pb2 import (
    BUY,
    ProtoOAAsset,
    ProtoOAChangeBalanceType,
    ProtoOADeal,
    ProtoOADepositWithdraw,
    ProtoOALightSymbol,
    ProtoOAOrder,
    ProtoOAPosition,
    ProtoOASymbol,
    ProtoOATrader,
)

_REGISTERED_BEFORE = 86_400_000  # an account is registered a day before the fake makes it


@dataclass
class Listed:
    """A symbol. `bid`, `ask`: in 1/100000; 0: there is no price yet."""

    number: int
    name: str
    base: str
    quote: str
    digits: int
    lot_size: int
    mode: str = "ENABLED"  # of ProtoOATradingMode
    bid: int = 0
    ask: int = 0


@dataclass
class Account:
    number: int
    currency: str
    money_digits: int
    commission_per_lot: int
    balance: int = 0
    version: int = 0
    rights: str = "FULL_ACCESS"  # of ProtoOAAccessRights
    registered: int = 0
    positions: dict[int, ProtoOAPosition] = field(default_factory=dict)
    orders: dict[int, ProtoOAOrder] = field(default_factory=dict)  # pending
    past_orders: dict[int, ProtoOAOrder] = field(default_factory=dict)
    unlisted: set[int] = field(default_factory=set)  # orders that no list has, and that are found by their ids
    deals: list[ProtoOADeal] = field(default_factory=list)
    flows: list[ProtoOADepositWithdraw] = field(default_factory=list)
    lowest: Decimal | None = None  # equity since the first trade

    def change_balance(self, by: int) -> int:
        self.balance += by
        self.version += 1
        return self.balance


@dataclass
class Tokens:
    """Which accounts an access token opens or, once `expired`, opened; which access token a refresh token renews."""

    accounts: dict[str, frozenset[int]] = field(default_factory=dict)
    renews: dict[str, str] = field(default_factory=dict)
    expired: dict[str, frozenset[int]] = field(default_factory=dict)

    def grant(self, accounts: frozenset[int]) -> tuple[str, str]:
        access, refresh = f"access-{secrets.token_hex(12)}", f"refresh-{secrets.token_hex(12)}"
        self.accounts[access], self.renews[refresh] = accounts, access
        return access, refresh

    def renew(self, refresh: str) -> tuple[str, str, frozenset[int]] | None:
        """Returns new tokens and the accounts; None for a token that does not count (any more)."""
        access = self.renews.pop(refresh, None)
        if access is None:
            return None
        accounts = self.accounts.pop(access, None) or self.expired.pop(access)
        return (*self.grant(accounts), accounts)

    def expire(self, account: int) -> frozenset[int]:
        """Ends every access token that opens the account; its refresh token still counts. Returns the accounts."""
        ended: set[int] = set()
        for access, accounts in list(self.accounts.items()):
            if account in accounts:
                self.expired[access] = self.accounts.pop(access)
                ended |= accounts
        return frozenset(ended)


class Broker:
    def __init__(self) -> None:
        self.symbols: dict[int, Listed] = {}
        self.assets: dict[str, int] = {}
        self.accounts: dict[int, Account] = {}
        self.tokens = Tokens()
        self.offset = 0  # milliseconds between the broker's clock and this machine's
        self._numbers = itertools.count(1001)

    def now(self) -> int:
        return int(time.time() * 1000) + self.offset

    def number(self) -> int:
        return next(self._numbers)

    def asset(self, name: str) -> int:
        return self.assets.setdefault(name, len(self.assets) + 1)

    def add_symbol(self, name: str, base: str, quote: str, digits: int, lot_size: int) -> Listed:
        number = len(self.symbols) + 1
        self.asset(base), self.asset(quote)
        self.symbols[number] = Listed(number, name, base, quote, digits, lot_size)
        return self.symbols[number]

    def add_account(self, currency: str, money_digits: int, commission_per_lot: int) -> Account:
        account = Account(self.number(), currency, money_digits, commission_per_lot)
        account.registered = self.now() - _REGISTERED_BEFORE
        self.asset(currency)
        self.accounts[account.number] = account
        return account

    def account(self, number: int) -> Account:
        """Raises NotFound."""
        if number not in self.accounts:
            raise NotFound(f"There is no account {number}.")
        return self.accounts[number]

    def symbol(self, name: str) -> Listed:
        """Raises NotFound."""
        for symbol in self.symbols.values():
            if symbol.name == name:
                return symbol
        raise NotFound(f"There is no symbol {name}.")

    def move_money(self, account: Account, amount: int, note: str, kind: str = "") -> ProtoOADepositWithdraw:
        """Raises BadInput for a kind that the interface does not have."""
        kind = kind or ("BALANCE_DEPOSIT" if amount >= 0 else "BALANCE_WITHDRAW")
        if kind not in ProtoOAChangeBalanceType.keys():  # noqa: SIM118 - no mapping
            raise BadInput(f"There is no kind {kind!r} of balance operations.", field="kind")
        flow = ProtoOADepositWithdraw(
            operationType=kind,
            balanceHistoryId=self.number(),
            balance=account.change_balance(amount),
            delta=abs(amount),
            changeBalanceTimestamp=self.now(),
            externalNote=note,
            balanceVersion=account.version,
            moneyDigits=account.money_digits,
        )
        account.flows.append(flow)
        return flow

    # values

    def rate(self, quote: str, currency: str) -> Decimal:
        """Returns the value of one unit of `quote`. Raises BadInput when no symbol converts them."""
        if quote == currency:
            return Decimal(1)
        for symbol in self.symbols.values():
            if (symbol.base, symbol.quote) == (quote, currency) and symbol.bid:
                return Decimal(symbol.bid).scaleb(-5)
            if (symbol.base, symbol.quote) == (currency, quote) and symbol.ask:
                return 1 / Decimal(symbol.ask).scaleb(-5)
        raise BadInput(f"Nothing converts {quote} into {currency}.", field="symbol")

    def gross(self, account: Account, position: ProtoOAPosition, volume: int, price: Decimal) -> int:
        """Returns the profit of closing this volume at this price."""
        symbol = self.symbols[position.tradeData.symbolId]
        sign = 1 if position.tradeData.tradeSide == BUY else -1
        moved = (price - Decimal(repr(position.price))) * sign * Decimal(volume).scaleb(-2)
        value = (moved * self.rate(symbol.quote, account.currency)).scaleb(account.money_digits)
        return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))

    def net(self, account: Account, position: ProtoOAPosition) -> tuple[int, int]:
        """Returns what an open position is worth now, before and after swap and commission."""
        price = self.closing_price(position)
        gross = self.gross(account, position, position.tradeData.volume, price)
        return gross, gross + position.swap + position.commission

    def equity(self, account: Account) -> Decimal:
        worth = account.balance + sum(self.net(account, each)[1] for each in account.positions.values())
        return Decimal(worth).scaleb(-account.money_digits)

    def set_price(self, symbol: Listed, given: Mapping[str, Decimal]) -> None:
        """`given`: prices by side."""
        for side, price in given.items():
            setattr(symbol, side, int(price.scaleb(5)))
        for account in self.accounts.values():
            if any(each.tradeData.symbolId == symbol.number for each in account.positions.values()):
                self.note_worth(account)

    def note_worth(self, account: Account) -> None:
        """Keeps the lowest equity of an account, after a price or a trade."""
        worth = self.equity(account)
        account.lowest = worth if account.lowest is None else min(account.lowest, worth)

    def book(self, account: Account) -> dict[str, object]:
        """What the venue itself knows of an account, for a judge: fills with their lots, equity now and at its
        lowest."""
        lots = {
            each.dealId: Decimal(each.filledVolume) / self.symbols[each.symbolId].lot_size for each in account.deals
        }
        return {
            "login": account.number,
            "fills": {str(number): str(size) for number, size in lots.items()},
            "balance": str(Decimal(account.balance).scaleb(-account.money_digits)),
            "equity": str(self.equity(account)),
            "lowest": None if account.lowest is None else str(account.lowest),
            "enabled": account.rights == "FULL_ACCESS",
            "open": [str(number) for number in account.positions],
        }

    def closing_price(self, position: ProtoOAPosition) -> Decimal:
        """Raises BadInput when there is no price."""
        symbol = self.symbols[position.tradeData.symbolId]
        price = symbol.bid if position.tradeData.tradeSide == BUY else symbol.ask
        if not price:
            raise BadInput(f"{symbol.name} has no price.", field="symbol")
        return Decimal(price).scaleb(-5)

    # messages

    def trader(self, account: Account) -> ProtoOATrader:
        return ProtoOATrader(
            ctidTraderAccountId=account.number,
            balance=account.balance,
            balanceVersion=account.version,
            accessRights=account.rights,
            depositAssetId=self.asset(account.currency),
            leverageInCents=10_000,
            traderLogin=account.number,
            brokerName="Fake",
            registrationTimestamp=account.registered,
            moneyDigits=account.money_digits,
        )

    def asset_list(self) -> list[ProtoOAAsset]:
        return [ProtoOAAsset(assetId=number, name=name, digits=2) for name, number in self.assets.items()]

    def light(self, symbol: Listed) -> ProtoOALightSymbol:
        return ProtoOALightSymbol(
            symbolId=symbol.number,
            symbolName=symbol.name,
            enabled=True,
            baseAssetId=self.asset(symbol.base),
            quoteAssetId=self.asset(symbol.quote),
        )

    def whole(self, symbol: Listed) -> ProtoOASymbol:
        return ProtoOASymbol(
            symbolId=symbol.number,
            digits=symbol.digits,
            pipPosition=symbol.digits - 1,
            lotSize=symbol.lot_size,
            tradingMode=symbol.mode,
        )
