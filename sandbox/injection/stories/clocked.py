"""How long and when: tick scalping, day padding, changes of style between phases, with their decoys."""

import numpy as np

from sandbox.injection.firm import Firm, Grade
from sandbox.injection.market import Floats, Ints
from sandbox.injection.stories.scenes import (
    a_size,
    apart,
    between,
    count,
    decoy,
    lives,
    lots_for,
    seconds,
    symbol_of,
    times,
    usual_move,
)
from sandbox.instants import DAY, HOUR, SECOND


def scalps(firm: Firm, grade: Grade) -> None:
    """Most trades, or most of the profit, within seconds."""
    rng = firm.rng
    story = firm.story(("tick_scalping", "latency_arbitrage", "martingale"), grade, "scalps")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    symbol, many = symbol_of(firm), count(firm, 20, 160)
    share = between(firm, grade, (0.85, 1.0), (0.7, 0.85), (0.62, 0.75))
    longest = between(firm, grade, (3, 8), (5, 20), (8, 30))
    short = int(many * share)
    at, side, hold = _quick(firm, symbol, short, longest)
    size = firm.accounts[account].size
    lots = lots_for(firm, symbol, size * rng.uniform(0.001, 0.002), usual_move(firm, symbol, 120))
    firm.trade(account, symbol, side, lots, at, at + seconds(hold), story=story.id)
    rest = apart(times(firm, symbol, many - short, 4_000), 900)
    move = usual_move(firm, symbol, 1_800)
    small = lots_for(firm, symbol, size * 0.0006, move)
    firm.trade(account, symbol, rng.choice([-1, 1], len(rest)), small, rest, rest + HOUR // 2, stop=move, target=move)


def _quick(firm: Firm, symbol: str, many: int, longest: float) -> tuple[Ints, Ints, Floats]:
    """Returns (times, sides, seconds held) of trades that mostly gain more than they cost within seconds."""
    rng, each = firm.rng, firm.market.instruments[symbol]
    at = times(firm, symbol, 6_000, 60)
    hold = np.maximum(longest * rng.beta(2, 2, len(at)), 1.0)
    move = firm.market.mid(symbol, at + seconds(hold)) - firm.market.mid(symbol, at)
    cost = each.spread + 2 * each.commission / float(firm.market.usd(symbol, firm.market.mid(symbol, at[:1]))[0])
    gains = np.abs(move) > 1.3 * cost
    wins = int(many * rng.uniform(0.55, 0.8))
    rows = np.concatenate(
        [rng.permutation(np.flatnonzero(these))[:n] for these, n in ((gains, wins), (~gains, many - wins))]
    )
    rows = np.sort(rows)
    kept = np.isin(at[rows], apart(at[rows], 30))
    rows = rows[kept]
    side = np.where(move[rows] >= 0, 1, -1)
    return at[rows], np.where(gains[rows], side, rng.choice([-1, 1], len(rows))), hold[rows]


def _ahead(firm: Firm, symbol: str, at: Ints, hold: Floats) -> Ints:
    later = firm.market.mid(symbol, at + seconds(hold)) - firm.market.mid(symbol, at)
    return np.where(later >= 0, 1, -1)


def quick_stops(firm: Firm) -> None:
    """Near stops: losers end within seconds, winners take a quarter of an hour."""
    rng = firm.rng
    story = decoy(firm, "tick_scalping", "stopped out quickly")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    symbol = symbol_of(firm)
    at = apart(times(firm, symbol, count(firm, 60, 140), 1_800), 600)
    stop = max(usual_move(firm, symbol, 20), 1.2 * firm.market.instruments[symbol].spread)
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.001, stop)
    side = rng.choice([-1, 1], len(at))
    firm.trade(
        account, symbol, side, lots, at, at + seconds(rng.uniform(300, 1_500, len(at))), stop=stop, target=stop * 12
    )


def scalper_within_limits(firm: Firm) -> None:
    """A scalper whose trades last minutes, and some of them less."""
    rng = firm.rng
    story = decoy(firm, "tick_scalping", "scalper within the limits")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    symbol = symbol_of(firm)
    at = apart(times(firm, symbol, count(firm, 80, 180), 1_200), 300)
    hold = np.exp(rng.normal(np.log(rng.uniform(180, 400)), 0.7, len(at)))
    move = usual_move(firm, symbol, 300)
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.001, move)
    firm.trade(
        account, symbol, rng.choice([-1, 1], len(at)), lots, at, at + seconds(hold), stop=move * 1.5, target=move * 2
    )


