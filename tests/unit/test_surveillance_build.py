"""Plain columns become the tables of a book: numbered, sorted, synonyms put together."""

from typing import Any

import numpy as np
import pytest

from domain.errors import BadInput
from surveillance.book import NEVER, SECOND, UNKNOWN
from surveillance.build import accounts_table, events_table, identities_table, orders_table, trades_table
from surveillance.known_symbols import SymbolFacts
from surveillance.symbols import symbol_table


def names(*values: str) -> np.ndarray[Any, Any]:
    return np.array(values, dtype=object)


def main_of(name: str, *told: SymbolFacts) -> tuple[str, float]:
    table = symbol_table([name], told)
    row = table.listed.index(name)
    return str(table.symbols.name[table.main[row]]), float(table.part[row])


@pytest.mark.parametrize(
    ("listed", "main", "part"),
    [
        ("EURUSD.ecn", "EURUSD", 1.0),
        ("EURUSDm", "EURUSD", 1.0),
        ("#EURUSD", "EURUSD", 1.0),
        ("EUR/USD", "EURUSD", 1.0),
        ("USDJPYmicro", "USDJPY", 0.01),
        ("XAUUSD.", "XAUUSD", 1.0),
        ("GOLDm", "XAUUSD", 1.0),
        ("XAUUSDm.r", "XAUUSD", 1.0),
        ("US30.cash", "US30", 1.0),
        ("USTEC", "NAS100", 1.0),
        ("GER40.cash", "DE40", 1.0),
        ("MES", "ES", 0.1),
        ("MNQH6", "NQ", 0.1),
        ("ESZ2025", "ES", 1.0),
        ("MGC", "GC", 0.1),
        ("BTCUSDT", "BTCUSD", 1.0),
    ],
)
def test_a_listed_name_is_its_main_symbol(listed: str, main: str, part: float) -> None:
    assert main_of(listed) == (main, part)


def test_indices_move_together_and_currencies_do_not() -> None:
    table = symbol_table(["US30", "NAS100", "DE40", "MES", "EURUSD", "GBPUSD"])
    group = dict(zip(table.symbols.name.tolist(), table.symbols.group.tolist(), strict=True))
    assert group["US30"] == group["NAS100"] == group["DE40"] == group["ES"] != UNKNOWN
    assert group["EURUSD"] == group["GBPUSD"] == UNKNOWN


def test_a_file_of_prices_finds_its_symbol() -> None:
    table = symbol_table(["EURUSD.ecn", "GER40.cash", "MES", "FOO"], [SymbolFacts("GER40.cash")])
    assert [table.main_name(name) for name in ("EURUSD", "DE40", "ES", "foo", "GBPUSD")] == [
        *("EURUSD", "GER40.cash", "ES", "FOO", None)
    ]


def test_an_unknown_symbol_stays_and_is_named() -> None:
    table = symbol_table(["FOO.ecn", "FOO", "EURUSD"])
    assert table.unknown == ("FOO", "FOO.ecn")
    assert table.main[table.listed.index("FOO")] == table.main[table.listed.index("FOO.ecn")]
    assert np.isnan(table.symbols.contract_size[table.symbols.name.tolist().index("FOO")])


def test_the_firms_own_facts_win() -> None:
    assert main_of("GER40.cash", SymbolFacts("GER40", contract_size=25.0)) == ("GER40", 1.0)
    own = SymbolFacts("US30.cash", synonym_of="US30.cash")
    assert main_of("US30.cash", own) == ("US30.cash", 1.0)
    assert main_of("US30", own) == ("US30", 1.0)
    small, large = SymbolFacts("TINY", contract_size=2.0, synonym_of="BIG"), SymbolFacts("BIG", contract_size=40.0)
    assert main_of("TINY", small, large) == ("BIG", 0.05)
    table = symbol_table(["GER40"], [SymbolFacts("GER40", contract_size=25.0)])
    assert (table.symbols.contract_size.tolist(), table.symbols.quote.tolist()) == ([25.0], ["EUR"])


