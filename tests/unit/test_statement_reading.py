"""Reports of both terminals are read in any language and encoding; what cannot be read is named by its row."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.statements.csv_mapping import Mapping
from adapters.statements.read import read_statement
from cli.evaluate import read_mapping
from domain.errors import BadInput, UnknownCurrency
from domain.file_errors import StatementInvalid
from domain.histories.statement_sums import discrepancies, sums
from domain.histories.statements import Statement
from tests.statement_pages import BOOK, ENGLISH, GERMAN, HELD, JAPANESE, TRADES, Book, Language, mt4, mt5

MAPPING = Mapping.model_validate(
    {
        "account": "desk-7",
        "currency": "EUR",
        "initial_balance": "5000",
        "delimiter": ";",
        "decimal": ",",
        "date_format": "%d.%m.%Y %H:%M",
        "columns": {
            "ticket": "No",
            "symbol": "Market",
            "side": 3,
            "opened_at": "From",
            "closed_at": "To",
            "profit": "Result",
            "lots": "Size",
        },
        "only": {"Desk": "7"},
        "side_words": {"buy": ["K"], "sell": ["V"], "money": ["cash"], "skip": ["cancelled"]},
    }
)
CSV = """No;Market;Way;From;To;Result;Size;Desk
1;DAX;K;03.02.2025 09:00;03.02.2025 10:00;1.250,50;2;7
2;DAX;V;04.02.2025 09:00;04.02.2025 10:00;-50,5;1;7
3;DAX;V;04.02.2025 09:00;04.02.2025 10:00;-50,5;1;8
4;DAX;cancelled;04.02.2025 11:00;04.02.2025 11:00;;;7
5;;cash;05.02.2025 11:00;;-300,00;;7
"""


def written(folder: Path, text: str, encoding: str = "utf-8", bom: bytes = b"") -> Path:
    path = folder / "report.html"
    path.write_bytes(bom + text.encode(encoding))
    return path


def read(folder: Path, text: str, mapping: Mapping | None = None, zone: str = "UTC") -> Statement:
    return read_statement(written(folder, text), zone, mapping)


def facts(statement: Statement) -> dict[str, object]:
    """Everything but the hash of the bytes."""
    return statement.model_dump(exclude={"sha256"})


@pytest.mark.parametrize("language", [ENGLISH, GERMAN, JAPANESE], ids=["english", "german", "japanese"])
@pytest.mark.parametrize("page", [mt5, mt4])
def test_the_language_changes_nothing(tmp_path: Path, page: object, language: Language) -> None:
    write = mt5 if page is mt5 else mt4
    statement = read(tmp_path, write(BOOK, language))
    assert facts(statement) == facts(read(tmp_path, write(BOOK, ENGLISH)))
    assert (statement.currency, len(statement.closed), len(statement.open_positions)) == ("USD", 3, 1)
    assert [trade.side for trade in statement.closed] == ["buy", "sell", "buy"]
    assert statement.summary.balance_minor == 1_150_950
    assert discrepancies(statement, sums(statement)) == []


@pytest.mark.parametrize(
    ("encoding", "bom"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
    ],
)
@pytest.mark.parametrize("language", [ENGLISH, JAPANESE], ids=["english", "japanese"])
def test_every_encoding_terminals_write(tmp_path: Path, encoding: str, bom: bytes, language: Language) -> None:
    statement = read_statement(written(tmp_path, mt5(BOOK, language), encoding, bom), "UTC")
    assert facts(statement) == facts(read(tmp_path, mt5()))


def test_windows_1252(tmp_path: Path) -> None:
    page = mt5(BOOK, Language(title="Übersicht", group="\u00a0"))
    assert len(read_statement(written(tmp_path, page, "cp1252"), "UTC").closed) == 3


def test_what_a_report_says_of_a_trade(tmp_path: Path) -> None:
    trade = read(tmp_path, mt5(), zone="Europe/Athens").closed[1]
    assert (trade.position_id, trade.symbol, trade.side, str(trade.lots)) == ("102", "EURUSD", "sell", "1.00")
    assert trade.opened_at == datetime(2025, 3, 4, 8, 0, tzinfo=UTC)
    assert (trade.profit_minor, trade.commission_minor, trade.swap_minor) == (-20_000, -700, -350)
    assert trade.net_minor == -21_050


def test_a_servers_clock_follows_new_york(tmp_path: Path) -> None:
    """In the weeks when the US has changed its clocks and Europe has not."""
    page = mt5().replace("2025.03.0", "2025.03.1")
    zone = "+02:00 to +03:00 as America/New_York"
    assert read(tmp_path, page, zone=zone).closed[0].opened_at == datetime(2025, 3, 13, 6, 0, tzinfo=UTC)
    assert read(tmp_path, page, zone="Europe/Athens").closed[0].opened_at == datetime(2025, 3, 13, 7, 0, tzinfo=UTC)


def test_mt4_orders_that_never_traded_are_counted_apart(tmp_path: Path) -> None:
    statement = read(tmp_path, mt4())
    assert (statement.cancelled_orders, statement.pending_orders, statement.deals) == (1, 1, ())


@pytest.mark.parametrize(
    ("page", "old", "new", "why"),
    [
        (mt5, "<td>1.05600</td>", "<td>1.05x00</td>", "is not a number"),
        (mt5, "<td>2025.03.05 08:00:00</td>", "<td>2025.13.05 08:00:00</td>", "month must be in 1..12"),
        (mt5, "<td>2025.03.05 08:00:00</td>", "<td></td>", "is not a date and time"),
        (mt5, "<td>2025.03.05 08:00:00</td>", "<td>9999.12.31 08:00:00</td>", "not a year that anybody traded in"),
        (mt5, "<td>102</td>", "<td>1o2</td>", "is not a ticket number"),
        (mt5, "<td>-3.50</td>", "", "cells where 13 belong"),
        (mt5, "<td>-3.50</td>", "<td>-3.505</td>", "is not an amount in USD"),
        (mt4, "<td>-3.50</td>", "<td>?</td>", "is not a number"),
        (mt4, "<td>102</td>", "<td>x</td>", "is not a ticket number"),
        (mt4, "<td>2025.03.05 08:00:00</td>", "<td>2025.03.03 08:00:00</td>", "closes before it opens"),
        (mt4, "<td>0.00</td><td>-3.50</td>", "", "fits no row"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(tmp_path: Path, page: object, old: str, new: str, why: str) -> None:
    text = (mt5 if page is mt5 else mt4)()
    assert old in text
    with pytest.raises(StatementInvalid, match=r"row \d+ cannot be read") as refused:
        read(tmp_path, text.replace(old, new, 1))
    assert why in refused.value.message
    assert refused.value.remedy is not None and "Nothing was imported" in refused.value.remedy


def test_a_side_that_no_profit_teaches_needs_a_mapping(tmp_path: Path) -> None:
    quiet = [trade.__class__(**{**trade.__dict__, "profit": "0"}) for trade in (*TRADES, *HELD)]
    page = mt5(Book(trades=tuple(quiet[:3]), held=tuple(quiet[3:])), JAPANESE)
    with pytest.raises(StatementInvalid, match="neither known as buy nor as sell"):
        read(tmp_path, page)
    words = Mapping.model_validate({"side_words": {"buy": ["買い"], "sell": ["売り"]}})
    assert [trade.side for trade in read(tmp_path, page, words).closed] == ["buy", "sell", "buy"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("<html><body><p>Hello</p></body></html>", "neither an MT5 history report nor an MT4 statement"),
        ("a,b,c\n1,2,3\n", "not those of a known venue"),
    ],
)
def test_what_is_no_statement(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(StatementInvalid, match=why):
        read(tmp_path, text)


@pytest.mark.parametrize("page", [mt5, mt4])
def test_the_currency_of_a_report_is_known_or_refused(tmp_path: Path, page: object) -> None:
    text = (mt5 if page is mt5 else mt4)()
    assert "USD" in text
    assert read(tmp_path, text.replace("USD", "USDT")).currency == "USDT"
    with pytest.raises(UnknownCurrency, match="There is no currency 'USC'"):
        read(tmp_path, text.replace("USD", "USC"))


def test_the_currency_of_a_mapping_is_known_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text("currency: USC\ninitial_balance: '100'\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"mapping.yaml currency: .*There is no currency 'USC'"):
        read_mapping(path)


def test_an_unknown_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="unknown time zone 'Mars/Base'"):
        read(tmp_path, mt5(), zone="Mars/Base")


def test_a_csv_with_a_mapping(tmp_path: Path) -> None:
    statement = read(tmp_path, CSV, MAPPING, zone="Europe/Berlin")
    assert [(t.position_id, t.side, t.profit_minor) for t in statement.closed] == [
        ("1", "buy", 125_050),
        ("2", "sell", -5_050),
    ]
    assert statement.closed[0].opened_at == datetime(2025, 2, 3, 8, 0, tzinfo=UTC)
    assert [row.amount_minor for row in statement.balance_rows] == [500_000, -30_000]
    assert sums(statement).balance_minor == 500_000 + 120_000 - 30_000


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("1.250,50", "1,250.50", "row 2 .*'1,250.50' is not a number"),
        ("03.02.2025 09:00", "2025-02-03", "row 2 .*is not written as %d.%m.%Y"),
        (";K;", ";X;", "row 2 .*neither known as buy nor as sell"),
        (";Size;", ";Volume;", "no column headed 'Size'"),
        ("2;DAX;V;04.02.2025 09:00;04.02.2025 10:00;-50,5;1;7", "2;DAX", "row 3 .*2 columns"),
    ],
)
def test_a_csv_row_that_cannot_be_read_is_named(tmp_path: Path, old: str, new: str, why: str) -> None:
    with pytest.raises(StatementInvalid, match=why):
        read(tmp_path, CSV.replace(old, new, 1), MAPPING)


@pytest.mark.parametrize("missing", ["currency", "initial_balance"])
def test_a_mapping_must_say_what_neither_the_file_nor_a_product_says(tmp_path: Path, missing: str) -> None:
    with pytest.raises(StatementInvalid, match="The mapping does not say") as refused:
        read(tmp_path, CSV, MAPPING.model_copy(update={missing: None}))
    assert refused.value.field == missing