def padding(firm: Firm, grade: Grade) -> None:
    """Reaches the target in a few days of large trades; then token trades, a day each, until the minimum is reached."""
    rng = firm.rng
    story = firm.story(("day_padding", "all_in", "style_change"), grade, "pads days")
    needed = count(firm, 3, 10)
    account = firm.account(phase=str(rng.choice(["phase 1", "phase 2"])), size=a_size(firm), min_days=needed)
    firm.names(story, account, "trader")
    row, symbol = firm.accounts[account], symbol_of(firm)
    begin = row.opened = firm.market.start + count(firm, 0, 8) * DAY
    days = _trading_days(firm, symbol, begin)
    real = min(count(firm, 1, 2) if grade == "easy" else count(firm, 1, 3), needed - 2)
    hold = float(rng.uniform(1_200, 8_000))
    move = usual_move(firm, symbol, hold)
    per_day = count(firm, 1, 4)
    lots = lots_for(firm, symbol, (row.target or 5_000) / (real * per_day * 1.1), move)
    made = 0.0
    for day in days[:real]:
        made += _gains(firm, account, symbol, int(day), per_day, lots, hold, move, story.id)
    for n in range(12):  # what is still missing, on the last of these days
        if made >= 1.05 * (row.target or 5_000):
            break
        made += _gains(firm, account, symbol, int(days[real - 1]), 1, lots, hold, move, story.id, later=n + 1)
    tiny = between(firm, grade, (0.005, 0.02), (0.01, 0.04), (0.03, 0.08))
    short = rng.uniform(20, 600) if grade != "hard" else hold / 3
    pads = days[real:needed]
    for day in pads:
        for when in _times_on(firm, symbol, int(day), count(firm, 1, 2)).tolist():
            token = 0.01 if grade == "easy" and rng.random() < 0.6 else lots * tiny * float(np.exp(rng.normal(0, 0.2)))
            firm.trade(account, symbol, int(rng.choice([-1, 1])), token, when, when + int(short * 1e6), story=story.id)
            end = when + int(short * 1e6)
    row.ended, row.outcome = int(end) + HOUR, "passed"


