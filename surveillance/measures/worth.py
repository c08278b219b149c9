"""What a move of the price is worth, and what a trade risks, in minor units of the account's currency.

The worth is measured from the results of the firm's own trades, so that it holds whatever a venue calls a lot; the
facts of the symbol serve where there are too few trades.
"""

from typing import Final

import numpy as np

from domain.money import exponent, is_known
from surveillance.book import NEVER, Book, Floats, Ints

_FEWEST: Final = 8  # results from which a worth is measured
_LARGEST_SPREAD: Final = 1.5  # upper over lower quartile; beyond it the results do not agree


def worth_of_move(book: Book) -> Floats:
    """Returns for each trade what one lot gains when the price rises by 1, in minor units; NaN when it is not known."""
    firm = book.firm
    if not len(firm.trades):
        return _told(book)
    measured = firm.once("worth of a move", lambda: _measured_worth(firm))[pair_of(book)]
    return np.where(np.isfinite(measured), measured, _told(book))


def usual_result(book: Book) -> Floats:
    """Returns for each trade the median result of one lot in its symbol over the firm, in minor units and without its
    sign: lots of different symbols compare when they are multiplied with it. 1 where nothing is known."""
    firm = book.firm
    found = firm.once("usual result", lambda: _median_result(firm))[pair_of(book)]
    return np.where(np.isfinite(found) & (found > 0), found, 1.0)


def _measured_worth(firm: Book) -> Floats:
    """Returns the worth by pair of symbol and currency; NaN where the results are few, or do not agree. Costs blur a
    small move, so only the larger half of the moves is measured."""
    move = firm.trades.side * (firm.trades.close_price - firm.trades.open_price)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = firm.trades.profit_minor / (move * firm.trades.lots)
    usable = (firm.trades.closed != NEVER) & np.isfinite(ratio) & (ratio > 0)
    keys = pair_of(firm)
    middle = grouped_quantiles(keys[usable], np.abs(move[usable]), _pairs(firm))[1]
    usable &= np.abs(move) >= middle[keys]
    low, middle, high, count = grouped_quantiles(keys[usable], ratio[usable], _pairs(firm))
    with np.errstate(invalid="ignore"):
        agreed = (count >= _FEWEST) & (high <= _LARGEST_SPREAD * low)
    return np.where(agreed, middle, np.nan)


def _median_result(firm: Book) -> Floats:
    told = (firm.trades.closed != NEVER) & (firm.trades.profit_minor != 0)
    per_lot = np.abs(firm.trades.profit_minor[told]) / np.maximum(firm.trades.lots[told], 1e-9)
    return grouped_quantiles(pair_of(firm)[told], per_lot, _pairs(firm))[1]


def risk_to_stop(book: Book, worth: Floats) -> Floats:
    """Returns what each trade loses at its stop, in minor units; NaN when no stop is told, or one that lies in profit:
    it was moved, and what was risked is not known."""
    trades = book.trades
    distance = trades.side * (trades.open_price - trades.stop)
    with np.errstate(invalid="ignore"):
        return np.where(distance > 0, distance * trades.lots * worth, np.nan)


def grouped_quantiles(keys: Ints, values: Floats, groups: int) -> tuple[Floats, Floats, Floats, Ints]:
    """Returns (lower quartile, median, upper quartile, how many values) of each group 0 to `groups` - 1; NaN for an
    empty one. A quantile is one of the values."""
    order = np.lexsort((values, keys))
    ordered = values[order]
    count = np.bincount(keys, minlength=groups)
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    found = []
    for share in (0.25, 0.5, 0.75):
        place = start + np.floor(share * np.maximum(count - 1, 0)).astype(np.int64)
        if len(ordered):
            found.append(np.where(count > 0, ordered[np.minimum(place, len(ordered) - 1)], np.nan))
        else:
            found.append(np.full(groups, np.nan))
    return found[0], found[1], found[2], count.astype(np.int64)


def pair_of(book: Book) -> Ints:
    """Returns for each trade the number of its pair of symbol and currency of the account."""
    currency = book.accounts.currency[book.trades.account].astype(np.int64)
    return book.trades.symbol.astype(np.int64) * max(len(book.accounts.currencies), 1) + currency


def _pairs(book: Book) -> int:
    return len(book.symbols) * max(len(book.accounts.currencies), 1)


def _told(book: Book) -> Floats:
    """Returns the worth by the facts of the symbol: its quote or its base is the currency of the account."""
    trades, symbols = book.trades, book.symbols
    names = book.accounts.currencies
    scale = np.array([10.0 ** (exponent(name) if is_known(name) else 2) for name in names] or [1.0])
    currency = book.accounts.currency[trades.account]
    name = np.array(names or ("",), dtype=object)[currency]
    lot = symbols.contract_size[trades.symbol] * scale[currency]
    by_base = np.where(symbols.base[trades.symbol] == name, lot / np.maximum(trades.open_price, 1e-12), np.nan)
    return np.where(symbols.quote[trades.symbol] == name, lot, by_base).astype(np.float64)
