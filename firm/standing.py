"""How an account stands: what is done and what is missing, which days count, and what the rule about the best day
leaves room for. Folded here and now from the record, as payouts are."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from domain.best_day import best_day_room
from domain.day_marks import DayMark, marked
from domain.money import Money
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.rules import history
from domain.rules.base import HistoryRule, VenueCalendar
from domain.rules.events import Moment
from domain.rules.gates.best_day_ratio import BestDayRatio, BestDayState
from domain.rules.history import HistoryState
from domain.wording import count, name
from firm.payouts import by_history
from store import products
from store.models import Account
from store.read import impact, trades
from store.read.accounts import AccountView
from store.read.pages import View

Calendars = Mapping[str, VenueCalendar]
_ALL: Final = ("pass", "payout")


class Objective(View):
    """One thing that a pass or a payout needs. `done` and `missing`: in words, `missing` empty when it is met. `by`:
    the market time at which the phase times out; None without a limit. `blocks`: pass, payout, or both."""

    rule_id: str
    name: str
    met: bool
    done: str
    missing: str
    by: datetime | None
    blocks: tuple[str, ...]


class BestDayView(View):
    """See `domain.best_day.BestDayRoom`."""

    rule_id: str
    unit: str
    limit_pct: Decimal
    strict: bool
    best_minor: int
    whole_minor: int
    share_pct: Decimal | None
    today_minor: int
    headroom_minor: int | None
    dilutes_minor: int | None
    binds_above_minor: int | None
    currency: str


class MarkView(View):
    """Whether a day counts for `rule_id`, and why."""

    rule_id: str
    counts: bool
    words: str


class TradingDay(View):
    """A trading day. `trades`: positions closed for good on it; `result_minor`: what all its fills did to the balance,
    of which the costs are commission, swap and fees. Balance and equity: at the reset that ended it, None while it
    runs. `marks`: of each rule that counts days."""

    day: date
    ended_at: datetime | None
    fills: int
    trades: int
    result_minor: int
    commission_minor: int
    swap_minor: int
    fee_minor: int
    balance_minor: int | None
    equity_minor: int | None
    currency: str
    marks: tuple[MarkView, ...]


class Standing(View):
    """`objectives`: of the current phase, those that block a pass first."""

    account_id: str
    market_time: datetime
    objectives: tuple[Objective, ...]
    best_day: tuple[BestDayView, ...]


class TradedDays(View):
    """Trading days of one month, newest first. `months`: those that have any, newest first, written 2014-05. `clock`:
    the reset in words; it ends the days."""

    account_id: str
    month: str
    months: tuple[str, ...]
    clock: str
    clock_zone: str
    items: tuple[TradingDay, ...]


class _Folded(NamedTuple):
    terms: PhaseTerms
    rules: tuple[HistoryRule[Any], ...]
    state: HistoryState
    marks: tuple[DayMark, ...]
    now: Moment


async def standing(session: AsyncSession, view: AccountView, calendars: Calendars) -> Standing:
    """`view`: of the account. The caller has made sure that it may be seen."""
    folded = await _folded(session, view, calendars)
    return Standing(
        account_id=view.id,
        market_time=view.market_time,
        objectives=tuple(sorted(_objectives(view, folded), key=lambda each: "pass" not in each.blocks)),
        best_day=tuple(_best_days(view, folded)),
    )


async def days(session: AsyncSession, view: AccountView, calendars: Calendars, month: str | None = None) -> TradedDays:
    """`month`: such as 2014-05; None: the newest. The caller has made sure that the account may be seen."""
    folded = await _folded(session, view, calendars)
    clock = folded.terms.product.clock
    found = await trades.days(session, view.id, running=clock.trading_day(view.market_time))
    months = tuple(dict.fromkeys(f"{each.day:%Y-%m}" for each in reversed(found)))
    chosen = month or (months[0] if months else f"{view.market_time:%Y-%m}")
    marks: dict[date, list[MarkView]] = {}
    for mark in folded.marks:
        shown = MarkView(rule_id=mark.rule_id, counts=mark.counts, words=mark.words)
        marks.setdefault(mark.day, []).append(shown)
    return TradedDays(
        account_id=view.id,
        month=chosen,
        months=months,
        clock=clock.words,
        clock_zone=clock.zone,
        items=tuple(
            TradingDay(**each.model_dump(), currency=view.currency, marks=tuple(marks.get(each.day, ())))
            for each in reversed(found)
            if f"{each.day:%Y-%m}" == chosen
        ),
    )


async def _folded(session: AsyncSession, view: AccountView, calendars: Calendars) -> _Folded:
    account = await session.get_one(Account, view.id)
    product = await products.load(session, account.product, account.version)
    terms = phase_terms(product, account.phase_index, calendars, account.initial_minor)
    rules = tuple(rule for rule in terms.history_rules if history.leaves_out(rule))
    balance = view.initial_minor if view.balance_minor is None else view.balance_minor
    equity = balance if view.equity_minor is None else view.equity_minor
    now = Moment(seq=0, at=view.market_time, balance_minor=balance, equity_minor=equity)
    if account.opened_at is None or not (rules or terms.min_trading_days):
        return _Folded(terms, rules, history.start(rules, terms.context), (), now)
    life = await impact.life(session, account, bars=False)
    ended = now.at if account.ended_at is None else min(now.at, account.ended_at)
    news = await by_history.announced(session, account, terms, ended)
    events = (*news, *by_history.lived(life, terms, (balance, equity), ended))
    # beside the other requests: an account can have a hundred thousand fills
    state, marks = await asyncio.to_thread(marked, rules, terms.context, terms.min_trading_days, events)
    return _Folded(terms, rules, state, marks, now)


def _objectives(view: AccountView, folded: _Folded) -> Iterator[Objective]:
    terms, by = folded.terms, view.time_ends_at
    if terms.target_minor is not None:
        needed = history.effective_target(folded.state, folded.rules, terms.context, terms.target_minor, folded.now)
        gained = folded.now.balance_minor - view.initial_minor
        missing = needed - gained
        yield Objective(
            rule_id="target",
            name="Profit target",
            met=missing <= 0,
            done=f"{_digits(gained, view)} of {_money(needed, view)}",
            missing="" if missing <= 0 else f"{_money(missing, view)} more profit",
            by=by,
            blocks=("pass",),
        )
        held = view.open_positions
        yield Objective(
            rule_id="flat",
            name="No open positions",
            met=not held,
            done=f"{count(held, 'position')} open" if held else "none open",
            missing="close them all" if held else "",
            by=by,
            blocks=("pass",),
        )
    if view.min_trading_days:
        left = view.min_trading_days - view.trading_days
        yield Objective(
            rule_id="min_trading_days",
            name="Trading days",
            met=left <= 0,
            done=f"{view.trading_days} of {view.min_trading_days}",
            missing="" if left <= 0 else f"{count(left, 'more day')} with a new position",
            by=by,
            blocks=("pass",),
        )
    for gate, status in history.gates(folded.state, folded.rules, terms.context, folded.now):
        yield Objective(
            rule_id=gate.id,
            name=name(gate.id).capitalize(),
            met=status.met,
            done=status.sentence if status.met else "",
            missing="" if status.met else status.sentence,
            by=by if "pass" in gate.blocks else None,
            blocks=tuple(each for each in _ALL if each in gate.blocks),
        )


def _best_days(view: AccountView, folded: _Folded) -> Iterator[BestDayView]:
    context = folded.terms.context
    for rule in folded.rules:
        if isinstance(rule, BestDayRatio):
            state = history.state_of(rule, folded.state, context)
            assert isinstance(state, BestDayState)
            room = best_day_room(rule, state, folded.state.book, folded.now, context)
            values = {each: getattr(room, each) for each in BestDayView.model_fields if each != "currency"}
            yield BestDayView(**values, currency=view.currency)


def _money(minor: int, view: AccountView) -> str:
    return str(Money(minor=minor, currency=view.currency))


def _digits(minor: int, view: AccountView) -> str:
    return _money(minor, view).removesuffix(f" {view.currency}")