def _trading_days(firm: Firm, symbol: str, begin: int) -> Ints:
    days = np.arange(begin // DAY + 1, firm.market.end // DAY - 1) * DAY
    return days[firm.market.is_open(symbol, days + 13 * HOUR, HOUR)]


def _times_on(firm: Firm, symbol: str, day: int, many: int) -> Ints:
    return apart(times(firm, symbol, many, 900, day + 7 * HOUR, day + 19 * HOUR), 600)


def _gains(
    firm: Firm,
    account: int,
    symbol: str,
    day: int,
    many: int,
    lots: float,
    hold: float,
    move: float,
    story: int,
    later: int = 0,
) -> float:
    """Trades that mostly gain, one after the other from the morning; returns the profit."""
    at = day + 8 * HOUR + int(firm.rng.integers(0, HOUR)) + later * HOUR // 2 + np.arange(many) * int(hold * 1.1e6)
    ahead = _ahead(firm, symbol, at, np.full(many, hold))
    fills = firm.trade(
        account, symbol, ahead, lots, at, at + int(hold * 1e6), stop=move * 1.5, target=move * 1.2, story=story
    )
    return float((fills.profit * lots).sum())


def careful_near_target(firm: Firm) -> None:
    """Trades smaller once the target is near: a third to a half of the usual size."""
    rng = firm.rng
    story = decoy(firm, "day_padding", "careful near the target")
    account = firm.names(story, firm.account(phase="phase 1", size=a_size(firm), min_days=8), "trader")
    row, symbol = firm.accounts[account], symbol_of(firm)
    row.opened = firm.market.start
    hold = float(rng.uniform(1_200, 8_000))
    move = usual_move(firm, symbol, hold)
    lots = lots_for(firm, symbol, row.size * 0.01, move)
    days = _trading_days(firm, symbol, row.opened)[:12]
    for n, day in enumerate(days.tolist()):
        share = 1.0 if n < 5 else rng.uniform(0.3, 0.5)
        _gains(firm, account, symbol, day, count(firm, 1, 3), lots * share, hold, move, -1)
    row.ended, row.outcome = int(days[-1]) + 20 * HOUR, "passed"


def first_tries(firm: Firm) -> None:
    """Tries the platform with the smallest lots on the first day, then trades as usual."""
    story = decoy(firm, "day_padding", "tries the platform first")
    account = firm.names(story, firm.account(phase="phase 1", size=a_size(firm), min_days=4), "trader")
    symbol = symbol_of(firm)
    day = int(_trading_days(firm, symbol, firm.market.start)[0])
    at = _times_on(firm, symbol, day, 4)
    firm.trade(account, symbol, 1, 0.01, at, at + 300 * SECOND)
    lives(firm, account, 2.5, start=day + DAY)


def changes(firm: Firm, grade: Grade) -> None:
    """Another trades the funded account than passed the challenge: other symbols, hours, holding times, tools. Or a
    service passes for several owners, who then differ."""
    rng = firm.rng
    story = firm.story(("style_change", "copy_trading", "shared_identity", "tick_scalping"), grade, "another trader")
    people = count(firm, 3, 5) if rng.random() < 0.2 else 1
    if people > 1:
        story.kind = "passing service"
    hired = _Manner(firm, "expert" if rng.random() < 0.5 else "client")
    end = firm.market.start + int((firm.market.end - firm.market.start) * 0.48)
    at = hired.openings(firm, firm.market.start + 2 * HOUR, end)
    side = rng.choice([-1, 1], len(at))
    together = rng.random() < 0.5  # a service that trades all its accounts at once
    for _ in range(people):
        first = firm.account(phase="phase 1", size=a_size(firm), opened=firm.market.start)
        row = firm.accounts[first]
        row.ended, row.outcome = end + DAY // 2, "passed"
        second = firm.account(
            row.owner, "funded", size=row.size, challenge=row.challenge, opened=end + DAY, product=row.product
        )
        own = hired.other(firm, grade)
        if people > 1 and not together:
            at = hired.openings(firm, firm.market.start + 2 * HOUR, end)
            side = rng.choice([-1, 1], len(at))
        lag = rng.integers(0, 20 * SECOND, len(at)) if people > 1 else 0
        hired.trade(firm, first, at + lag, story.id, side=side)
        own.trade(firm, second, own.openings(firm, end + DAY, firm.market.end - DAY), story.id)
        for account in (first, second):
            firm.names(story, account, "trader")


class _Manner:
    """One person's way to trade."""

    def __init__(self, firm: Firm, reason: str, symbol: str = "", begins: int | None = None, hold: float = 0.0) -> None:
        rng = firm.rng
        self.symbol = symbol or symbol_of(firm, ("EURUSD", "XAUUSD", "NAS100", "GBPUSD"))
        self.begins = int(rng.integers(5, 15)) if begins is None else begins
        self.hold = hold or float(np.exp(rng.uniform(np.log(300), np.log(9_000))))
        self.reason = reason
        self.expert = str(rng.integers(10_000, 99_999)) if reason == "expert" else ""
        self.per_day = float(rng.uniform(4, 8))
        self.risk = float(rng.uniform(0.0008, 0.002))

    def other(self, firm: Firm, grade: Grade) -> "_Manner":
        """Returns another person's way: unlike in all, in most, or in two things."""
        rng = firm.rng
        others = tuple(name for name in ("EURUSD", "XAUUSD", "NAS100", "US500") if name != self.symbol)
        factor = between(firm, grade, (10, 20), (6, 12), (4, 8))
        hold = self.hold * factor if self.hold < 1_500 else self.hold / factor
        begins = (self.begins + int(between(firm, grade, (6, 9), (5, 8), (4, 7)))) % 16
        reason = "client" if self.reason == "expert" or grade == "hard" else str(rng.choice(["client", "expert"]))
        symbol = (
            symbol_of(firm, others) if grade == "easy" or (grade == "medium" and rng.random() < 0.5) else self.symbol
        )
        return _Manner(firm, reason, symbol, max(begins, 1), max(hold, 20.0))

    def openings(self, firm: Firm, start: int, end: int) -> Ints:
        rng = firm.rng
        days = np.arange(start // DAY + 1, end // DAY)
        each = np.repeat(days, np.maximum(rng.poisson(self.per_day, len(days)), 2))
        at = np.sort(each * DAY + self.begins * HOUR + rng.integers(0, 4 * HOUR, len(each)))
        return at[firm.market.is_open(self.symbol, at, int(min(self.hold * 2, 1_800) * SECOND))]

    def trade(
        self, firm: Firm, account: int, at: Ints, story: int, share: float = 1.0, side: Ints | None = None
    ) -> None:
        rng = firm.rng
        side = rng.choice([-1, 1], len(at)) if side is None else side
        move = usual_move(firm, self.symbol, self.hold)
        lots = lots_for(firm, self.symbol, firm.accounts[account].size * self.risk * share, move)
        sizes = lots * np.exp(rng.normal(0, 0.15, len(at)))
        until = at + seconds(np.exp(rng.normal(np.log(self.hold), 0.5, len(at))))
        firm.trade(
            account,
            self.symbol,
            side,
            sizes,
            at,
            until,
            stop=move * 2,
            target=move * 2,
            story=story,
            reason=self.reason,
            expert=self.expert,
        )


def smaller_when_funded(firm: Firm) -> None:
    """The same trader, who risks half, trades a little less and an hour later once funded."""
    rng = firm.rng
    story = decoy(firm, "style_change", "smaller when funded")
    manner = _Manner(firm, str(rng.choice(["client", "expert"])))
    end = firm.market.start + int((firm.market.end - firm.market.start) * 0.48)
    first = firm.account(phase="phase 1", size=a_size(firm), opened=firm.market.start)
    row = firm.accounts[first]
    row.ended, row.outcome = end + DAY // 2, "passed"
    second = firm.account(row.owner, "funded", size=row.size, challenge=row.challenge, opened=end + DAY)
    manner.trade(firm, first, manner.openings(firm, firm.market.start + HOUR, end), -1)
    manner.per_day *= rng.uniform(0.7, 1.0)
    manner.hold *= rng.uniform(0.85, 1.2)
    later = manner.openings(firm, end + DAY, firm.market.end - DAY) + HOUR
    later = later[firm.market.is_open(manner.symbol, later, int(manner.hold * 2e6))]
    manner.trade(firm, second, later, -1, float(rng.uniform(0.35, 0.8)))
    for account in (first, second):
        firm.names(story, account, "trader")
