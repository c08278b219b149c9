"""Stories that only the quotes show: stale prices, fills outside the market, straddles of releases, gaps."""

from typing import Final

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
    of_grade,
    seconds,
    symbol_of,
    times,
    usual_move,
)
from sandbox.instants import DAY, HOUR, MINUTE, SECOND

_FEWEST_CLOSINGS: Final = 3  # of the market, so that somebody can bet on gaps again and again


def stale_prices(firm: Firm, grade: Grade) -> None:
    """Buys at the venue's old price just after the market has moved, and sells soon after."""
    rng = firm.rng
    story = firm.story(("latency_arbitrage", "off_market_fill", "tick_scalping"), grade, "stale prices")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    symbol = symbol_of(firm, firm.market.ticks)
    many = count(firm, 20, 120)
    behind = int(between(firm, grade, (0.8, 2.0), (0.5, 1.5), (0.4, 1.0)) * SECOND)  # how old the venue's quotes are
    at, side = _moved(firm, symbol, behind)
    if not len(at):
        return
    chosen = np.sort(rng.choice(len(at), min(len(at), many * 3), replace=False))
    spaced = chosen[np.isin(at[chosen], apart(at[chosen], 90))][:many]
    side, opened = side[spaced], at[spaced] + seconds(rng.uniform(0.02, 0.6, len(spaced)) * behind / SECOND)
    track = firm.market.track(symbol)
    before, now = track.place(at[spaced] - behind), track.place(at[spaced])
    old = np.where(side > 0, track.ask[before], track.bid[before])
    new = np.where(side > 0, track.ask[now], track.bid[now])
    lost = between(firm, grade, (0.0, 0.1), (0.0, 0.25), (0.15, 0.4))
    price = old + (new - old) * lost * rng.uniform(0.5, 1.5, len(spaced))
    hold = np.exp(rng.normal(np.log(rng.uniform(5, 40)), 0.5, len(opened)))
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.001, usual_move(firm, symbol, 120))
    firm.trade(account, symbol, side, lots, opened, opened + seconds(hold), open_price=price, story=story.id)
    if grade != "easy":
        lives(firm, account, of_grade(grade, 0, 0.5, 1.2))


def _moved(firm: Firm, symbol: str, within: int) -> tuple[Ints, Ints]:
    """Returns (times, directions) at which both quotes have moved by more than the usual spread within so many
    microseconds."""
    track = firm.market.track(symbol)
    before = track.place(track.at - within)
    bid, ask = track.bid - track.bid[before], track.ask - track.ask[before]
    least = np.where(np.sign(bid) == np.sign(ask), np.minimum(np.abs(bid), np.abs(ask)), 0.0)
    quick = track.at - track.at[np.maximum(np.arange(len(track.at)) - 1, 0)] < 10 * SECOND
    found = np.flatnonzero((least > np.median(track.ask - track.bid)) & quick)
    found = found[(found > 100) & (track.at[found] < firm.market.end - HOUR)]
    return track.at[found], np.sign(bid[found]).astype(np.int64)


def news_momentum(firm: Firm) -> None:
    """Enters seconds after releases in the direction of the move, at the prices of that moment."""
    rng = firm.rng
    story = decoy(firm, "latency_arbitrage", "news momentum")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    lives(firm, account, 0.8)
    symbol = symbol_of(firm, firm.market.ticks)
    at = np.repeat(firm.market.releases_of(symbol), 2)
    at = np.sort(at + seconds(rng.uniform(2, 120, len(at))))
    side = np.where(firm.market.mid(symbol, at) > firm.market.mid(symbol, at - MINUTE), 1, -1)
    stop = usual_move(firm, symbol, 1_800)
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.002, stop)
    firm.trade(account, symbol, side, lots, at, at + seconds(rng.uniform(30, 900, len(at))), stop=stop, target=stop)


def wide_stop_scalper(firm: Firm) -> None:
    """Wins nine of ten trades: near targets, far stops."""
    rng = firm.rng
    story = decoy(firm, "latency_arbitrage", "far stops, near targets")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    symbol = symbol_of(firm, firm.market.ticks)
    at = apart(times(firm, symbol, count(firm, 40, 100), 3_600), 600)
    near = usual_move(firm, symbol, 300)
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.003, near * 8)
    firm.trade(account, symbol, rng.choice([-1, 1], len(at)), lots, at, at + 3 * HOUR, stop=near * 8, target=near)


