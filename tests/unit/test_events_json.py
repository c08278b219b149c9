"""Events as a proof keeps them: every kind there and back, and nothing that another hand would have written."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_args

import pytest

from domain.rules import events
from domain.rules.events import Event
from domain.rules.events_json import from_json, json_value, to_json, type_of

AT = datetime(2025, 3, 9, 7, 30, 0, 250_000, tzinfo=UTC)
MONEY: dict[str, Any] = {"seq": 7, "at": AT, "balance_minor": 1_000_000, "equity_minor": -5}
FULL: list[Event] = [
    events.Marked(seq=1, at=AT, balance_minor=1),
    events.Clocked(**MONEY, open_positions=0),
    events.Rolled(**MONEY, day=None, purpose="loss_snapshot"),
    events.DayEnded(**MONEY, day=date(2025, 3, 9), closed_minor=-1, floating_minor=0, positions_opened=2),
    events.Opened(
        **MONEY, position_id="p", symbol="EURUSD", side="buy", lots=Decimal("0.10"), price=Decimal("1.08500"),
        stop_price=None, risk_minor=100, value_minor=0, commission_minor=-3, adds=True, action="pending_fill",
    ),
    events.Closed(**MONEY, position_id="p", symbol="EURUSD", side="sell", lots=Decimal("1E+1"), opened_at=AT),
    events.OrderPlaced(**MONEY, order_id="o", symbol="XAUUSD"),
    events.OrderGone(**MONEY, order_id="o"),
    events.StopChanged(**MONEY, position_id="p", stop_price=Decimal("1.2"), risk_minor=None),
    events.TakeProfitChanged(**MONEY, position_id="p", take_profit=Decimal("1.3")),
    events.PaidOut(**MONEY, gross_minor=1, stage="settled", leaves=True),
    events.PayoutRequested(**MONEY, amount_minor=1),
    events.PayoutApproved(**MONEY),
    events.News(
        **MONEY,
        news_id="NFP",
        released_at=AT + timedelta(hours=1),
        ends_at=AT + timedelta(hours=2),
        symbols=("USD", "EURUSD"),
    ),
]  # fmt: skip


def test_there_is_one_of_every_kind() -> None:
    assert {type(event) for event in FULL} == set(get_args(Event))


@pytest.mark.parametrize("event", FULL, ids=type_of)
def test_an_event_comes_back_as_it_was(event: Event) -> None:
    data = to_json(event)
    assert from_json(data) == event
    assert all(field.name in data or getattr(event, field.name) == field.default for field in fields(event))
    assert [str(getattr(from_json(data), each.name)) for each in fields(event)] == [
        str(getattr(event, each.name)) for each in fields(event)
    ], "the digits of a decimal too"


def test_an_instant_is_kept_in_utc() -> None:
    abroad = replace(FULL[0], at=AT.astimezone(timezone(timedelta(hours=2))))
    assert to_json(abroad)["at"] == "2025-03-09T07:30:00.250000+00:00"
    with pytest.raises(ValueError, match="naive"):
        to_json(replace(FULL[0], at=datetime(2025, 3, 9)))


@pytest.mark.parametrize(
    "change",
    [
        {"type": "nonsense"},
        {"type": None},
        {"seq": "7"},
        {"balance_minor": 1.0},
        {"lots": 0.1},
        {"lots": "ten"},
        {"at": "2025-03-09T07:30:00.25"},
        {"at": "2025-03-09T09:30:00.250000+02:00"},
        {"side": "long"},
        {"adds": 1},
        {"surprise": 1},
        {"equity_minor": None},
    ],
)
def test_what_no_event_would_have_written_is_refused(change: dict[str, Any]) -> None:
    opened = to_json(FULL[4])
    assert from_json(opened)
    with pytest.raises(ValueError, match=next(iter(change))):
        from_json({**opened, **change})


def test_figures_are_plain_and_a_float_is_none() -> None:
    figures = {"ratio": Decimal("39.50"), "at": AT, "day": date(2025, 3, 9), "ids": ("a", None), "met": True, "n": 3}
    assert json_value(figures) == {
        "ratio": "39.50",
        "at": "2025-03-09T07:30:00.250000+00:00",
        "day": "2025-03-09",
        "ids": ["a", None],
        "met": True,
        "n": 3,
    }
    with pytest.raises(TypeError, match="float"):
        json_value({"ratio": 39.5})
