"""Hedging across accounts and the farming of challenges, with their decoys."""

import numpy as np

from sandbox.injection.firm import NEVER, Firm, Grade
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
from sandbox.instants import DAY, HOUR, MINUTE

_OTHER_NAME = {"EURUSD": "EURUSD.ecn", "US500": "US500.micro", "XAUUSD": "XAUUSD.mini", "NAS100": "US500"}


def hedges(firm: Firm, grade: Grade) -> None:
    """Two to four accounts that hold opposite sides: equal, scaled or net flat, at once or delayed, one symbol or its
    mini, micro or correlated index."""
    rng = firm.rng
    kind = str(rng.choice(["pair", "group", "other symbol", "mirror"], p=[0.5, 0.2, 0.15, 0.15]))
    story = firm.story(("hedging", "challenge_farming", "shared_identity", "copy_trading"), grade, kind)
    first = firm.names(story, firm.account(size=a_size(firm)), "leg")
    same_owner = rng.random() < 0.1
    others = count(firm, 2, 3) if kind == "group" else 1
    rest = [firm.account(firm.accounts[first].owner if same_owner else "", size=a_size(firm)) for _ in range(others)]
    for account in rest:
        firm.names(story, account, "leg")
    if not same_owner and rng.random() < 0.35:
        link(firm, (first, *rest), ("device", "card"))
    for account in (first, *rest):
        lives(firm, account, of_grade(grade, 0.2, 0.7, 1.2))
    symbol = symbol_of(firm, tuple(_OTHER_NAME)) if kind == "other symbol" else symbol_of(firm)
    many = {"easy": count(firm, 6, 20), "medium": count(firm, 4, 15), "hard": count(firm, 4, 12)}[grade]
    many = count(firm, 15, 35) if kind == "mirror" else many
    hold = float(np.exp(rng.uniform(np.log(300), np.log(6 * 3_600))))
    at = apart(times(firm, symbol, many, hold * 2), hold)
    if len(at) < 6:
        at = apart(times(firm, symbol, 60, hold * 2), hold)[:many]
    until = at + seconds(hold * rng.uniform(0.6, 1.6, len(at)))
    side = rng.choice([-1, 1], len(at))
    share = rng.uniform(0.002, 0.005)
    move = usual_move(firm, symbol, hold)
    lots = lots_for(firm, symbol, firm.accounts[first].size * share, move * 1.5)
    firm.trade(first, symbol, side, lots, at, until, story=story.id)
    for account in rest:
        other = _OTHER_NAME.get(symbol, symbol) if kind == "other symbol" else symbol
        if firm.market.instruments.get(other) is None or (other == "US500" and other not in firm.market.tracks):
            other = symbol
        lag = between(firm, grade, (0.1, 2), (0.5, 20), (3, 120))
        scale = lots / len(rest) if kind == "group" else lots * firm.accounts[account].size / firm.accounts[first].size
        if other != symbol:
            scale *= firm.market.usd(symbol, np.ones(1))[0] / firm.market.usd(other, np.ones(1))[0]
            scale *= usual_move(firm, symbol, hold) / usual_move(firm, other, hold) if symbol == "NAS100" else 1.0
        sizes = scale * np.exp(rng.normal(0, of_grade(grade, 0.0, 0.05, 0.12), len(at)))
        _mirrors(firm, account, other, at, until, side, sizes, lag, grade, story.id)


def _mirrors(
    firm: Firm,
    account: int,
    symbol: str,
    at: Ints,
    until: Ints,
    side: Ints,
    sizes: Floats,
    lag: float,
    grade: Grade,
    story: int,
) -> None:
    rng = firm.rng
    keep = rng.random(len(at)) < of_grade(grade, 1.0, 0.95, 0.85)
    opened = at + seconds(lag * np.exp(rng.normal(0, of_grade(grade, 0.1, 0.3, 0.4), len(at))))
    ends = until + seconds(rng.uniform(-1, 1, len(at)) * of_grade(grade, 2, 15, 90))
    ends = np.maximum(ends, opened + seconds(5.0))
    legs = count(firm, 2, 3) if grade == "hard" and rng.random() < 0.3 else 1
    for leg in range(legs):
        firm.trade(
            account, symbol, -side[keep], sizes[keep] / legs, opened[keep] + leg * seconds(1.0), ends[keep], story=story
        )


