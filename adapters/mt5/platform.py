"""A TradingPlatform on the MT5 WebAPI: the administration of accounts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from pydantic import SecretStr

from adapters.mt5 import accounts, marks, names, shapes, tags
from adapters.mt5.config import Mt5Settings
from adapters.mt5.deals import fills_of
from adapters.mt5.desk import Desk
from adapters.mt5.feed import Mt5Feed
from adapters.mt5.outcomes import readable, unreadable
from adapters.mt5.passwords import set_password
from adapters.mt5.reading import server_seconds_of, snapshot_of, symbols_of
from adapters.mt5.server_time import ServerClock
from adapters.mt5.session import Session, Sessions
from adapters.platforms.http_stream import gateway_stream
from adapters.venue.deals import as_deal
from adapters.venue.limits import urgently
from domain.errors import BadInput, IdempotencyMismatch, NotFound
from domain.money import from_minor
from ports.capabilities import PlatformCapabilities
from ports.credentials import Holder, SignIn
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
from ports.venue import Fill, VenueFeed

_SIGNS: Final[Mapping[BalanceKind, tuple[int, ...]]] = {
    "deposit": (1,),
    "payout_hold": (-1,),
    "payout_release": (1,),
    "payout_settled": (0,),
    "adjustment": (-1, 1),
}
_AHEAD: Final = timedelta(days=1)  # the end of a question about deals: no clock is that wrong
_WORST_CLOCK: Final = 30.0  # seconds


class Mt5Platform:
    """A TradingPlatform, which CancelsOrders and ResetsCredentials. `now`: the time of this machine, aware and UTC."""

    def __init__(
        self, name: str, settings: Mt5Settings, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.name = name
        self._settings, self._now = settings, now
        self._sessions = Sessions(settings)
        self._clock = ServerClock(settings.server_zone)
        self._clock_known = not self._clock.estimated
        self._currencies: dict[str, str] = {}  # by name of a group at the venue
        self._busy: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        async with self._alone(f"key {key}") as session:
            return await accounts.create(session, self._settings, key, group, currency, leverage)

    async def find_account(self, key: str) -> int | None:
        async with self._sessions.one() as session:
            found = await accounts.find(session, self._settings, key)
        return None if found is None else found[0]

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        if (amount_minor > 0) - (amount_minor < 0) not in _SIGNS[operation]:
            raise BadInput(
                f"A {operation} of {amount_minor} makes no sense.",
                field="amount_minor",
                remedy="Give the amount the sign of its operation.",
            )
        async with self._alone(f"login {login}") as session:
            user = await self._user(session, login)
            found = await self._moved(session, user, key, operation)
            if found is not None:
                if found != amount_minor:
                    raise IdempotencyMismatch(key)
                return
            if operation == "payout_settled":
                mark = marks.value_of("settled", key)
                await accounts.change(session, self._settings, login, mark=mark)
                return
            amount = from_minor(amount_minor, await self._currency(session, user.Group))
            query: dict[str, str | int] = {
                "login": login,
                "type": names.DEAL_BALANCE,
                "balance": str(amount),
                "comment": tags.comment_of(operation, key),
                "check_margin": 1,
            }
            answer = (await session.ask("/api/trade/balance", query, changing=True)).get("answer")
            if not isinstance(answer, dict) or not any(name in answer for name in ("Ticket", "ticket")):
                raise unreadable(changing=True)

    async def find_balance_operation(self, login: int, *, key: str, operation: BalanceKind) -> int | None:
        async with self._sessions.one() as session:
            return await self._moved(session, await self._user(session, login), key, operation)

    async def set_trading(self, login: int, *, key: str, enabled: bool) -> None:
        mark = marks.value_of("trading", key)
        async with self._alone(f"login {login}") as session:
            user = await self._user(session, login)
            if accounts.holds(user, self._settings, mark):
                return
            rights = partial(accounts.with_trading, enabled=enabled)
            await accounts.change(session, self._settings, login, rights=rights, mark=mark)

    async def lock(self, login: int, *, key: str) -> None:
        """Switches trading off first, so that nothing new is opened, then cancels and closes. A lock whose key is
        remembered goes on only while trading is still off: after that somebody has unlocked the account."""
        mark = marks.value_of("lock", key)
        with urgently():
            async with self._alone(f"login {login}") as session:
                await self._lock(session, login, key, mark)

    async def _lock(self, session: Session, login: int, key: str, mark: int) -> None:
        user = await self._user(session, login)
        if not accounts.holds(user, self._settings, mark):
            rights = partial(accounts.with_trading, enabled=False)
            await accounts.change(session, self._settings, login, rights=rights, mark=mark)
        elif accounts.may_trade(user.Rights):
            return
        desk = self._desk(session)
        await desk.cancel_orders(login)
        await desk.flatten(login, tags.close_comment(key))

    async def cancel_orders(self, login: int, *, key: str) -> None:
        async with self._alone(f"login {login}") as session:
            await self._user(session, login)
            await self._desk(session).cancel_orders(login)

    async def close_positions(self, login: int, *, key: str, position_ids: Sequence[str]) -> None:
        async with self._alone(f"login {login}") as session:
            await self._user(session, login)
            await self._desk(session).flatten(login, tags.close_comment(key), frozenset(position_ids))

    async def create_credentials(self, login: int, *, key: str, password: SecretStr, holder: Holder) -> SignIn:
        async with self._alone(f"login {login}") as session:
            return await set_password(session, self._settings, login, "created", key, password)

    async def reset_credentials(self, login: int, *, key: str, password: SecretStr) -> SignIn:
        async with self._alone(f"login {login}") as session:
            return await set_password(session, self._settings, login, "reset", key, password)

    async def snapshot(self, login: int) -> AccountSnapshot:
        async with self._sessions.one() as session:
            await self._know_clock(session)
            user = await self._user(session, login)
            currency = await self._currency(session, user.Group)
            try:
                account = shapes.one(shapes.Account, await session.ask("/api/user/account/get", {"login": login}))
                balance, equity = account.Balance, account.Equity
            except NotFound:  # the server has a state only of accounts that did something
                balance, equity = user.Balance, user.Balance + user.Credit
            except ValueError:
                raise unreadable(changing=False) from None
            found = await self._desk(session).positions(login)
            with readable():
                return snapshot_of(user, currency, balance, equity, found, self._clock, self._now())

    async def symbols(self) -> list[SymbolSpec]:
        async with self._sessions.one() as session:
            answer = await session.ask("/api/symbol/get", {"mask": "*"})
        with readable():
            return symbols_of(answer)

    async def deals(self, login: int) -> list[Deal]:
        """`seq` is 0: these deals are history, not events of a stream."""
        async with self._sessions.one() as session:
            await self._know_clock(session)
            user = await self._user(session, login)
            currency = await self._currency(session, user.Group)
            rows = await self._history(session, user)
        balance, made = 0, list[Deal]()
        with readable():
            read = sorted((shapes.Deal.model_validate(row) for row in rows), key=lambda deal: (deal.TimeMsc, deal.Deal))
            for fact in (fact for deal in read for fact in fills_of(deal, currency, self._clock, self._now())):
                if isinstance(fact, Fill):
                    balance += (fact.profit_minor or 0) + fact.commission_minor + fact.swap_minor + fact.fee_minor
                    made.append(as_deal(fact, balance_minor=balance))
                else:
                    balance += fact.amount_minor
        return made

    def open_stream(self, reader: str = FIRST_READER) -> PlatformStream:
        return gateway_stream(self.name, self._settings, reader)

    def marks(self, group: str) -> Marks:
        return self._settings.marks

    async def healthy(self) -> str:
        async with self._sessions.one() as session:
            await session.ask("/api/test/access")
            now, seconds = self._now(), await _server_seconds(session)
            with readable():
                self._clock.learn(seconds, now)
                error = self._clock.error(seconds, now)
        away = f"; its clock is {error:+.0f} s away from ours" if abs(error) > _WORST_CLOCK else ""
        return f"signed in; server time is {self._clock}{away}"

    async def aclose(self) -> None:
        await self._sessions.aclose()

    @asynccontextmanager
    async def _alone(self, what: str) -> AsyncIterator[Session]:
        """Yields a session; nobody else in this process changes `what` meanwhile."""
        lock = self._busy.setdefault(what, asyncio.Lock())
        async with lock, self._sessions.one() as session:
            yield session

    def _desk(self, session: Session) -> Desk:
        return Desk(session, self._settings.manager, self._settings.dealer_seconds)

    async def _user(self, session: Session, login: int) -> shapes.User:
        return shapes.User.model_validate(await accounts.read(session, login))

    async def _currency(self, session: Session, group: str) -> str:
        if group not in self._currencies:
            found = await accounts.group_of(session, group)
            if found is None:
                raise unreadable(changing=False, what=f"group {group[:60]!r}")
            self._currencies[group] = found.Currency
        return self._currencies[group]

    async def _moved(self, session: Session, user: shapes.User, key: str, operation: BalanceKind) -> int | None:
        """Returns what was moved under this operation and key, in minor units."""
        if operation == "payout_settled":
            return 0 if accounts.holds(user, self._settings, marks.value_of("settled", key)) else None
        comment, currency = tags.comment_of(operation, key), await self._currency(session, user.Group)
        with readable():
            for row in await self._history(session, user):
                deal = shapes.Deal.model_validate(row)
                if deal.Comment == comment and deal.Action == names.DEAL_BALANCE:
                    return shapes.minor_of(deal.effect, currency)
        return None

    async def _history(self, session: Session, user: shapes.User) -> list[object]:
        """Returns every deal that the server keeps of this account, unread."""
        until = int((self._now() + _AHEAD + _AHEAD).timestamp())
        query: dict[str, str | int] = {"login": user.Login, "from": 0, "to": until}
        return await self._desk(session).pages("/api/deal/get_page", query)

    async def _know_clock(self, session: Session) -> None:
        if not self._clock_known:
            with readable():
                self._clock.learn(await _server_seconds(session), self._now())
            self._clock_known = True


async def _server_seconds(session: Session) -> int:
    answer = await session.ask("/api/time/server")
    with readable():
        return server_seconds_of(answer)


def _build(name: str, settings: Mt5Settings) -> TradingPlatform:
    return Mt5Platform(name, settings)


def _feed(name: str, settings: Mt5Settings) -> VenueFeed:
    return Mt5Feed(name, settings)


PLUGIN: Final = Plugin(
    Mt5Settings,
    PlatformCapabilities(
        creates_accounts=True,
        sets_trading=True,
        moves_balances=True,
        finds_balance_operations=True,
        cancels_orders=True,
        credentials="reset",
    ),
    _build,
    _feed,
)
