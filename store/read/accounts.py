"""Accounts with their live figures, limits and positions."""

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput, NotFound
from domain.lifecycle import CHALLENGE
from domain.products.phase import Phase
from domain.products.phase_terms import compile_phase
from domain.products.product import Product
from domain.rules.evaluate import has_level
from domain.rules.state import fresh, from_json
from store import products, suspensions
from store.clock import market_now
from store.deadlines import deadline
from store.models import Account, AccountLive, AccountRank, Challenge, Payout, Trader
from store.models.ranks import LAST
from store.read import finding, listing
from store.read.finding import Named
from store.read.listing import EVERYTHING, UPDATED, Asked, Condition, Filter, Listing, Order, equals, updated_since
from store.read.pages import Page, View, Window, account_number
from store.reading import read_once
from store.scope import Scope

STATUSES: Final = ("opening", "active", "locked", "closed")
_MOST_VERSIONS: Final = 1_000_000


class AccountRow(View):
    """`at` is the market time of balance, equity and room; all are None before the first checkpoint."""

    id: str
    updated_at: datetime
    number: str
    challenge_id: str
    challenge_state: str
    trader_id: str
    trader_name: str
    product: str
    version: int
    phase_index: int
    status: str
    platform: str
    login: int | None
    currency: str
    initial_minor: int
    balance_minor: int | None
    equity_minor: int | None
    tightest_rule: str | None
    tightest_room_minor: int | None
    open_positions: int
    at: datetime | None
    opened_at: datetime | None
    ended_at: datetime | None


class RuleGauge(View):
    """One limit: its allowance, the current floor, and the room left. The rule breaks when `operator` holds."""

    rule_id: str
    kind: str
    operator: str
    allowance_minor: int
    floor_minor: int | None
    room_minor: int | None


class TargetGauge(View):
    """The profit target: a pass needs `balance_minor` without open positions, and the minimum of trading days."""

    balance_minor: int
    gained_minor: int
    needed_minor: int


class PositionView(View):
    position_id: str
    symbol: str
    side: str
    lots: str
    open_price: str
    opened_at: datetime | None


class AccountView(AccountRow):
    """`time_ends_at` is the market time at which the phase times out, extensions included; None without a limit, and
    while its time does not run. `frozen_at`: since when a person has frozen the account."""

    phase_name: str
    product_name: str
    content_hash: str
    funded: bool
    rules: tuple[RuleGauge, ...]
    target: TargetGauge | None
    trading_days: int
    min_trading_days: int
    time_limit_days: int | None
    time_ends_at: datetime | None
    clock_zone: str
    clock_reset: str
    next_reset: datetime
    market_time: datetime
    open_payout_id: str | None
    frozen_at: datetime | None
    positions: tuple[PositionView, ...]


class Loaded(NamedTuple):
    """The rows of an account, and the id of its payout that is not closed."""

    account: Account
    live: AccountLive | None
    challenge: Challenge
    trader: Trader
    open_payout_id: str | None


def _statement(scope: Scope) -> Select[Any]:
    return _all().where(scope.own(Account.trader_id))


@cache
def _all() -> Select[Any]:
    return (
        select(Account, AccountLive, Challenge.state.label("challenge_state"), Trader.name.label("trader_name"))
        .join(Challenge, Challenge.id == Account.challenge_id)
        .join(Trader, Trader.id == Account.trader_id)
        .outerjoin(AccountLive, AccountLive.account_id == Account.id)
    )


async def platform_of(session: AsyncSession, number: str) -> str:
    """Returns the platform of the account with this number (A-10001)."""
    wanted = Account.number == int(number.removeprefix("A-"))
    return (await session.scalars(select(Account.platform).where(wanted))).one()


def _tightest(live: AccountLive | None) -> tuple[str, int] | None:
    rooms = [(int(floor["room_minor"]), rule_id) for rule_id, floor in (live.floors if live else {}).items()]
    return None if not rooms else (min(rooms)[1], min(rooms)[0])


