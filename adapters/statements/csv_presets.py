"""The CSV files of known venues: each preset is a mapping, and the headings by which its file is recognised.

The headings are those of public examples of each export. Times without a zone are read with --zone. Sources: the
Performance report of Tradovate; the trades export of TopstepX; the Trades grid of NinjaTrader 8; the History tab of
cTrader; the fills export of DXtrade; the trade export of Myfxbook; the history export of MQL5 signals.
"""

import re
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from adapters.statements.csv_mapping import Mapping
from adapters.statements.csv_rows import rows_of
from domain.errors import BadInput
from domain.file_errors import StatementInvalid

_DELIMITERS: Final = (",", ";", "\t", "|")
_WITHIN: Final = 30
_ZONE: Final = re.compile(r"\(utc\s*([+-])(\d{1,2})(?::?(\d{2}))?\)")
_SIGNS: Final = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY"}
_MONEY_COLUMN: Final = re.compile(r"net\s+(?:([A-Za-z]{3,4})|([€$£¥]))")
_PENDING: Final = ("buy limit", "sell limit", "buy stop", "sell stop", "buy stop limit", "sell stop limit", "cancelled")


@dataclass(frozen=True, slots=True)
class Preset:
    """`columns`: the headings of each field, in lower case: alternatives, of which one must be there. `optional`: those
    that a file may lack. `settings`: the other fields of the mapping. `numbered`: the whole heading row, where headings
    repeat, with the number of each column."""

    columns: MappingType[str, tuple[str, ...]] = field(default_factory=dict)
    optional: MappingType[str, tuple[str, ...]] = field(default_factory=dict)
    settings: MappingType[str, Any] = field(default_factory=dict)
    numbered: tuple[tuple[str, MappingType[str, int]], ...] = ()

    def found_in(self, heading: list[str]) -> dict[str, Any] | None:
        """Returns the columns of a mapping for this heading row (lower case); None if it is another export."""
        for written, numbers in self.numbered:
            if [cell for cell in heading if cell] == written.split(";"):
                return dict(numbers)
        if not self.columns:
            return None
        named = {name: _first(heading, words) for name, words in self.columns.items()}
        if any(column is None for column in named.values()):
            return None
        extra = {name: _first(heading, words) for name, words in self.optional.items()}
        columns = named | {name: column for name, column in extra.items() if column is not None}
        tickets = tuple(columns.pop(name) for name in ("ticket", "ticket_2") if name in columns)
        return columns | ({"ticket": tickets} if tickets else {})


