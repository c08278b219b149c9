"""A tick that is written by hand has the bytes of the model, and is refused for what the model refuses."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.journals.embedded import EmbeddedJournal
from gateway.told import Stream
from ports.platform import Batch, Tick
from ports.venue import Unreadable

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
EAST = timezone(timedelta(hours=3))


def stream() -> Stream:
    return Stream(EmbeddedJournal(Path(":memory:")), 1_000)


def body(stream: Stream) -> bytes:
    batch = stream.batch({}, mark=False)
    assert batch is not None
    return batch.body


@given(
    symbol=st.text(max_size=12),
    bid=st.decimals(allow_nan=False, allow_infinity=False),
    ask=st.sampled_from([Decimal("1.10000"), Decimal(0), Decimal("-0.00"), Decimal("1E+7"), Decimal("1E-12")]),
    micros=st.sampled_from([0, 1, 500, 999_999, 1_000_000, 86_400_000_000, -5]),
    zone=st.sampled_from([UTC, EAST, UTC]),
)
def test_a_tick_has_the_bytes_of_its_model(symbol: str, bid: Decimal, ask: Decimal, micros: int, zone: Any) -> None:
    at = (START + timedelta(microseconds=micros)).astimezone(zone)
    quick, model = stream(), stream()
    for each in (quick, model):
        each.emit(Tick, START, symbol="EURUSD", bid=bid, ask=ask)
    for _ in range(2):  # the second one of a symbol takes the short way
        assert quick.tick(at, symbol, bid, ask) == model.emit(Tick, at, symbol=symbol, bid=bid, ask=ask)
    written = body(quick)
    assert written == body(model)
    assert len(Batch.model_validate_json(written).events) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"bid": Decimal("NaN")},
        {"ask": Decimal("Infinity")},
        {"ask": Decimal("sNaN")},
        {"bid": None},
        {"bid": "x"},
        {"symbol": "\ud800"},
        {"symbol": None},
    ],
)
def test_a_tick_that_the_model_refuses_is_not_told(wrong: dict[str, Any]) -> None:
    told = stream()
    right: dict[str, Any] = {"symbol": "EURUSD", "bid": Decimal(1), "ask": Decimal(2)}
    told.tick(START, **right)
    for _ in range(2):
        with pytest.raises(Unreadable):
            told.tick(START + timedelta(seconds=1), **(right | wrong))
    assert told.seq == 1_001
    assert told.now == START
    assert body(told).count(b"tick") == 1
