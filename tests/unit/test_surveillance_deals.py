"""Deals of the record become trades: costs, parts, stops, orders, and what no trade can be made of."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from surveillance.accounts import AccountFacts
from surveillance.binary import columns
from surveillance.book import DAY, NEVER, ORDER_STATES, SECOND, UNKNOWN, Book
from surveillance.stream.memory import Memory
from surveillance.stream.watch import Watch, partners
from tests.books import START

_DEAL: dict[str, Any] = {
    "account": 7, "seq": 0, "position": 1, "symbol": 11, "side": 1, "entry": 1, "lots": 1.0, "price": 1.1, "total": 0,
    "reason": 1, "stop": np.nan, "target": np.nan, "bid": np.nan, "ask": np.nan, "expert": 0, "comment": 0,
}  # fmt: skip
_NAMES = {"symbol": {11: "EURUSD", 12: "EURUSD.m"}, "expert_id": {5: "7701"}, "comment": {}}


def account(number: int, **changes: Any) -> AccountFacts:
    facts = AccountFacts(
        f"acc_{number}", f"trd_{number}", f"chl_{number}", "funded", "two-step", "USD", "UTC", "sandbox", 10_000_000,
        500_000, 1_000_000, UNKNOWN, UNKNOWN, START, NEVER, "open",
    )  # fmt: skip
    return AccountFacts(**{**{name: getattr(facts, name) for name in facts.__slots__}, **changes})


def memory(*numbers: int, window: int = 30 * DAY) -> Memory:
    made = Memory(window)
    made.know_accounts((number, account(number)) for number in (numbers or (7,)))
    return made


def table(rows: list[dict[str, Any]]) -> Mapping[str, np.ndarray[Any, Any]]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def deal(id: int, seconds: float, **told: Any) -> dict[str, Any]:
    return {**_DEAL, "id": id, "at": START + round(seconds * SECOND), "seq": id, **told}


def closing(id: int, seconds: float, **told: Any) -> dict[str, Any]:
    return deal(id, seconds, entry=0, side=-1, **told)


def add(made: Memory, *rows: dict[str, Any]) -> Book:
    made.add_deals(table(list(rows)), _NAMES, range(10))
    return made.firm(anew=True)


def trades(book: Book) -> list[tuple[Any, ...]]:
    each = book.trades
    return [
        (each.id[n], each.lots[n], (each.opened[n] - START) // SECOND, each.profit_minor[n], each.closed[n] == NEVER)
        for n in range(len(each))
    ]


def test_a_position_closed_in_parts_shares_its_costs_by_lots_to_the_cent() -> None:
    book = add(
        memory(),
        deal(1, 0, lots=3.0, total=-100),
        closing(2, 60, lots=1.0, total=1000),
        closing(3, 90, lots=1.0, total=2000),
    )
    assert trades(book) == [("1", 1.0, 0, -33, True), ("2", 1.0, 0, 967, False), ("3", 1.0, 0, 1966, False)]
    assert [name for name, *_ in trades(book)] == ["1", "2", "3"], "what is open has the opening's number"
    whole = add(memory(), deal(1, 0, lots=3.0, total=-100), closing(2, 60, lots=3.0, total=1000))
    assert trades(whole) == [("1", 3.0, 0, 900, False)]


def test_a_position_opened_in_parts_has_its_first_time_and_its_mean_price() -> None:
    book = add(memory(), deal(1, 0, lots=1.0, price=1.0), deal(2, 30, lots=3.0, price=2.0), closing(3, 60, lots=4.0))
    assert (book.trades.open_price.tolist(), book.trades.lots.tolist()) == ([1.75], [4.0])
    assert trades(book)[0][2] == 0


def test_deals_out_of_order_twice_or_without_an_opening_are_counted() -> None:
    made = memory()
    add(made, closing(2, 60, total=500), deal(1, 0))
    book = add(
        made, deal(1, 0), deal(5, 200, position=3), closing(4, 100, position=3), closing(6, 300, position=9, total=-1)
    )
    assert trades(book) == [("1", 1.0, 0, 500, False), ("5", 1.0, 200, 0, True)]
    counts = made.counts
    assert (counts.twice, counts.without_opening, counts.before_opening) == (1, 1, 1)


def test_stops_are_those_of_a_minute_after_the_opening() -> None:
    made = memory()
    made.add_stops(
        {
            "id": np.array([1, 2, 3]),
            "account": np.array([7, 7, 7]),
            "at": np.array([START + 20 * SECOND, START + 40 * SECOND, START + 90 * SECOND]),
            "position": np.array([1, 1, 1]),
            "stop": np.array([1.05, 1.06, 1.09]),
            "target": np.array([np.nan, 1.3, np.nan]),
        }
    )
    book = add(made, deal(1, 0, stop=1.0), closing(2, 600))
    assert (book.trades.stop.tolist(), book.trades.target.tolist()) == ([1.06], [1.3])


def test_listed_names_are_one_symbol_and_an_unknown_expert_is_not_told() -> None:
    book = add(memory(), deal(1, 0, symbol=11, expert=5), deal(2, 5, symbol=12, position=2, expert=99))
    assert len(set(book.trades.symbol.tolist())) == 1
    assert [book.trades.listed_symbols[row] for row in book.trades.listed] == ["EURUSD", "EURUSD.m"]
    assert book.trades.expert.tolist() == [0, UNKNOWN]


def test_an_order_is_one_row_with_its_end_and_its_position() -> None:
    made = memory()
    add(made, deal(1, 10.4))
    rows = [
        {"id": 1, "account": 7, "at": START, "seq": 1, "order": 50, "symbol": 11, "side": 1, "lots": 1.0,
         "price": 1.2, "change": 1, "type": 3},
        {"id": 2, "account": 7, "at": START + 10 * SECOND, "seq": 2, "order": 50, "symbol": 11, "side": 1, "lots": 1.0,
         "price": np.nan, "change": 3, "type": 0},
        {"id": 3, "account": 7, "at": START, "seq": 3, "order": 51, "symbol": 11, "side": -1, "lots": 1.0,
         "price": 1.0, "change": 1, "type": 3},
        {"id": 4, "account": 7, "at": START + 11 * SECOND, "seq": 4, "order": 51, "symbol": 11, "side": -1, "lots": 1.0,
         "price": np.nan, "change": 4, "type": 0},
    ]  # fmt: skip
    made.add_orders(table(rows), _NAMES)
    orders = made.firm(anew=True).orders
    assert orders is not None
    assert [ORDER_STATES[code] for code in orders.state] == ["filled", "cancelled"]
    assert (orders.price.tolist(), orders.type.tolist()) == ([1.2, 1.0], [3, 3])
    assert [(done - START) // SECOND for done in orders.done.tolist()] == [10, 11]
    assert orders.position.tolist() == [0, UNKNOWN]


def test_what_is_older_than_the_window_is_forgotten_and_the_rest_stays() -> None:
    made = memory(7, 8, window=10 * DAY)
    add(made, *(deal(n, n * 3600, position=n) for n in range(1, 11)), deal(11, 40_000, account=8, position=11))
    add(made, deal(12, 12 * 86_400, account=8, position=12))
    made.forget()
    assert (made.counts.forgotten, len(made.deals)) == (11, 1)
    assert [str(each) for each in made.book_of([0, 1]).trades.id] == ["12"]


def test_a_book_of_some_accounts_has_the_rows_that_the_book_of_the_firm_has_of_them() -> None:
    made = memory(*range(20))
    rows = [deal(n + 1, n * 7.0, account=n % 20, position=n) for n in range(100)]
    rows += [closing(n + 101, 1000 + n * 3.0, account=n % 20, position=n, total=n) for n in range(90)]
    firm = add(made, *rows)
    some, part = made.book_of([3, 5]), firm.of_accounts([3, 5])
    assert trades(some) == trades(part)
    assert some.firm is firm


def test_alarms_look_at_who_meets_again_and_again_and_not_at_who_passes_by() -> None:
    made = memory(*range(40))
    rows = []
    for n in range(12):  # 1 follows 0; the others trade at their own times
        rows += [deal(0, n * 3600.0, account=0), deal(0, n * 3600.0 + 20, account=1)]
        rows += [deal(0, n * 3600.0 + 120 * each, account=each) for each in range(2, 30)]
    rows = sorted(rows, key=lambda row: row["at"])
    for n, row in enumerate(rows, 1):
        row.update(id=n, position=n)
    add(made, *rows)
    watch = Watch(made, {}, pairs=1024)
    due = watch.take()
    assert {tuple(sorted(pair)) for pair in due.together.tolist()} == {(0, 1)}
    assert partners(made, [1]) == {0}
    assert watch.pairs_forgotten == 0


def test_pairs_beyond_the_room_for_them_are_forgotten_and_counted() -> None:
    made = memory(*range(20))
    add(made, *(deal(n + 1, n * 0.1, account=n, position=n) for n in range(20)))
    watch = Watch(made, {}, pairs=16)
    watch.take()
    assert watch.pairs_forgotten == 20 * 19 // 2 - 16


def test_what_was_judged_before_a_restart_raises_no_alarm_again() -> None:
    made = memory(0, 1)
    rows = [deal(n + 1, n * 600.0 + 5 * (n % 2), account=n % 2, position=n) for n in range(40)]
    for n, row in enumerate(rows):
        row["at"] = START + (n // 2) * 600 * SECOND + (n % 2) * 5 * SECOND
    add(made, *rows)
    watch = Watch(made, {}, pairs=1024)
    watch.skip(40)
    assert not watch.take()
    assert not watch.rest(10)
    assert watch.taken_to == 40
    add(made, deal(41, 100_000, account=0, position=41, total=-200_000))
    assert watch.take().alone.tolist() == [0], "a large loss is worth a look at once"


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="are no rows of 14 bytes"):
        columns([b"x" * 30], (("id", "i8"),))
