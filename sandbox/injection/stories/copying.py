"""Copy trading among strangers: lags, jitter, scaled sizes, partial copies, split legs, chains; and its decoys."""

from math import exp, log

import numpy as np

from sandbox.injection.firm import Firm, Grade
from sandbox.injection.market import Floats, Ints
from sandbox.injection.stories.scenes import (
    a_size,
    apart,
    between,
    count,
    decoy,
    link,
    lives,
    lots_for,
    of_grade,
    seconds,
    symbol_of,
    times,
    usual_move,
)
from sandbox.instants import DAY, MINUTE, SECOND


def copying(firm: Firm, grade: Grade) -> None:
    """A leader and one to four followers, or a chain of followers."""
    rng = firm.rng
    story = firm.story(("copy_trading", "shared_identity"), grade, "copies")
    leader = firm.names(story, firm.account(size=a_size(firm)), "leader")
    many = int(between(firm, grade, (8, 60), (8, 60), (12, 60)))
    lives(firm, leader, of_grade(grade, 0.5, 1, 2))
    symbols = [symbol_of(firm) for _ in range(count(firm, 1, 3))]
    trades = [_leads(firm, leader, symbol, max(4, -(-many // len(symbols))), story.id) for symbol in symbols]
    followers = count(firm, 1, 4) if rng.random() < 0.5 else 1
    chained = followers > 1 and rng.random() < 0.3
    for _ in range(followers):
        follower = firm.names(story, firm.account(size=a_size(firm)), "follower")
        if rng.random() < 0.2:
            link(firm, (leader, follower), ("device", "ip"))
        if rng.random() < 0.7:
            lives(firm, follower, of_grade(grade, 0.3, 1.5, 3))
        manner = _manner(firm, grade, firm.accounts[follower].size / firm.accounts[leader].size)
        made = [_follows(firm, follower, *each, grade, story.id, manner) for each in trades]
        if chained:
            trades = [(symbol, *each) for (symbol, *_), each in zip(trades, made, strict=True)]


def copies_of(firm: Firm, leader: str, trades: list[tuple[str, Ints, Ints, Ints, Floats]], grade: Grade) -> None:
    """A follower of an account that was there before. `trades`: symbol, openings, closings, sides, lots."""
    story = firm.story(("copy_trading", "shared_identity"), grade, "copies of real trades")
    story.roles[leader] = "leader"
    follower = firm.names(story, firm.account(size=a_size(firm)), "follower")
    manner = _manner(firm, grade, 1.0)
    for each in trades:
        _follows(firm, follower, *each, grade, story.id, manner)


def _leads(firm: Firm, account: int, symbol: str, many: int, story: int) -> tuple[str, Ints, Ints, Ints, Floats]:
    rng = firm.rng
    hold = float(np.exp(rng.uniform(np.log(240), np.log(14_400))))
    at = apart(times(firm, symbol, many, hold * 3), 120)
    side = rng.choice([-1, 1], len(at))
    move = usual_move(firm, symbol, hold)
    size = firm.accounts[account].size
    lots = lots_for(firm, symbol, size * rng.uniform(0.001, 0.003), move) * np.exp(
        rng.normal(0, rng.uniform(0, 0.3), len(at))
    )
    until = at + seconds(np.exp(rng.normal(np.log(hold), 0.5, len(at))))
    stops = move * rng.uniform(1.0, 2.5) if rng.random() < 0.6 else np.inf
    fills = firm.trade(account, symbol, side, lots, at, until, stop=stops, target=stops, story=story)
    return symbol, at, fills.closed, side, np.maximum(np.round(lots, 2), 0.01)


def _manner(firm: Firm, grade: Grade, larger: float) -> tuple[float, float]:
    """Returns (seconds of lag, ratio of sizes) of a follower; `larger`: his account's size over the leader's."""
    lag = exp(between(firm, grade, (log(0.3), log(4)), (log(0.5), log(25)), (log(2), log(90))))
    return lag, min(exp(firm.rng.uniform(log(0.1), log(5))), 2.5 * larger)


def _follows(
    firm: Firm,
    account: int,
    symbol: str,
    at: Ints,
    closed: Ints,
    side: Ints,
    lots: Floats,
    grade: Grade,
    story: int,
    manner: tuple[float, float],
) -> tuple[Ints, Ints, Ints, Floats]:
    """Copies a part of the trades; returns (openings, closings, sides, lots)."""
    rng = firm.rng
    keep = np.flatnonzero(rng.random(len(at)) < between(firm, grade, (0.95, 1.0), (0.7, 0.95), (0.45, 0.8)))
    lag, ratio = manner
    jitter = of_grade(grade, 0.05, 0.2, 0.45)
    opened = at[keep] + seconds(lag * np.exp(rng.normal(0, jitter, len(keep))))
    sizes = lots[keep] * ratio * np.exp(rng.normal(0, of_grade(grade, 0.0, 0.04, 0.15), len(keep)))
    sizes = np.maximum(np.round(sizes, 2), 0.01)
    ends = closed[keep] + seconds(lag * np.exp(rng.normal(0, jitter, len(keep))))
    own = rng.random(len(keep)) < of_grade(grade, 0.0, 0.15, 0.4)
    ends = np.where(
        own, opened + np.maximum((ends - opened) * rng.uniform(0.3, 2, len(keep)), SECOND).astype(np.int64), ends
    )
    ends = np.maximum(ends, opened + SECOND)
    name = (
        "EURUSD.ecn"
        if symbol == "EURUSD" and "EURUSD.ecn" in firm.market.instruments and rng.random() < 0.2
        else symbol
    )
    legs = count(firm, 2, 3) if grade != "easy" and rng.random() < 0.3 else 1
    for leg in range(legs):
        firm.trade(
            account, name, side[keep], sizes / legs, opened + leg * seconds(rng.uniform(0.3, 2)), ends, story=story
        )
    return opened, ends, side[keep], sizes


def same_candles(firm: Firm) -> None:
    """Two trend systems that both enter at the opening of candles, in the direction of the last move."""
    rng = firm.rng
    story = decoy(firm, "copy_trading", "candle openings")
    symbol = symbol_of(firm, ("EURUSD", "XAUUSD", "NAS100"))
    for _ in range(2):
        account = firm.names(story, firm.account(size=a_size(firm)), "trader")
        hold = float(rng.uniform(1_800, 10_000))
        at = times(firm, symbol, count(firm, 25, 50), hold * 2)
        at = np.unique(at // (15 * MINUTE)) * 15 * MINUTE + seconds(rng.exponential(2.0))
        back = int(rng.integers(10, 120)) * MINUTE
        side = np.where(firm.market.mid(symbol, at) > firm.market.mid(symbol, at - back), 1, -1)
        _ordinary(firm, account, symbol, at, side, hold)


def same_news(firm: Firm) -> None:
    """Three people who trade most releases, in the direction of the move, each in his own way."""
    rng = firm.rng
    story = decoy(firm, "copy_trading", "news minute")
    symbol = symbol_of(firm, ("EURUSD", "XAUUSD", "GBPUSD"))
    for _ in range(3):
        account = firm.names(story, firm.account(size=a_size(firm)), "trader")
        lives(firm, account, 1.0)
        at = firm.market.releases_of(symbol)
        at = at[rng.random(len(at)) < 0.6] + seconds(rng.uniform(2, 50, 1))[0]
        at = at + seconds(rng.exponential(10, len(at)))
        side = np.where(firm.market.mid(symbol, at) > firm.market.mid(symbol, at - 60 * SECOND), 1, -1)
        _ordinary(firm, account, symbol, at, side, float(rng.uniform(600, 3_000)))


def same_round_prices(firm: Firm) -> None:
    """Four people with limit orders at the same round prices, who are filled by the same quote."""
    rng = firm.rng
    story = decoy(firm, "copy_trading", "round prices")
    symbol = symbol_of(firm, ("EURUSD", "XAUUSD", "NAS100"))
    step = {"EURUSD": 0.005, "XAUUSD": 10.0}.get(symbol, float(f"{firm.market.track(symbol).bid[0] * 0.005:.0e}"))
    track = firm.market.track(symbol)
    band = np.floor(track.ask / step)
    falls = track.at[1:][np.diff(band) < 0]
    falls = apart(falls, 3 * 3_600)
    for _ in range(4):
        account = firm.names(story, firm.account(size=a_size(firm)), "trader")
        lives(firm, account, 1.0)
        at = falls[(rng.random(len(falls)) < 0.5) & firm.market.is_open(symbol, falls)]
        hold = float(rng.uniform(1_200, 9_000))
        _ordinary(firm, account, symbol, at[:14], np.ones(len(at[:14]), dtype=np.int64), hold, order="limit")


def public_signal(firm: Firm) -> None:
    """Twelve followers of one public channel: seconds, sizes and closes of their own."""
    rng = firm.rng
    story = decoy(firm, "copy_trading", "public signal")
    symbol, hold = symbol_of(firm), float(rng.uniform(1_200, 9_000))
    calls = apart(times(firm, symbol, count(firm, 20, 40), hold * 3), 600)
    side = rng.choice([-1, 1], len(calls))
    for _ in range(12):
        account = firm.names(story, firm.account(size=a_size(firm)), "trader")
        lives(firm, account, rng.uniform(0.2, 1.5))
        keep = rng.random(len(calls)) < rng.uniform(0.4, 0.8)
        at = calls[keep] + seconds(rng.lognormal(np.log(rng.uniform(8, 30)), 0.6, int(keep.sum())))
        order = np.argsort(at, kind="stable")
        _ordinary(firm, account, symbol, at[order], side[keep][order], hold)


def own_accounts(firm: Firm) -> None:
    """One owner who trades his two accounts alike."""
    rng = firm.rng
    story = decoy(firm, "copy_trading", "own accounts")
    first = firm.names(story, firm.account(size=a_size(firm)), "trader")
    owner = firm.accounts[first].owner
    second = firm.names(story, firm.account(owner, size=a_size(firm)), "trader")
    symbol = symbol_of(firm)
    hold = float(rng.uniform(900, 9_000))
    at = apart(times(firm, symbol, count(firm, 15, 50), hold * 2), 300)
    side = rng.choice([-1, 1], len(at))
    until = at + seconds(rng.exponential(hold, len(at)) + 60)
    for account, lag in ((first, 0.0), (second, float(rng.uniform(0.1, 2)))):
        lots = lots_for(firm, symbol, firm.accounts[account].size * 0.002, usual_move(firm, symbol, hold))
        firm.trade(account, symbol, side, lots, at + seconds(lag), until + seconds(lag))


def _ordinary(firm: Firm, account: int, symbol: str, at: Ints, side: Ints, hold: float, order: str = "market") -> None:
    rng = firm.rng
    keep = firm.market.is_open(symbol, at, int(hold * SECOND)) & (at < firm.market.end - DAY)
    at, side = at[keep], side[keep]
    move = usual_move(firm, symbol, hold)
    stop = move * rng.uniform(0.8, 1.8)
    lots = lots_for(firm, symbol, firm.accounts[account].size * rng.uniform(0.001, 0.003), stop)
    sizes = lots * np.exp(rng.normal(0, rng.uniform(0, 0.4), len(at)))
    until = at + seconds(np.exp(rng.normal(np.log(hold), 0.6, len(at))))
    placed = at - seconds(rng.uniform(600, 9_000, len(at))) if order == "limit" else None
    firm.trade(
        account,
        symbol,
        side,
        sizes,
        at,
        until,
        stop=stop,
        target=stop * rng.uniform(0.8, 2),
        order=order,
        placed=placed,
    )
