"""DXtrade as a trading platform: the administration of its accounts."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from functools import partial
from typing import Final

from pydantic import SecretStr

from adapters.dxtrade import shapes, wire
from adapters.dxtrade.accounts import Accounts, Change, check_same, has_done, last_done, with_done
from adapters.dxtrade.anchors import read_day_ends
from adapters.dxtrade.client import Client
from adapters.dxtrade.closing import Closing, portfolio_of
from adapters.dxtrade.config import DxtradeSettings
from adapters.dxtrade.errors import WHO, partly, readable
from adapters.dxtrade.figures import account_snapshot, spec
from adapters.dxtrade.history import deals_of
from adapters.dxtrade.money import MoneyDesk
from adapters.dxtrade.paging import ORDERS, pages
from adapters.dxtrade.traders import set_password
from adapters.platforms.http_stream import gateway_stream
from adapters.venue.tags import initials, tag
from domain.day_ends import DayEnd
from domain.errors import Conflict, IdempotencyMismatch, PropOSError, RefusedForGood, Unavailable
from ports.credentials import Holder, SignIn
from ports.platform import (
    FIRST_READER,
    AccountSnapshot,
    BalanceKind,
    Deal,
    Marks,
    PlatformStream,
    SymbolSpec,
)

_READS_TRIED: Final = 5
_LOCKED: Final = initials("lock")  # a tag of a lock begins so, and of no other change that is remembered


class Dxtrade:
    """A TradingPlatform, which CancelsOrders, LimitsToClosing, ResetsCredentials and TellsDayEnds.

    `name`: in the firm's settings. A login is the account's code at the venue.
    """

    def __init__(self, name: str, settings: DxtradeSettings) -> None:
        self.name, self._settings = name, settings
        self._client = Client(settings)
        self._accounts = Accounts(self._client, settings)
        self._money = MoneyDesk(self._client, self._accounts)
        self._known: dict[str, shapes.Instrument] = {}

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        login, account = await self._accounts.find(key)
        if account is None:
            try:
                await self._accounts.open(login, key=key, group=group, currency=currency, leverage=leverage)
                return login
            except RefusedForGood:
                raise
            except Conflict:  # the same call opened it at the same time
                login, account = await self._accounts.find(key)
                if account is None:
                    raise
        check_same(account, key=key, group=group, currency=currency, leverage=leverage)
        return login

    async def find_account(self, key: str) -> int | None:
        login, account = await self._accounts.find(key)
        return None if account is None else login

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        await self._money.move(login, key=key, operation=operation, amount_minor=amount_minor)

    async def find_balance_operation(self, login: int, *, key: str, operation: BalanceKind) -> int | None:
        return await self._money.find(login, key=key, operation=operation)

    async def set_trading(self, login: int, *, key: str, enabled: bool) -> None:
        """A late repeat does nothing: the account remembers the keys of its latest changes."""
        mark, other = (tag("set_trading", f"{key} {value}") for value in (enabled, not enabled))

        def decide(account: shapes.Account) -> Change | None:
            if has_done(account, other):
                raise IdempotencyMismatch(key)
            if has_done(account, mark):
                return None
            return Change(wire.FULL_TRADING if enabled else wire.NO_TRADING, with_done(account, mark))

        await self._accounts.update(login, key, decide)

    async def lock(self, login: int, *, key: str) -> None:
        """Lets the account only close, closes its positions, cancels its orders and then forbids trading. A late repeat
        on an account that may trade again does nothing. An interrupted lock goes on where it was."""
        mark = tag("lock", key)
        late = False

        def begin(account: shapes.Account) -> Change | None:
            nonlocal late
            known = has_done(account, mark)
            late = known and account.status == wire.FULL_TRADING
            if late or account.status in wire.ENDED or (known and account.status == wire.CLOSE_ONLY):
                return None
            if known and account.status == wire.NO_TRADING:
                return None
            return Change(wire.CLOSE_ONLY, with_done(account, mark))

        account = await self._accounts.update(login, key, begin, urgent=True)
        if late:
            return
        try:
            await self._flatten(login, key, account.status)
        except PropOSError as error:
            raise partly(error, changed=True) from None

    async def _flatten(self, login: int, key: str, status: wire.Status) -> None:
        """Closes everything and forbids trading. `status`: the account's, as it was read."""
        name = self._accounts.name(login)
        portfolio = await portfolio_of(self._client, name, urgent=True)
        if portfolio.positions or portfolio.orders:
            if status == wire.NO_TRADING:
                await self._accounts.update(login, key, _only_close, urgent=True)
            closing = Closing(self._client, name, key, self._settings.settle_seconds, urgent=True)
            # An order may be filled until it is cancelled.
            await _each(partial(closing.close, None), closing.cancel_orders, partial(closing.close, None))
        await self._accounts.update(login, key, _forbid, urgent=True)

    async def cancel_orders(self, login: int, *, key: str) -> None:
        await self._accounts.get(login)
        name = self._accounts.name(login)
        await Closing(self._client, name, key, self._settings.settle_seconds, urgent=False).cancel_orders()

    async def set_close_only(self, login: int, *, key: str, close_only: bool) -> None:
        """An account on which a lock was interrupted may only close too. It stays so until the lock has ended."""
        mark = tag("close_only", key)

        def decide(account: shapes.Account) -> Change | None:
            if has_done(account, mark):
                return None
            if close_only:
                status = wire.CLOSE_ONLY if account.status == wire.FULL_TRADING else None
            else:
                closing = account.status == wire.CLOSE_ONLY and not last_done(account).startswith(_LOCKED)
                status = wire.FULL_TRADING if closing else None
            return Change(status, with_done(account, mark))

        await self._accounts.update(login, key, decide)

    async def close_positions(self, login: int, *, key: str, position_ids: Sequence[str]) -> None:
        """Closes these. An account that may not trade is let close meanwhile."""
        account, _ = await self._accounts.get(login)
        name, wanted = self._accounts.name(login), set(position_ids)
        portfolio = await portfolio_of(self._client, name)
        if not any(position.position_code in wanted for position in portfolio.positions):
            return
        closing = Closing(self._client, name, key, self._settings.settle_seconds, urgent=False)
        if account.status == wire.NO_TRADING:
            await self._accounts.update(login, key, _only_close)
            await _each(partial(closing.close, sorted(wanted)), partial(self._accounts.update, login, key, _forbid))
        else:
            await closing.close(sorted(wanted))

    async def snapshot(self, login: int) -> AccountSnapshot:
        account, _ = await self._accounts.get(login)
        name = self._accounts.name(login)
        for _ in range(_READS_TRIED):
            portfolio = await portfolio_of(self._client, name)
            metrics = await self._metrics(name)
            if metrics.version == portfolio.version:
                instruments = await self._instruments({each.symbol for each in portfolio.positions})
                with readable():
                    return account_snapshot(login, account, metrics, portfolio, instruments)
        raise Unavailable("The account changes at DXtrade faster than it can be read.", remedy="Repeat it.")

    async def _metrics(self, name: str) -> shapes.Metrics:
        answer = await self._client.ask(f"{wire.TRADING}/accounts/{name}/metrics")
        for metrics in answer.as_(shapes.MetricsList).metrics:
            if metrics.account == name:
                return metrics
        raise Unavailable(f"{WHO} sent no metrics of the account.", remedy="Repeat it later.")

    async def symbols(self) -> list[SymbolSpec]:
        self._known = await read_instruments(self._client)
        return [spec(each) for each in self._known.values()]

    async def _instruments(self, needed: set[str]) -> dict[str, shapes.Instrument]:
        """Returns the instruments, read again when one is not known."""
        if not needed <= self._known.keys():
            self._known = await read_instruments(self._client)
        return self._known

    async def deals(self, login: int) -> list[Deal]:
        account, _ = await self._accounts.get(login)
        name = self._accounts.name(login)
        portfolio = await portfolio_of(self._client, name)
        orders = await read_orders(self._client, name)
        transfers = await self._money.transfers(name)
        instruments = await self._instruments({each.instrument for each in orders})
        with readable():
            return deals_of(login, account.currency, portfolio, orders, transfers, instruments)

    async def create_credentials(self, login: int, *, key: str, password: SecretStr, holder: Holder) -> SignIn:
        return await self._set_password(login, "create_credentials", key, password)

    async def reset_credentials(self, login: int, *, key: str, password: SecretStr) -> SignIn:
        return await self._set_password(login, "reset_credentials", key, password)

    async def _set_password(self, login: int, operation: str, key: str, password: SecretStr) -> SignIn:
        return await set_password(
            self._client, self._accounts, self._settings, login, operation=operation, key=key, password=password
        )

    async def day_ends(self, day: date) -> dict[int, DayEnd]:
        return await read_day_ends(self._client, self._settings.clearing_code, day)

    def open_stream(self, reader: str = FIRST_READER) -> PlatformStream:
        return gateway_stream(self.name, self._settings, reader)

    def marks(self, group: str) -> Marks:
        return self._settings.marks

    async def healthy(self) -> str:
        count = len(await read_instruments(self._client))
        return f"signed in, {count} instruments"

    async def aclose(self) -> None:
        await self._client.aclose()


