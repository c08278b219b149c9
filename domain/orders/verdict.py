"""The verdict on an order: the account's own rules, stepped by the events that the order would lead to.

The rules are those that judge the account: conduct rules through `history.step`, floors and ceilings through
`evaluate.judge` and the fold of offences in `limits`. Nothing here knows a rule, except which news is announced.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

from domain.errors import BadInput
from domain.orders.order import NEW, Order, Standing, closing_price, fill_price
from domain.rules import history, limits
from domain.rules.base import Consequence, EquityRule, HistoryRule, State, Violation
from domain.rules.conduct.news_window import NewsState
from domain.rules.evaluate import LevelBreach, compared, judge
from domain.rules.events import Clocked, CloseAction, Closed, Event, Opened, OpenResult, OrderGone, OrderPlaced
from domain.rules.floors import Mark
from domain.rules.history import HistoryState
from domain.rules.limits import CureWindow
from domain.rules.room import Room, rooms
from domain.rules.state import AccountRules
from domain.wording import instant, money

When = Literal["placed", "filled", "closed"]
Ahead = Literal["at_stop", "by_time", "news", "may_be_cured"]

AHEAD: Final = timedelta(hours=1)  # how far warnings look
_BY_NEWS: Final[tuple[CloseAction, ...]] = ("close", "stop_loss", "take_profit")


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule that the order would break. `when`: at its placement, its fill or its close. `offence`: the number that
    the offence would have."""

    rule_id: str
    when: When
    offence: int
    consequence: Consequence
    sentence: str
    figures: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RoomAfter:
    """The room to one level. `at_stop_minor`: when the order's stop is hit; None without a stop."""

    rule_id: str
    floor_minor: int
    room_minor: int
    after_minor: int
    at_stop_minor: int | None


@dataclass(frozen=True, slots=True)
class OrderWarning:
    """What the order would lead to later. `at`: when; None: when the price gets there."""

    kind: Ahead
    rule_id: str
    at: datetime | None
    sentence: str


@dataclass(frozen=True, slots=True)
class OrderVerdict:
    """`price`: of the fill; `risk_minor`: the loss if the stop is hit, measured from the fill. The figures are without
    the commission, which only the venue knows."""

    price: Decimal
    balance_minor: int
    equity_minor: int
    risk_minor: int | None
    at_stop_minor: int | None
    broken: tuple[BrokenRule, ...] = ()
    rooms: tuple[RoomAfter, ...] = ()
    warnings: tuple[OrderWarning, ...] = ()


class _Stage(NamedTuple):
    """One thing that the order leads to."""

    when: When
    event: Event


@dataclass(slots=True)
class _Found:
    broken: list[BrokenRule] = field(default_factory=list)
    warnings: list[OrderWarning] = field(default_factory=list)


def verdict(order: Order, standing: Standing, at: datetime) -> OrderVerdict:
    """Returns what the order, as `whole` returns it, would do if it were placed and filled at `at`. A pending order is
    judged at its placement and as if it were filled at once, at its price.

    Raises BadInput for a stop on the wrong side, RateMissing while a price or a conversion is unknown.
    """
    price = fill_price(order, standing)
    events = _closing if order.kind == "close" else _opening
    stages, mark = events(order, standing, price, at)
    found, before = _Found(), _history_at(standing, at)
    after = before
    for stage in stages:
        after = _step_conduct(found, stage, after, standing)
    rules = _step_limits(found, stages[-1].when, mark, standing)
    risk = _risk_minor(order, standing, price)
    stopped = None if risk is None else _stopped(order, standing.mark, risk, at)
    if stopped is not None and risk is not None:
        found.warnings += _at_stop(rules, stopped, standing)
        found.warnings += _conduct_at_stop(order, after, standing, stopped, risk)
    if order.kind != "close":
        found.warnings += _by_time(before, after, standing, mark, at)
        found.warnings += _by_news(order, after, standing, mark, at)
    return OrderVerdict(
        price=price,
        balance_minor=mark.balance_minor,
        equity_minor=mark.equity_minor,
        risk_minor=risk,
        at_stop_minor=None if stopped is None else stopped.equity_minor,
        broken=tuple(found.broken),
        rooms=tuple(_rooms(standing, rules, mark, stopped)),
        warnings=tuple(found.warnings),
    )


