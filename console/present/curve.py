"""The equity curve as columns for the chart: thinned by time so that any range has a readable number of points.

An account has a bar of each minute in which a price or a deal moved it. Between bars the equity of an account without
positions is its balance; that of one with positions is not known, and the curve has a gap.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import words
from console.present.account import floor_minor
from domain.money import exponent
from store.read import accounts, breaches, market
from store.read.accounts import AccountView
from store.read.breaches import BreachView
from store.read.market import BarView, DayView, Mark
from store.read.pages import Window
from store.scope import Scope

RANGES: Final = (("1d", "1D"), ("1w", "1W"), ("phase", "phase"), ("all", "all"))
_SPANS: Final = {"1d": timedelta(days=1), "1w": timedelta(days=7)}
POINTS: Final = 1500
_MARKS: Final = 200
_MINUTE: Final = timedelta(minutes=1)
_GAP: Final = timedelta(minutes=5)  # a quiet symbol may have no tick for so long


class Point(NamedTuple):
    """`low`, `close`, `high`: of the equity, in minor units; None in a gap. `balance`: in minor units."""

    at: datetime
    low: int | None
    close: int | None
    high: int | None
    balance: int


@dataclass(frozen=True)
class Shown:
    """What of an account's curve is drawn: one of RANGES, or `since` to `until` of it. `before`: the part before this
    moment. `width`: of the picture, in pixels."""

    name: str
    since: datetime | None = None
    until: datetime | None = None
    before: datetime | None = None
    width: int = POINTS


def step_minutes(since: datetime, until: datetime, width: int) -> int:
    """Returns how many minutes one point stands for, so that there are not more points than pixels."""
    minutes = max(0, (until - since) // _MINUTE)
    return max(1, -(-minutes // max(1, width)))


async def curve(session: AsyncSession, scope: Scope, ref: str, shown: Shown) -> dict[str, Any]:
    """Columns of one range: times in whole seconds UTC, money in major units (for drawing alone), null for equity in a
    gap. Raises NotFound.

    Per step the equity at its close with the low and high inside it; each rule's floor as it stood; resets, deals and
    breaches as marks. A part of the curve is made of a limited number of bars, the newest first: `earlier` says before
    which second the part before it ends, null for the first one. Breaches come with the newest part.
    """
    account = await accounts.one(session, scope, ref)
    account_id = account.id
    end = account.ended_at or account.market_time
    until = min(end, shown.until) if shown.until else end
    since = shown.since or (end - _SPANS[shown.name] if shown.name in _SPANS else account.opened_at)
    step = 1 if since is None else step_minutes(max(since, account.opened_at or since), until, shown.width)
    upto, older = until if shown.until else None, shown.before is not None
    if shown.before is not None:
        until, upto = shown.before - _MINUTE, shown.before
    bars, earlier = await market.curve(session, account_id, since=since, until=upto, step=step)
    days = await market.days(session, account_id)
    deals = await market.marks(session, account_id, _MARKS, since=earlier or since, until=upto)
    broken = await breaches.page(session, scope, Window(limit=20), account_id=account_id)
    balance = account.balance_minor
    if not bars and since is not None and balance is not None and not account.open_positions and not older:
        found = [_still(at, balance) for at in sorted({max(since, account.opened_at or since), until})]
    else:
        found = points(bars, until, shown.width, goes_on=older)
    found = with_resets(found, (day.reset_at for day in days), shown.before)
    data = columns(account, found, days, deals, () if older else broken.items)
    return data | {"earlier": None if earlier is None else _seconds(earlier)}


def points(bars: Sequence[BarView], until: datetime, count: int, *, goes_on: bool = False) -> list[Point]:
    """Returns few points of bars, no low or high lost, with gaps where nothing is known: `count`, and at most twice as
    many again for gaps. The last one is at `until` if the account has no positions by then. `goes_on`: other bars
    follow, a minute after `until`."""
    found: list[Point] = []
    size = max(1, -(-len(bars) // max(1, count)))
    runs = list(_runs(bars)) if size == 1 else _merged_runs(list(_runs(bars)), size)
    for number, run in enumerate(runs):
        groups = [run[index : index + size] for index in range(0, len(run), size)]
        found += [_merged(group) for group in groups]
        upto = runs[number + 1][0].minute - _MINUTE if number + 1 < len(runs) else until
        if not goes_on or number + 1 < len(runs) or _apart(run[-1], until + _MINUTE):
            found += _between(found[-1], run[-1], upto)
    if found and found[0].at > bars[0].minute:  # the picture, and each floor in it, begins with the first tick
        first = bars[0]
        found.insert(0, Point(first.minute, first.low_minor, first.close_minor, first.high_minor, first.balance_minor))
    return found


def _merged_runs(runs: Sequence[Sequence[BarView]], size: int) -> list[Sequence[BarView]]:
    """Puts short runs together until each has `size` bars: the gaps between them are narrower than one point."""
    found: list[list[BarView]] = []
    for run in runs:
        if found and len(found[-1]) < size:
            found[-1].extend(run)
        else:
            found.append(list(run))
    return list(found)


def with_resets(found: Sequence[Point], resets: Iterable[datetime], before: datetime | None = None) -> list[Point]:
    """Adds a point at each reset between others, where floors make their step. `before`: where other points follow."""
    times = [point.at for point in found]
    added = []
    for reset in resets:
        index = bisect_right(times, reset)
        between = 0 < index < len(times) or (index > 0 and before is not None and reset < before)
        if between and times[index - 1] != reset:
            last = found[index - 1]
            added.append(Point(reset, last.close, last.close, last.close, last.balance))
    return sorted([*found, *added], key=lambda point: point.at)


def _runs(bars: Sequence[BarView]) -> Iterator[Sequence[BarView]]:
    """Yields the bars in parts that nothing is missing in."""
    begin = 0
    for index in range(1, len(bars)):
        if _apart(bars[index - 1], bars[index].minute):
            yield bars[begin:index]
            begin = index
    if bars:
        yield bars[begin:]


def _apart(bar: BarView, following: datetime) -> bool:
    """Whether something is missing between a bar and the one that begins at `following`."""
    return following - bar.minute > bar.minutes * _MINUTE + _GAP


def _merged(group: Sequence[BarView]) -> Point:
    last = group[-1]
    low, high = min(bar.low_minor for bar in group), max(bar.high_minor for bar in group)
    return Point(last.minute, low, last.close_minor, high, last.balance_minor)


def _between(shown: Point, last: BarView, until: datetime) -> list[Point]:
    """What is known between the last bar of a run, which `shown` stands for, and the minute before the next run, or the
    end."""
    after = last.minute + last.minutes * _MINUTE
    if until < after:
        return []
    if last.close_minor == last.balance_minor:
        still = [_still(until, last.balance_minor)]
        if until > after and shown.low != shown.high:  # the band of low and high ends with its bar
            still.insert(0, _still(after, last.balance_minor))
        return still
    return [Point(after, None, None, None, last.balance_minor)]


def _still(at: datetime, balance: int) -> Point:
    return Point(at, balance, balance, balance, balance)


def columns(
    account: AccountView,
    found: Sequence[Point],
    days: Sequence[DayView],
    deals: Sequence[Mark],
    broken: Sequence[BreachView],
) -> dict[str, Any]:
    scale: int = 10 ** exponent(account.currency)
    times = [point.at for point in found]
    first, last = (times[0], times[-1]) if times else (account.market_time, account.market_time)

    def major(minor: int | None) -> float | None:
        return None if minor is None else minor / scale

    def equity_at(at: datetime) -> float | None:
        near = found[max(0, bisect_right(times, at) - 1)]
        return major(near.balance if near.close is None else near.close)

    return {
        "currency": account.currency,
        "at": [_seconds(at) for at in times],
        "equity": [major(point.close) for point in found],
        "low": [major(point.low) for point in found],
        "high": [major(point.high) for point in found],
        "balance": [major(point.balance) for point in found],
        "floors": [
            {"label": words(rule.rule_id), "values": [major(v) for v in _floor(account, rule.rule_id, times, days)]}
            for rule in account.rules
            if rule.floor_minor is not None
        ],
        "resets": [_seconds(day.reset_at) for day in days if first <= day.reset_at <= last],
        "deals": [
            {"at": _seconds(deal.at), "equity": equity_at(deal.at), "entry": deal.entry}
            for deal in deals
            if found and first <= deal.at <= last + _MINUTE
        ],
        "breaches": [
            {
                "at": _seconds(row.occurred_at),
                "equity": major(row.equity_minor),
                "rule": words(row.rule_id),
                "proof": f"/proofs/{row.proof_id}",
            }
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
