"""How the patterns of one account show what they found: figures, tables of trades, times and amounts as text."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal

import numpy as np

from domain.money import Money, is_known
from domain.surveillance.evidence import Figure, Figures, Table
from surveillance.book import NEVER, SECOND, UNKNOWN, Book

MOST_ROWS: Final = 200  # a table is for people; `deals` of the finding has every trade


def when(at: int) -> str:
    """Returns a time as "2014-05-01 12:30:05" in UTC; "open" for what has not happened."""
    if at == NEVER:
        return "open"
    return f"{datetime.fromtimestamp(at / SECOND, UTC):%Y-%m-%d %H:%M:%S}"


def amount(book: Book, account: int, minor: float) -> str:
    """Returns an amount of the account as "1,234.50 USD"; in minor units where the currency is not known."""
    currency, whole = book.accounts.currencies[book.accounts.currency[account]], round(float(minor))
    return str(Money(minor=whole, currency=currency)) if is_known(currency) else f"{whole:,} {currency}"


def decimal(value: float, places: int = 2) -> Decimal:
    """Returns a measured number for a figure. What is beyond every bound is shown as 9999."""
    return Decimal(str(round(min(float(value), 9999.0) if np.isfinite(value) else 9999.0, places)))


def figures(*rows: tuple[str, float, float, Literal["at_least", "at_most"], str]) -> Figures:
    """Returns figures from (name, measured, threshold, bound, unit)."""
    return Figures(
        figures=tuple(
            Figure(name=name, measured=decimal(measured), threshold=decimal(threshold), bound=bound, unit=unit)
            for name, measured, threshold, bound, unit in rows
        )
    )


def side_word(side: int) -> str:
    return "buy" if side > 0 else "sell"


def trade_table(title: str, book: Book, rows: Iterable[int], more: Sequence[tuple[str, Sequence[Any]]] = ()) -> Table:
    """Returns the trades as a table, the first MOST_ROWS of them. `more`: (column, one value for each trade)."""
    told, trades = [int(row) for row in rows], book.trades
    cells = []
    for n, row in enumerate(told[:MOST_ROWS]):
        account = int(trades.account[row])
        cells.append(
            (
                str(trades.id[row]),
                book.listed(row),
                side_word(int(trades.side[row])),
                f"{trades.lots[row]:g}",
                when(int(trades.opened[row])),
                when(int(trades.closed[row])),
                amount(book, account, float(trades.profit_minor[row])),
                *(str(values[n]) for _, values in more),
            )
        )
    shown = title if len(told) <= MOST_ROWS else f"{title} (first {MOST_ROWS} of {len(told):,})"
    columns = (
        "Trade",
        "Symbol",
        "Side",
        "Lots",
        "Opened, UTC",
        "Closed, UTC",
        "Net profit",
        *(column for column, _ in more),
    )
    return Table(title=shown, columns=columns, rows=tuple(cells))


def limit_told(minor: int) -> bool:
    """Whether the product has this limit."""
    return minor not in (UNKNOWN, 0)


def rising(measured: float, line: float, full: float) -> float:
    """Returns 0.5 at the line, 1 at `full` and beyond, and less than 0.5 short of the line; `full` may lie below."""
    return float(min(max(0.5 + 0.5 * (measured - line) / (full - line), 0.0), 1.0))
