"""The wrong versions of a message that every decoder is tried with, and the types of facts."""

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from cli.platforms.mutations import mutations, shape
from ports.facts import checked
from ports.venue import CaughtUp, Fact, Unreadable, VenueTime
from tests.unit.gateway.script import START, deposit, fill, quote, snapshot

LINE = {"is": "deal", "price": "1.10", "at": "2026-03-02T09:00:00Z", "lots": 2, "legs": [{"side": "buy"}]}
BODY = json.dumps(LINE).encode()


def _changed() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for words, body in mutations(BODY):
        try:
            found[words] = json.loads(body)
        except ValueError:
            found[words] = None
    return found


def test_each_kind_of_change_is_made() -> None:
    changed = _changed()
    assert changed["with an unknown field in legs.0"]["legs"] == [{"side": "buy", "propos_unknown": {"a": [1]}}]
    assert "price" not in changed["without price"]
    assert changed["with an unknown word in legs.0.side"]["legs"] == [{"side": "PROPOS_UNKNOWN"}]
    assert changed["with zero in price"]["price"] == "0"
    assert changed["with a negative number in lots"]["lots"] == -1
    assert changed["with a wrong type ([1]) in is"]["is"] == [1]
    assert changed["with a time of another zone in at"]["at"] == "2026-03-02T09:00:00+05:30"
    assert changed["with a time without a zone in at"]["at"] == "2026-03-02T09:00:00"
    assert changed["cut off after 3 quarters"] is None
    assert changed["with a broken byte"] is None


def test_every_change_is_another_message() -> None:
    bodies = [body for _, body in mutations(BODY)]
    assert BODY not in bodies
    assert len(set(bodies)) >= 60


def test_a_frame_around_the_document_stays() -> None:
    framed = [body for words, body in mutations(b'a[{"price":1}]\n') if words == "with zero in 0.price"]
    assert framed == [b'a[{"price": 0}]\n']


def test_bytes_that_are_no_text_are_cut_and_broken() -> None:
    assert [words for words, _ in mutations(b"\x00\xff\x10\x80")] == [
        "cut off after 0 quarters", "cut off after 1 quarters", "cut off after 3 quarters",
        "with one byte more", "with a broken byte",
    ]  # fmt: skip


def test_messages_of_one_kind_have_one_shape() -> None:
    assert shape(BODY) == shape(json.dumps(LINE | {"price": "7.5", "lots": 3}).encode())
    assert shape(BODY) != shape(json.dumps(LINE | {"is": "money"}).encode())


GOOD: list[Fact] = [fill(1, 7, 1), quote(1), deposit(1, 7, 1, 5), snapshot(7, 1), CaughtUp(), VenueTime(START)]


@pytest.mark.parametrize("fact", GOOD, ids=lambda fact: type(fact).__name__)
def test_a_right_fact_is_returned(fact: Fact) -> None:
    assert checked(fact) is fact


def test_a_time_of_another_zone_is_a_time() -> None:
    there = datetime(2026, 3, 2, 9, tzinfo=timezone(timedelta(hours=5)))
    assert checked(VenueTime(there))


@pytest.mark.parametrize(
    "changes",
    [
        {"login": "7"}, {"login": True}, {"login": 7.0}, {"lots": 1}, {"price": 1.1}, {"price": Decimal("NaN")},
        {"side": "hold"}, {"profit_minor": Decimal(1)}, {"symbol": ["EURUSD"]}, {"symbol": None}, {"at": "2026-03-02"},
        {"at": datetime(2026, 3, 2)}, {"fill_id": 1}, {"reason": "unknown"}, {"stop_loss": "1.1"},
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_type_is_unreadable(changes: dict[str, Any]) -> None:
    with pytest.raises(Unreadable) as raised:
        checked(replace(fill(1, 7, 1), **changes))
    assert next(iter(changes)) in str(raised.value)


def test_a_position_without_a_zone_is_unreadable() -> None:
    held = snapshot(7, 1, [("p1", "buy", "1")])
    [position] = held.account.positions
    naive = position.model_copy(update={"opened_at": datetime(2026, 3, 2)})
    with pytest.raises(Unreadable):
        checked(replace(held, account=held.account.model_copy(update={"positions": (naive,)})))
