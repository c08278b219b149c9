"""Reads the euro foreign exchange reference rates of the European Central Bank (`eurofxref-daily.xml`).

The file has a date without a time. The rates are set at 14:15 Frankfurt time, on every day that the bank is open.
"""

from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Final
from zoneinfo import ZoneInfo

from lxml import etree
from pydantic import ValidationError

from domain.exchange import Rate
from domain.file_errors import RatesUnreadable
from domain.money import is_known

_NAMESPACE: Final = "{http://www.ecb.int/vocabulary/2002-08-01/eurofxref}"
_SET_AT: Final = time(14, 15, tzinfo=ZoneInfo("Europe/Berlin"))
SOURCE: Final = "European Central Bank"


def read_ecb(content: bytes, name: str) -> list[Rate]:
    """Returns the rates of every day in the file: what one euro buys. Currencies without known decimals are left out.
    Raises RatesUnreadable."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(content, parser)
        if root.getroottree().docinfo.doctype:
            raise RatesUnreadable(f"{name} defines entities.", field=name, remedy=_REMEDY)
        found = [rate for day in root.iter(f"{_NAMESPACE}Cube") if day.get("time") for rate in _of_day(day)]
    except (etree.XMLSyntaxError, ValidationError, ValueError, InvalidOperation) as exc:
        raise RatesUnreadable(f"{name} is not a file of the ECB's rates.", field=name, remedy=_REMEDY) from exc
    if not found:
        raise RatesUnreadable(f"{name} has no rates.", field=name, remedy=_REMEDY)
    return found


_REMEDY: Final = "Download eurofxref-daily.xml again; nothing was imported."


def _of_day(day: "etree._Element") -> list[Rate]:
    at = datetime.combine(date.fromisoformat(day.get("time", "")), _SET_AT)
    return [
        Rate(sold="EUR", bought=currency, price=Decimal(each.get("rate", "")), source=SOURCE, at=at)
        for each in day.iter(f"{_NAMESPACE}Cube")
        if (currency := each.get("currency")) is not None and is_known(currency)
    ]
