"""The administration of evaluation accounts at Tradovate.

An account is found again by a name made from its key; a balance operation, a lock and an unlock by a comment in the
log of the account's cash. Calls under one key run one after the other in this process; the core never has two processes
work on one key.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from pydantic import SecretStr

from adapters.platforms.http_stream import gateway_stream
from adapters.tradovate.cash import CashDesk, has_mark, is_untouched, minor_or_unavailable, partly
from adapters.tradovate.client import WHO, Api, read_created, read_row, read_rows
from adapters.tradovate.history import as_deals, read_history
from adapters.tradovate.library import Library
from adapters.tradovate.limits import Limits
from adapters.tradovate.listing import list_accounts
from adapters.tradovate.lots import contract_of, open_lots, position_states
from adapters.tradovate.reading import read_whole, readable_rows
from adapters.tradovate.settings import TradovateSettings
from adapters.tradovate.traders import Traders
from adapters.tradovate.wire import (
    CANCEL,
    CREATE_ACCOUNTS,
    LIQUIDATE,
    LIQUIDATE_ONLY,
    LOCK,
    NORMAL,
    OPEN_ORDERS,
    REASON_CODE,
    SET_ACTION,
    TRADING_ACTIONS,
    UNLOCK_CODE,
    Account,
    CashSnapshot,
    Fill,
    Order,
    Position,
    RiskStatus,
)
from adapters.venue.limits import pauses, urgently
from adapters.venue.tags import digits
from domain.clocks import Clock
from domain.errors import (
    BadInput,
    Conflict,
    IdempotencyMismatch,
    NotFound,
    OutcomeUnknown,
    PropOSError,
    Unavailable,
)
from domain.products.second_wall import VenueFloors, VenueMeaning
from ports.credentials import Holder, SignIn
from ports.listing import ListedAccount
from ports.platform import (
    FIRST_READER,
    AccountSnapshot,
    BalanceKind,
    Deal,
    Marks,
    PlatformStream,
    PositionState,
    SymbolSpec,
)

_NAME_DIGITS: Final = 24
# unverified: whether a day is measured from the balance or from the equity at its start.
_FLOORS_MEAN: Final = VenueMeaning(day=Clock(zone="America/Chicago", reset="17:00"), day_start="either")
_LOOKS: Final = 12  # at positions until they must be closed
_FIRST_LOOK, _LONGEST_LOOK = 0.1, 2.0  # seconds between looks


def account_name(prefix: str, key: str) -> str:
    """Returns the name of the account that is opened under `key`: capital letters, then digits, the only form that the
    venue takes."""
    return f"{prefix}{digits(key, _NAME_DIGITS)}"


class TradovatePlatform:
    """A TradingPlatform, which HoldsFloors, CancelsOrders, LimitsToClosing and GivesCredentials."""

    floors_mean = _FLOORS_MEAN

    def __init__(self, name: str, settings: TradovateSettings) -> None:
        self.name = name
        self._settings = settings
        self.api = Api(settings, settings.url)
        self.library = Library(self.api)
        self._traders = Traders(settings, self.api)
        self._limits = Limits(self.api, settings.currency)
        self._desk: CashDesk | None = None
        self._running: dict[str, tuple[asyncio.Lock, int]] = {}

    # accounts

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        """`leverage` is not used: margins of futures belong to the template account of the group. The new account is
        locked before it is found by its key."""
        async with self._one_at_a_time(key):
            template = self._settings.template(group)
            if template is None:
                raise BadInput(
                    f"No template account of {WHO} is set for the group {group!r}.",
                    field="group",
                    remedy="Add it to `templates` in the settings.",
                )
            found = await self._named(key)
            if currency != self._settings.currency:
                if found is not None:
                    raise IdempotencyMismatch(key)
                raise BadInput(f"The template accounts are in {self._settings.currency}.", field="currency")
            if found is not None:
                await self._check_same(found, template, key)
            login = await self._create(key, template) if found is None else found.id
            await self._finish_opening(login, key)
            return login

    async def find_account(self, key: str) -> int | None:
        """An account that is not locked yet after it was made is not found: a repeat of `create_account` ends it."""
        found = await self._named(key)
        if found is None or (await self._is_open(found.id) and is_untouched(await (await self._cash()).log(found.id))):
            return None
        return found.id

    async def _named(self, key: str) -> Account | None:
        try:
            return await self.api.row(Account, "account/find", name=self.account_name(key))
        except NotFound:
            return None

    def account_name(self, key: str) -> str:
        return account_name(self._settings.prefix, key)

    async def _check_same(self, found: Account, template: int, key: str) -> None:
        wanted = await self.api.row(Account, "account/item", id=template)
        if found.riskCategoryId != wanted.riskCategoryId:
            raise IdempotencyMismatch(key)

    async def _create(self, key: str, template: int) -> int:
        account = {
            "userId": self._settings.holder,
            "templateAccountId": template,
            "name": self.account_name(key),
            "initialBalance": 0,  # unverified that zero is accepted
        }
        answer = await self.api.change(CREATE_ACCOUNTS, {"accounts": [account]}, key)
        made = read_created(answer, key)
        if made.accountId is None:
            raise OutcomeUnknown(f"{WHO} did not say which account it made.", remedy="Look it up by its key.")
        return made.accountId

    async def _finish_opening(self, login: int, key: str) -> None:
        try:
            if await self._is_open(login) and is_untouched(await (await self._cash()).log(login)):
                await self._set_action(login, LOCK, key, f"opened under {key}")
        except PropOSError as error:
            raise partly(error) from None

    # money

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        async with self._one_at_a_time(key):
            await self._known(login)
            await (await self._cash()).move(login, key, operation, amount_minor)

    async def find_balance_operation(self, login: int, *, key: str, operation: BalanceKind) -> int | None:
        return await (await self._cash()).find(login, key, operation)

    async def _cash(self) -> CashDesk:
        if self._desk is None:
            ids = {each.name: each.id for each in await self.library.currencies()}
            currency = self._settings.currency
            if currency not in ids:
                raise Unavailable(f"{WHO} does not list the currency {currency}.", remedy="Correct `currency`.")
            self._desk = CashDesk(self.api, currency, ids[currency])
        return self._desk

    # permission to trade

    async def set_trading(self, login: int, *, key: str, enabled: bool) -> None:
        async with self._one_at_a_time(key):
            await self._known(login)
            cash = await self._cash()
            if has_mark(await cash.log(login), "set_trading", key):
                return
            if await self._is_open(login) != enabled:
                await self._set_action(login, NORMAL if enabled else LOCK, key, f"set under {key}")
            await cash.remember(login, "set_trading", key)

    async def lock(self, login: int, *, key: str) -> None:
        """Four steps, each safe to repeat: lock, remember the key, cancel the orders, close until flat. Once the key is
        remembered, a repeat works only on an account that is still locked."""
        with urgently():
            async with self._one_at_a_time(key):
                cash = await self._cash()
                if has_mark(await cash.log(login), "lock", key):
                    if not await self._is_open(login):
                        await self._end_everything(login, key)
                    return
                await self._set_action(login, LOCK, key, f"locked under {key}")
                try:
                    await cash.remember(login, "lock", key)
                    await self._end_everything(login, key)
                except PropOSError as error:
                    raise partly(error) from None

    async def cancel_orders(self, login: int, *, key: str) -> None:
        async with self._one_at_a_time(key):
            await self._known(login)
            await self._cancel(login, key)

    async def set_close_only(self, login: int, *, key: str, close_only: bool) -> None:
        async with self._one_at_a_time(key):
            await self._known(login)
            cash = await self._cash()
            if has_mark(await cash.log(login), "close_only", key):
                return
            action = (await self._status(login)).adminAction
            if close_only and action in TRADING_ACTIONS:
                await self._set_action(login, LIQUIDATE_ONLY, key, f"may only close, set under {key}")
            elif not close_only and action == LIQUIDATE_ONLY:
                await self._set_action(login, NORMAL, key, f"may trade again, set under {key}")
            await cash.remember(login, "close_only", key)

    async def _end_everything(self, login: int, key: str) -> None:
        await self._cancel(login, key)
        await self._close(login, None, key)

    async def _cancel(self, login: int, key: str) -> None:
        for order in await self.api.rows(Order, "order/deps", masterid=login):
            if order.ordStatus in OPEN_ORDERS:
                try:
                    await self.api.change(CANCEL, {"orderId": order.id, "isAutomated": True}, key)
                except Conflict:
                    continue  # it has ended meanwhile

    async def close_positions(self, login: int, *, key: str, position_ids: Sequence[str]) -> None:
        """The venue nets: it can close only everything that an account has in a contract. So the other positions in the
        contracts of `position_ids` are closed too."""
        async with self._one_at_a_time(key):
            held = {position.position_id for position in (await self.snapshot(login)).positions}
            contracts = {contract_of(id) for id in held & set(position_ids)}
            if contracts:
                await self._close(login, contracts, key)

    async def _set_action(self, login: int, action: str, key: str, why: str) -> None:
        body = {
            "accountId": login,
            "adminAction": action,
            "adminActionReasonCode": UNLOCK_CODE if action == NORMAL else REASON_CODE,
            "adminActionReason": f"PropOS: {why}",
        }
        await self.api.change(SET_ACTION, body, key)

    async def _is_open(self, login: int) -> bool:
        return (await self._status(login)).adminAction in TRADING_ACTIONS

    async def _status(self, login: int) -> RiskStatus:
        rows = await self.api.rows(RiskStatus, "accountRiskStatus/deps", masterid=login)
        return rows[0] if rows else RiskStatus(id=login)

    async def _known(self, login: int) -> Account:
        return await self.api.row(Account, "account/item", id=login)

    async def _positions(self, login: int) -> list[Position]:
        rows = await self.api.rows(Position, "position/deps", masterid=login)
        return [row for row in rows if row.netPos]

    async def _close(self, login: int, contracts: set[int | None] | None, key: str) -> None:
        """Closes positions at market, in these contracts or in all, and looks until they are closed: the venue's yes is
        no promise. Raises OutcomeUnknown when some stay open."""
        waits = pauses(_FIRST_LOOK, _LONGEST_LOOK)
        for look in range(_LOOKS):
            try:
                rows = await self._positions(login)
            except Unavailable as error:
                raise partly(error) if look else error from None
            open_now = [each.id for each in rows if contracts is None or each.contractId in contracts]
            if not open_now:
                return
            if look % 4 == 0:  # asked again now and then: an order may have been filled meanwhile
                body = {"positions": open_now, "admin": True, "isAutomated": True}
                try:
                    await self.api.change(LIQUIDATE, body, key)
                except PropOSError as error:
                    raise partly(error) if look else error from None
            await asyncio.sleep(next(waits))
        raise OutcomeUnknown(
            f"{WHO} accepted the liquidation of account {login}, and {len(open_now)} positions are still open.",
            remedy="It is repeated. Look at the account on the venue's dashboard: the market may be closed.",
        )

    # questions

    async def snapshot(self, login: int) -> AccountSnapshot:
        account = await self._known(login)
        currency = self._settings.currency
        status, positions = await self._status(account.id), await self._positions(login)
        cash = await (await self._cash()).snapshot(login)
        states: list[PositionState] = []
        if positions:  # read again as one: fills of another moment would give them other names
            with readable_rows():
                history, whole = await read_whole(self.api, login, exactly=False)
            fills, cash = read_rows(Fill, history["fills"]), read_row(CashSnapshot, whole["worth"])
            positions = [row for row in read_rows(Position, whole["positions"]) if row.netPos]
            contracts = await self.library.contracts(each.contractId for each in positions)
            for position in positions:
                lots = open_lots(position, fills)
                states += position_states(position, lots, contracts[position.contractId].symbol)
        return AccountSnapshot(
            login=login,
            currency=currency,
            balance_minor=minor_or_unavailable(cash.totalCashValue, currency),
            equity_minor=minor_or_unavailable(cash.netLiq, currency),
            trading_enabled=status.adminAction in TRADING_ACTIONS,
            positions=tuple(states),
            seq=0,
        )

    async def accounts(self) -> AsyncIterator[Sequence[ListedAccount]]:
        yield await list_accounts(self.api, self.library, self._limits, self._settings)

    async def symbols(self) -> list[SymbolSpec]:
        return [each.spec() for each in await self.library.named(self._settings.symbol_names())]

    async def deals(self, login: int) -> list[Deal]:
        """As far back as the venue lists fills. unverified how far that is."""
        await self._known(login)
        history = await read_history(self.api, login)
        contracts = await self.library.contracts(history.contracts())
        try:
            return as_deals(history, contracts, self._settings.currency, login)
        except ValueError as error:
            raise Unavailable(f"{WHO} sent deals that cannot be read: {error}.") from None

    def open_stream(self, reader: str = FIRST_READER) -> PlatformStream:
        return gateway_stream(self.name, self._settings, reader)

    def marks(self, group: str) -> Marks:
        return "quotes"

    async def healthy(self) -> str:
        found = await self.api.row(Account, "account/item", id=self._any_template())
        return f"signed in to {self._settings.url}, template account {found.name} found"

    def _any_template(self) -> int:
        id = self._settings.template("*")
        return id if id is not None else int(self._settings.templates.split(",")[0].rpartition("=")[2])

    # what traders sign in with

    async def create_credentials(self, login: int, *, key: str, password: SecretStr, holder: Holder) -> SignIn:
        async with self._one_at_a_time(key):
            await self._known(login)
            return await self._traders.let_in(login, key=key, password=password, holder=holder)

    # limits at the venue

    async def set_floors(self, login: int, *, key: str, floors: VenueFloors) -> None:
        async with self._one_at_a_time(key):
            await self._known(login)
            await self._limits.set(login, key, floors)

    async def floors(self, login: int) -> VenueFloors:
        await self._known(login)
        return await self._limits.read(login)

    async def aclose(self) -> None:
        await self.api.aclose()
        await self._traders.aclose()

    @asynccontextmanager
    async def _one_at_a_time(self, key: str) -> AsyncIterator[None]:
        lock, users = self._running.get(key, (asyncio.Lock(), 0))
        self._running[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._running[key]
            if users > 1:
                self._running[key] = (lock, users - 1)
            else:
                del self._running[key]
