"""The firm's symbol map: names, completions, and what is still missing."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.symbols import MappedFeed, SymbolMap, describe, unconverted
from ports.platform import SymbolSpec
from ports.venue import Fact, Fill, Message, Order, Quote, Snapshot, Unreadable
from tests.unit.gateway.script import START, ScriptedFeed, fill, quote, snapshot


def _map(**given: Any) -> SymbolMap:
    return SymbolMap.model_validate(given)


def _spec(symbol: str, size: int = 100_000, currency: str = "USD", digits: int = 5) -> SymbolSpec:
    return SymbolSpec(symbol=symbol, contract_size=Decimal(size), quote_currency=currency, digits=digits)


GOLD = _map(suffixes=[".m", ".pro.m"], symbols={"XAUUSD": {"synonyms": ["GOLD", "GOLD.spot"]}, "US30.m": {}})


@pytest.mark.parametrize(
    ("venue", "ours"),
    [
        ("EURUSD", "EURUSD"), ("EURUSD.m", "EURUSD"), ("EURUSD.pro.m", "EURUSD"), ("GOLD", "XAUUSD"),
        ("GOLD.m", "XAUUSD"), ("GOLD.spot", "XAUUSD"), ("US30.m", "US30.m"), (".m", ".m"), ("gold", "gold"),
    ],
)  # fmt: skip
def test_a_symbol_has_the_firms_name(venue: str, ours: str) -> None:
    assert GOLD.name(venue) == ours
    assert GOLD.name(venue) == ours, "asked twice"


def test_every_fact_that_names_a_symbol_has_the_firms_name() -> None:
    feed = ScriptedFeed()
    order = Order("o1", "1", 7, "GOLD", "buy", Decimal(1), "placed", START)
    held = snapshot(7, 1000_00, [("p1", "buy", "1")])
    told = feed.message(fill(1, 7, 1, symbol="EURUSD.m"), quote(1), order, held)
    suffixed = _map(suffixes=["USD", ".m"], symbols={"XAUUSD": {"synonyms": ["GOLD"]}})
    facts: list[Fact] = list(MappedFeed(feed, suffixed).decoder().facts(told))
    assert [each.symbol for each in facts if isinstance(each, Fill | Quote | Order)] == ["EURUSD", "EUR", "XAUUSD"]
    [account] = [each.account for each in facts if isinstance(each, Snapshot)]
    assert [each.symbol for each in account.positions] == ["EUR"]


def test_a_decoder_that_goes_on_after_an_unreadable_part_goes_on_behind_the_map() -> None:
    class GoesOn:
        def __init__(self) -> None:
            self.left: list[Fact | None] = [None, quote(1)]

        def facts(self, message: Message) -> "GoesOn":
            return self

        def __iter__(self) -> "GoesOn":
            return self

        def __next__(self) -> Fact:
            if not self.left:
                raise StopIteration
            fact = self.left.pop(0)
            if fact is None:
                raise Unreadable("a part")
            return fact

    class Feed(ScriptedFeed):
        def decoder(self) -> Any:
            return GoesOn()

    facts = iter(MappedFeed(Feed(), GOLD).decoder().facts(Message("ws", b"", START)))
    with pytest.raises(Unreadable):
        next(facts)
    assert isinstance(next(facts), Quote)


def test_what_is_missing_is_said_and_the_map_completes_it() -> None:
    venue = [_spec("GOLD", 0, ""), _spec("EURUSD.m"), _spec("EURUSD", 1_000), _spec("US30", currency="XXQ")]
    missing = {each.spec.symbol: each.missing for each in describe(venue, _map(suffixes=[".m"]))}
    assert missing == {
        "EURUSD": ("the venue has it under several names that differ in size, currency or digits",),
        "GOLD": ("no contract size", "no quote currency"),
        "US30": ("XXQ is no known currency",),
    }
    rules = {
        "XAUUSD": {"synonyms": ["GOLD"], "contract_size": 100, "quote_currency": "USD", "digits": 2},
        "EURUSD": {"contract_size": "100000"},
        "US30": {"quote_currency": "USD"},
    }
    described = describe(venue, _map(suffixes=[".m"], symbols=rules))
    assert [each for each in described if each.missing] == []
    assert described[2].spec == _spec("XAUUSD", 100, "USD", 2)
    assert described[0].venue == ("EURUSD", "EURUSD.m")


async def test_an_incomplete_symbol_is_described_to_nobody() -> None:
    class Feed(ScriptedFeed):
        async def symbols(self) -> list[SymbolSpec]:
            return [_spec("GOLD", 0), _spec("EURUSD")]

    assert await MappedFeed(Feed(), SymbolMap()).symbols() == [_spec("EURUSD")]


def test_a_currency_without_a_way_into_the_accounts_currency_is_said() -> None:
    venue = [_spec("EURUSD"), _spec("EURJPY", currency="JPY"), _spec("EURGBP", currency="GBP"), _spec("GBPUSD")]
    assert unconverted(describe(venue, SymbolMap()), "USD") == ["JPY"]
    venue.append(_spec("USDJPY", currency="JPY"))
    assert unconverted(describe(venue, SymbolMap()), "USD") == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"symbols": {"A": {"synonyms": ["B"]}, "C": {"synonyms": ["B"]}}},
        {"symbols": {"A": {"synonyms": ["C"]}, "C": {}}},
        {"symbols": {"A": {"contract_size": 0}}},
        {"symbols": {"A": {"contract_size": 0.5}}},
        {"symbols": {"A": {"quote_currency": "QQQ"}}},
        {"symbols": {"A": {"size": 1}}},
        {"suffixes": [""]},
        {"sufixes": [".m"]},
    ],
)
def test_a_map_that_says_two_things_or_something_unknown_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        _map(**wrong)