def _fields(account: Account, live: AccountLive | None, challenge_state: str, trader_name: str) -> dict[str, Any]:
    tightest = _tightest(live)
    return {
        "id": account.id,
        "updated_at": account.updated_at,
        "number": account_number(account.number),
        "challenge_id": account.challenge_id,
        "challenge_state": challenge_state,
        "trader_id": account.trader_id,
        "trader_name": trader_name,
        "product": account.product,
        "version": account.version,
        "phase_index": account.phase_index,
        "status": account.status,
        "platform": account.platform,
        "login": account.login,
        "currency": account.currency,
        "initial_minor": account.initial_minor,
        "balance_minor": live.balance_minor if live else None,
        "equity_minor": live.equity_minor if live else None,
        "tightest_rule": tightest[0] if tightest else None,
        "tightest_room_minor": tightest[1] if tightest else None,
        "open_positions": len(live.positions) if live else 0,
        "at": live.at if live else None,
        "opened_at": account.opened_at,
        "ended_at": account.ended_at,
    }


def _of_challenges(state: str) -> Condition:
    """A challenge is at its account of the current phase; those of phases that are over count with it."""
    return Account.challenge_id.in_(select(Challenge.id).where(Challenge.state == state))


def _numbered(text: str) -> Condition:
    number = finding.account_number_in(text)
    if number is None:
        raise BadInput("This is not an account number.", field="number", remedy="Write it like A-10001.")
    return Account.number == number


def _with_login(text: str) -> Condition:
    login = finding.login_in(text)
    if login is None:
        raise BadInput("This is not a login of a platform.", field="login", remedy="Write its digits.")
    return Account.login == login


def _of_version(text: str) -> Condition:
    if not text.isascii() or not text.isdigit() or int(text) > _MOST_VERSIONS:
        raise BadInput("This is not the version of a product.", field="version", remedy="Write its number, such as 2.")
    return Account.version == int(text)


def _found(named: Named) -> list[Condition]:
    return named.beside(Account.trader_id, Account.id)


def by_number(_descending: bool) -> list[Any]:
    return [Account.number]


def _by(figure: str, *, closest_first: bool = False) -> Order:
    keys = [getattr(AccountRank, figure), AccountRank.number]
    return Order(lambda _: keys, closest_first=closest_first, joined=_ranked, none=LAST)


def _ranked(statement: Select[Any]) -> Select[Any]:
    return statement.join(AccountRank, AccountRank.account_id == Account.id)


ACCOUNTS: Final = Listing(
    name="accounts",
    rows=Account,
    owner=Account.trader_id,
    filters={
        "state": Filter("Challenge", _of_challenges, tuple(sorted(CHALLENGE.states))),
        "status": Filter("Account", equals(Account.status), STATUSES),
        "product": Filter("Product", equals(Account.product)),
        "version": Filter("Version", _of_version, needs=("product",)),
        "platform": Filter("Platform", equals(Account.platform)),
        "trader": Filter("Trader", equals(Account.trader_id)),
        "number": Filter("Number", _numbered),
        "login": Filter("Login", _with_login),
        "updated_since": updated_since(Account.updated_at),
    },
    orders={
        "number": Order(by_number),
        "equity": _by("equity"),
        "daily": _by("daily", closest_first=True),
        "total": _by("total", closest_first=True),
        "closest": _by("closest", closest_first=True),
        UPDATED: Order(lambda _: [Account.updated_at, Account.id]),
    },
    order="-number",
    finds=_found,
    searches="account number, login, trader’s name or e-mail address",
)


async def page(session: AsyncSession, scope: Scope, window: Window, asked: Asked = EVERYTHING) -> Page[AccountRow]:
    found = await listing.rows(session, ACCOUNTS, _statement(scope), scope, window, asked)
    items = tuple(
        AccountRow(**_fields(row.Account, row.AccountLive, row.challenge_state, row.trader_name)) for row in found.rows
    )
    return Page[AccountRow](items=items, next_cursor=found.next_cursor, previous_cursor=found.previous_cursor)