# the events that the order leads to


def _opening(order: Order, standing: Standing, price: Decimal, at: datetime) -> tuple[list[_Stage], Mark]:
    """Returns the placement and the fill, and the money of the account after it."""
    closing = closing_price(order, standing, price)
    floating = standing.profit_minor(order.symbol, order.side, order.lots, price, closing)
    mark = replace(
        standing.mark,
        at=at,
        equity_minor=standing.mark.equity_minor + floating,
        positions=_changed(standing.mark, order.position_id or NEW, order.symbol, floating),
    )
    adds = order.position_id is not None and bool(standing.position(order.position_id))
    now = _moment(standing.mark, at)
    filled = Opened(
        **_moment(mark, at),
        position_id=order.position_id or NEW,
        symbol=order.symbol,
        side=order.side,
        lots=order.lots,
        price=price,
        stop_price=order.stop,
        take_profit=order.take_profit,
        risk_minor=_risk_minor(order, standing, price),
        value_minor=standing.value_minor(order.symbol, order.lots, price),
        adds=adds,
        action="pending_fill" if order.kind == "pending" else "open",
    )
    if order.kind == "market":
        return [_Stage("filled", filled)], mark
    placed = OrderPlaced(**now, order_id=NEW, symbol=order.symbol, side=order.side, lots=order.lots)
    return [_Stage("placed", placed), _Stage("filled", OrderGone(**now, order_id=NEW)), _Stage("filled", filled)], mark


def _closing(order: Order, standing: Standing, price: Decimal, at: datetime) -> tuple[list[_Stage], Mark]:
    """Returns the close, and the money of the account after it."""
    position = standing.position(order.position_id or "")
    lots, opened = order.lots, position.open_price
    bid, ask = standing.quotes.get(order.symbol, (price, price))
    result = standing.profit_minor(order.symbol, order.side, lots, opened, price)
    floated = standing.profit_minor(order.symbol, order.side, lots, opened, bid if order.side == "buy" else ask)
    before = standing.mark
    mark = replace(
        before,
        at=at,
        balance_minor=before.balance_minor + result,
        equity_minor=before.equity_minor + result - floated,
        positions=_changed(before, position.position_id, position.symbol, -floated),
    )
    closed = Closed(
        **_moment(mark, at),
        position_id=position.position_id,
        symbol=position.symbol,
        side=position.side,
        lots=lots,
        lots_left=position.lots - lots,
        opened_at=position.opened_at,
        pnl_minor=result,
        gross_minor=result,
        value_minor=standing.value_minor(order.symbol, lots, position.open_price),
    )
    return [_Stage("closed", closed)], mark


def _changed(mark: Mark, position_id: str, symbol: str, change_minor: int) -> tuple[OpenResult, ...] | None:
    """Returns what each open position makes after one of them, or a new one, has changed; None where it is unknown."""
    if mark.positions is None:
        return None
    found = {each.position_id: each for each in mark.positions}
    before = found.get(position_id, OpenResult(position_id=position_id, symbol=symbol, pnl_minor=0))
    found[position_id] = replace(before, pnl_minor=before.pnl_minor + change_minor)
    return tuple(found.values())


def _moment(mark: Mark, at: datetime) -> dict[str, Any]:
    return {
        "seq": mark.seq,
        "at": at,
        "balance_minor": mark.balance_minor,
        "equity_minor": mark.equity_minor,
        "positions": mark.positions,
    }