_US_TIMES: Final = ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M")
_ISO_TIMES: Final = ("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
_DAY_FIRST: Final = ("%d/%m/%Y %H:%M:%S.%f", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M:%S")

PRESETS: Final[dict[str, Preset]] = {
    "tradovate": Preset(
        columns={
            "ticket": ("buyfillid",),
            "ticket_2": ("sellfillid",),
            "symbol": ("symbol",),
            "lots": ("qty",),
            "bought_price": ("buyprice",),
            "sold_price": ("sellprice",),
            "profit": ("pnl",),
            "bought_at": ("boughttimestamp",),
            "sold_at": ("soldtimestamp",),
        },
        settings={"date_format": (*_US_TIMES, *_ISO_TIMES)},
    ),
    "topstepx": Preset(
        columns={
            "ticket": ("id",),
            "symbol": ("contractname",),
            "side": ("type",),
            "opened_at": ("enteredat",),
            "closed_at": ("exitedat",),
            "opening_price": ("entryprice",),
            "closing_price": ("exitprice",),
            "profit": ("pnl",),
            "lots": ("size",),
            "commission": ("fees",),
        },
        optional={"taxes": ("commissions",)},
        settings={"date_format": ("%m/%d/%Y %H:%M:%S %z", *_ISO_TIMES, *_US_TIMES), "costs": "positive"},
    ),
    "ninjatrader": Preset(
        columns={
            "symbol": ("instrument",),
            "side": ("market pos.", "market pos", "market position"),
            "lots": ("qty", "quantity"),
            "opening_price": ("entry price",),
            "closing_price": ("exit price",),
            "opened_at": ("entry time",),
            "closed_at": ("exit time",),
            "profit": ("profit",),
            "commission": ("commission",),
        },
        optional={"ticket": ("trade number", "trade #", "trade-#")},
        settings={
            "date_format": (*_US_TIMES, *_DAY_FIRST, *_ISO_TIMES),
            "costs": "positive",
            "profit_is": "net",  # its profit is after commission
        },
    ),
    "ctrader": Preset(
        columns={
            "symbol": ("symbol",),
            "side": ("opening direction", "direction"),
            "closed_at": (r"closing time( \(utc.*\))?", r"close time( \(utc.*\))?"),
            "opening_price": ("entry price", "opening price"),
            "closing_price": ("closing price",),
            "lots": ("closing quantity", "quantity", "volume"),
            "profit": (r"net .{1,4}", "net"),
        },
        optional={
            "ticket": ("id", "position id", "deal id"),
            "opened_at": (r"(entry|opening|open) time( \(utc.*\))?",),
            "balance": (r"balance .{1,4}", "balance"),
        },
        settings={
            "date_format": (*_DAY_FIRST, "%d %b %Y %H:%M:%S.%f", "%d %b %Y %H:%M:%S", *_ISO_TIMES),
            "profit_is": "net",
        },
    ),
    "dxtrade": Preset(
        columns={
            "ticket": ("order id",),
            "symbol": ("symbol", "instrument"),
            "side": ("side",),
            "effect": ("position effect",),
            "lots": ("trade volume", "quantity", "volume"),
            "price": ("trade price", "price"),
            "profit": ("closed p&l", "closed pnl", "closed p/l"),
            "at": ("date and time", "date/time", "datetime", "time"),
        },
        optional={"commission": ("commission", "commissions")},
        settings={
            "date_format": ("%d/%m/%y %H:%M", "%d/%m/%y %H:%M:%S", *_DAY_FIRST, *_ISO_TIMES),
            "costs": "unsigned",
        },
    ),
    "myfxbook": Preset(
        columns={
            "symbol": ("symbol",),
            "side": ("action",),
            "opened_at": ("open date",),
            "closed_at": ("close date",),
            "opening_price": ("open price",),
            "closing_price": ("close price",),
            "profit": ("profit",),
            "lots": ("units/lots", "lots"),
        },
        optional={"ticket": ("ticket",), "commission": ("commission",), "swap": ("swap",)},
        settings={
            "date_format": ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%Y.%m.%d %H:%M", *_ISO_TIMES),
            "costs": "signed",
            "asks_profit": True,
            "side_words": {"skip": _PENDING},
        },
    ),
    "mql5": Preset(
        numbered=(
            (
                "time;type;volume;symbol;price;s/l;t/p;time;price;commission;swap;profit;comment",
                {"opened_at": 1, "side": 2, "lots": 3, "symbol": 4, "opening_price": 5, "closed_at": 8}
                | {"closing_price": 9, "commission": 10, "swap": 11, "profit": 12},
            ),
            (
                "time;type;volume;symbol;price;volume;time;price;commission;swap;profit",
                {"opened_at": 1, "side": 2, "lots": 3, "symbol": 4, "opening_price": 5, "closed_at": 7}
                | {"closing_price": 8, "commission": 9, "swap": 10, "profit": 11},
            ),
        ),
        settings={
            "date_format": ("%Y.%m.%d %H:%M:%S", "%Y.%m.%d %H:%M"),
            "costs": "signed",
            "side_words": {"skip": _PENDING},
        },
    ),
}


def mapping_for(text: str, name: str, preset: str | None, given: Mapping | None) -> Mapping | None:
    """Returns the mapping of a CSV: that of the named preset, or of the one whose headings the file has, with the
    fields of `given` in place of its own. None: no preset fits. Raises BadInput for an unknown name, StatementInvalid
    for a file that is not of the named venue."""
    if preset is not None and preset not in PRESETS:
        raise BadInput(
            f"There is no preset {preset!r}.", field="from", remedy=f"Known presets: {', '.join(sorted(PRESETS))}."
        )
    wanted = PRESETS if preset is None else {preset: PRESETS[preset]}
    for delimiter in _DELIMITERS:
        try:
            rows = rows_of(text, name, delimiter)
        except StatementInvalid:
            continue
        for number, cells in enumerate(rows[:_WITHIN]):
            heading = [" ".join(cell.lower().split()).strip('"') for cell in cells]
            for each in wanted.values():
                columns = each.found_in(heading)
                if columns is not None:
                    return _mapping(each, columns, heading, delimiter, number, given)
    if preset is None:
        return None
    raise StatementInvalid(
        f"{name} does not have the headings of {preset}.",
        field="from",
        remedy="Export it again, or describe its columns with --mapping.",
    )


def _mapping(
    preset: Preset, columns: dict[str, Any], heading: list[str], delimiter: str, row: int, given: Mapping | None
) -> Mapping:
    numbers = {name: _numbered(column, heading) for name, column in columns.items()}
    data = {**preset.settings, "columns": numbers, "delimiter": delimiter, "heading": True, "heading_row": row + 1}
    data |= _from_heading(heading)
    own = {} if given is None else given.model_dump(exclude_unset=True, exclude={"columns", "delimiter", "heading"})
    try:
        return Mapping.model_validate({**data, **own})
    except ValidationError as exc:
        raise BadInput(f"The mapping does not fit this file: {exc.errors()[0]['msg']}.", field="mapping") from exc


def _numbered(column: Any, heading: list[str]) -> Any:
    """Returns a column as a number from 1: headings may differ in case and spaces."""
    if isinstance(column, tuple):
        return tuple(_numbered(each, heading) for each in column)
    return column if isinstance(column, int) else heading.index(column) + 1


def _from_heading(heading: list[str]) -> dict[str, Any]:
    """Returns what headings say: "Closing time (UTC+2)" the zone, "Net EUR" or "Net €" the currency."""
    found: dict[str, Any] = {}
    for cell in heading:
        if match := _ZONE.search(cell):
            found["zone"] = f"{match[1]}{int(match[2]):02}:{match[3] or '00'}"
        if match := _MONEY_COLUMN.fullmatch(cell):
            found["currency"] = match[1].upper() if match[1] else _SIGNS[match[2]]
    return found


def _first(heading: list[str], words: tuple[str, ...]) -> str | None:
    """Returns the first heading that one of the patterns matches."""
    for word in words:
        pattern = re.escape(word) if "(" not in word and "{" not in word else word
        for cell in heading:
            if re.fullmatch(pattern, cell):
                return cell
    return None