def limits_filled(firm: Firm) -> None:
    """Limit orders, which the market fills when it comes to them."""
    rng = firm.rng
    story = decoy(firm, "latency_arbitrage", "limit orders")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    symbol = symbol_of(firm, firm.market.ticks)
    placed = apart(times(firm, symbol, count(firm, 30, 70), 4_000), 1_200)
    side = rng.choice([-1, 1], len(placed))
    away = usual_move(firm, symbol, 300) * rng.uniform(0.5, 1.5, len(placed))
    mid = firm.market.mid(symbol, placed)
    crossed = firm.market.fills(symbol, -side, placed, placed + HOUR, away * 4, away, open_price=mid)
    hit = crossed.why == 2
    at = crossed.closed[hit]
    stop = usual_move(firm, symbol, 1_200)
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.001, stop)
    firm.trade(
        account, symbol, side[hit], lots, at, at + HOUR, stop=stop, target=stop, order="limit", placed=placed[hit]
    )


def off_market(firm: Firm, grade: Grade) -> None:
    """Fills better than any quote around them, among ordinary ones."""
    rng = firm.rng
    story = firm.story(("off_market_fill", "latency_arbitrage"), grade, "better than the market")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    lives(firm, account, of_grade(grade, 0.7, 1.2, 2.0))
    symbol = symbol_of(
        firm, firm.market.ticks if grade == "hard" or rng.random() < 0.6 else ("GBPUSD", "US500", "NAS100")
    )
    at = apart(times(firm, symbol, int(between(firm, grade, (6, 25), (4, 15), (3, 8))), 3_600), 600)
    low, high = _range(firm, symbol, at, 90 * SECOND)
    if symbol in firm.market.ticks:  # where there are ticks that day
        near = firm.market.track(symbol)
        busy = at - near.at[near.place(at) - 1] < 20 * SECOND
        close_low, close_high = _range(firm, symbol, at, 3 * SECOND)
        low, high = np.where(busy, close_low, low), np.where(busy, close_high, high)
    side = rng.choice([-1, 1], len(at))
    spread = firm.market.instruments[symbol].spread
    better = spread * between(firm, grade, (5, 12), (4, 7), (3, 5)) * rng.uniform(0.8, 1.25, len(at))
    price = np.where(side > 0, low - better, high + better)
    stop = usual_move(firm, symbol, 3_600) + better
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.002, float(np.median(stop)))
    until = at + seconds(rng.uniform(60, 3_600, len(at)))
    firm.trade(account, symbol, side, lots, at, until, stop=stop, target=stop * 1.5, open_price=price, story=story.id)


def _range(firm: Firm, symbol: str, at: Ints, window: int) -> tuple[Floats, Floats]:
    """Returns the least bid and the highest ask within so many microseconds of each time."""
    track = firm.market.track(symbol)
    first, last = track.place(at - window), track.place(at + window) + 1
    low = np.array([track.bid[a:b].min() for a, b in zip(first.tolist(), last.tolist(), strict=True)])
    high = np.array([track.ask[a:b].max() for a, b in zip(first.tolist(), last.tolist(), strict=True)])
    return low, high


def slipped(firm: Firm) -> None:
    """Fills worse than the quotes, as in thin markets: against the trader."""
    rng = firm.rng
    story = decoy(firm, "off_market_fill", "slippage against the trader")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    lives(firm, account, 1.0)
    symbol = symbol_of(firm, firm.market.ticks)
    at = apart(times(firm, symbol, count(firm, 8, 20), 3_600), 600)
    low, high = _range(firm, symbol, at, 3 * SECOND)
    side = rng.choice([-1, 1], len(at))
    worse = firm.market.instruments[symbol].spread * rng.uniform(2, 8, len(at))
    price = np.where(side > 0, high + worse, low - worse)
    move = usual_move(firm, symbol, 3_600)
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.001, move)
    firm.trade(account, symbol, side, lots, at, at + HOUR, stop=move + worse, target=move, open_price=price)


def at_rollover(firm: Firm) -> None:
    """Trades in the minutes of the rollover, where spreads are wide."""
    rng = firm.rng
    story = decoy(firm, "off_market_fill", "rollover spreads")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    symbol = symbol_of(firm, ("EURUSD", "GBPUSD"))
    days = np.arange(firm.market.start // DAY + 1, firm.market.end // DAY - 1) * DAY
    at = days + 21 * HOUR + rng.integers(5 * MINUTE, 60 * MINUTE, len(days))
    at = at[firm.market.is_open(symbol, at, 2 * HOUR)]
    move = usual_move(firm, symbol, 7_200) + 4 * firm.market.instruments[symbol].spread
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.001, move)
    firm.trade(account, symbol, rng.choice([-1, 1], len(at)), lots, at, at + 2 * HOUR, stop=move, target=move)