def _risk_minor(order: Order, standing: Standing, price: Decimal) -> int | None:
    """Returns the loss if the stop is hit; None without a stop. Raises BadInput for a stop that would win."""
    if order.stop is None:
        return None
    risk = -standing.profit_minor(order.symbol, order.side, order.lots, price, order.stop)
    if risk < 0:
        wrong = "above" if order.side == "buy" else "below"
        raise BadInput(
            f"The stop {order.stop} is {wrong} the price {price} of a {order.side}.",
            field="stop",
            remedy="Set the stop on the losing side of the price.",
        )
    return risk


def _stopped(order: Order, mark: Mark, risk_minor: int, at: datetime) -> Mark:
    """Returns the money of the account when the stop is hit and nothing else has changed."""
    balance, equity = mark.balance_minor - risk_minor, mark.equity_minor - risk_minor
    positions = _changed(mark, order.position_id or NEW, order.symbol, -risk_minor)
    return replace(mark, at=at, balance_minor=balance, equity_minor=equity, positions=positions)


# what the rules find


def _history_at(standing: Standing, at: datetime) -> HistoryState:
    """Returns the history with what time alone has decided up to `at`. That is no offence of the order."""
    rules, context = standing.terms.history_rules, standing.terms.context
    state = standing.history or history.start(rules, context)
    due = history.due(state, rules, context)
    if due is None or due > at:
        return state
    state, _ = history.step(state, Clocked(**_moment(standing.mark, at)), rules, context)
    return state


def _step_conduct(found: _Found, stage: _Stage, state: HistoryState, standing: Standing) -> HistoryState:
    after, violations = history.step(state, stage.event, standing.terms.history_rules, standing.terms.context)
    found.broken += [
        BrokenRule(each.rule_id, stage.when, each.offence, each.consequence, each.sentence, each.figures)
        for each in violations
    ]
    return after


def _step_limits(found: _Found, when: When, mark: Mark, standing: Standing) -> AccountRules:
    """Judges the floors and ceilings after the order. One that was an offence already since its last reset is no new
    one. Returns the levels after it."""
    rules, breaches = judge(standing.rules, mark)
    broken = {breach.key: breach for breach in breaches}
    for rule_id, levels in compared(rules.specs, breaches).items():
        rule = standing.terms.rule(rule_id)
        assert isinstance(rule, EquityRule)
        before = standing.limits.get(rule_id, limits.FRESH)
        closed = {key: False for key in before.curing if "/" in key}  # unless a symbol or position is broken still
        after, offences = limits.step(before, rule, closed | levels, mark.at)
        found.broken += [
            _broken_limit(broken[each.key], each.number, each.consequence, when, standing)
            for each in offences
            if each.key in broken and each.key not in before.curing
        ]
        begun = {key: window for key, window in after.curing.items() if key not in before.curing}
        found.warnings += [_cure(rule, window) for window in begun.values()]
    return rules


def _broken_limit(
    breach: LevelBreach, number: int, consequence: Consequence, when: When, standing: Standing
) -> BrokenRule:
    worth, level, side = breach.equity_minor, breach.floor_minor, breach.spec.direction
    what = "The account" if breach.subject is None else breach.subject
    sentence = f"{what} would be worth {money(worth, standing.currency)} right after it, and the {side} of"
    sentence += f" {breach.spec.rule_id} is {money(level, standing.currency)}."
    figures = {"worth_minor": worth, "level_minor": level, "operator": breach.spec.operator}
    return BrokenRule(breach.spec.rule_id, when, number, consequence, sentence, figures)


def _cure(rule: EquityRule, window: CureWindow) -> OrderWarning:
    sentence = f"{rule.id} would be broken right after it. It is an offence unless the account is back within the limit"
    return OrderWarning("may_be_cured", rule.id, window.until, f"{sentence} by {instant(window.until)}.")


# what the order leads to later