def mirror_of(firm: Firm, leader: str, trades: list[tuple[str, Ints, Ints, Ints, Floats]], grade: Grade) -> None:
    """An account that mirrors one that was there before. `trades`: symbol, openings, closings, sides, lots."""
    story = firm.story(("hedging", "copy_trading"), grade, "mirror of real trades")
    story.roles[leader] = "leg"
    account = firm.names(story, firm.account(size=a_size(firm)), "leg")
    lag = between(firm, grade, (0.1, 2), (0.5, 15), (3, 60))
    for symbol, at, until, side, lots in trades:
        _mirrors(firm, account, symbol, at, until, side, lots * firm.rng.uniform(0.5, 2), lag, grade, story.id)


def trend_against_reversion(firm: Firm) -> None:
    """A trend follower and a reversion trader in one symbol: mostly on opposite sides, never by arrangement."""
    rng = firm.rng
    story = decoy(firm, "hedging", "trend against reversion")
    symbol = symbol_of(firm)
    for view in (1, -1):
        account = firm.names(story, firm.account(size=a_size(firm)), "trader")
        hold = float(rng.uniform(1_800, 14_400))
        at = times(firm, symbol, count(firm, 30, 70), hold * 1.5)
        candle = rng.random(len(at)) < 0.4
        at = np.where(candle, at // (15 * MINUTE) * 15 * MINUTE + seconds(rng.exponential(4, len(at))), at)
        moved = np.where(firm.market.mid(symbol, at) > firm.market.mid(symbol, at - HOUR), 1, -1)
        stop = usual_move(firm, symbol, hold) * rng.uniform(0.8, 1.5)
        lots = lots_for(firm, symbol, firm.accounts[account].size * rng.uniform(0.001, 0.003), stop)
        until = at + seconds(rng.exponential(hold, len(at)) + 60)
        firm.trade(account, symbol, view * moved, lots, at, until, stop=stop, target=stop * 1.5)


def hedges_in_one_account(firm: Firm) -> None:
    """Both sides within one account, which most firms allow."""
    rng = firm.rng
    story = decoy(firm, "hedging", "within one account")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    lives(firm, account, 1.0)
    symbol, hold = symbol_of(firm), float(rng.uniform(1_800, 10_000))
    at = apart(times(firm, symbol, 14, hold * 2), hold)
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.002, usual_move(firm, symbol, hold))
    firm.trade(account, symbol, 1, lots, at, at + seconds(hold))
    firm.trade(account, symbol, -1, lots, at + seconds(rng.uniform(1, 60, len(at))), at + seconds(hold * 0.9))


