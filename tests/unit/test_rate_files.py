"""Files of exchange rates: read whole or not at all, every wrong row named."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from adapters.rates.ecb import read_ecb
from adapters.rates.table_csv import read_table
from domain.file_errors import RatesUnreadable

HEADER = "sold,bought,price,source,at\n"
ECB = """<?xml version="1.0" encoding="UTF-8"?>{doctype}
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01"
                 xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
<gesmes:subject>Reference rates</gesmes:subject>
<Cube><Cube time='{day}'><Cube currency='USD' rate='1.0853'/><Cube currency='JPY' rate='{price}'/>
<Cube currency='XXX' rate='1'/></Cube></Cube></gesmes:Envelope>"""


def ecb(*, day: str = "2026-07-01", price: str = "161.25", doctype: str = "") -> bytes:
    return ECB.format(day=day, price=price, doctype=doctype).encode()


def test_a_table_is_read() -> None:
    [found] = read_table(HEADER + " USD,EUR,0.9137,house bank,2026-03-02T09:00:00+01:00\n", "rates.csv")
    assert (found.sold, found.bought, found.price, found.source) == ("USD", "EUR", Decimal("0.9137"), "house bank")
    assert found.at == datetime(2026, 3, 2, 8, tzinfo=UTC)


def test_every_wrong_row_is_named_and_nothing_is_taken() -> None:
    rows = (
        "USD,EUR,0.9,bank,2026-03-02T09:00:00Z\n",
        "USD,EUR,0,bank,2026-03-02T09:00:00Z\n",
        "USD,EUR,NaN,bank,2026-03-02T09:00:00Z\n",
        "USD,USD,1,bank,2026-03-02T09:00:00Z\n",
        "USD,XYZ,1,bank,2026-03-02T09:00:00Z\n",
        "USD,EUR,0.9,bank,2026-03-02 09:00\n",
        "USD,EUR,0.9,,2026-03-02T09:00:00Z\n",
    )
    with pytest.raises(RatesUnreadable) as refused:
        read_table(HEADER + "".join(rows), "rates.csv")
    assert [line.split()[0] for line in refused.value.message.splitlines()] == [f"rates.csv:{n}" for n in range(3, 9)]


def test_other_columns_are_refused() -> None:
    with pytest.raises(RatesUnreadable) as refused:
        read_table("from,to,rate\nUSD,EUR,0.9\n", "rates.csv")
    assert HEADER.strip() in str(refused.value.remedy)


def test_the_reference_rates_of_the_ecb_are_read() -> None:
    usd, jpy = read_ecb(ecb(), "eurofxref-daily.xml")
    assert (usd.sold, usd.bought, usd.price) == ("EUR", "USD", Decimal("1.0853"))
    assert (jpy.bought, jpy.price, jpy.source) == ("JPY", Decimal("161.25"), "European Central Bank")
    assert usd.at == datetime(2026, 7, 1, 12, 15, tzinfo=UTC), "14:15 in Frankfurt, in summer"


@pytest.mark.parametrize(
    "content",
    [
        ecb()[:300],
        ecb(price="-1"),
        ecb(price="N/A"),
        ecb(day="yesterday"),
        ecb(doctype='<!DOCTYPE e [<!ENTITY x "1">]>'),
        b"<a/>",
        b"",
    ],
    ids=["cut off", "negative", "no number", "no date", "entities", "another file", "empty"],
)
def test_a_file_that_is_not_whole_is_refused(content: bytes) -> None:
    with pytest.raises(RatesUnreadable) as refused:
        read_ecb(content, "rates.xml")
    assert refused.value.field == "rates.xml" and refused.value.remedy