def straddles(firm: Firm, grade: Grade) -> None:
    """A buy stop and a sell stop before releases; one is filled, the other one cancelled."""
    rng = firm.rng
    story = firm.story(("news_straddle", "tick_scalping"), grade, "straddles")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    lives(firm, account, of_grade(grade, 0.5, 1, 1.5))
    symbol = symbol_of(firm, ("EURUSD", "XAUUSD", "GBPUSD", "NAS100"))
    wanted = int(between(firm, grade, (4, 12), (3, 8), (2, 5)))
    made = 0
    for release in rng.permutation(_with_market(firm, symbol)).tolist():
        before = between(firm, grade, (5, 60), (10, 110), (30, 240))
        made += _straddle(firm, account, symbol, release, before, of_grade(grade, 1, 5, 30), story.id)
        if made >= wanted:
            return


def _with_market(firm: Firm, symbol: str) -> Ints:
    releases = firm.market.releases_of(symbol)
    return releases[firm.market.is_open(symbol, releases, HOUR)]


def _straddle(firm: Firm, account: int, symbol: str, release: int, before: float, cancels: float, story: int) -> bool:
    rng = firm.rng
    placed = release - int(before * SECOND)
    mid = firm.market.mid(symbol, np.array([placed]))
    away = usual_move(firm, symbol, 120) * rng.uniform(0.8, 1.6) + firm.market.instruments[symbol].spread
    crossed = firm.market.fills(
        symbol, 1, np.array([placed]), np.array([release + 2 * MINUTE]), away, away, open_price=mid
    )
    if crossed.why[0] == 0 or crossed.closed[0] < release:
        return False
    side, at = (1 if crossed.why[0] == 2 else -1), crossed.closed
    stop = usual_move(firm, symbol, 1_200)
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.005, stop)
    firm.trade(
        account,
        symbol,
        side,
        lots,
        at,
        at + seconds(rng.uniform(20, 600)),
        stop=stop,
        target=stop * 2,
        order="stop",
        placed=np.array([placed]),
        story=story,
    )
    done = at + seconds(rng.uniform(0.05, 1) * cancels)
    both = placed + int(rng.integers(100_000, 3_000_000))
    firm.order(
        account, symbol, -side, lots, done, mid - side * away, order="stop", placed=np.array([both]), state="cancelled"
    )
    return True


def one_sided_bets(firm: Firm) -> None:
    """A stop order on one side before releases."""
    rng = firm.rng
    story = decoy(firm, "news_straddle", "one-sided bets")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    lives(firm, account, 1.0)
    symbol = symbol_of(firm, ("EURUSD", "XAUUSD", "GBPUSD"))
    for release in _with_market(firm, symbol)[: count(firm, 6, 14)].tolist():
        placed, side = release - int(rng.uniform(10, 120) * SECOND), int(rng.choice([-1, 1]))
        mid = firm.market.mid(symbol, np.array([placed]))
        away = usual_move(firm, symbol, 150)
        crossed = firm.market.fills(
            symbol, side, np.array([placed]), np.array([release + 10 * MINUTE]), target=away, open_price=mid
        )
        if crossed.why[0] != 2 or crossed.closed[0] <= placed:
            continue
        at, stop = crossed.closed, usual_move(firm, symbol, 1_800)
        lots = lots_for(firm, symbol, firm.accounts[account].size * 0.003, stop)
        firm.trade(
            account,
            symbol,
            side,
            lots,
            at,
            at + HOUR // 2,
            stop=stop,
            target=stop,
            order="stop",
            placed=np.array([placed]),
        )


def old_breakouts(firm: Firm) -> None:
    """Stop orders on both sides of the night's range, placed hours before; the other is cancelled in the evening."""
    rng = firm.rng
    story = decoy(firm, "news_straddle", "breakout orders hours old")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    symbol = symbol_of(firm, ("EURUSD", "XAUUSD", "GBPUSD"))
    days = np.arange(firm.market.start // DAY + 1, firm.market.end // DAY - 1) * DAY
    placed = days + 6 * HOUR + rng.integers(0, HOUR, len(days))
    placed = placed[firm.market.is_open(symbol, placed, 8 * HOUR)]
    away = usual_move(firm, symbol, 14_000)
    mid = firm.market.mid(symbol, placed)
    crossed = firm.market.fills(symbol, 1, placed, placed + 9 * HOUR, away, away, open_price=mid)
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.003, away)
    for n in np.flatnonzero(crossed.why > 0).tolist():
        side, at = (1 if crossed.why[n] == 2 else -1), crossed.closed[[n]]
        one = placed[[n]]
        firm.trade(account, symbol, side, lots, at, at + 3 * HOUR, stop=away, target=away, order="stop", placed=one)
        evening = np.maximum(one + 10 * HOUR, at + MINUTE)
        firm.order(
            account, symbol, -side, lots, evening, mid[[n]] - side * away, order="stop", placed=one, state="cancelled"
        )


