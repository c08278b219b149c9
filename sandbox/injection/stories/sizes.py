"""How large: all_in and martingale, with their decoys."""

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
    symbol_of,
    times,
    usual_move,
)
from sandbox.instants import DAY, HOUR, MINUTE


def all_in(firm: Firm, grade: Grade) -> None:
    """One to four ideas that risk most of the daily limit or more: to a far stop, or with none and a large loss; whole
    or in legs; alone or among ordinary trades."""
    rng = firm.rng
    story = firm.story(("all_in", "tick_scalping", "style_change", "day_padding"), grade, "all in")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    size = firm.accounts[account].size
    if grade != "easy" or rng.random() < 0.5:
        lives(firm, account, of_grade(grade, 0.4, 0.8, 1.5))
    symbol, hold = symbol_of(firm), float(np.exp(rng.uniform(np.log(600), np.log(10_000))))
    stop = usual_move(firm, symbol, hold) * rng.uniform(0.7, 1.4)
    at = apart(times(firm, symbol, count(firm, 1, 4), hold * 2), DAY / 1e6)
    for when in at.tolist():
        risk = size / 20 * between(firm, grade, (0.95, 2.0), (0.8, 1.2), (0.7, 0.95))
        lots = lots_for(firm, symbol, risk, stop)
        side = int(rng.choice([-1, 1]))
        hidden = rng.random() < 0.35
        if hidden:  # without a stop only a loss shows what was at stake
            side = -_direction(firm, symbol, when, hold)
            fills = firm.market.fills(symbol, side, np.array([when]), np.array([when + int(4 * hold * 1e6)]), stop)
            if fills.why[0] != 1:
                hidden = False
        legs = count(firm, 2, 5) if grade != "easy" and rng.random() < 0.5 else 1
        for leg in range(legs):
            firm.trade(
                account,
                symbol,
                side,
                lots / legs,
                when + leg * int(rng.uniform(1, 20) * 1e6),
                when + int(4 * hold * 1e6),
                stop=stop,
                target=stop * rng.uniform(0.8, 2),
                story=story.id,
                show_stops=not hidden,
            )


def _direction(firm: Firm, symbol: str, at: int, hold: float) -> int:
    later = firm.market.mid(symbol, np.array([at + int(2 * hold * 1e6)])) - firm.market.mid(symbol, np.array([at]))
    return 1 if float(later[0]) > 0 else -1


def large_lots_near_stop(firm: Firm) -> None:
    """Many lots with a near stop: little money at risk."""
    rng = firm.rng
    story = decoy(firm, "all_in", "large lots, near stop")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    symbol = symbol_of(firm, ("EURUSD", "XAUUSD", "US500"))
    lives(firm, account, 1.0)
    stop = usual_move(firm, symbol, 900)
    at = apart(times(firm, symbol, count(firm, 8, 20), 2_400), 3_600)
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.005, stop)
    firm.trade(account, symbol, rng.choice([-1, 1], len(at)), lots, at, at + HOUR, stop=stop, target=stop * 2)


def little_room(firm: Firm) -> None:
    """Has lost most of the total room and goes on with small trades, each of which is most of what is left."""
    rng = firm.rng
    story = decoy(firm, "all_in", "little room left")
    account = firm.names(story, firm.account(phase="phase 1", size=a_size(firm)), "trader")
    size, symbol = firm.accounts[account].size, symbol_of(firm)
    stop = usual_move(firm, symbol, 3_600)
    at = apart(times(firm, symbol, 60, 7_200), 3_600)
    lost, lots = 0.0, lots_for(firm, symbol, size * 0.006, stop)
    for when in at.tolist():
        losing = lost < 0.085 * size
        side = -_direction(firm, symbol, when, 1_800) if losing else int(rng.choice([-1, 1]))
        amount = lots if losing else lots_for(firm, symbol, max(0.0006, (0.1 - lost / size) * 0.5) * size, stop)
        fills = firm.trade(account, symbol, side, amount, when, when + HOUR, stop=stop, target=stop)
        lost -= float(fills.profit[0] * amount)
        if lost > 0.095 * size:
            return


