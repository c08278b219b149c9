"""What a platform tells of orders, fills, stops and symbols is on the record as it was told."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

import psycopg

from gateway.symbols import SymbolMap
from ports.platform import Deal, PendingOrder, StopsChanged, SymbolSpec
from store import symbols
from tests.integration.recorded_feed import START, Script, record_one
from tests.integration.scripted_venue import ScriptedVenue, judge, rows

_DEAL: Final = "SELECT reason, fee_minor, stop_loss, take_profit, bid, ask, late, expert_id, comment FROM deals"


def trading() -> Script:
    script = Script()
    script.cash(1, "deposit", 10_000_000)
    script.enable(1)
    script.tick("1.37500", "1.37510")
    script.deal(1, "p1", "1", "1.37510", "in")
    told = script.events[-1]
    assert isinstance(told, Deal)
    script.events[-1] = told.model_copy(
        update={
            "reason": "pending_fill",
            "fee_minor": -40,
            "stop_loss": Decimal("1.37"),
            "bid": Decimal("1.37500"),
            "ask": Decimal("1.37510"),
            "late": True,
            "expert_id": "7701",
            "comment": "gri\0d",
        }
    )
    script.events.append(
        PendingOrder(
            seq=script.next(), at=script.at, login=1, order_id="o1", symbol="EURUSD", side="buy", lots=Decimal("0.5"),
            change="placed", type="stop", price=Decimal("1.38"),
        )
    )  # fmt: skip
    script.events.append(
        PendingOrder(
            seq=script.next(), at=script.at + timedelta(milliseconds=250), login=1, order_id="o1", symbol="EURUSD",
            side="buy", lots=Decimal("0.5"), change="cancelled",
        )
    )  # fmt: skip
    stops = {"seq": script.next(), "at": script.at, "login": 1, "position_id": "p1"}
    script.events.append(StopsChanged.model_validate({**stops, "stop_loss": "1.372", "take_profit": "1.40"}))
    script.batch(flush=True)
    return script


def test_what_the_platform_tells_of_orders_fills_and_stops_is_stored_once(database_url: str) -> None:
    record_one(database_url)
    for _ in range(2):  # the second shard is rebuilt from the record and reads the same batches again
        judge(database_url, ScriptedVenue(trading().batches))
        with psycopg.connect(database_url) as connection:
            connection.execute("UPDATE shards SET batch = 0")
    price = Decimal("1.37000000")
    quote = (Decimal("1.37500000"), Decimal("1.37510000"))
    assert rows(database_url, _DEAL) == [("pending_fill", -40, price, None, *quote, True, "7701", "grid")]
    at = START + timedelta(seconds=1)
    assert rows(database_url, "SELECT order_id, at, lots, change, type, price FROM order_events ORDER BY seq") == [
        ("o1", at, Decimal("0.5000"), "placed", "stop", Decimal("1.38000000")),
        ("o1", at + timedelta(milliseconds=250), Decimal("0.5000"), "cancelled", None, None),
    ]
    assert rows(database_url, "SELECT position_id, stop_loss, take_profit FROM stop_changes") == [
        ("p1", Decimal("1.37200000"), Decimal("1.40000000"))
    ]


def test_the_symbols_of_a_platform_are_stored_and_keep_their_time_while_they_stay(database_url: str) -> None:
    query = "SELECT platform, quote_currency, asset, told_at FROM symbol_facts WHERE symbol = 'EURUSD'"
    record_one(database_url)
    judge(database_url, ScriptedVenue(trading().batches))
    (first,) = rows(database_url, query)
    assert first[:3] == ("sandbox", "USD", "")
    row = symbols.SymbolRow("sandbox", "EURUSD", Decimal(100_000), "USD", 5)
    changed = symbols.SymbolRow("sandbox", "EURUSD", Decimal(100_000), "USD", 5, "forex", "EUR")
    with psycopg.connect(database_url, autocommit=True) as connection:
        symbols.record(connection, [row])
        assert rows(database_url, query) == [first]
        symbols.record(connection, [changed])
    (second,) = rows(database_url, query)
    assert second[2] == "forex"
    assert str(second[3]) > str(first[3])


def test_the_symbol_map_says_what_a_venue_does_not(tmp_path: Path) -> None:
    rule = {"asset": "index", "synonym_of": "US30", "together": "us_indices"}
    named = SymbolMap.model_validate({"suffixes": [".m"], "symbols": {"YM": rule}})
    spec = named.spec(SymbolSpec(symbol="YM.m", contract_size=Decimal(1), quote_currency="USD", digits=0))
    assert (spec.symbol, spec.asset, spec.synonym_of, spec.together) == ("YM", "index", "US30", "us_indices")