def test_a_synonym_that_leads_back_to_itself_ends() -> None:
    told = [SymbolFacts("AAA1", synonym_of="BBB1"), SymbolFacts("BBB1", synonym_of="AAA1")]
    assert main_of("AAA1", *told)[0] == "BBB1"


def told_trades() -> dict[str, np.ndarray[Any, Any]]:
    return {
        "id": names("t2", "t1", "t3"),
        "account": names("b", "a", "a"),
        "position": names("", "p", "p"),
        "symbol": names("MES", "ES", "ES"),
        "side": np.array([-1, 1, 1]),
        "lots": np.array([10.0, 1.0, 2.0]),
        "opened": np.array([5, 5, 9]) * SECOND,
        "closed": np.array([7 * SECOND, NEVER, 11 * SECOND]),
        "profit_minor": np.array([100, 0, -50]),
        "reason": names("stop", "", "target"),
        "comment": names("", "x", ""),
    }


def test_trades_are_numbered_and_sorted_whatever_their_order() -> None:
    accounts = accounts_table({"id": names("b", "a"), "owner": names("", "anna")})
    table = symbol_table(["MES", "ES"])
    trades = trades_table(told_trades(), accounts, table)
    assert accounts.id.tolist() == ["a", "b"]
    assert [accounts.owners[n] for n in accounts.owner] == ["anna", "unknown owner of b"]
    assert trades.id.tolist() == ["t1", "t2", "t3"]
    assert trades.lots.tolist() == [1.0, 1.0, 2.0]
    assert [trades.positions[n] for n in trades.position] == ["a/p", "b/t2", "a/p"]
    assert [trades.listed_symbols[n] for n in trades.listed] == ["ES", "MES", "ES"]
    assert len(set(trades.symbol.tolist())) == 1
    assert trades.comment.tolist() == [0, UNKNOWN, UNKNOWN]
    assert np.isnan(trades.stop).all() and trades.closed[0] == NEVER
    turned = trades_table({name: values[::-1] for name, values in told_trades().items()}, accounts, table)
    assert turned.id.tolist() == trades.id.tolist() and turned.position.tolist() == trades.position.tolist()


def test_an_account_that_is_not_in_the_table_is_refused() -> None:
    accounts = accounts_table({"id": names("a"), "owner": names("anna")})
    with pytest.raises(BadInput, match="'b' is not in the table of accounts"):
        trades_table(told_trades(), accounts, symbol_table(["MES", "ES"]))


def test_an_order_finds_its_position() -> None:
    accounts = accounts_table({"id": names("a", "b"), "owner": names("", "")})
    told = {
        "id": names("o2", "o1"),
        "account": names("a", "a"),
        "symbol": names("MES", "ES"),
        "side": np.array([1, 1]),
        "type": names("stop", "limit"),
        "lots": np.array([5.0, 1.0]),
        "price": np.array([2.0, 1.0]),
        "placed": np.array([9, 3]),
        "done": np.array([10, 4]),
        "state": names("cancelled", "filled"),
        "position": names("", "p"),
    }
    orders = orders_table(told, accounts, symbol_table(["MES", "ES"]), ("b/p", "a/p"))
    assert (orders.id.tolist(), orders.position.tolist()) == (["o1", "o2"], [1, UNKNOWN])
    assert orders.lots.tolist() == [1.0, 0.5]


def test_identity_values_of_two_kinds_are_two_values() -> None:
    accounts = accounts_table({"id": names("a", "b"), "owner": names("anna", "bert")})
    told = {"account": names("b", "a"), "kind": names("ip", "card"), "value": names("7", "7"), "at": np.array([1, 1])}
    facts = identities_table(told, accounts)
    assert facts.values == ("card:7", "ip:7")
    assert [accounts.owners[n] for n in facts.owner] == ["anna", "bert"]


def test_events_are_sorted_by_time() -> None:
    told = {
        "at": np.array([9, 3]),
        "currency": names("USD", "EUR"),
        "impact": np.array([3, 1]),
        "title": names("a", "b"),
    }
    assert events_table(told).currency.tolist() == ["EUR", "USD"]
