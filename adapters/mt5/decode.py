"""What the polled lists of MT5 say.

A round of polls is told as one when its last list, the deals, has arrived: what happened in order of its time, then the
states of the accounts, then the server's time. A state was read before the deals, so that of an account with a new deal
may be older than the deal: it is left out and comes with the next round. Ended orders were read after the deals: they
say which deals a pending order brought about.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from adapters.mt5 import accounts, marks, names, shapes
from adapters.mt5.deals import CANCELLED, fills_of
from adapters.mt5.orders import Orders
from adapters.mt5.outcomes import retcode_of
from adapters.mt5.reading import server_seconds_of, snapshot_of
from adapters.mt5.server_time import ServerClock
from adapters.mt5.session import loads
from domain.errors import Unavailable
from ports.venue import (
    Access,
    CaughtUp,
    Cursor,
    Fact,
    FillCorrected,
    Message,
    Money,
    Quote,
    Snapshot,
    State,
    Stops,
    Unreadable,
    VenueTime,
)

DEALS: Final = "deals"  # name of the cursor: seconds of server time up to which deals were told
_EARLY: Final = datetime.min.replace(tzinfo=UTC)
_IDS: Final[dict[type[shapes.Shape], str]] = {
    shapes.User: "Login",
    shapes.Account: "Login",
    shapes.Position: "Position",
    shapes.Order: "Order",
    shapes.Deal: "Deal",
}
S = TypeVar("S", bound=shapes.Shape)


@dataclass(slots=True)
class _Told:
    """A deal that was told on this connection. `seconds`: its time, by the server. `figures`: what it was told as."""

    login: int
    action: int
    seconds: int
    figures: tuple[Any, ...]


@dataclass(slots=True)
class _Whole:
    """The lists that make snapshots of accounts. `spoiled`: logins with a row that cannot be read, by list."""

    users: dict[int, shapes.User] = field(default_factory=dict)
    accounts: dict[int, shapes.Account] = field(default_factory=dict)
    positions: dict[int, list[shapes.Position]] = field(default_factory=dict)
    spoiled: dict[type[shapes.Shape], set[int]] = field(default_factory=dict)


class Mt5Decoder:
    """A Decoder. `app_id`, `zone`: see Mt5Settings."""

    def __init__(self, app_id: int, zone: str) -> None:
        self._app_id, self._clock = app_id, ServerClock(zone)
        self._currencies: dict[str, str] = {}
        self._now, self._received = 0, _EARLY  # the server's time of this round, and when the message arrived
        self._known, self._asked = _Whole(), _Whole()
        self._access: dict[int, bool] = {}
        self._marks: dict[int, frozenset[int]] = {}
        self._deals: dict[int, _Told] = {}
        self._states: dict[int, tuple[Decimal, Decimal]] = {}
        self._stops: dict[int, tuple[Decimal, Decimal]] = {}
        self._orders = Orders(self._clock)
        self._round: list[Fact] = []  # of this round so far
        self._strangers: set[int] = set()  # logins of deals whose user has not been listed yet
        # rows of the last polls by shape and id, as they came and as they were read
        self._read: dict[type[shapes.Shape], dict[object, tuple[object, Any]]] = {}
        self._bad = ""  # why a row of this message cannot be read
        self._channels: dict[str, Callable[[str, dict[str, Any]], Iterable[Fact]]] = {
            "time": self._time,
            "group": self._group,
            "users": self._users,
            "ticks": self._ticks,
            "accounts": self._accounts,
            "positions": self._positions,
            "orders": self._open_orders,
            "history": self._ended_orders,
            "deals": self._end_round,
            "caught_up": self._caught_up,
            "fills": self._fills,
            "past_deals": self._fills,
            "past_orders": self._past_orders,
            "gone": self._gone,
            "snapshot": self._snapshot,
        }

    def facts(self, message: Message) -> Iterator[Fact]:
        """Rows that cannot be read are left out; after the others Unreadable says so."""
        channel, _, detail = message.channel.partition("/")
        if channel not in self._channels:
            raise Unreadable("an unknown list")
        self._received, self._bad = message.received_at, ""
        try:
            yield from self._channels[channel](detail, _answer(message.body))
        except (ValueError, TypeError, OverflowError, Unavailable) as error:
            raise Unreadable(_words(error)) from None
        if self._bad:
            raise Unreadable(self._bad)

    # configuration

    def _time(self, detail: str, answer: dict[str, Any]) -> Iterable[Fact]:
        self._round = []
        self._now = server_seconds_of(answer)
        self._clock.learn(self._now, self._received)
        return ()

    def _group(self, detail: str, answer: dict[str, Any]) -> Iterable[Fact]:
        found = shapes.one(shapes.Group, answer)
        self._currencies[found.Group] = found.Currency
        return ()

    # accounts

    def _users(self, detail: str, answer: dict[str, Any]) -> Iterator[Fact]:
        for user in self._rows(shapes.User, answer, self._known, polled=True):
            self._known.users[user.Login] = user
            self._strangers.discard(user.Login)
            enabled, before = accounts.may_trade(user.Rights), self._access.get(user.Login)
            if before is None:
                yield Access(user.Login, "opened", self._at(user.Registration * 1000) if user.Registration else None)
            if before != enabled:
                self._access[user.Login] = enabled
                yield Access(user.Login, "enabled" if enabled else "disabled", self._at(self._now * 1000))
            yield from self._settled(user)
        self._bad = self._bad or (f"deals of the unknown login {min(self._strangers)}" if self._strangers else "")

    def _settled(self, user: shapes.User) -> Iterator[Fact]:
        """A payout that left has no deal: a mark in the user's record tells of it."""
        try:
            found = frozenset(each.value for each in marks.read(user.ApiData, self._app_id) if marks.is_settled(each))
        except ValueError:
            self._bad = self._bad or f"ApiData of login {user.Login}"
            return
        for value in sorted(found - self._marks.get(user.Login, frozenset())):
            name = f"{user.Login}/settled/{value}"
            yield Money(name, user.Login, "payout_settled", name, 0, self._at(self._now * 1000))
        self._marks[user.Login] = found

    def _accounts(self, detail: str, answer: dict[str, Any]) -> Iterable[Fact]:
        self._known.accounts = {
            each.Login: each for each in self._rows(shapes.Account, answer, self._known, polled=True)
        }
        return ()

    def _positions(self, detail: str, answer: dict[str, Any]) -> Iterable[Fact]:
        self._known.positions = _by_login(self._rows(shapes.Position, answer, self._known, polled=True))
        before, self._stops = self._stops, {}
        for position in (each for found in self._known.positions.values() for each in found):
            stops = position.PriceSL, position.PriceTP
            self._stops[position.Position] = stops
            if before.get(position.Position) != stops:  # also when there are none: they may have been taken away
                at = self._at(position.TimeUpdateMsc or position.TimeCreateMsc)
                self._round.append(
                    Stops(position.Login, str(position.Position), stops[0] or None, stops[1] or None, at)
                )
        return ()

    def _state_facts(self, changed: set[int]) -> Iterator[Fact]:
        """Yields the states that changed, but of accounts with a deal of this round."""
        at = self._at(self._now * 1000)
        for login, account in self._known.accounts.items():
            figures = account.Balance, account.Equity
            if login in changed or self._states.get(login) == figures:
                continue
            currency = self._currency(login)
            if currency is None:
                continue
            try:
                balance, equity = (shapes.minor_of(figure, currency) for figure in figures)
            except ValueError as error:
                self._bad = self._bad or f"account {login}: {error}"
                continue
            self._states[login] = figures
            yield State(login, balance, equity, at)

    # what happened

    def _ticks(self, detail: str, answer: dict[str, Any]) -> Iterable[Fact]:
        for tick in self._rows(shapes.Quote, answer):
            if tick.Ask < tick.Bid:
                self._bad = self._bad or f"the quote of {tick.Symbol} is crossed"
            else:
                self._round.append(Quote(tick.Symbol, tick.Bid, tick.Ask, self._at(tick.DatetimeMsc)))
        return ()

    def _open_orders(self, detail: str, answer: dict[str, Any]) -> Iterable[Fact]:
        self._round += self._orders.opened(self._rows(shapes.Order, answer, polled=True), self._received)
        return ()

    def _ended_orders(self, detail: str, answer: dict[str, Any]) -> Iterable[Fact]:
        self._round += self._orders.ended(self._rows(shapes.Order, answer), self._received)
        return ()

    def _end_round(self, detail: str, answer: dict[str, Any]) -> Iterator[Fact]:
        changed = self._take_deals(answer, int(detail))
        happened, self._round = self._round, []
        yield from sorted(happened, key=_when)
        yield from self._state_facts(changed)
        yield VenueTime(self._at(self._now * 1000))
        if not self._bad:
            yield Cursor(DEALS, str(self._now))

    def _take_deals(self, answer: dict[str, Any], since: int) -> set[int]:
        """Adds to the round what the deals since `since` say. Returns the logins with something new. Forgets deals
        before that."""
        changed = set[int]()
        for deal in self._rows(shapes.Deal, answer, polled=True):
            figures = (deal.Action, deal.Profit, deal.Storage, deal.Commission, deal.Fee, deal.Price, deal.VolumeExt)
            before = self._deals.get(deal.Deal)
            if before is not None and before.figures == figures:
                continue
            if self._currency(deal.Login) is None:
                self._strangers.add(deal.Login)
                continue
            try:
                self._round += self._deal_facts(deal)
            except ValueError as error:
                self._bad = self._bad or _words(error)
                continue
            changed.add(deal.Login)
            self._deals[deal.Deal] = _Told(deal.Login, deal.Action, deal.TimeMsc // 1000, figures)
        self._deals = {ticket: told for ticket, told in self._deals.items() if told.seconds >= since}
        return changed

    def _deal_facts(self, deal: shapes.Deal) -> list[Fact]:
        currency = self._currency(deal.Login)
        assert currency is not None
        if deal.Action in CANCELLED:
            return [
                FillCorrected(str(deal.Deal), deal.Login, None, self._at(self._now * 1000), "cancelled at the venue")
            ]
        pending = self._orders.was_pending(deal.Order)
        return list(fills_of(deal, currency, self._clock, self._received, pending=pending))

    def _gone(self, detail: str, answer: dict[str, Any]) -> Iterator[Fact]:
        """The server was asked for one deal that it had listed before: no answer means that the deal was deleted."""
        told = self._deals.get(int(detail))
        if "answer" in answer or told is None:
            return
        del self._deals[int(detail)]
        if told.action in (names.DEAL_BUY, names.DEAL_SELL):
            yield FillCorrected(detail, told.login, None, self._at(self._now * 1000), "deleted at the venue")

    # what was asked for

    def _caught_up(self, detail: str, answer: dict[str, Any]) -> Iterator[Fact]:
        yield from self._snapshots(self._known)
        yield CaughtUp()

    def _past_orders(self, detail: str, answer: dict[str, Any]) -> Iterator[Fact]:
        yield from self._orders.ended(self._rows(shapes.Order, answer), self._received)

    def _fills(self, detail: str, answer: dict[str, Any]) -> Iterator[Fact]:
        """Every deal of the list, whether it was told or not."""
        for deal in self._rows(shapes.Deal, answer):
            if self._currency(deal.Login) is None:
                self._bad = self._bad or f"a deal of the unknown login {deal.Login}"
                continue
            try:
                yield from self._deal_facts(deal)
            except ValueError as error:
                self._bad = self._bad or _words(error)

    def _snapshot(self, detail: str, answer: dict[str, Any]) -> Iterator[Fact]:
        if detail == "users":
            self._asked = _Whole()
            self._asked.users = {each.Login: each for each in self._rows(shapes.User, answer, self._asked)}
            self._known.users |= self._asked.users
        elif detail == "accounts":
            self._asked.accounts = {each.Login: each for each in self._rows(shapes.Account, answer, self._asked)}
        else:
            self._asked.positions = _by_login(self._rows(shapes.Position, answer, self._asked))
            yield from self._snapshots(self._asked)

    def _snapshots(self, whole: _Whole) -> Iterator[Fact]:
        for login, user in whole.users.items():
            currency, account = self._currencies.get(user.Group), whole.accounts.get(login)
            if any(login in spoiled for spoiled in whole.spoiled.values()):
                continue  # without one of its rows it would look like another account
            if currency is None:
                self._bad = self._bad or f"the group of account {login} is not known"
                continue
            # the server has a state only of accounts that did something
            balance = user.Balance if account is None else account.Balance
            equity = user.Balance + user.Credit if account is None else account.Equity
            positions = whole.positions.get(login, [])
            try:
                found = snapshot_of(user, currency, balance, equity, positions, self._clock, self._received)
            except ValueError as error:
                self._bad = self._bad or f"account {login}: {_words(error)}"
                continue
            yield Snapshot(found, self._at(self._now * 1000))

    # reading

    def _at(self, server_ms: int) -> datetime:
        return self._clock.utc(server_ms, self._received)

    def _currency(self, login: int) -> str | None:
        user = self._known.users.get(login)
        return None if user is None else self._currencies.get(user.Group)

    def _rows(
        self, shape: type[S], answer: dict[str, Any], whole: _Whole | None = None, *, polled: bool = False
    ) -> Iterator[S]:
        """Yields the rows that can be read. `whole`: where the logins of the others are noted. `polled`: the list is
        asked for again and again, and most of its rows are as they were."""
        spoiled, before, now = set[int](), self._read.get(shape, {}), dict[object, tuple[object, Any]]()
        if whole is not None:
            whole.spoiled[shape] = spoiled
        if polled:
            self._read[shape] = now
        for row in shapes.rows(answer):
            key = str(row.get(_IDS[shape])) if polled and isinstance(row, dict) else None
            same = before.get(key)
            try:
                read = same[1] if same is not None and same[0] == row else shape.model_validate(row)
            except ValueError as error:
                self._bad = self._bad or _words(error)
                login = row.get("Login") if isinstance(row, dict) else None
                if isinstance(login, str) and login.isdigit():
                    spoiled.add(int(login))
                continue
            if key is not None:
                now[key] = row, read
            yield read


def _answer(body: bytes) -> dict[str, Any]:
    answer = loads(body)
    retcode = retcode_of(answer.get("retcode")) if isinstance(answer, dict) else None
    if retcode == names.MT_RET_ERR_NOTFOUND:
        return {}  # a list without rows
    if not isinstance(answer, dict) or retcode not in (names.MT_RET_OK, names.MT_RET_OK_NONE):
        raise ValueError("not an answer of MT5")
    return answer


def _by_login(found: Iterable[shapes.Position]) -> dict[int, list[shapes.Position]]:
    by_login: dict[int, list[shapes.Position]] = {}
    for each in found:
        by_login.setdefault(each.Login, []).append(each)
    return by_login


def _when(fact: Fact) -> tuple[datetime, bool]:
    """Stops come after the fill that opened their position at the same time."""
    at: datetime | None = getattr(fact, "at", None)
    return _EARLY if at is None else at, isinstance(fact, Stops)


def _words(error: Exception) -> str:
    """Returns which field cannot be read, without its value."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return str(error)[:200]
    first = errors(include_input=False, include_url=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:200]
