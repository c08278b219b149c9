"""What many stories share: times to trade at, accounts with an ordinary life beside the story, hidden links."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from sandbox.injection.firm import Firm, Grade, Story
from sandbox.injection.market import Ints
from sandbox.injection.plans import STYLES, Style, plan_of
from sandbox.instants import DAY, HOUR, MINUTE, SECOND

ONLY: Final = {style.name: style for style in STYLES}


def of_grade(grade: Grade, easy: float, medium: float, hard: float) -> float:
    return {"easy": easy, "medium": medium, "hard": hard}[grade]


def between(firm: Firm, grade: Grade, easy: Sequence[float], medium: Sequence[float], hard: Sequence[float]) -> float:
    """Returns a value within the range of the grade."""
    low, high = {"easy": easy, "medium": medium, "hard": hard}[grade]
    return float(firm.rng.uniform(low, high))


def count(firm: Firm, low: int, high: int) -> int:
    """Returns a number from `low` to `high`, both included."""
    return int(firm.rng.integers(low, high + 1))


def symbol_of(firm: Firm, among: Sequence[str] = ()) -> str:
    """Returns a symbol of the market, one of these if the market has any of them."""
    there = [name for name in among if name in firm.market.tracks]
    return str(firm.rng.choice(there or firm.market.names))


def a_size(firm: Firm) -> int:
    return int(firm.rng.choice([25_000, 50_000, 100_000, 200_000]))


def seconds(values: np.ndarray[tuple[int], np.dtype[np.float64]] | float) -> Ints:
    return np.asarray(np.asarray(values) * SECOND).astype(np.int64)


def times(firm: Firm, symbol: str, many: int, hold: float, start: int | None = None, end: int | None = None) -> Ints:
    """Returns up to `many` times, by day, at which the symbol trades and still does `hold` seconds later."""
    rng, market = firm.rng, firm.market
    begin, finish = start or market.start + 4 * HOUR, end or market.end - DAY
    begins, lasts = rng.integers(5, 14), rng.integers(4, 9)
    days = np.arange(begin // DAY, finish // DAY + 1)
    if not len(days):
        return np.zeros(0, dtype=np.int64)
    at = rng.choice(days, many * 6) * DAY + begins * HOUR + rng.integers(0, lasts * HOUR, many * 6)
    at = at[(at > begin) & (at + seconds(hold) < finish)]
    at = at[market.is_open(symbol, at, int(hold * SECOND) + 2 * MINUTE)]
    return np.sort(rng.permutation(at)[:many])


def apart(at: Ints, least: float) -> Ints:
    """Returns the times that come at least so many seconds after the one before."""
    kept: list[int] = []
    for each in at.tolist():
        if not kept or each - kept[-1] >= least * SECOND:
            kept.append(each)
    return np.array(kept, dtype=np.int64)


def lots_for(firm: Firm, symbol: str, money: float, distance: float) -> float:
    """Returns the lots that lose so many USD when the price moves by `distance`."""
    price = firm.market.mid(symbol, np.array([firm.market.start + DAY]))
    return max(0.01, round(float(money / (distance * firm.market.usd(symbol, price)[0])), 2))


def usual_move(firm: Firm, symbol: str, hold: float) -> float:
    """Returns a standard deviation of the price over so many seconds."""
    return firm.market.volatility(symbol) * float(np.sqrt(hold))


def lives(
    firm: Firm, account: int, per_day: float, style: str = "day", start: int | None = None, end: int | None = None
) -> int:
    """Gives the account an ordinary life of so many trades a day and returns how many trades it has."""
    rng, market, size = firm.rng, firm.market, firm.accounts[account].size
    drawn: Style = ONLY[style]
    chosen = Style(style, 1.0, (per_day, per_day * 1.01), drawn.holds, drawn.stops, drawn.targets, drawn.view)
    plan = plan_of(rng, market, chosen, start or market.start, end or market.end)
    risk = rng.uniform(0.0008, 0.0025)
    for symbol in np.unique(plan.symbol).tolist():
        name, own = market.names[symbol], plan.rows(plan.symbol == symbol)
        money = risk * size * np.exp(rng.normal(0, 0.15, len(own.at)))
        lots = money / (own.stop * firm.market.usd(name, firm.market.mid(name, own.at)))
        firm.trade(
            account, name, own.side, lots, own.at, own.until, stop=own.stop, target=own.target, placed=own.placed
        )
    return len(plan.at)


def link(firm: Firm, accounts: Sequence[int], kinds: Sequence[str]) -> None:
    """Gives the owners of the accounts the same facts."""
    value = f"{firm.accounts[accounts[0]].owner}-{firm.rng.integers(1_000_000)}"
    for account in accounts:
        for kind in kinds:
            firm.identity(firm.accounts[account].owner, kind, f"{kind}-{value}")


def decoy(firm: Firm, of: str, kind: str) -> Story:
    return firm.story((), "easy", kind, of)