def other_currencies(firm: Firm) -> None:
    """Orders on both sides while a release of other currencies is due, which does not move the symbol."""
    rng = firm.rng
    if "EURUSD" not in firm.market.tracks:
        return
    story = decoy(firm, "news_straddle", "release of another currency")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    lives(firm, account, 0.8)
    symbol = "EURUSD"
    others = [r.at for r in firm.market.releases if r.currency in ("JPY", "GBP")]
    own = firm.market.releases_of(symbol)
    others = [at for at in others if not len(own) or np.abs(own - at).min() > HOUR]
    for release in rng.permutation(others)[: count(firm, 4, 8)].tolist():
        if firm.market.is_open(symbol, np.array([release - HOUR]), 2 * HOUR)[0]:
            _straddle(firm, account, symbol, int(release), float(rng.uniform(30, 200)), 600, -1)


def gaps(firm: Firm, grade: Grade) -> None:
    """Large positions shortly before the market closes, closed when it opens again."""
    rng = firm.rng
    story = firm.story(("gap_exploit", "all_in"), grade, "over the gap")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    lives(firm, account, of_grade(grade, 0.8, 1.2, 1.5))
    symbol = symbol_of(firm, ("EURUSD", "XAUUSD", "GBPUSD", "US500", "NAS100", "USDJPY"))
    size = firm.accounts[account].size
    closings = firm.market.closings(symbol)
    if len(closings) < _FEWEST_CLOSINGS:
        firm.stories.remove(story)
        return
    chosen = np.sort(rng.permutation(closings)[: int(between(firm, grade, (3, 8), (3, 7), (2, 5)))])
    track = firm.market.track(symbol)
    opens = track.at[track.place(chosen) + 1]
    at = chosen - seconds(between(firm, grade, (1, 10), (3, 30), (10, 100)) * 60 * rng.uniform(0.5, 1.1, len(chosen)))
    until = opens + seconds(between(firm, grade, (5, 120), (20, 600), (60, 1_500)) * rng.uniform(0.5, 1.2, len(chosen)))
    share = between(firm, grade, (0.012, 0.03), (0.010, 0.02), (0.008, 0.015))
    lots = lots_for(firm, symbol, size * share, usual_move(firm, symbol, 20_000))
    firm.trade(account, symbol, rng.choice([-1, 1], len(at)), lots, at, until, story=story.id)


def weekend_swing(firm: Firm) -> None:
    """Swing trades, days old, that are open over weekends."""
    rng = firm.rng
    story = decoy(firm, "gap_exploit", "swing trades over weekends")
    account = firm.names(story, firm.account(size=a_size(firm), product="swing"), "trader")
    symbol = symbol_of(firm, ("EURUSD", "XAUUSD", "US500"))
    at = apart(times(firm, symbol, 14, 100_000, end=firm.market.end - 3 * DAY), 100_000)
    stop = usual_move(firm, symbol, 3 * 86_400)
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.004, stop)
    firm.trade(
        account,
        symbol,
        rng.choice([-1, 1], len(at)),
        lots,
        at,
        at + seconds(rng.uniform(1, 5, len(at)) * 86_400),
        stop=stop,
        target=stop * 2,
    )


def crypto_weekends(firm: Firm) -> None:
    """Trades crypto through Friday evening and Sunday, where there is no gap."""
    rng = firm.rng
    if not {"EURUSD", "BTCUSD"} <= set(firm.market.tracks):
        return
    story = decoy(firm, "gap_exploit", "crypto over weekends")
    account = firm.names(story, firm.account(size=a_size(firm), product="crypto"), "trader")
    lives(firm, account, 0.8)
    closings = firm.market.closings("EURUSD")
    at = closings - seconds(rng.uniform(300, 3_600, len(closings)))
    lots = lots_for(firm, "BTCUSD", firm.accounts[account].size * 0.006, usual_move(firm, "BTCUSD", 86_400))
    firm.trade(account, "BTCUSD", rng.choice([-1, 1], len(at)), lots, at, at + 49 * HOUR)


def small_over_weekend(firm: Firm) -> None:
    """Of usual size, opened on Friday afternoon and kept for days."""
    rng = firm.rng
    story = decoy(firm, "gap_exploit", "Friday trades kept for days")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    lives(firm, account, 1.5)
    symbol = symbol_of(firm, ("EURUSD", "GBPUSD"))
    closings = firm.market.closings(symbol)[:-1]
    at = closings - seconds(rng.uniform(1_800, 6 * 3_600, len(closings)))
    stop = usual_move(firm, symbol, 2 * 86_400)
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.0015, stop)
    firm.trade(
        account,
        symbol,
        rng.choice([-1, 1], len(at)),
        lots,
        at,
        closings + seconds(rng.uniform(52, 90, len(at)) * 3_600),
        stop=stop,
    )
