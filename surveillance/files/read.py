"""Makes a book from files. What is wrong in them is counted and reported; only a file that cannot be read at all, or
lacks a column, is an error."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surveillance import build
from surveillance.book import Accounts, Book, Events, Identities, Quotes
from surveillance.files import accounts as account_file
from surveillance.files import facts
from surveillance.files import trades as trade_file
from surveillance.files.columns import Format, Read, read_columns
from surveillance.files.prices import read_prices
from surveillance.files.problems import Problems
from surveillance.symbols import SymbolTable, symbol_table

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Files:
    """The files to read; None: not given."""

    trades: Path
    accounts: Path
    orders: Path | None = None
    prices: Path | None = None
    symbols: Path | None = None
    calendar: Path | None = None
    identity: Path | None = None


def read_book(files: Files, on_step: OnStep = lambda _: None) -> tuple[Book, Problems]:
    """Returns (the book, what was found wrong). `on_step`: told what is being read.

    Raises SurveillanceFileInvalid, PriceFileInvalid.
    """
    problems = Problems()

    def read(path: Path, form: Format) -> Read:
        on_step(f"reading {form.what}")
        return read_columns(path, form, problems)

    given = trade_file.clean(read(files.trades, trade_file.FORMAT))
    accounts = build.accounts_table(account_file.told(read(files.accounts, account_file.FORMAT), given))
    orders = None if files.orders is None else facts.orders(read(files.orders, facts.ORDERS), accounts)
    told = [] if files.symbols is None else facts.symbols(read(files.symbols, facts.SYMBOLS))
    names = {*given["symbol"].tolist(), *([] if orders is None else orders["symbol"].tolist())}
    symbols = symbol_table(names, told)
    given.report("unknown_symbol", "symbol", np.isin(given["symbol"].astype(str), symbols.unknown))
    on_step("putting trades in order")
    trades = build.trades_table(trade_file.told(given, accounts), accounts, symbols)
    del given
    book = Book(
        trades=trades,
        accounts=accounts,
        symbols=symbols.symbols,
        orders=None if orders is None else build.orders_table(orders, accounts, symbols, trades.positions),
        identities=_identities(files.identity, accounts, read),
        events=_events(files.calendar, read),
        quotes=_quotes(files.prices, symbols, problems, on_step),
        missing=_missing(files),
    )
    return book, problems


def _identities(path: Path | None, accounts: Accounts, read: Callable[[Path, Format], Read]) -> Identities | None:
    if path is None:
        return None
    return build.identities_table(facts.identities(read(path, facts.IDENTITY), accounts), accounts)


def _events(path: Path | None, read: Callable[[Path, Format], Read]) -> Events | None:
    if path is None:
        return None
    published = facts.is_published(path)
    form = facts.PUBLISHED_CALENDAR if published else facts.CALENDAR
    return build.events_table(facts.releases(read(path, form), published=published))


def _quotes(folder: Path | None, symbols: SymbolTable, problems: Problems, on_step: OnStep) -> Mapping[str, Quotes]:
    if folder is None:
        return {}
    return read_prices(folder, symbols.main_name, problems, lambda name: on_step(f"reading {name}"))


def _missing(files: Files) -> dict[str, str]:
    told = {
        "orders": (files.orders, "no file of orders was given (--orders)"),
        "identities": (files.identity, "no file of identity facts was given (--identity)"),
        "events": (files.calendar, "no calendar of releases was given (--calendar)"),
        "quotes": (files.prices, "no folder of prices was given (--prices)"),
    }
    return {fact: why for fact, (path, why) in told.items() if path is None}
