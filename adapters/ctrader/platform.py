"""cTrader as a trading platform: accounts are read, and their positions closed.

Over this interface the venue opens no accounts, disables no trading and moves no money. A person does that at the
broker, and the adapter sees that it is done.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

from google.protobuf.message import Message

from adapters.ctrader import accounts, history, symbols
from adapters.ctrader.config import CTraderSettings
from adapters.ctrader.deals import told_deals
from adapters.ctrader.feed import CTraderFeed
from adapters.ctrader.fills import money
from adapters.ctrader.grants import Grants
from adapters.ctrader.link import Link, answered
from adapters.ctrader.messages import expect
from adapters.ctrader.notes import note, read_note
from adapters.ctrader.refusals import GONE, Refusal, outcome
from adapters.ctrader.session import WHO, Answer, Lost, Outcome
from adapters.ctrader.symbols import Symbols
from adapters.platforms.http_stream import gateway_stream
from domain import keys
from domain.errors import IdempotencyMismatch, InProgress, OutcomeUnknown, PropOSError, RefusedForGood, Unavailable
from ports.capabilities import PlatformCapabilities
from ports.platform import (
    FIRST_READER,
    AccountSnapshot,
    BalanceKind,
    Deal,
    Marks,
    PlatformStream,
    SymbolSpec,
    TradingPlatform,
)
from ports.plugin import Plugin
from ports.venue import Unreadable, VenueFeed
from wire.ctrader import OpenApiMessages_pb2 as api
from wire.ctrader.OpenApiModelMessages_pb2 import FULL_ACCESS, ProtoOAOrder, ProtoOAPosition, ProtoOATrader

_KEYS_KEPT: Final = 10_000
_SHOWN: Final = 10
_AT_ONCE: Final = 40  # orders in one write
_LOOKS: Final = 20  # how often positions are read again until they are closed
_BETWEEN_LOOKS: Final = 0.25  # seconds


class CTraderPlatform:
    """A TradingPlatform, which CancelsOrders. The login of an account is its ctidTraderAccountId.

    `lock` cancels the pending orders and closes every position. Then it raises RefusedForGood until a person has set
    the access rights: only the broker can keep the trader from opening another position. The venue has no place for the
    key of a lock: this object remembers the last 10,000.
    """

    def __init__(self, name: str, settings: CTraderSettings) -> None:
        self.name, self._settings = name, settings
        self._grants = Grants(settings.grants_file)
        self._link = Link(settings, self._grants)
        self._symbols = Symbols()
        self._learning = asyncio.Lock()
        self._learned = False
        self._turns: dict[int, asyncio.Lock] = {}
        self._done: OrderedDict[str, None] = OrderedDict()

    # what a person does at the broker

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        raise RefusedForGood(
            key, f"{WHO} opens no accounts for programs: open it at the broker, and let the trader grant access to it."
        )

    async def find_account(self, key: str) -> int | None:
        return None

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        """Sees that a person has booked the operation at the broker, under its note."""
        found = await self.find_balance_operation(login, key=key, operation=operation)
        if found is None:
            raise RefusedForGood(
                key,
                f"{WHO} moves no money for programs: book {amount_minor} minor units on the account {login} at the"
                f" broker, with the note {note(operation, key)!r}.",
            )
        if found != amount_minor:
            raise IdempotencyMismatch(key)

    async def find_balance_operation(self, login: int, *, key: str, operation: BalanceKind) -> int | None:
        trader = await self._trader(login)
        try:
            currency, first = accounts.currency_of(trader, await self._known()), trader.registrationTimestamp
            async for page in history.pages(self._link, login, "cash", first, history.now_ms()):
                for flow in page.answer.read(api.ProtoOACashFlowHistoryListRes).depositWithdraw:
                    if read_note(flow.externalNote) == (operation, keys.first_try(key)):
                        return money(flow, login, currency).amount_minor
        except Unreadable as unreadable:
            raise _unreadable(unreadable) from None
        return None

    async def set_trading(self, login: int, *, key: str, enabled: bool) -> None:
        """Sees that a person has set the access rights at the broker."""
        trader = await self._trader(login)
        if (trader.accessRights == FULL_ACCESS) != enabled:
            raise RefusedForGood(
                key,
                f"{WHO} {'enables' if enabled else 'disables'} no trading for programs: set the access rights of the"
                f" account {login} to {'full access' if enabled else 'no trading'} at the broker.",
            )

    # closing

    async def lock(self, login: int, *, key: str) -> None:
        async with self._turn(login):
            if key not in self._done:
                positions, orders = await self._open(login)
                await self._cancel(login, key, orders)
                await self._close(login, key, positions)
                await self._check_disabled(login, key)
                self._remember(key)

    async def _check_disabled(self, login: int, key: str) -> None:
        """Raises RefusedForGood while the trader could open positions again."""
        try:
            trader = await self._trader(login)
        except Unavailable as exc:
            raise OutcomeUnknown(exc.message) from None
        if trader.accessRights == FULL_ACCESS:
            raise RefusedForGood(
                key,
                f"The positions of the account {login} are closed, and {WHO} disables no trading for programs: set its"
                " access rights to no trading at the broker.",
            )

    async def cancel_orders(self, login: int, *, key: str) -> None:
        async with self._turn(login):
            _, orders = await self._open(login)
            await self._cancel(login, key, orders)

    async def close_positions(self, login: int, *, key: str, position_ids: Sequence[str]) -> None:
        async with self._turn(login):
            positions, _ = await self._open(login)
            await self._close(login, key, [each for each in positions if str(each.positionId) in position_ids])

    async def _open(self, login: int) -> tuple[list[ProtoOAPosition], list[ProtoOAOrder]]:
        """Returns the open positions and the pending orders."""
        answer = await self._link.one(login, api.ProtoOAReconcileReq(ctidTraderAccountId=login), urgent=True)
        try:
            found = answer.read(api.ProtoOAReconcileRes)
        except Unreadable as unreadable:
            raise _unreadable(unreadable) from None
        return [position for position in found.position if accounts.is_open(position)], list(found.order)

    async def _cancel(self, login: int, key: str, orders: Iterable[ProtoOAOrder]) -> None:
        requests: list[Message] = [
            api.ProtoOACancelOrderReq(ctidTraderAccountId=login, orderId=order.orderId) for order in orders
        ]
        _check(key, await self._send(login, requests))

    async def _close(self, login: int, key: str, positions: Sequence[ProtoOAPosition]) -> None:
        """Closes positions and reads until they are closed: the answer to a request may only say that it was accepted.
        Raises InProgress when they still are not."""
        requests: list[Message] = [
            api.ProtoOAClosePositionReq(
                ctidTraderAccountId=login, positionId=position.positionId, volume=position.tradeData.volume
            )
            for position in positions
        ]
        if not requests:
            return
        _check(key, await self._send(login, requests))
        asked = {position.positionId for position in positions}
        for _ in range(_LOOKS):
            try:
                left = {position.positionId for position in (await self._open(login))[0]} & asked
            except Unavailable as exc:
                raise OutcomeUnknown(exc.message) from None
            if not left:
                return
            await asyncio.sleep(_BETWEEN_LOOKS)
        raise InProgress(f"{WHO} has accepted to close {len(left)} positions of the account {login}, which are open.")

    async def _send(self, login: int, orders: Sequence[Message]) -> list[Outcome]:
        """Sends the first orders at once, and more than the venue takes in a second as soon as it takes them."""
        outcomes: list[Outcome] = []
        for start in range(0, len(orders), _AT_ONCE):
            outcomes += await self._link.ask(login, orders[start : start + _AT_ONCE], urgent=not start)
        return outcomes

    def _turn(self, login: int) -> asyncio.Lock:
        return self._turns.setdefault(login, asyncio.Lock())

    def _remember(self, key: str) -> None:
        self._done[key] = None
        while len(self._done) > _KEYS_KEPT:
            self._done.popitem(last=False)

    # questions

    async def snapshot(self, login: int) -> AccountSnapshot:
        known = await self._known()
        outcomes = await self._link.ask(login, accounts.questions(login))
        try:
            return accounts.snapshot([answered(each).message for each in outcomes], known)
        except Unreadable as unreadable:
            raise _unreadable(unreadable) from None

    async def symbols(self) -> list[SymbolSpec]:
        return (await self._known()).specs()

    async def deals(self, login: int) -> list[Deal]:
        trader, known = await self._trader(login), await self._known()
        first, now = trader.registrationTimestamp, history.now_ms()
        pages = [page async for page in history.pages(self._link, login, "cash", first, now)]
        pages += [page async for page in history.pages(self._link, login, "deals", first, now)]
        # asked for last: the order of every listed deal is known, also of one that was placed and filled meanwhile
        pages += [page async for page in history.pages(self._link, login, "orders", first, history.now_ms())]
        pages += await history.unlisted_orders(self._link, login, pages)
        try:
            return told_deals(pages, login, trader, known)
        except Unreadable as unreadable:
            raise _unreadable(unreadable) from None

    def open_stream(self, reader: str = FIRST_READER) -> PlatformStream:
        return gateway_stream(self.name, self._settings, reader)

    def marks(self, group: str) -> Marks:
        """The venue states what the positions are worth after swap and commission so far, which prices do not say."""
        return "states"

    async def healthy(self) -> str:
        answer = await self._link.anonymous(api.ProtoOAVersionReq())
        try:
            version = answer.read(api.ProtoOAVersionRes).version
        except Unreadable as unreadable:
            raise _unreadable(unreadable) from None
        logins, refused = sorted(self._grants.accounts()), list[str]()
        for login in logins:
            try:
                await self._link.authorised(login)
            except Unavailable:
                refused.append(str(login))
        without = f", {len(refused)} without access: {', '.join(refused[:_SHOWN])}" if refused else ""
        return f"Open API {version}, {len(logins)} accounts{without}"

    async def aclose(self) -> None:
        await self._link.aclose()

    async def _trader(self, login: int) -> ProtoOATrader:
        answer = await self._link.one(login, api.ProtoOATraderReq(ctidTraderAccountId=login))
        try:
            return expect(answer.message, api.ProtoOATraderRes).trader
        except Unreadable as unreadable:
            raise _unreadable(unreadable) from None

    async def _known(self) -> Symbols:
        """Returns the symbols, asked once."""
        async with self._learning:
            if not self._learned:
                login, found = await self._link.any_account(), Symbols()
                for request in symbols.lists(login):
                    found.learn_all((await self._link.one(login, request)).message)
                for details in symbols.details(login, found.all()):
                    found.learn_all((await self._link.one(login, details)).message)
                self._symbols, self._learned = found, True
            return self._symbols


def _check(key: str, outcomes: Iterable[Outcome]) -> None:
    """Raises the worst of these outcomes of closing and cancelling. What is no longer there needs no closing."""
    errors = [error for error in (_error(key, each) for each in outcomes) if error is not None]
    for kind in (OutcomeUnknown, RefusedForGood, InProgress, PropOSError):
        for error in errors:
            if isinstance(error, kind):
                raise error


def _error(key: str, found: Outcome) -> PropOSError | None:
    if isinstance(found, Answer):
        if isinstance(found.message, api.ProtoOAExecutionEvent):
            return None
        return OutcomeUnknown(f"{WHO} answers {found.message.DESCRIPTOR.name} to an order.")
    if isinstance(found, Refusal):
        return None if found.code in GONE else outcome(found, WHO, key=key)
    if isinstance(found, Lost):
        return OutcomeUnknown(f"{WHO} does not answer.")
    return OutcomeUnknown(f"{WHO} answers what cannot be read: {found}.")


def _unreadable(unreadable: Unreadable) -> Unavailable:
    return Unavailable(f"{WHO} answers what cannot be read: {unreadable}.")


def _build(name: str, settings: CTraderSettings) -> TradingPlatform:
    return CTraderPlatform(name, settings)


def _feed(name: str, settings: CTraderSettings) -> VenueFeed:
    return CTraderFeed(name, settings)


PLUGIN: Final = Plugin(
    CTraderSettings,
    PlatformCapabilities(
        finds_balance_operations=True,
        cancels_orders=True,
        pushes_events=True,
        pushes_quotes=True,
    ),
    _build,
    _feed,
)
