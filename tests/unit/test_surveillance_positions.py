"""Positions and ideas of a book."""

from surveillance.book import NEVER, SECOND
from surveillance.positions import ideas, positions
from tests.books import START, Rows


def test_a_position_that_is_closed_in_parts_is_one() -> None:
    rows = Rows()
    rows.account("a")
    rows.trade("a", 0, 60, position="p1", lots=0.4, profit=10)
    rows.trade("a", 5, 60, position="p2", lots=1.0, profit=7)
    rows.trade("a", 0, 90, position="p1", lots=0.6, profit=-4)
    found = positions(rows.book().trades)
    assert found.parts.tolist() == [2, 1]
    assert found.lots.tolist() == [1.0, 1.0]
    assert found.profit_minor.tolist() == [600, 700]
    assert found.closed.tolist() == [START + 90 * SECOND, START + 65 * SECOND]


def test_openings_within_seconds_are_one_idea() -> None:
    rows = Rows()
    for account in ("a", "b"):
        rows.account(account)
    rows.trade("a", 0, 60)
    rows.trade("b", 1, 60)
    rows.trade("a", 2, None)
    rows.trade("a", 3, 60, side=-1)
    rows.trade("a", 4, 60, symbol="XAUUSD")
    rows.trade("a", 5, 60)
    rows.trade("a", 9, 60)
    found, of_trade = ideas(rows.book().trades, 3 * SECOND)
    assert of_trade.tolist() == [0, 1, 0, 2, 3, 0, 4]
    assert found.parts.tolist() == [3, 1, 1, 1, 1]
    assert found.closed[0] == NEVER
    assert found.is_closed.tolist() == [False, True, True, True, True]


def test_no_trades_are_no_positions() -> None:
    trades = Rows().book().trades
    assert len(positions(trades)) == 0
    found, of_trade = ideas(trades, SECOND)
    assert (len(found), len(of_trade)) == (0, 0)
