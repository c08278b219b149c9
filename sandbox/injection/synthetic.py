"""A made-up market: sessions, fat tails, releases that jump, spreads that widen, gaps after weekends and halts."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from sandbox.injection.market import INSTRUMENTS, MAIN, Flags, Floats, Ints, Market, Release, Track, merged
from sandbox.instants import DAY, HOUR, MINUTE, SECOND, to_us

_NEW_YORK: Final = ZoneInfo("America/New_York")
_TICK: Final = 3 * SECOND
_NEWS_TICK: Final = SECOND // 4
_NEWS_LASTS: Final = 3 * MINUTE
# how much of a symbol's return it shares with its group
_GROUPS: Final = {
    "EURUSD": ("dollar", 0.8),
    "GBPUSD": ("dollar", 0.75),
    "US500": ("shares", 0.95),
    "NAS100": ("shares", 0.93),
}
_HOURS: Final = np.array([0.5] * 6 + [0.9] * 2 + [1.3] * 4 + [1.6] * 5 + [1.0] * 3 + [0.6] * 4)
_RELEASES: Final = (
    # New York wall time, currency, impact, title
    (8, 30, "USD", "high", "Nonfarm Payrolls"),
    (8, 30, "USD", "high", "Consumer Price Index"),
    (10, 0, "USD", "medium", "Consumer Confidence"),
    (14, 0, "USD", "high", "Federal Funds Rate"),
    (8, 15, "EUR", "high", "Main Refinancing Rate"),
    (4, 0, "EUR", "medium", "Manufacturing PMI"),
    (7, 0, "GBP", "high", "Official Bank Rate"),
    (2, 0, "GBP", "medium", "Gross Domestic Product"),
    (22, 0, "JPY", "high", "Monetary Policy Statement"),
)
_JUMPS: Final = {"high": 0.35, "medium": 0.1, "low": 0.05}  # of a day's move


def synthetic_market(rng: np.random.Generator, start: datetime, days: int) -> Market:
    """Returns a market of `days` calendar days from `start`, a day in UTC."""
    begin = to_us(start.astimezone(UTC))
    end = begin + days * DAY
    releases = _releases(rng, begin, days)
    bursts = [np.arange(each.at, each.at + _NEWS_LASTS, _NEWS_TICK, dtype=np.int64) for each in releases]
    grid = merged([np.arange(begin, end, _TICK, dtype=np.int64), *bursts])
    factors = {name: _shocks(rng, len(grid)) for name in ("dollar", "shares")}
    closed = {kind: _closed(grid, kind) for kind in ("forex", "metal", "index", "crypto")}
    tracks = {}
    for name in MAIN:
        group, shared = _GROUPS.get(name, ("", 0.0))
        own = _shocks(rng, len(grid))
        shocks = shared * factors[group] + np.sqrt(1 - shared**2) * own if group else own
        tracks[name] = _track(rng, name, grid, shocks, releases, closed[INSTRUMENTS[name].asset])
    return Market(tracks, INSTRUMENTS, releases, begin, end, ("EURUSD", "XAUUSD"))


def _shocks(rng: np.random.Generator, count: int) -> Floats:
    return np.asarray(rng.standard_t(4, count) / np.sqrt(2.0), dtype=np.float64)


def _releases(rng: np.random.Generator, begin: int, days: int) -> tuple[Release, ...]:
    found = []
    first = datetime.fromtimestamp(begin / SECOND, UTC).astimezone(_NEW_YORK).date()
    for day in range(days + 1):
        date = first + timedelta(day)
        if date.weekday() >= 5:
            continue
        for place in np.sort(rng.choice(len(_RELEASES), 4, replace=False)).tolist():
            hour, minute, currency, impact, title = _RELEASES[place]
            local = datetime(date.year, date.month, date.day, hour, minute, tzinfo=_NEW_YORK)
            at = to_us(local.astimezone(UTC))
            if begin + HOUR < at < begin + days * DAY - HOUR:
                found.append(Release(at, currency, impact, title))
    return tuple(sorted(found, key=lambda each: each.at))


def _closed(grid: Ints, asset: str) -> Flags:
    """Forex and metals close from Friday 17:00 to Sunday 17:00 New York; metals and indices also daily for an hour."""
    if asset == "crypto":
        return np.zeros(len(grid), dtype=bool)
    hours = np.arange(int(grid[0] // HOUR), int(grid[-1] // HOUR) + 1)
    local = [datetime.fromtimestamp(int(hour) * 3600, UTC).astimezone(_NEW_YORK) for hour in hours]
    shut = [
        each.weekday() == 5
        or (each.weekday() == 4 and each.hour >= 17)
        or (each.weekday() == 6 and each.hour < (17 if asset == "forex" else 18))
        or (asset != "forex" and each.hour == 17)
        for each in local
    ]
    return np.asarray(np.array(shut)[grid // HOUR - hours[0]], dtype=np.bool_)


def _track(
    rng: np.random.Generator,
    name: str,
    grid: Ints,
    shocks: Floats,
    releases: tuple[Release, ...],
    closed: Flags,
) -> Track:
    each = INSTRUMENTS[name]
    step = np.diff(grid, prepend=grid[0] - _TICK).astype(np.float64)
    move = 0.75 * each.day_move * np.sqrt(step / DAY) * _HOURS[(grid // HOUR) % 24] * shocks
    wide = 1.0 + 0.35 * np.abs(rng.standard_normal(len(grid)))
    for release in releases:
        if release.currency not in (each.base, each.quote):
            continue
        first, last = np.searchsorted(grid, [release.at, release.at + 15 * MINUTE])
        size = each.day_move * _JUMPS[release.impact] * (0.5 + rng.random()) * rng.choice((-1, 1))
        fade = np.exp(-(grid[first:last] - release.at) / (3 * MINUTE))
        move[first:last] = move[first:last] * (1 + 2 * fade)
        jumps = first + 1 + np.sort(rng.integers(0, 10, 3))
        np.add.at(move, jumps[jumps < len(grid)], size * np.array([0.6, 0.25, 0.15])[: np.sum(jumps < len(grid))])
        if rng.random() < 0.5:  # half of the releases go on in their direction
            move[first:last] += size * fade / max(fade.sum(), 1.0)
        wide[first:last] *= 1 + 2 * np.exp(-(grid[first:last] - release.at) / MINUTE)
    move[closed] = 0.0
    opens = np.flatnonzero(~closed[1:] & closed[:-1]) + 1
    lengths = np.diff(grid[~closed], prepend=grid[~closed][0])[np.searchsorted(np.flatnonzero(~closed), opens)]
    move[opens] += each.day_move * np.where(lengths > 30 * HOUR, 0.7, 0.12) * rng.standard_normal(len(opens))
    price = (
        each.price * (0.9 + 0.2 * rng.random()) * np.exp(np.cumsum(move) - np.mean(move) * np.arange(len(move)) * 0.5)
    )
    rollover = ((grid // MINUTE) % 1440 >= 1260) & ((grid // MINUTE) % 1440 < 1330)
    half = each.spread / 2 * wide * np.where(rollover, 4.0, 1.0)
    at = grid + rng.integers(0, 200_000, len(grid))
    keep = ~closed
    bid, ask = np.round(price - half, each.digits)[keep], np.round(price + half, each.digits)[keep]
    return Track(at[keep], bid, np.maximum(ask, bid + 10.0**-each.digits))