async def _each(*steps: Callable[[], Awaitable[object]]) -> None:
    """Takes every step, also after one that failed. Raises the first error."""
    first: PropOSError | None = None
    for step in steps:
        try:
            await step()
        except PropOSError as error:
            first = first or error
    if first is not None:
        raise first


def _only_close(account: shapes.Account) -> Change | None:
    return Change(wire.CLOSE_ONLY) if account.status == wire.NO_TRADING else None


def _forbid(account: shapes.Account) -> Change | None:
    """An account that may trade again was enabled meanwhile, on purpose."""
    return Change(wire.NO_TRADING) if account.status == wire.CLOSE_ONLY else None


async def read_instruments(client: Client) -> dict[str, shapes.Instrument]:
    """Returns every instrument by symbol. Raises Unavailable."""
    answer = await client.ask(f"{wire.TRADING}/instruments/query")
    return {each.symbol: each for each in answer.as_(shapes.Instruments).instruments}


async def read_orders(client: Client, name: str) -> list[shapes.Order]:
    """Returns every order of account "clearing:code" that the venue keeps. Raises Unavailable, NotFound."""
    found: list[shapes.Order] = []
    async for answer in pages(client, f"accounts/{name}/orders/history", ORDERS):
        found += answer.as_(shapes.Orders).orders
    return found
