"""A verdict on an order before it is placed, from the record as it is now.

The record is written by the monitor about once a second, and always in the transaction that stores a deal. So the
verdict knows every fill that the monitor has stored, and prices that are about a second old. It says how old they are.
It changes nothing, and it reserves nothing: two orders that are checked at once do not know of each other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import RateMissing
from domain.orders import verdict as judging
from domain.orders.order import Order, Standing, check_order, whole
from domain.orders.verdict import OrderVerdict
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from domain.rules.base import VenueCalendar
from domain.rules.events import OpenResult
from domain.rules.floors import NO_COSTS, Costs, Mark
from domain.rules.history import HistoryState
from domain.rules.limits import FRESH, LimitState
from domain.rules.marking import Instrument, Position, QuoteBoard, profit_minor
from domain.rules.state import AccountRules, from_json, on_mark
from store.read import standing as read
from store.read.standing import StandingRow
from store.scope import Scope

RECORD_FRESH: Final = timedelta(seconds=10)  # wall time since the monitor wrote last
QUOTE_FRESH: Final = timedelta(seconds=60)  # market time since the symbol was quoted

DoubtCode = Literal[
    "no_checkpoint", "shard_not_ready", "price_unknown", "equity_unknown", "monitor_behind", "quote_stale"
]
_UNKNOWN: Final = frozenset({"no_checkpoint", "shard_not_ready", "price_unknown", "equity_unknown"})


@dataclass(frozen=True, slots=True)
class DataDoubt:
    """Why the verdict cannot be given, or is about an earlier moment."""

    code: DoubtCode
    sentence: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no order at all is possible on the account."""

    code: Literal["account_not_active", "account_frozen", "account_paused", "balance_being_reset"]
    sentence: str


@dataclass(frozen=True, slots=True)
class AsOf:
    """The moment of a verdict. `batch`: the last batch of the venue's stream that the account's state includes.
    `quote_seq`: of the quote of the order's symbol. `recorded_at` is wall time, the other two are market time."""

    batch: int | None
    at: datetime | None
    quote_seq: int | None
    quote_at: datetime | None
    recorded_at: datetime | None


@dataclass(frozen=True, slots=True)
class OrderCheck:
    """`found`: None while the verdict is unknown."""

    row: StandingRow
    found: OrderVerdict | None
    refusals: tuple[Refusal, ...]
    doubts: tuple[DataDoubt, ...]
    as_of: AsOf

    @property
    def verdict(self) -> Literal["allowed", "not_allowed", "unknown"]:
        if self.refusals or (self.found is not None and self.found.broken):
            return "not_allowed"
        return "unknown" if self.found is None else "allowed"

    @property
    def data(self) -> Literal["live", "stale", "unknown"]:
        if any(doubt.code in _UNKNOWN for doubt in self.doubts):
            return "unknown"
        return "stale" if self.doubts else "live"


async def check_order_of(
    session: AsyncSession,
    scope: Scope,
    asked: Order,
    *,
    account_id: str | None = None,
    platform: str | None = None,
    login: int | None = None,
    calendars: Mapping[str, VenueCalendar] | None = None,
) -> OrderCheck:
    """Returns the verdict on `asked` for the account with this id, or with this login on a platform.

    Raises NotFound, BadInput for an order that contradicts itself or names a position that is not open.
    """
    check_order(asked)
    row = await read.one(session, scope, account_id=account_id, platform=platform, login=login)
    if row.rules is None or row.instruments is None:
        return _answer(row, asked.symbol)
    account = row.account
    terms = phase_terms(Product.model_validate(row.terms), account.phase_index, calendars, account.initial_minor)
    try:
        state = _standing(row, terms, await _highest(session, row))
    except RateMissing as missing:
        return _answer(row, asked.symbol, DataDoubt("equity_unknown", missing.message))
    order = whole(asked, state)
    try:
        found = judging.verdict(order, state, _now(row) or state.mark.at)
    except RateMissing as missing:
        return _answer(row, order.symbol, DataDoubt("price_unknown", missing.message))
    return _answer(row, order.symbol, found=found)


def _answer(row: StandingRow, symbol: str, *doubts: DataDoubt, found: OrderVerdict | None = None) -> OrderCheck:
    quote = (row.quotes or {}).get(symbol)
    seq, quoted = (None, None) if quote is None else (int(quote[2]), datetime.fromisoformat(quote[3]))
    as_of = AsOf(row.batch, _now(row), seq, quoted, row.checkpoint_at)
    return OrderCheck(row, found, tuple(_refusals(row)), (*_doubts(row, quoted), *doubts), as_of)


