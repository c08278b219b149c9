"""What a trade stood to lose: to its stop, or without one as far as the market and the result tell."""

from typing import Final

import numpy as np

from surveillance.book import NEVER, REASONS, Book, Flags, Floats, Ints
from surveillance.measures.worth import risk_to_stop

_STOPPED: Final = (REASONS.index("stop"), REASONS.index("stop_out"))


def without_stop(book: Book) -> Flags:
    """Whether no stop is told of a trade."""
    return np.isnan(book.trades.stop)


def worst_losses(book: Book, worth: Floats) -> Floats:
    """Returns the worst loss of each trade in minor units: to its stop, or what it lost when that is more and no stop
    ended it (a gap is not the trader's choice). Without a stop, or with one moved into profit, what it lost."""
    trades = book.trades
    realised = np.where(trades.closed != NEVER, np.maximum(-trades.profit_minor, 0), 0).astype(np.float64)
    to_stop = risk_to_stop(book, worth)
    beyond = (trades.reason == 0) & (trades.side * (trades.close_price - trades.stop) <= 0)
    stopped = np.isin(trades.reason, _STOPPED) | beyond
    return np.where(np.isnan(to_stop), realised, np.where(stopped, to_stop, np.fmax(to_stop, realised)))


def excursions(book: Book, worth: Floats, rows: Ints) -> Floats:
    """Returns how far these trades went under water at the worst, in minor units, by the quotes of the time between
    opening and closing; 0 where there are none. What is still open is followed to the last quote."""
    found, trades = np.zeros(len(rows)), book.trades
    for symbol in np.unique(trades.symbol[rows]).tolist():
        quotes = book.quotes.get(str(book.symbols.name[symbol]))
        if quotes is None or not len(quotes):
            continue
        for place in np.flatnonzero(trades.symbol[rows] == symbol).tolist():
            row = int(rows[place])
            # the bar of the opening began before it, so it does not count
            first = int(np.searchsorted(quotes.at, trades.opened[row]))
            last = int(np.searchsorted(quotes.at, trades.closed[row]))
            if first >= last:
                continue
            if trades.side[row] > 0:
                distance = float(trades.open_price[row] - np.min(quotes.bid_low[first:last]))
            else:
                distance = float(np.max(quotes.ask_high[first:last]) - trades.open_price[row])
            lost = distance * float(trades.lots[row]) * float(worth[row])
            found[place] = max(lost, 0.0) if np.isfinite(lost) else 0.0
    return found
