"""CSV files as venues write them: presets by name or by headings, their values, sides, costs and footers."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.statements.csv_mapping import Mapping
from adapters.statements.csv_reader import Assumed
from adapters.statements.numbers import NotANumber, amount
from adapters.statements.read import read_statement
from domain.errors import BadInput
from domain.file_errors import StatementInvalid
from domain.histories.statement_events import initial_minor
from domain.histories.statement_fills import entries
from domain.histories.statement_sums import sums
from domain.histories.statements import Statement
from tests.unit.statement_samples import CTRADER, DXTRADE, MQL5, MYFXBOOK, NINJATRADER, TOPSTEPX, TRADOVATE

ACCOUNT = Assumed("USD", 5_000_000)


def written(folder: Path, text: str) -> Path:
    path = folder / "export.csv"
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str, *, preset: str | None = None, **mapping: Any) -> Statement:
    given = Mapping.model_validate(mapping) if mapping else None
    return read_statement(written(folder, text), "UTC", given, preset=preset, assumed=ACCOUNT)


Facts = list[tuple[str, str, str, int]]


def facts(statement: Statement) -> Facts:
    """Returns symbol, side, opening and net result of each trade, in the order of the file."""
    return [(t.symbol, t.side, f"{t.opened_at:%d %H:%M}", t.net_minor) for t in statement.closed]


@pytest.mark.parametrize(
    ("preset", "text", "wanted", "currency", "initial"),
    [
        (
            "tradovate",
            TRADOVATE,
            [
                ("MNQZ5", "buy", "01 16:19", -4100),
                ("MNQZ5", "sell", "01 16:19", 100),
                ("MNQZ5", "buy", "01 16:33", 100_200),
            ],
            "USD",
            5_000_000,
        ),
        (
            "topstepx",
            TOPSTEPX,
            [("MNQH6", "buy", "07 12:26", 978), ("MNQH6", "sell", "07 13:26", -682)],
            "USD",
            5_000_000,
        ),
        (
            "ninjatrader",
            NINJATRADER,
            [("ES 12-25", "buy", "15 09:12", 4596), ("ES 12-25", "sell", "15 13:12", -5404)],
            "USD",
            5_000_000,
        ),
        (
            "ctrader",
            CTRADER,
            [("BTCUSD", "buy", "02 12:47", 10473), ("EURUSD", "sell", "16 09:43", -473)],
            "EUR",
            1_000_000,
        ),
        (
            "dxtrade",
            DXTRADE,
            [("XAUUSD", "buy", "17 11:52", 1000 - 350), ("XAUUSD", "buy", "17 11:52", -1000 - 350)],
            "USD",
            5_000_000,
        ),
        ("myfxbook", MYFXBOOK, [("EURUSD", "buy", "03 09:00", 1900)], "USD", 100_000),
        (
            "mql5",
            MQL5,
            [("EURUSD", "sell", "02 10:00", -3090), ("XAUUSD", "buy", "01 10:00", 9990)],
            "USD",
            100_000,
        ),
    ],
)
@pytest.mark.parametrize("named", [True, False], ids=["named", "found by its headings"])
def test_the_export_of_a_venue_is_read(
    tmp_path: Path, preset: str, text: str, wanted: Facts, currency: str, initial: int, named: bool
) -> None:
    statement = read(tmp_path, text, preset=preset if named else None)
    assert facts(statement) == wanted
    assert (statement.currency, initial_minor(statement)) == (currency, initial)


def test_a_preset_takes_what_the_mapping_says(tmp_path: Path) -> None:
    statement = read(tmp_path, TRADOVATE, preset="tradovate", initial_balance="25000", account="desk-7")
    assert (initial_minor(statement), statement.account) == (2_500_000, "desk-7")


def test_a_file_of_another_venue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StatementInvalid, match="does not have the headings of tradovate"):
        read(tmp_path, TOPSTEPX, preset="tradovate")
    with pytest.raises(BadInput, match="There is no preset 'tradestation'") as refused:
        read(tmp_path, TOPSTEPX, preset="tradestation")
    assert "tradovate" in str(refused.value.remedy)


COLUMNS = {"ticket": "id", "symbol": "symbol", "side": "side", "opened_at": "o", "closed_at": "c", "profit": "pnl"}
PLAIN: dict[str, Any] = {
    "currency": "USD",
    "initial_balance": "1000",
    "date_format": "%Y-%m-%d %H:%M",
    "columns": COLUMNS,
}
HEADING = "id,symbol,side,o,c,pnl,fee\n"
TRADE = "1,EURUSD,buy,2025-03-03 09:00,2025-03-03 10:00,100.00,4.44\n"


def with_fee(**more: Any) -> dict[str, Any]:
    return {**PLAIN, "columns": {**COLUMNS, "commission": "fee"}, **more}


def test_a_column_of_positive_commissions_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(StatementInvalid, match="most commissions are positive") as refused:
        read(tmp_path, HEADING + TRADE, **with_fee())
    assert refused.value.field == "costs"


@pytest.mark.parametrize(
    ("settings", "net"),
    [
        ({"costs": "positive"}, 9556),
        ({"costs": "signed"}, 10444),
        ({"costs": "positive", "profit_is": "net"}, 10000),
        ({"costs": "unsigned"}, 9556),
    ],
)
def test_the_mapping_says_how_costs_are_written(tmp_path: Path, settings: dict[str, Any], net: int) -> None:
    assert [trade.net_minor for trade in read(tmp_path, HEADING + TRADE, **with_fee(**settings)).closed] == [net]


def test_a_profit_that_may_contain_the_costs_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(StatementInvalid, match="whether its profit contains them") as refused:
        read(tmp_path, MYFXBOOK.replace(",1.2,0,0,19.00", ",1.2,-1.00,0,19.00"))
    assert refused.value.field == "profit_is"


def test_total_and_notes_are_no_trades(tmp_path: Path) -> None:
    text = HEADING + TRADE + TRADE.replace("1,", "2,", 1) + "Total,,,,,200.00,\n\nExported by the venue\n"
    assert len(read(tmp_path, text, **PLAIN).closed) == 2


def test_a_total_that_differs_is_refused_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(StatementInvalid, match=r"row 3 .*the total is 11000, the rows above add up to 10000"):
        read(tmp_path, HEADING + TRADE + "Total,,,,,110.00,\n", **PLAIN)


def test_a_deposit_in_the_file_is_the_initial_balance(tmp_path: Path) -> None:
    deposit = "9,,deposit,2025-03-01 09:00,,1000.00,\n"
    mapping = {**PLAIN, "side_words": {"money": ["deposit"]}}
    statement = read(tmp_path, HEADING + deposit + TRADE, **mapping)
    assert (sums(statement).deposits_minor, sums(statement).balance_minor) == (100_000, 110_000)
    with pytest.raises(StatementInvalid, match=r"initial balance of 900\.00 USD, the deposits .* are 1,000\.00 USD"):
        read(tmp_path, HEADING + deposit + TRADE, **{**mapping, "initial_balance": "900"})


def test_rows_of_one_id_are_parts_only_if_they_opened_together(tmp_path: Path) -> None:
    later = TRADE.replace("09:00,", "09:30,").replace("10:00,", "11:00,")
    parts = TRADE + TRADE.replace(" 10:00", " 11:00") + later
    found = entries(read(tmp_path, HEADING + parts, **PLAIN))
    assert [(entry.what, entry.position_id, str(entry.lots_left)) for entry in found] == [
        ("open", "1", "0"),
        ("open", "1 (row 4)", "0"),
        ("close", "1", "1"),
        ("close", "1", "0"),
        ("close", "1 (row 4)", "0"),
    ]


def test_a_date_that_can_be_read_in_two_ways_is_refused(tmp_path: Path) -> None:
    text = HEADING + "1,EURUSD,buy,03/04/2025,03/04/2025,1.00,\n"
    formats = ("%d/%m/%Y", "%m/%d/%Y")
    with pytest.raises(StatementInvalid, match="can be read in two ways"):
        read(tmp_path, text, **{**PLAIN, "date_format": formats})
    surely = text + "2,EURUSD,buy,13/04/2025,13/04/2025,1.00,\n"
    assert [t.opened_at.day for t in read(tmp_path, surely, **{**PLAIN, "date_format": formats}).closed] == [3, 13]


def test_a_double_with_all_its_digits_is_an_amount_and_a_tenth_of_a_cent_is_none(tmp_path: Path) -> None:
    text = HEADING + TRADE.replace("100.00", "-3.4799999999999995")
    assert [trade.net_minor for trade in read(tmp_path, text, **PLAIN).closed] == [-348]
    with pytest.raises(StatementInvalid, match=r"row 2 .*3\.481 is not an amount in USD"):
        read(tmp_path, HEADING + TRADE.replace("100.00", "3.481"), **PLAIN)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$(41.00)", "-41.00"),
        ("($1,041.00)", "-1041.00"),
        ("-$200.00", "-200.00"),
        ("-$ 200.00", "-200.00"),
        ("$ -200.00", "-200.00"),
        ("€12.50", "12.50"),
        ("0.10 Lots", "0.10"),
        ("USD 7.00", "7.00"),
        ("7.00 USDT", "7.00"),
        ("+3.5%", "3.5"),
        ("(0.00)", "0.00"),
    ],
)
def test_amounts_as_venues_write_them(text: str, value: str) -> None:
    assert amount(text) == Decimal(value)


@pytest.mark.parametrize("text", ["$", "()", "1.2.3", "(1", "1)", "--1", "abc", "1e5", "NaN", "$(-5.00)"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(NotANumber):
        amount(text)
