"""The equity curve as columns for the chart: thinned by time so that any range has a readable number of points."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import words
from console.present.account import floor_minor
from domain.money import exponent
from store.read import accounts, breaches, market
from store.read.accounts import AccountView
from store.read.breaches import BreachView
from store.read.market import BarView, DayView, DealView
from store.read.pages import Window
from store.scope import Scope

RANGES: Final = (("1d", "1D"), ("1w", "1W"), ("phase", "phase"), ("all", "all"))
_SPANS: Final = {"1d": timedelta(days=1), "1w": timedelta(days=7)}
POINTS: Final = 1500
_MARKS: Final = 200


async def curve(session: AsyncSession, scope: Scope, account_id: str, name: str) -> dict[str, Any]:
    """Columns of one range: times in whole seconds UTC, money in major units (for drawing alone). Raises NotFound.

    Per step the equity at its close with the low and high inside it; each rule's floor as it stood; resets, deals and
    breaches as marks.
    """
    account = await accounts.one(session, scope, account_id)
    until = account.ended_at or account.market_time
    since = until - _SPANS[name] if name in _SPANS else account.opened_at
    bars = await market.curve(session, account_id, since=since)
    days = await market.days(session, account_id)
    deals = (await market.deals(session, account_id, Window(limit=_MARKS))).items
    broken = (await breaches.page(session, scope, Window(limit=20), account_id=account_id)).items
    steps = _steps(bars, POINTS)
    return columns(account, steps, days, deals, broken)


def _steps(bars: Sequence[BarView], points: int) -> list[BarView]:
    """At most about `points` bars: neighbours merged, no low or high lost."""
    size = -(-len(bars) // points) if bars else 1
    groups = [bars[index : index + size] for index in range(0, len(bars), size)]
    return [_merged(group) for group in groups]


def _merged(group: Sequence[BarView]) -> BarView:
    last = group[-1]
    low, high = min(bar.low_minor for bar in group), max(bar.high_minor for bar in group)
    return last.model_copy(update={"open_minor": group[0].open_minor, "low_minor": low, "high_minor": high})


def columns(
    account: AccountView,
    steps: Sequence[BarView],
    days: Sequence[DayView],
    deals: Sequence[DealView],
    broken: Sequence[BreachView],
) -> dict[str, Any]:
    scale: int = 10 ** exponent(account.currency)
    times = [bar.minute for bar in steps]
    first, last = (times[0], times[-1]) if times else (account.market_time, account.market_time)

    def major(minor: int) -> float:
        return minor / scale

    def equity_at(at: datetime) -> float:
        return major(steps[max(0, bisect_right(times, at) - 1)].close_minor) if steps else 0.0

    return {
        "currency": account.currency,
        "at": [_seconds(at) for at in times],
        "equity": [major(bar.close_minor) for bar in steps],
        "low": [major(bar.low_minor) for bar in steps],
        "high": [major(bar.high_minor) for bar in steps],
        "balance": [major(bar.balance_minor) for bar in steps],
        "floors": [
            {"label": words(rule.rule_id), "values": [major(v) for v in _floor(account, rule.rule_id, times, days)]}
            for rule in account.rules
            if rule.floor_minor is not None
        ],
        "resets": [_seconds(day.reset_at) for day in days if first <= day.reset_at <= last],
        "deals": [
            {"at": _seconds(deal.at), "equity": equity_at(deal.at), "entry": deal.entry}
            for deal in deals
            if first <= deal.at <= last + timedelta(minutes=1)
        ],
        "breaches": [
            {"at": _seconds(row.occurred_at), "equity": major(row.equity_minor), "rule": words(row.rule_id)}
            for row in broken
        ],
    }


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _floor(account: AccountView, rule_id: str, times: Sequence[datetime], days: Sequence[DayView]) -> list[int]:
    """A rule's floor at each time: the one the last reset left behind, today the live one."""
    live = next(rule for rule in account.rules if rule.rule_id == rule_id)
    known = [(day.reset_at, floor_minor(day.floors[rule_id])) for day in days if rule_id in day.floors]
    resets = [at for at, _ in known]
    now = live.floor_minor or 0
    opening = account.initial_minor - live.allowance_minor
    found = []
    for at in times:
        index = bisect_right(resets, at)
        found.append(now if index == len(resets) else opening if index == 0 else known[index - 1][1])
    return found