@read_once
async def visible_account(session: AsyncSession, scope: Scope, account_id: str) -> Account:
    """Returns the account if `scope` may see it. Raises NotFound."""
    found = await session.get(Account, account_id)
    if found is None or not scope.sees(found.trader_id):
        raise NotFound
    return found


def called(ref: str) -> Condition:
    """The condition for the account with this number (A-10001), or this id."""
    number = finding.account_number_in(ref)
    return Account.id == ref if number is None else Account.number == number


async def one(session: AsyncSession, scope: Scope, ref: str) -> AccountView:
    """`ref`: the number or the id. Raises NotFound."""
    return await view(session, await loaded(session, scope, ref))


@read_once
async def loaded(session: AsyncSession, scope: Scope, ref: str) -> Loaded:
    """`ref`: the number or the id. Raises NotFound."""
    payout = select(Payout.id).where(Payout.account_id == Account.id, Payout.closed_at.is_(None))
    statement = _statement(scope).add_columns(Challenge, Trader, payout.limit(1).scalar_subquery().label("open_payout"))
    row = (await session.execute(statement.where(called(ref)))).one_or_none()
    if row is None:
        raise NotFound
    return Loaded(row.Account, row.AccountLive, row.Challenge, row.Trader, row.open_payout)


async def view(session: AsyncSession, found: Loaded) -> AccountView:
    account, live, challenge = found.account, found.live, found.challenge
    terms = await products.load(session, account.product, account.version)
    phase = terms.phase(account.phase_index)
    now = await market_now(session)
    return AccountView(
        **_fields(account, live, challenge.state, found.trader.name),
        phase_name=phase.name,
        product_name=terms.name,
        content_hash=terms.content_hash,
        funded=account.phase_index == terms.funded_index,
        rules=tuple(_gauges(account, phase, live)),
        target=_target(terms, account, live),
        trading_days=live.trading_days if live else 0,
        min_trading_days=phase.min_trading_days,
        time_limit_days=phase.time_limit_days,
        time_ends_at=await deadline(session, challenge, account, terms),
        clock_zone=terms.clock.zone,
        clock_reset=terms.clock.reset,
        next_reset=terms.clock.next_reset(now),
        market_time=now,
        open_payout_id=found.open_payout_id,
        frozen_at=await suspensions.frozen_since(session, challenge.id),
        positions=tuple(_position(position) for position in live.positions) if live else (),
    )


def _gauges(account: Account, phase: Phase, live: AccountLive | None) -> Iterator[RuleGauge]:
    """Yields every limit of the phase. Floor and room are None before the first checkpoint."""
    specs = compile_phase(phase, account.initial_minor, account.currency)
    rules = from_json(specs, live.rule_state["rules"]) if live else fresh(specs)
    for spec, state in zip(rules.specs, rules.states, strict=True):
        if not has_level(spec, state):
            continue
        seen: dict[str, Any] = (live.floors if live else {}).get(spec.key, {})
        yield RuleGauge(
            rule_id=spec.key,
            kind=spec.rule_type,
            operator=spec.operator,
            allowance_minor=spec.allowance_of(state),
            floor_minor=seen.get("floor_minor"),
            room_minor=seen.get("room_minor"),
        )


def _target(terms: Product, account: Account, live: AccountLive | None) -> TargetGauge | None:
    target = terms.phase(account.phase_index).target
    if target is None:
        return None
    needed = target.over(account.initial_minor, account.currency)
    gained = live.balance_minor - account.initial_minor if live else 0
    return TargetGauge(balance_minor=account.initial_minor + needed, gained_minor=gained, needed_minor=needed)


def _position(position: dict[str, Any]) -> PositionView:
    opened_at = position.get("opened_at")
    return PositionView(
        position_id=str(position["position_id"]),
        symbol=str(position["symbol"]),
        side=str(position["side"]),
        lots=str(position["lots"]),
        open_price=str(position["open_price"]),
        opened_at=datetime.fromisoformat(opened_at) if opened_at else None,
    )