def hedged_legs(firm: Firm) -> None:
    """Large on both sides at once within one account: nothing is at stake while both are open."""
    story = decoy(firm, "all_in", "hedged legs")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    lives(firm, account, 1.0)
    symbol = symbol_of(firm, ("EURUSD", "XAUUSD"))
    move = usual_move(firm, symbol, 3_600)
    at = apart(times(firm, symbol, 4, 7_200), 20_000)
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.03, move)
    for side, lag in ((1, 0), (-1, 400_000)):
        firm.trade(account, symbol, side, lots, at + lag, at + HOUR // 2 + lag)


def martingale(firm: Firm, grade: Grade) -> None:
    """Sizes that rise by a factor after each loss, or after two, until a win."""
    rng = firm.rng
    story = firm.story(("martingale", "all_in", "grid"), grade, "doubles")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    symbol, hold = symbol_of(firm), float(np.exp(rng.uniform(np.log(240), np.log(5_000))))
    factor = between(firm, grade, (1.9, 3.0), (1.6, 2.2), (1.5, 2.0))
    jitter = of_grade(grade, 0.0, 0.05, 0.12)
    patience = 2 if grade == "hard" and rng.random() < 0.4 else 1  # losses before the size rises
    _ladder(firm, account, symbol, hold, factor, jitter, patience, story.id, count(firm, 20, 90))
    if grade != "easy":
        lives(firm, account, of_grade(grade, 0, 0.3, 0.8))


def _ladder(
    firm: Firm,
    account: int,
    symbol: str,
    hold: float,
    factor: float,
    jitter: float,
    patience: int,
    story: int,
    many: int,
) -> None:
    rng = firm.rng
    most = max(3, min(6, int(np.log(30) / np.log(factor))))
    stop = usual_move(firm, symbol, hold)
    base = lots_for(firm, symbol, firm.accounts[account].size * rng.uniform(0.0008, 0.0015), stop)
    base = max(base, 0.05)
    at = apart(times(firm, symbol, many * 2, hold * 2), hold * 2.2)[:many]
    if len(at) < many // 2:
        at = apart(times(firm, symbol, many * 8, hold * 2), hold * 2.2)[:many]
    losses = 0
    legs = 2 if jitter > 0.1 and rng.random() < 0.3 else 1
    for when in at.tolist():
        step = min(max(losses - patience + 1, 0), most)
        if losses > most + patience:
            losses, step = 0, 0
        lots = base * factor**step * float(np.exp(rng.normal(0, jitter)))
        profit, side = 0.0, int(rng.choice([-1, 1]))
        for leg in range(legs):
            fills = firm.trade(
                account,
                symbol,
                side,
                lots / legs,
                when + leg * 1_500_000,
                when + int(hold * 2e6),
                stop=stop,
                target=stop,
                story=story,
            )
            profit += float(fills.profit[0])
        losses = losses + 1 if profit < 0 else 0


def sizes_of(firm: Firm, kind: str) -> None:
    """Sizes that change, but not because of losses: by volatility, by chance, after wins, or total risk in parts."""
    rng = firm.rng
    story = decoy(firm, "martingale", kind)
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    size, symbol, hold = firm.accounts[account].size, symbol_of(firm), float(rng.uniform(600, 5_000))
    at = apart(times(firm, symbol, count(firm, 40, 90), hold * 2), hold * 2.2)
    stop, base, wins = usual_move(firm, symbol, hold), size * 0.0015, 0
    slow = np.exp(np.cumsum(rng.normal(0, 0.25, len(at)))).clip(0.3, 3)
    for n, when in enumerate(at.tolist()):
        factor = {
            "scaled by volatility": float(slow[n]),
            "drawn from three sizes": float(rng.choice([1.0, 2.0, 3.0])),
            "larger after wins": 1.6 ** min(wins, 4),
            "total risk in parts": 1.0,
        }[kind]
        parts = 3 if kind == "total risk in parts" else 1
        profit, side = 0.0, int(rng.choice([-1, 1]))
        for part in range(parts):
            far = stop / (float(slow[n]) if kind == "scaled by volatility" else 1)
            lots = lots_for(firm, symbol, base * factor / parts, stop)
            begin = when + part * int(hold / 5 * 1e6)
            fills = firm.trade(account, symbol, side, lots, begin, when + int(hold * 2e6), stop=far, target=far)
            profit += float(fills.profit[0])
        wins = wins + 1 if profit > 0 else 0


def scaled_by_volatility(firm: Firm) -> None:
    sizes_of(firm, "scaled by volatility")


def drawn_sizes(firm: Firm) -> None:
    sizes_of(firm, "drawn from three sizes")


def larger_after_wins(firm: Firm) -> None:
    sizes_of(firm, "larger after wins")


def risk_in_parts(firm: Firm) -> None:
    sizes_of(firm, "total risk in parts")


def levels(
    firm: Firm, symbol: str, side: int, at: int, step: float, most: int, jitter: float, until: int
) -> tuple[Ints, Floats]:
    """Returns (times, prices) of a ladder: the market's price at `at`, then limits about a step apart against it."""
    found, mid = [at], float(firm.market.mid(symbol, np.array([at]))[0])
    half = firm.market.instruments[symbol].spread / 2
    prices = [mid + side * half]
    while len(found) < most:
        away = step * float(1 + firm.rng.normal(0, jitter))
        start = np.array([found[-1]])
        crossed = firm.market.fills(symbol, side, start, np.array([until]), stop=away, open_price=np.array([mid]))
        if crossed.why[0] != 1:
            break
        found.append(int(crossed.closed[0]) + int(firm.rng.integers(1, 300_000)))
        mid -= side * away
        prices.append(mid + side * half)
    return np.array(found, dtype=np.int64), np.array(prices)


def grid(firm: Firm, grade: Grade) -> None:
    """Baskets of four to twelve entries at near-equal steps against the price, closed together."""
    rng = firm.rng
    story = firm.story(("grid", "martingale", "all_in"), grade, "grid")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    if grade != "easy":
        lives(firm, account, of_grade(grade, 0, 0.4, 1.0))
    symbol, most = symbol_of(firm), count(firm, 4 if grade == "hard" else 5, 12)
    step = usual_move(firm, symbol, float(np.exp(rng.uniform(np.log(200), np.log(2_400))))) * 0.8
    spread = firm.market.instruments[symbol].spread
    grows = 1.0 if rng.random() < 0.6 else rng.uniform(1.05, 1.35)
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.0004, step)
    wanted, made, least = count(firm, 1 if grade == "hard" else 2, 6), 0, 4 if grade == "hard" else 5
    for smaller in (1.0, 0.6, 0.36):
        for when in apart(times(firm, symbol, 40, 20_000), 16_000).tolist():
            side, until = int(rng.choice([-1, 1])), when + int(rng.uniform(1.5, 5.5) * HOUR)
            away, jitter = max(step * smaller, 2.5 * spread), of_grade(grade, 0.02, 0.07, 0.15)
            at, prices = levels(firm, symbol, side, when, away, most, jitter, until - 10 * MINUTE)
            if len(at) < least and rng.random() < 0.8:
                continue
            end = _basket_end(firm, symbol, side, at, away, until)
            ends = np.full(len(at), end) + rng.integers(0, 1_500_000, len(at))
            sizes = lots * grows ** np.arange(len(at))
            ends = np.maximum(ends, at + 2_000_000)
            firm.trade(account, symbol, side, sizes, at, ends, open_price=prices, story=story.id)
            made += len(at) >= least
            if made >= wanted:
                return
        if made:
            return
    firm.stories.remove(story)