def _at_stop(rules: AccountRules, mark: Mark, standing: Standing) -> Iterator[OrderWarning]:
    """Yields a warning for each level that the account is beyond when the stop is hit at its price."""
    already = {breach.key for breach in judge(standing.rules, standing.mark)[1]}
    for breach in judge(rules, mark)[1]:
        if breach.key in already:
            continue
        what = "the account" if breach.subject is None else breach.subject
        sentence = f"If the stop is hit, {what} is worth {money(breach.equity_minor, standing.currency)}, and the"
        sentence += f" {breach.spec.direction} of {breach.spec.rule_id} is"
        yield OrderWarning(
            "at_stop", breach.spec.rule_id, None, f"{sentence} {money(breach.floor_minor, standing.currency)}."
        )


def _conduct_at_stop(
    order: Order, after: HistoryState, standing: Standing, mark: Mark, risk_minor: int
) -> Iterator[OrderWarning]:
    """Yields what conduct rules find when the stop is hit."""
    closed = _close_at(order, mark, mark.at, mark.at, "stop_loss")
    closed = replace(closed, pnl_minor=-risk_minor, gross_minor=-risk_minor)
    for rule in standing.terms.history_rules:
        if not isinstance(history.state_of(rule, after, standing.terms.context), NewsState):
            for each in _alone(rule, after, closed, standing):
                yield OrderWarning("at_stop", rule.id, None, f"If the stop is hit: {each.sentence}")


def _by_time(
    before: HistoryState, after: HistoryState, standing: Standing, mark: Mark, at: datetime
) -> Iterator[OrderWarning]:
    """Yields what time alone would find within `AHEAD` because of the order, if nothing else happens."""
    context = standing.terms.context
    for rule in standing.terms.history_rules:
        due = rule.due(history.state_of(rule, after, context), context)
        if due is None or not at < due <= at + AHEAD:
            continue
        clocked = Clocked(**_moment(mark, due))
        without = {each.position_ids for each in _alone(rule, before, clocked, standing)}
        for each in _alone(rule, after, clocked, standing):
            if each.position_ids not in without:
                sentence = f"If nothing changes until {instant(due)}: {each.sentence}"
                yield OrderWarning("by_time", rule.id, due, sentence)


def _by_news(order: Order, after: HistoryState, standing: Standing, mark: Mark, at: datetime) -> Iterator[OrderWarning]:
    """Yields a warning for each release within `AHEAD` at which the new position could not be closed."""
    for rule in standing.terms.history_rules:
        own = history.state_of(rule, after, standing.terms.context)
        if not isinstance(own, NewsState):
            continue
        for release in own.releases:
            if not at < release.at <= at + AHEAD:
                continue
            closes = (_close_at(order, mark, at, release.at, action) for action in _BY_NEWS)
            found = [each for close in closes for each in _alone(rule, after, close, standing)]
            if found:
                yield OrderWarning("news", rule.id, release.at, f"News is due: {found[0].sentence}")


def _close_at(order: Order, mark: Mark, opened_at: datetime, at: datetime, action: CloseAction) -> Closed:
    return Closed(
        **_moment(mark, at),
        position_id=order.position_id or NEW,
        symbol=order.symbol,
        side=order.side,
        lots=order.lots,
        opened_at=opened_at,
        action=action,
    )


def _alone(rule: HistoryRule[State], state: HistoryState, event: Event, standing: Standing) -> Sequence[Violation]:
    """Returns what one rule finds at `event`."""
    context = standing.terms.context
    return rule.step(history.state_of(rule, state, context), event, context)[1]


def _rooms(standing: Standing, rules: AccountRules, mark: Mark, stopped: Mark | None) -> Iterator[RoomAfter]:
    now, after = rooms(standing.rules, standing.mark), rooms(rules, mark)
    hit: Sequence[Room | None] = [None] * len(after) if stopped is None else rooms(rules, stopped)
    for old, new, last in zip(now, after, hit, strict=True):
        if not new.limited:
            continue
        yield RoomAfter(
            rule_id=new.spec.key,
            floor_minor=new.floor_minor,
            room_minor=old.room_minor,
            after_minor=new.room_minor,
            at_stop_minor=None if last is None else last.room_minor,
        )
