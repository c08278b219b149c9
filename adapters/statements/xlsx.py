"""Reads the workbook that an MT5 terminal writes (Open XML): the same tables as its HTML report, cell by cell.

A title is a row with one text. The row after a title that fills many columns is the heading of a table; it says which
columns the table has. A row with an empty first cell is a sum and ends the table.
"""

import io
from datetime import date, datetime, time
from typing import Final

from python_calamine import CalamineError, CalamineWorkbook

from adapters.statements.html import Cell, Row
from adapters.statements.tables import is_instant, is_label
from domain.file_errors import StatementInvalid

MAGIC: Final = b"PK\x03\x04"
_LEAST_COLUMNS: Final = 11
_WIDE: Final = 14
_HEADING: Final = "#HEADING"
Value = int | float | str | bool | time | date | datetime | object


def workbook_rows(raw: bytes, name: str) -> list[Row]:
    """Returns the rows of the first sheet in the shape of an HTML report. Raises StatementInvalid."""
    try:
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(raw)).get_sheet_by_index(0)
        values = sheet.to_python(skip_empty_area=False)
    except (CalamineError, ValueError, IndexError, OSError) as exc:
        raise StatementInvalid(
            f"{name} is no workbook that can be read.", remedy="Export the report again, as HTML or Open XML."
        ) from exc
    rows, columns = list[Row](), list[int]()
    for number, cells in enumerate(values, start=1):
        texts = [_text(value) for value in cells]
        filled = [place for place, text in enumerate(texts) if text]
        if len(filled) >= _LEAST_COLUMNS and not any(is_instant(texts[place]) for place in filled):
            columns = filled
            rows.append(Row(number, tuple(_cell(texts[place], bold=True) for place in columns), _HEADING))
        elif len(filled) <= 1 or not columns or not texts[0]:
            columns = columns if filled and texts[0] and len(filled) > 1 else []
            rows.append(_loose(number, texts, filled))
        elif any(is_label(texts[place]) for place in filled):
            columns = []
            rows.append(_loose(number, texts, filled))
        else:
            rows.append(Row(number, tuple(_cell(_at(texts, place)) for place in columns), None))
    return rows


def _loose(number: int, texts: list[str], filled: list[int]) -> Row:
    """Returns a row outside the tables: a title, a label with its value, or a sum."""
    if not filled:
        return Row(number, (_cell(""),), None)
    if len(filled) == 1:
        return Row(number, (_cell(texts[filled[0]], span=_WIDE, bold=True),), None)
    sums = (_cell("", span=_WIDE),) if not texts[0] else ()
    return Row(number, (*sums, *(_cell(texts[place], heading=True) for place in filled)), None)


def _cell(text: str, *, span: int = 1, bold: bool = False, heading: bool = False) -> Cell:
    return Cell(text=text, span=span, heading=heading, bold=bold or heading, title="")


def _at(texts: list[str], place: int) -> str:
    return texts[place] if place < len(texts) else ""


def _text(value: Value) -> str:
    """Returns a value as the HTML report would write it. A workbook holds numbers as doubles: eight decimals are
    exact for every price and amount."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        text = f"{value:.8f}".rstrip("0").rstrip(".")
        return "0" if text == "-0" else text
    if isinstance(value, datetime):
        return value.strftime("%Y.%m.%d %H:%M:%S")
    if isinstance(value, date):
        return value.strftime("%Y.%m.%d 00:00:00")
    return " ".join(str(value).split())