def _basket_end(firm: Firm, symbol: str, side: int, at: Ints, step: float, until: int) -> int:
    """Returns when the basket gains half a step on average, or its time is over."""
    average = float(np.mean(firm.market.mid(symbol, at)))
    end = firm.market.fills(symbol, side, at[-1:], np.array([until]), target=step / 2, open_price=np.array([average]))
    return int(end.closed[0])


def planned_parts(firm: Firm) -> None:
    """Three or four planned entries under one stop, each with its own target."""
    rng = firm.rng
    story = decoy(firm, "grid", "planned entries under one stop")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    lives(firm, account, 0.7)
    symbol = symbol_of(firm)
    step = usual_move(firm, symbol, 1_800)
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.001, step)
    for when in apart(times(firm, symbol, 10, 20_000), 20_000).tolist():
        side = int(rng.choice([-1, 1]))
        at, _ = levels(firm, symbol, side, when, step, count(firm, 3, 4), 0.25, when + 2 * HOUR)
        first = float(firm.market.mid(symbol, at[:1])[0])
        far = 4.5 * step - side * (first - firm.market.mid(symbol, at))
        targets = step * np.arange(1, len(at) + 1) * rng.uniform(0.7, 1.3, len(at))
        firm.trade(account, symbol, side, lots, at, at + 5 * HOUR, stop=np.maximum(far, step * 0.3), target=targets)


def partial_closes(firm: Firm) -> None:
    """One entry that is closed in four parts at rising prices."""
    rng = firm.rng
    story = decoy(firm, "grid", "partial closes")
    account = firm.names(story, firm.account(size=a_size(firm)), "trader")
    lives(firm, account, 0.5)
    symbol = symbol_of(firm)
    step = usual_move(firm, symbol, 1_200)
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.0006, step)
    at = apart(times(firm, symbol, 12, 15_000), 15_000)
    side = rng.choice([-1, 1], len(at))
    for part in range(4):
        firm.trade(account, symbol, side, lots, at, at + 4 * HOUR, stop=step * 2, target=step * (part + 1) * 0.6)
        block = firm.blocks[-1]
        if part == 0:
            positions = block["position"]
        else:
            block["position"] = positions
            firm.order_blocks.pop()


def daily_purchases(firm: Firm) -> None:
    """Buys the same amount every day, whatever the price: cost averaging in time."""
    rng = firm.rng
    story = decoy(firm, "grid", "same amount every day")
    account = firm.names(story, firm.account(size=a_size(firm), product="swing"), "trader")
    symbol = symbol_of(firm, ("BTCUSD", "XAUUSD"))
    days = np.arange(firm.market.start // DAY + 2, firm.market.end // DAY - 2)
    at = days * DAY + 13 * HOUR + rng.integers(0, HOUR, len(days))
    at = at[firm.market.is_open(symbol, at)]
    if not len(at):
        return
    lots = lots_for(firm, symbol, firm.accounts[account].size * 0.0008, usual_move(firm, symbol, 86_400))
    firm.trade(account, symbol, 1, lots, at, np.maximum(at[-1] + HOUR, at + HOUR), order="market")
