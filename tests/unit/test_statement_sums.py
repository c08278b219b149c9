"""A statement whose rows do not add up to its own summary is told so, with the difference."""

from pathlib import Path

import pytest

from adapters.statements.read import read_statement
from domain.histories.statement_sums import discrepancies, sums
from domain.histories.statements import Statement
from tests.statement_pages import Book, mt4, mt5


def read(folder: Path, page: str) -> Statement:
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return read_statement(path, "UTC")


def gaps(statement: Statement) -> dict[str, int]:
    return {gap.figure: gap.stated - gap.rows for gap in discrepancies(statement, sums(statement))}


@pytest.mark.parametrize("page", [mt5, mt4])
def test_the_rows_give_the_summary(tmp_path: Path, page: object) -> None:
    book = Book(money=(("2025.03.04 07:00:00", "2500"), ("2025.03.05 20:00:00", "-1000.50")))
    statement = read(tmp_path, (mt5 if page is mt5 else mt4)(book))
    rows = sums(statement)
    assert (rows.deposits_minor, rows.withdrawals_minor) == (1_250_000, 100_050)
    assert rows.closed_minor == 150_950
    assert rows.balance_minor == statement.summary.balance_minor == 1_300_900
    assert rows.equity_minor == statement.summary.equity_minor == 1_300_900 - 12_125
    assert gaps(statement) == {}


@pytest.mark.parametrize("page", [mt5, mt4])
def test_a_balance_that_does_not_follow_is_told(tmp_path: Path, page: object) -> None:
    statement = read(tmp_path, (mt5 if page is mt5 else mt4)(Book(summary={"balance": "11500.00"})))
    assert gaps(statement) == {"balance": -950}
    gap = discrepancies(statement, sums(statement))[0]
    assert gap.sentence("USD") == (
        "The statement says balance 11,500.00 USD, its rows add up to 11,509.50 USD: a difference of -9.50 USD."
    )


def test_trades_and_deals_must_tell_the_same(tmp_path: Path) -> None:
    page = mt5().replace('colspan="2">1 234.00', 'colspan="2">1 235.00', 1)
    assert gaps(read(tmp_path, page)) == {"gross profit": -100, "closed profit by deals": -100}


def test_a_deal_taken_out_breaks_the_running_balance(tmp_path: Path) -> None:
    rows = mt5().splitlines(keepends=True)
    deal = next(n for n, row in enumerate(rows) if ">out<" in row and ">500.00<" in row)
    found = gaps(read(tmp_path, "".join(rows[:deal] + rows[deal + 1 :])))
    assert found["closed profit"] == found["balance"] == 50_000
    assert any(figure.startswith("balance after row") for figure in found)


def test_a_missing_trade_is_counted(tmp_path: Path) -> None:
    assert gaps(read(tmp_path, mt5(Book(summary={"trades": "4"})))) == {"trades": 1}
