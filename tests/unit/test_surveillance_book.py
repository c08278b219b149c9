"""Books: rows of tables, and the part of a book that belongs to some accounts."""

from dataclasses import replace

import numpy as np

from surveillance.book import NEVER, SECOND
from surveillance.registry import default_patterns
from tests.books import START, Rows


def test_a_part_of_a_book_has_the_trades_of_its_accounts_and_knows_the_whole() -> None:
    rows = Rows()
    rows.account("a")
    rows.account("b")
    rows.trade("b", 5, 10, lots=2.0)
    rows.trade("a", 1, None)
    rows.order("b", 4, 5, state="filled", type="market")
    book = rows.book()
    assert book.trades.id.tolist() == ["t2", "t1"]
    part = book.of_accounts([1])
    assert part.trades.id.tolist() == ["t1"]
    assert part.trades.opened.tolist() == [START + 5 * SECOND]
    assert part.orders is not None
    assert len(part.orders) == 1
    assert part.firm is book
    assert book.trades.closed[0] == NEVER
    assert len(book.of_accounts(np.array([], dtype=np.int64)).trades) == 0


def test_every_pattern_judges_an_empty_book() -> None:
    for name, pattern in default_patterns().items():
        judged = pattern.judge(Rows().book())
        assert judged.findings == (), name


def test_alerts_name_symbols_as_the_venue_lists_them() -> None:
    rows = Rows()
    rows.account("a")
    for n in range(20):
        rows.trade("a", n * 86_400.0, 3600, open_price=1.3, close_price=1.303, stop=1.295, profit=300)
    rows.trade("a", 21 * 86_400.0, 3600, lots=9, open_price=1.3, close_price=1.3025, stop=1.295, profit=2000)
    book = rows.book()
    names = tuple(f"{name}_m" for name in book.trades.listed_symbols)
    listed = replace(book, trades=replace(book.trades, listed_symbols=names))
    (finding,) = default_patterns()["all_in"].judge(listed).findings
    assert finding.sentence.startswith("Risked 4,500.00 USD on one EURUSD_m trade")
