"""Real trades into which stories are planted: their market, and the stories that begin with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from domain.errors import BadInput
from sandbox.injection.firm import Firm, Grade
from sandbox.injection.market import INSTRUMENTS, Floats, Instrument, Ints, Market, Release, Track
from sandbox.injection.stories.copying import copies_of
from sandbox.injection.stories.hedges import mirror_of
from sandbox.instants import DAY, HOUR, SECOND

_STEP: Final = 10 * SECOND
_LEAST: Final = 8  # closed trades, so that a copy of them can be told from chance
_MOST_TICKS: Final = 3_000_000
_LEAST_KNOWN: Final = 4  # prices of a symbol
_COINS: Final = ("BTC", "ETH", "XRP", "LTC", "SOL")


@dataclass(frozen=True)
class BaseTrade:
    """A closed trade as a file or a statement has it. Times in microseconds, `profit` in the account's currency."""

    account: str
    owner: str
    symbol: str
    side: int
    lots: float
    opened: int
    open_price: float
    closed: int
    close_price: float
    profit: float


def market_of(
    rng: np.random.Generator,
    trades: Sequence[BaseTrade],
    quotes: Mapping[str, Track],
    releases: tuple[Release, ...] = (),
    ticks: tuple[str, ...] = (),
) -> Market:
    """Returns the market in which the trades were made: these quotes, and for other symbols prices that pass
    through those of the trades. Raises BadInput when there are too few trades for any price."""
    if not trades:
        raise BadInput("There is no closed trade.", field="into", remedy="Give a file with closed trades.")
    start = min(each.opened for each in trades) // DAY * DAY - DAY
    end = (max(each.closed for each in trades) // DAY + 3) * DAY
    tracks, instruments = dict(quotes), dict(INSTRUMENTS)
    by_symbol: dict[str, list[BaseTrade]] = {}
    for each in trades:
        by_symbol.setdefault(each.symbol, []).append(each)
    for symbol, own in by_symbol.items():
        known = INSTRUMENTS.get(symbol)
        if symbol in tracks or (known and known.synonym_of in tracks):
            continue
        if 2 * len(own) < _LEAST_KNOWN:
            continue
        instruments[symbol] = known if known and not known.synonym_of else _instrument(symbol, own)
        tracks[symbol] = _bridge(rng, instruments[symbol], own, start, end)
    if not tracks:
        raise BadInput(
            "No symbol has enough trades for its prices.",
            field="into",
            remedy=f"Give a file with {_LEAST} trades of a symbol.",
        )
    if quotes:
        start = max(start, min(int(track.at[0]) for track in quotes.values()))
        end = min(end, max(int(track.at[-1]) for track in quotes.values()))
    return Market(tracks, instruments, releases, start, end, ticks)


def _instrument(symbol: str, trades: Sequence[BaseTrade]) -> Instrument:
    """Returns the symbol's facts as its trades tell them: the size of the contract from the profits."""
    moved = np.array([each.side * (each.close_price - each.open_price) * each.lots for each in trades])
    profit = np.array([each.profit for each in trades])
    some = np.abs(moved) > 0
    contract = float(np.median(np.abs(profit[some] / moved[some]))) if some.any() else 1.0
    digits = max(len(f"{each.open_price:.10g}".partition(".")[2]) for each in trades)
    price = float(np.median([each.open_price for each in trades]))
    coin = symbol.upper().startswith(_COINS)
    asset = "crypto" if coin else "metal" if symbol.upper().startswith(("XAU", "XAG", "GOLD")) else "forex"
    letters = symbol.upper()[:6]
    return Instrument(
        symbol, asset, letters[:3] if len(letters) == 6 else "", letters[3:], max(contract, 0.01), min(digits, 6),
        price, 0.03 if coin else 0.006, max(price * 0.0001, 10.0**-digits),
    )  # fmt: skip


def _bridge(rng: np.random.Generator, each: Instrument, trades: Sequence[BaseTrade], start: int, end: int) -> Track:
    """Returns a random walk that passes through the prices of the trades, on weekdays only unless it is crypto."""
    step = max(_STEP, (end - start) // _MOST_TICKS)
    at = np.arange(start, end, step, dtype=np.int64)
    at = at + rng.integers(0, step // 2, len(at))
    weekday = (at // DAY + 3) % 7
    keep = (
        np.ones(len(at), dtype=bool)
        if each.asset == "crypto"
        else (weekday < 4) | ((weekday == 4) & (at % DAY < 21 * HOUR))
    )
    keep |= (weekday == 6) & (at % DAY >= 21 * HOUR)
    walk = np.cumsum(np.where(keep, rng.standard_normal(len(at)) * each.day_move * np.sqrt(step / DAY), 0.0))
    known = sorted({t.opened: t.open_price for t in trades} | {t.closed: t.close_price for t in trades})
    prices = {t.opened: t.open_price for t in trades} | {t.closed: t.close_price for t in trades}
    knots = np.array(known, dtype=np.int64)
    levels = np.log(np.array([prices[k] for k in known]))
    drift = levels - np.interp(knots, at, walk)
    price = np.exp(walk + np.interp(at, knots, drift))
    half = each.spread / 2
    bid, ask = np.round(price - half, each.digits), np.round(price + half, each.digits)
    return Track(at[keep], bid[keep], np.maximum(ask, bid + 10.0**-each.digits)[keep])


def plant_on(firm: Firm, trades: Sequence[BaseTrade], stories: int, patterns: Sequence[str]) -> None:
    """Plants copies and mirrors of the trades that were there before: their account is the leader."""
    by_account: dict[str, list[BaseTrade]] = {}
    for each in trades:
        known = firm.market.instruments.get(each.symbol)
        if known and (known.synonym_of or known.name) in firm.market.tracks and _within(firm.market, each):
            by_account.setdefault(each.account, []).append(each)
    able = [name for name, own in by_account.items() if len(own) >= _LEAST]
    grades: tuple[Grade, ...] = ("easy", "medium", "hard")
    for pattern, plant in (("copy_trading", copies_of), ("hedging", mirror_of)):
        if pattern not in patterns:
            continue
        for n, name in enumerate(firm.rng.permutation(able)[:stories].tolist()):
            own = sorted(by_account[name], key=lambda trade: trade.opened)
            plant(firm, name, [_columns(own, symbol) for symbol in dict.fromkeys(t.symbol for t in own)], grades[n % 3])


def _within(market: Market, trade: BaseTrade) -> bool:
    return market.start <= trade.opened < trade.closed < market.end - HOUR


def _columns(trades: Sequence[BaseTrade], symbol: str) -> tuple[str, Ints, Ints, Ints, Floats]:
    own = [each for each in trades if each.symbol == symbol]
    return (
        symbol,
        np.array([each.opened for each in own], dtype=np.int64),
        np.array([each.closed for each in own], dtype=np.int64),
        np.array([each.side for each in own], dtype=np.int64),
        np.array([each.lots for each in own], dtype=np.float64),
    )
