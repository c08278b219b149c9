"""Statements are judged fill by fill: costs at their time, partial closes and reversals with their share of them."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from adapters.statements.csv_mapping import Mapping
from adapters.statements.read import read_statement
from domain.file_errors import StatementInvalid
from domain.histories.statement_events import initial_minor
from domain.histories.statement_fills import Entry, entries
from domain.histories.statement_sums import discrepancies, sums
from domain.histories.statements import Statement
from domain.histories.what_if import WhatIf, judge
from tests.shelf import shipped
from tests.statement_tables import mt4_tables, mt5_tables, mt5_workbook

DEPOSIT = "2025.03.03 08:00:00|101||balance|||||0.00|0.00|0.00|10 000.00|10 000.00|"
TWO_STEP = next(product for product in shipped() if product.product == "two-step")


def deal(at: str, number: int, side: str, way: str, lots: str, order: int, money: str, price: str = "1.05") -> str:
    """`money`: commission, profit and the running balance."""
    cost, profit, balance = money.split()
    day = at if " " in at else f"2025.03.03 {at}"
    return f"{day}|{number}|EURUSD|{side}|{way}|{lots}|{price}|{order}|{cost}|0.00|0.00|{profit}|{balance}|"


def read(folder: Path, text: str | bytes, mapping: Mapping | None = None) -> Statement:
    path = folder / "report.html"
    path.write_bytes(text.encode("utf-16") if isinstance(text, str) else text)
    return read_statement(path, "UTC", mapping)


def booked(found: Iterable[Entry]) -> list[tuple[str, str, int, int, bool]]:
    return [(each.what, each.position_id, each.booked_minor, each.net_minor, each.adds) for each in found]


def judged(statement: Statement) -> WhatIf:
    return judge(statement, TWO_STEP)


def test_each_fill_of_a_position_books_its_own_costs(tmp_path: Path) -> None:
    deals = [
        DEPOSIT,
        deal("09:00:00", 301, "buy", "in", "1.00", 201, "-3.50 0.00 9996.50"),
        deal("09:01:00", 302, "buy", "in", "2.00", 202, "-7.00 0.00 9989.50"),
        deal("11:00:00", 303, "sell", "out", "3.00", 210, "-10.50 -30.00 9949.00"),
    ]
    row = "2025.03.03 09:00:00|201|EURUSD|buy|3.00|1.05|||2025.03.03 11:00:00|1.0499|-21.00|0.00|-30.00"
    statement = read(tmp_path, mt5_tables(deals, [row], kind="Netting"))
    assert booked(entries(statement)) == [
        ("open", "201", -350, 0, False),
        ("open", "201", -700, 0, True),
        ("close", "201", -4050, -5100, False),
    ]
    assert judged(statement).discrepancies == ()


def test_a_partial_close_takes_its_share_of_the_costs(tmp_path: Path) -> None:
    deals = [
        DEPOSIT,
        deal("09:00:00", 301, "buy", "in", "3.00", 201, "-10.00 0.00 9990.00"),
        deal("10:00:00", 302, "sell", "out", "1.00", 211, "-1.00 20.00 10009.00"),
        deal("11:00:00", 303, "sell", "out", "2.00", 212, "-2.00 40.00 10047.00"),
    ]
    closes = [entry for entry in entries(read(tmp_path, mt5_tables(deals))) if entry.what == "close"]
    assert [(entry.booked_minor, entry.net_minor, str(entry.lots_left)) for entry in closes] == [
        (1900, 1900 - 333, "2.00"),
        (3800, 3800 - 667, "0.00"),
    ]


def test_a_reversal_closes_one_side_and_opens_the_other_with_its_share(tmp_path: Path) -> None:
    deals = [
        DEPOSIT,
        deal("09:00:00", 301, "buy", "in", "1.00", 201, "-4.00 0.00 9996.00"),
        deal("10:00:00", 302, "sell", "in/out", "3.00", 202, "-12.00 50.00 10034.00"),
        deal("11:00:00", 303, "buy", "out", "2.00", 203, "-8.00 10.00 10036.00"),
    ]
    statement = read(tmp_path, mt5_tables(deals))
    assert booked(entries(statement)) == [
        ("open", "201", -400, 0, False),
        ("close", "201", 5000 - 400, 5000 - 400 - 400, False),
        ("open", "202", -800, 0, False),
        ("close", "202", 200, 1000 - 800 - 800, False),
    ]
    assert sums(statement).balance_minor == 1_003_600
    assert [trade.side for trade in statement.closed] == ["buy", "sell"]


def test_deals_alone_are_judged(tmp_path: Path) -> None:
    deals = [
        DEPOSIT,
        deal("09:00:00", 301, "buy", "in", "1.00", 201, "0.00 0.00 10000.00"),
        deal("11:00:00", 302, "sell", "out", "1.00", 211, "0.00 900.00 10900.00"),
    ]
    found = judged(read(tmp_path, mt5_tables(deals)))
    assert found.replay.on_balance == "pass"
    assert [day.balance_minor for day in found.replay.days] == [1_090_000]


@pytest.mark.parametrize("word", ["charge", "commission", "commission daily", "interest", "so compensation", "tax"])
def test_a_cost_without_a_trade_is_a_loss_and_no_withdrawal(tmp_path: Path, word: str) -> None:
    deals = [
        DEPOSIT,
        deal("09:00:00", 301, "buy", "in", "1.00", 201, "0.00 0.00 10000.00"),
        deal("11:00:00", 302, "sell", "out", "1.00", 211, "0.00 10.00 10010.00"),
        f"2025.03.04 10:00:00|303||{word}|||||0.00|0.00|0.00|-700.00|9310.00|",
    ]
    found = judged(read(tmp_path, mt5_tables(deals)))
    assert [(breach.rule_id, breach.at.hour) for breach in found.replay.breaches] == [("daily_loss", 10)]
    assert (found.sums.withdrawals_minor, found.sums.other_results_minor, found.discrepancies) == (0, -70_000, ())


def test_an_unknown_kind_of_money_is_named_with_a_remedy_that_works(tmp_path: Path) -> None:
    deals = [
        DEPOSIT,
        deal("09:00:00", 301, "buy", "in", "1.00", 201, "0.00 0.00 10000.00"),
        deal("11:00:00", 302, "sell", "out", "1.00", 211, "0.00 10.00 10010.00"),
        "2025.03.04 10:00:00|303||rebate|||||0.00|0.00|0.00|7.00|10017.00|",
    ]
    with pytest.raises(StatementInvalid, match="'rebate' is no known kind of money row") as refused:
        read(tmp_path, mt5_tables(deals))
    assert "side_words" in refused.value.message
    mapping = Mapping.model_validate({"side_words": {"result": ["rebate"]}})
    assert judged(read(tmp_path, mt5_tables(deals), mapping)).replay.balance_minor == 1_001_700


def test_a_cancelled_deal_is_no_fill(tmp_path: Path) -> None:
    deals = [
        DEPOSIT,
        deal("09:00:00", 301, "buy", "in", "1.00", 201, "0.00 0.00 10000.00"),
        deal("11:00:00", 302, "sell", "out", "1.00", 211, "0.00 100.00 10100.00"),
        deal("12:00:00", 303, "buy canceled", "in", "1.00", 212, "0.00 0.00 10100.00"),
    ]
    statement = read(tmp_path, mt5_tables(deals))
    assert (len(statement.deals), judged(statement).replay.balance_minor) == (2, 1_010_000)


def test_money_among_the_positions_is_the_money_of_the_deals(tmp_path: Path) -> None:
    deals = [
        DEPOSIT,
        deal("09:00:00", 301, "buy", "in", "1.00", 201, "0.00 0.00 10000.00"),
        deal("11:00:00", 302, "sell", "out", "1.00", 211, "0.00 100.00 10100.00"),
    ]
    row = "2025.03.03 09:00:00|201|EURUSD|buy|1.00|1.05|||2025.03.03 11:00:00|1.051|0.00|0.00|100.00"
    money = "2025.03.03 08:00:00|101|balance|Deposit|10 000.00"
    statement = read(tmp_path, mt5_tables(deals, [row], money_among_positions=money))
    assert (sums(statement).deposits_minor, sums(statement).balance_minor) == (1_000_000, 1_010_000)


def test_a_running_balance_that_the_judged_events_do_not_reach_is_told_with_its_row(tmp_path: Path) -> None:
    deals = [
        DEPOSIT,
        deal("09:00:00", 301, "buy", "in", "1.00", 201, "0.00 0.00 10000.00"),
        deal("11:00:00", 302, "sell", "out", "1.00", 211, "0.00 100.00 10050.00"),
    ]
    (difference,) = judged(read(tmp_path, mt5_tables(deals))).discrepancies
    assert difference.figure == "balance after row 7"
    assert (difference.stated, difference.rows) == (1_005_000, 1_010_000)


def test_a_workbook_is_the_same_report(tmp_path: Path) -> None:
    deals = [
        DEPOSIT.replace(" 000", "000"),
        deal("09:00:00", 301, "buy", "in", "1.00", 201, "-3.45 0.00 9996.55"),
        deal("11:00:00", 302, "sell", "out", "1.00", 211, "-3.45 100.10 10093.20"),
    ]
    row = "2025.03.03 09:00:00|201|EURUSD|buy|1.00|1.05|||2025.03.03 11:00:00|1.051|-6.90|0.00|100.10"
    book, page = read(tmp_path, mt5_workbook(deals, [row])), read(tmp_path, mt5_tables(deals, [row]))
    assert [each.net_minor for each in book.deals] == [each.net_minor for each in page.deals] == [-345, 9665]
    assert book.closed[0].model_dump(exclude={"row"}) == page.closed[0].model_dump(exclude={"row"})
    assert discrepancies(book, sums(book)) == []


MT4_DEPOSIT = "1001|2025.03.03 08:00:00|balance|Deposit|{}"
MT4_TRADE = (
    "2001|2025.03.03 09:00:00|buy|1.00|eurusd|1.05|0|0|2025.03.03 11:00:00|1.051|0.00|0.00|0.00|100.00",
    "2002|2025.03.04 09:00:00|sell|1.00|eurusd|1.05|0|0|2025.03.04 11:00:00|1.051|0.00|0.00|0.00|-100.00",
)


def test_a_detailed_statement_has_its_summary_above_the_details(tmp_path: Path) -> None:
    rows = [MT4_DEPOSIT.format("10000.00"), MT4_TRADE[0]]
    figures = {"deposits": "10000.00", "closed": "100.00", "balance": "10100.00"}
    plain, detailed = (read(tmp_path, mt4_tables(rows, **figures, details=details)) for details in (False, True))
    assert detailed.summary == plain.summary
    assert detailed.summary.balance_minor == 1_010_000


@pytest.mark.parametrize(("deposit", "began"), [("500.00", 1_050_000), (None, 1_000_000)])
def test_a_statement_of_a_period_begins_with_the_balance_brought_forward(
    tmp_path: Path, deposit: str | None, began: int
) -> None:
    rows = [*([MT4_DEPOSIT.format(deposit)] if deposit else []), *MT4_TRADE]
    page = mt4_tables(rows, deposits=deposit or "0.00", closed="0.00", balance=f"{began / 100:.2f}")
    found = judged(read(tmp_path, page))
    assert (found.initial_minor, found.discrepancies, found.replay.on_balance) == (began, (), "in_progress")
    assert any("10,000.00 USD brought forward, inferred from the report's balance" in note for note in found.notes)


def test_a_summary_that_contradicts_its_rows_brings_nothing_forward(tmp_path: Path) -> None:
    page = mt4_tables([MT4_DEPOSIT.format("500.00"), MT4_TRADE[0]], deposits="500.00", closed="90.00", balance="700.00")
    statement = read(tmp_path, page)
    assert initial_minor(statement) == 50_000
    assert {each.figure for each in discrepancies(statement, sums(statement))} == {"closed profit", "balance", "equity"}


@pytest.mark.parametrize("encoding", ["gb18030", "cp932", "cp949"])
@pytest.mark.parametrize("declared", [True, False])
def test_encodings_of_east_asian_terminals_are_read(tmp_path: Path, encoding: str, declared: bool) -> None:
    names = {"gb18030": "陳大文 张三 买入", "cp932": "田中太郎 残高 取引履歴", "cp949": "홍길동 잔고 거래내역"}
    labels = {"gb18030": "gb2312", "cp932": "shift_jis", "cp949": "euc-kr"}
    page = mt4_tables([MT4_DEPOSIT.format("10000.00"), MT4_TRADE[0]], deposits="10000.00", closed="100.00", balance="1")
    head = f"<html><head><meta charset={labels[encoding]}></head>" if declared else "<html>"
    text = page.replace("<html>", head).replace("Deposit|", "x").replace("Summary:", f"{names[encoding]}:")
    assert sums(read(tmp_path, text.encode(encoding))).balance_minor == 1_010_000


def test_an_account_in_a_currency_of_four_letters_is_read(tmp_path: Path) -> None:
    page = mt4_tables([MT4_DEPOSIT.format("10000.00"), MT4_TRADE[0]], deposits="10000.00", closed="100.00", balance="1")
    assert read(tmp_path, page.replace("USD", "USDC")).currency == "USDC"
