"""What an ordinary trader means to trade: ideas with a time, a direction, a stop, a target and an end, by style."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from sandbox.injection.market import Flags, Floats, Ints, Market
from sandbox.instants import DAY, HOUR, MINUTE, SECOND

CANDLES: Final = (5 * MINUTE, 15 * MINUTE, 60 * MINUTE)


@dataclass(frozen=True)
class Plan:
    """One element per trade. `symbol`: a place in `Market.names`. `stop`, `target`: distances in units of the price;
    inf when there is none. `weight`: times the trader's own size. `placed`: when its order was placed; `pending`: 0 a
    market order, 1 a limit, 2 a stop."""

    symbol: Ints
    side: Ints
    at: Ints
    until: Ints
    stop: Floats
    target: Floats
    weight: Floats
    placed: Ints
    pending: Ints

    def rows(self, chosen: Ints | Flags) -> "Plan":
        return Plan(*(getattr(self, each.name)[chosen] for each in fields(self)))


@dataclass(frozen=True)
class Style:
    """How a trader trades. Ranges are (least, most) of what traders of the style have. `holds`: the median time of a
    trade in seconds. `stops`: in standard deviations of the price over that time; `targets`: in stops. `view`: 1
    follows the last move, -1 fades it, 0 neither."""

    name: str
    share: float
    per_day: tuple[float, float]
    holds: tuple[float, float]
    stops: tuple[float, float] = (0.8, 1.6)
    targets: tuple[float, float] = (0.8, 2.5)
    view: int = 0
    risk: tuple[float, float] = (0.002, 0.015)


STYLES: Final = (
    Style("scalper", 0.13, (5, 15), (400, 1_500), (1.2, 2.0), risk=(0.001, 0.006)),
    Style("day", 0.28, (1.5, 6), (1_800, 14_400)),
    Style("trend", 0.10, (1, 4), (3_600, 28_800), view=1),
    Style("reversion", 0.10, (1, 5), (1_800, 14_400), view=-1),
    Style("swing", 0.12, (0.4, 1.5), (86_400, 4 * 86_400), (0.7, 1.4)),
    Style("news", 0.05, (0.7, 2), (600, 3_000), view=1),
    Style("breakout", 0.05, (0.8, 2), (1_800, 14_400), view=1),
    Style("scale-in", 0.05, (0.7, 2), (3_600, 20_000)),
    Style("pyramid", 0.05, (0.7, 2), (3_600, 20_000), view=1),
    Style("limit", 0.07, (1, 4), (1_800, 14_400), view=-1),
)


def plan_of(rng: np.random.Generator, market: Market, style: Style, start: int, end: int) -> Plan:
    """Returns what a trader of this style means to trade between two times."""
    per_day, hold = rng.uniform(*style.per_day), float(np.exp(rng.uniform(*np.log(style.holds))))
    symbols = favourites(rng, market, int(rng.integers(1, 4)))
    at = entry_times(rng, market, start, end, per_day)
    symbol = rng.choice(symbols, len(at))
    if style.name == "news":
        at, symbol = _at_news(rng, market, start, end, symbols, min(0.6, per_day / 4))
    stop_sd, target = rng.uniform(*style.stops), rng.uniform(*style.targets)
    plan = ideas(rng, market, symbol, at, hold, stop_sd, target, style.view)
    if style.name == "breakout":
        plan = _pending(rng, market, plan, hold, stops=True)
    if style.name == "limit":
        plan = _pending(rng, market, plan, hold, stops=False)
    if style.name in ("scale-in", "pyramid"):
        plan = _in_parts(rng, market, plan, growing=style.name == "pyramid")
    return plan


def favourites(rng: np.random.Generator, market: Market, many: int) -> Ints:
    """Returns the places of so many symbols, the popular ones more often."""
    weights = np.array([market.instruments[name].traded for name in market.names])
    return rng.choice(len(weights), min(many, len(weights)), replace=False, p=weights / weights.sum())


def entry_times(rng: np.random.Generator, market: Market, start: int, end: int, per_day: float) -> Ints:
    """Returns sorted times in the trader's own hours: one in five at the opening of a candle, one in thirty at news."""
    begins, lasts = int(rng.integers(5, 15)), int(rng.integers(3, 10))
    days = np.arange(start // DAY, end // DAY + 1)
    days = days[rng.random(len(days)) < rng.uniform(0.6, 1.0)]
    each = np.repeat(days, rng.poisson(per_day, len(days)))
    at = each * DAY + begins * HOUR + rng.integers(0, lasts * HOUR, len(each))
    kind = rng.random(len(at))
    candle = np.asarray(CANDLES)[rng.integers(0, 3, len(at))]
    opens = at // candle * candle + (rng.exponential(4.0, len(at)) * SECOND).astype(np.int64)
    at = np.where(kind < 0.2, opens, at)
    releases = np.array([r.at for r in market.releases], dtype=np.int64)
    if len(releases):
        near = releases[np.minimum(np.searchsorted(releases, at), len(releases) - 1)]
        soon = near + (rng.exponential(40.0, len(at)) * SECOND).astype(np.int64)
        at = np.where((kind > 0.97) & (np.abs(near - at) < DAY // 2), soon, at)
    return np.sort(at[(at >= start) & (at < end)])


def ideas(
    rng: np.random.Generator,
    market: Market,
    symbol: Ints,
    at: Ints,
    hold: float,
    stop_sd: float,
    target: float,
    view: int,
) -> Plan:
    """Returns single trades at these times. Times outside the market's hours are left out."""
    lasts = (np.exp(rng.normal(np.log(hold), 0.7, len(at))) * SECOND).astype(np.int64) + SECOND
    volatility = np.array([market.volatility(name) for name in market.names])
    side = rng.choice([-1, 1], len(at))
    keep = np.zeros(len(at), dtype=bool)
    overnight = hold > 40_000
    for each in np.unique(symbol).tolist():
        name, rows = market.names[each], np.flatnonzero(symbol == each)
        ahead = np.minimum(lasts[rows], 5 * MINUTE if overnight else 8 * HOUR)
        keep[rows] = market.is_open(name, at[rows], ahead)
        if view:
            back = int(min(hold, 7_200) * SECOND)
            moved = np.sign(market.mid(name, at[rows]) - market.mid(name, at[rows] - back)).astype(np.int64)
            sure = rng.random(len(rows)) < 0.8
            side[rows] = np.where(sure & (moved != 0), moved * view, side[rows])
    varied = rng.uniform(0.8, 1.25, len(at))
    stop = stop_sd * volatility[symbol] * np.sqrt(hold) * varied
    plan = Plan(
        symbol,
        side,
        at,
        at + lasts,
        stop,
        stop * target,
        np.ones(len(at)),
        at - rng.integers(40_000, 400_000, len(at)),
        np.zeros(len(at), dtype=np.int64),
    )
    return plan.rows(keep)


def _at_news(
    rng: np.random.Generator, market: Market, start: int, end: int, symbols: Ints, taken: float
) -> tuple[Ints, Ints]:
    """Returns (times, symbols): soon after releases that move the symbol, in one direction."""
    found = []
    for each in symbols.tolist():
        times = market.releases_of(market.names[each])
        times = times[(times > start) & (times < end) & (rng.random(len(times)) < taken)]
        found += [(int(t + rng.uniform(3, 90) * SECOND), each) for t in times]
    found.sort()
    return np.array([t for t, _ in found], dtype=np.int64), np.array([s for _, s in found], dtype=np.int64)


def _pending(rng: np.random.Generator, market: Market, plan: Plan, hold: float, *, stops: bool) -> Plan:
    """Returns the plan with its trades opened by stop or limit orders, placed long before."""
    parts = []
    for each in np.unique(plan.symbol).tolist():
        name, own = market.names[each], plan.rows(plan.symbol == each)
        wait = (rng.uniform(0.5, 5, len(own.at)) * HOUR).astype(np.int64)
        away = market.volatility(name) * np.sqrt(hold) * rng.uniform(0.3, 0.9, len(own.at))
        towards = own.side if stops else -own.side
        mid = market.mid(name, own.at)
        crossed = market.fills(name, towards, own.at, own.at + wait, away, away, open_price=mid)
        hit = (crossed.why == 2) & (crossed.closed - own.at > (30 * MINUTE if stops else SECOND))
        lasts = own.until - own.at
        parts.append(
            Plan(
                own.symbol,
                own.side,
                crossed.closed,
                crossed.closed + lasts,
                own.stop,
                own.target,
                own.weight,
                own.at,
                np.full(len(own.at), 2 if stops else 1),
            ).rows(hit)
        )
    return joined(parts) if parts else plan


def _in_parts(rng: np.random.Generator, market: Market, plan: Plan, *, growing: bool) -> Plan:
    """Returns each idea opened in two to four parts that end together: planned tranches under one stop, or adding to
    what gains."""
    parts = [replace(plan, weight=plan.weight * 0.5)]
    last_end = 0
    for row in range(len(plan.at)):
        at, until, side = int(plan.at[row]), int(plan.until[row]), int(plan.side[row])
        name, stop = market.names[int(plan.symbol[row])], float(plan.stop[row])
        if at < last_end:
            continue
        last_end = until
        first = float(market.mid(name, at))
        times = np.sort(rng.uniform(0.1, 0.6, int(rng.integers(1, 4)))) * (until - at) + at
        for n, when in enumerate(times.astype(np.int64).tolist()):
            moved = side * (float(market.mid(name, when)) - first)
            if (growing and moved < 0.3 * stop) or (not growing and not -0.8 * stop < moved < 0.1 * stop):
                continue
            one = parts[0].rows(np.array([row]))
            weight = one.weight * (rng.uniform(0.8, 1.5) ** (n + 1) if growing else 1.0)
            far = one.stop + moved  # the same price as the stop of the first
            parts.append(
                Plan(
                    one.symbol,
                    one.side,
                    np.array([when]),
                    one.until,
                    far,
                    one.target,
                    weight,
                    np.array([when - 100_000]),
                    one.pending,
                )
            )
    return joined(parts)


def joined(parts: Sequence[Plan]) -> Plan:
    """Returns the plans as one, by time."""
    whole = Plan(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(Plan)))
    return whole.rows(np.argsort(whole.at, kind="stable"))