def farming(firm: Firm, grade: Grade) -> None:
    """One person, or a few who share a card, buys challenge after challenge: large first trades, opposite in pairs,
    short lives."""
    rng = firm.rng
    story = firm.story(("challenge_farming", "hedging", "all_in", "shared_identity", "copy_trading"), grade, "farm")
    many = {"easy": count(firm, 8, 14), "medium": count(firm, 6, 10), "hard": count(firm, 5, 7)}[grade]
    within = between(firm, grade, (2, 4), (3, 6), (5, 8)) * DAY
    people = 1 if grade == "easy" or rng.random() < 0.5 else count(firm, 2, 3)
    owners = [firm.owner() for _ in range(people)]
    if people > 1:
        value = f"farm-{story.id}"
        for owner in owners:
            for kind in ("card", "device"):
                firm.identity(owner, kind, f"{kind}-{value}")
    symbol, size = symbol_of(firm, ("XAUUSD", "NAS100", "EURUSD", "BTCUSD")), a_size(firm)
    move = usual_move(firm, symbol, 3_600)
    begin = int(times(firm, symbol, 40, 3_600, end=firm.market.end - 10 * DAY)[0])
    opened = begin + np.sort(rng.integers(0, int(within), many))
    opened[1::2] = opened[0 : len(opened[1::2]) * 2 : 2] + rng.integers(0, HOUR, len(opened[1::2]))  # bought in pairs
    for n in range(0, many, 2):
        pair = opened[n : n + 2]
        open_now = times(firm, symbol, 30, 7_200, int(pair[-1]), int(pair[-1]) + 4 * DAY)
        first = int(open_now[0]) if len(open_now) else int(pair[-1]) + HOUR
        for place, bought in enumerate(pair.tolist()):
            account = firm.account(owners[(n + place) % people], "phase 1", size=size, opened=bought)
            firm.names(story, account, "farmed")
            opposite = rng.random() < of_grade(grade, 1.0, 0.9, 0.8)
            side = (1 if place == 0 else -1) if opposite else 1
            _gambles(firm, account, symbol, side, first + int(place * rng.uniform(1, 300) * 1e6), move, grade, story.id)


def _gambles(firm: Firm, account: int, symbol: str, side: int, at: int, move: float, grade: Grade, story: int) -> None:
    """Risks most of the daily limit at once; goes on in the same way until the account has passed or failed."""
    rng = firm.rng
    row = firm.accounts[account]
    stake = row.size * between(firm, grade, (0.045, 0.055), (0.035, 0.05), (0.025, 0.045))
    sum_, when, days = 0.0, at, 0
    while days < 6:
        lots = lots_for(firm, symbol, stake, move)
        shown = rng.random() < 0.7
        fills = firm.trade(
            account,
            symbol,
            side,
            lots,
            when,
            when + 2 * HOUR,
            stop=move,
            target=move * rng.uniform(0.9, 1.3),
            story=story,
            show_stops=shown,
        )
        sum_ += float(fills.profit[0] * lots)
        end = int(fills.closed[0])
        if sum_ <= -0.045 * row.size or sum_ >= 0.08 * row.size:
            row.ended, row.outcome = end + 1_000_000, "breached" if sum_ < 0 else "passed"
            return
        later = times(firm, symbol, 10, 7_200, end + HOUR // 4, end + 2 * DAY)
        if not len(later):
            break
        when, days = int(later[0]), days + 1
    row.ended, row.outcome = NEVER, "open"


def unlucky_rebuyer(firm: Firm) -> None:
    """Fails and buys again, three to five times in the month, each time after days of ordinary trading."""
    rng = firm.rng
    story = decoy(firm, "challenge_farming", "unlucky rebuyer")
    owner, many = firm.owner(), count(firm, 3, 4)
    size = a_size(firm)
    span = (firm.market.end - firm.market.start) // (many + 1)
    for n in range(many):
        begin = firm.market.start + n * span + int(rng.integers(0, DAY))
        account = firm.names(story, firm.account(owner, "phase 1", size=size, opened=begin), "trader")
        end = begin + int(span * rng.uniform(0.7, 0.95))
        lives(firm, account, 3.0, "day", begin, end)
        firm.accounts[account].ended, firm.accounts[account].outcome = end + DAY // 8, "breached"


def one_of_each(firm: Firm) -> None:
    """Buys one account of each product in the week of a sale and trades them as usual."""
    rng = firm.rng
    story = decoy(firm, "challenge_farming", "one account of each product")
    owner = firm.owner()
    begin = firm.market.start + 8 * DAY
    for product in ("two-step", "one-step", "swing", "instant")[: count(firm, 3, 4)]:
        opened = begin + int(rng.integers(0, 4 * DAY))
        account = firm.account(owner, "phase 1", size=a_size(firm), product=product, opened=opened)
        lives(firm, firm.names(story, account, "trader"), rng.uniform(0.7, 2.0), start=opened)
