"""What the rule about the best day leaves room for: how much today may still make, and how much more profit other days
must make before the best day is within the rule."""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from domain.rules.base import Context
from domain.rules.days import DayBook, day_profit
from domain.rules.events import Moment
from domain.rules.gates.best_day_ratio import BestDayRatio, BestDayState
from domain.rules.gates.windows import running_day

_WHOLE: Final = Decimal(100)


@dataclass(frozen=True, slots=True)
class BestDayRoom:
    """Amounts in minor units, in the window of the rule, the running day included.

    `best_minor`: of the best day (or trade, where `unit` is trade). `whole_minor`: what it is compared with.
    `share_pct`: best / whole x 100, two decimals, None while there is no profit. `today_minor`: the result of the
    running day so far. `headroom_minor`: the most that today may still make without being too large itself; None where
    the rule does not bind days (it is about single trades), or today alone can never be too large. `dilutes_minor`:
    the profit that other days must make in all before the best day is within the rule; 0: it is within it; None where
    no profit changes it, because the rule compares with a fixed target. `binds_above_minor`: up to this net profit the
    rule is satisfied whatever the best day is.
    """

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


def best_day_room(rule: BestDayRatio, state: BestDayState, book: DayBook, now: Moment, context: Context) -> BestDayRoom:
    """`state`: after the last event, without the running day. `book`: the running day. `now`: the money of this
    moment."""
    day = running_day(state, book, now, context) if rule.unit == "day" else None
    today = 0 if day is None else day_profit(day, rule.attribution) or 0
    after = state if day is None else rule.step(state, day, context)[0]
    figures = rule.status(after, context).figures
    best = int(figures["best_day"])
    whole = _whole(rule, after, int(figures["total_profit"]), context)
    fixed = rule.denominator == "profit_target"
    share = (Decimal(best) * _WHOLE / whole).quantize(Decimal("0.01")) if whole > 0 else None
    return BestDayRoom(
        rule_id=rule.id,
        unit=rule.unit,
        limit_pct=rule.limit_pct,
        strict=rule.compare == "<",
        best_minor=best,
        whole_minor=whole,
        share_pct=share,
        today_minor=today,
        headroom_minor=None if rule.unit == "trade" else headroom(rule.limit_pct, whole, today, fixed, rule.compare),
        dilutes_minor=None if fixed else diluting(rule.limit_pct, best, whole, rule.compare),
        binds_above_minor=figures.get("binds_above_profit"),
    )


def _whole(rule: BestDayRatio, state: BestDayState, total_minor: int, context: Context) -> int:
    """What the best day is compared with."""
    return total_minor if rule.denominator == "total_profit" else rule.denominator_minor(state, context)


def headroom(limit_pct: Decimal, whole_minor: int, today_minor: int, fixed: bool, compare: str) -> int | None:
    """The most that today may still make, in minor units, rounded down; 0: nothing more. `fixed`: what it is compared
    with does not grow with today. None: today alone can never be too large.

    Today made t and makes x more. It is within the rule while t + x <= limit x (whole + x), so while
    x x (1 - limit) <= limit x whole - t; where the whole is fixed, x <= limit x whole - t.
    """
    share = limit_pct / _WHOLE
    if not fixed and share >= 1:
        return None
    room = share * whole_minor - today_minor
    most = room if fixed else room / (1 - share)
    whole = int(most.to_integral_value(rounding=ROUND_FLOOR))
    reached = compare == "<" and whole == most
    return max(0, whole - 1 if reached else whole)


def diluting(limit_pct: Decimal, best_minor: int, whole_minor: int, compare: str) -> int:
    """The profit that other days must make before the best day is within the rule: best / limit - whole, rounded up."""
    needed = Decimal(best_minor) * _WHOLE / limit_pct - whole_minor
    up = -int((-needed).to_integral_value(rounding=ROUND_FLOOR))
    return max(0, up + 1 if compare == "<" and up == needed else up)