def _refusals(row: StandingRow) -> Iterator[Refusal]:
    if row.account.status != "active":
        yield Refusal("account_not_active", f"The account is {row.account.status}: it cannot trade.")
    if row.suspended:
        yield Refusal("account_frozen", "The account is frozen: it cannot trade.")
    if row.paused:
        yield Refusal("account_paused", "Trading on the account is paused until the next reset.")
    if row.resetting:
        yield Refusal("balance_being_reset", "The balance of the account is being reset to the initial balance.")


def _doubts(row: StandingRow, quote_at: datetime | None) -> Iterator[DataDoubt]:
    if row.rules is None:
        yield DataDoubt("no_checkpoint", "The monitor has not stored this account yet.")
    elif row.instruments is None:
        yield DataDoubt("shard_not_ready", "The shard of the account has stored no prices yet. Ask again in a moment.")
    elif row.checkpoint_at is None or datetime.now(UTC) - row.checkpoint_at > RECORD_FRESH:
        when = "at an unknown time" if row.checkpoint_at is None else f"at {row.checkpoint_at:%Y-%m-%d %H:%M:%S} UTC"
        yield DataDoubt("monitor_behind", f"The monitor stored the account's shard last {when}.")
    now = _now(row)
    if quote_at is not None and now is not None and now - quote_at > QUOTE_FRESH:
        yield DataDoubt("quote_stale", f"The symbol was quoted last at {quote_at:%Y-%m-%d %H:%M:%S} UTC.")


def _now(row: StandingRow) -> datetime | None:
    """Returns market time: no earlier event will come."""
    known = [at for at in (row.at, row.watermark) if at is not None]
    return max(known).astimezone(UTC) if known else None


# the account's state, from its checkpoint


async def _highest(session: AsyncSession, row: StandingRow) -> int | None:
    return None if row.at is None else await read.highest_since(session, row.account.id, row.at)


def _standing(row: StandingRow, terms: PhaseTerms, highest_minor: int | None) -> Standing:
    """Raises RateMissing while the account cannot be valued."""
    quotes = {symbol: (Decimal(each[0]), Decimal(each[1])) for symbol, each in (row.quotes or {}).items()}
    instruments = {
        symbol: Instrument(symbol, Decimal(size), currency)
        for symbol, (size, currency) in (row.instruments or {}).items()
    }
    positions = tuple(position_of(each) for each in row.positions or ())
    mark = _mark(row, terms, positions, quotes, instruments)
    history = HistoryState.model_validate(row.history) if row.history else None
    return Standing(
        terms=terms,
        mark=mark,
        rules=_rules(row, terms, mark, highest_minor),
        history=history,
        limits=dict(_limits(row, terms)),
        positions=positions,
        quotes=quotes,
        instruments=instruments,
    )


def _mark(
    row: StandingRow,
    terms: PhaseTerms,
    positions: tuple[Position, ...],
    quotes: dict[str, tuple[Decimal, Decimal]],
    instruments: dict[str, Instrument],
) -> Mark:
    """Returns the money of the account at the quotes on record, or as its venue states it."""
    assert row.balance_minor is not None and row.equity_minor is not None and row.at is not None
    equity, results = row.equity_minor, None
    if all(each.symbol in instruments for each in positions):
        board, currency = QuoteBoard(quotes), terms.product.currency
        results = tuple(
            OpenResult(
                position_id=each.position_id,
                symbol=each.symbol,
                pnl_minor=profit_minor(each, board, instruments, currency),
            )
            for each in positions
        )
        if row.account.marks == "quotes":
            equity = row.balance_minor + sum(each.pnl_minor for each in results)
    costs = Costs(**row.costs) if row.costs else NO_COSTS
    return Mark(row.balance_minor, equity, row.batch or 0, row.at.astimezone(UTC), costs, results)


def _rules(row: StandingRow, terms: PhaseTerms, mark: Mark, highest_minor: int | None) -> AccountRules:
    """Returns the levels as they are at `mark`, after the highest equity since the checkpoint."""
    rules = from_json(terms.specs, row.rules or {})
    if highest_minor is not None:
        rules = on_mark(rules, replace(mark, equity_minor=highest_minor))
    return on_mark(rules, mark)


def _limits(row: StandingRow, terms: PhaseTerms) -> Iterator[tuple[str, LimitState]]:
    """Yields the offences of each limit. The checkpoint keeps their number beside them, because it also counts those
    before a reinstatement."""
    numbers, stored = row.offences or {}, row.limits or {}
    for rule_id in {spec.rule_id: None for spec in terms.specs}:
        state = LimitState.model_validate(stored[rule_id]) if rule_id in stored else FRESH
        yield rule_id, state.model_copy(update={"offences": numbers.get(rule_id, 0)})


def position_of(stored: dict[str, Any]) -> Position:
    return Position(
        stored["position_id"],
        stored["symbol"],
        stored["side"],
        Decimal(stored["lots"]),
        Decimal(stored["open_price"]),
        datetime.fromisoformat(stored["opened_at"]),
    )
