"""Worked examples of our own about positions and their size, worked by hand from the format."""

from typing import Any

import pytest

from tests.unit.worked_cases import check, event

Events = list[dict[str, Any]]


def at(minute: float) -> str:
    return f"2025-06-02T{9 + int(minute) // 60:02}:{int(minute) % 60:02}:{round(minute % 1 * 60):02}+00:00"


def op(minute: float, identity: str, symbol: str = "EURUSD", lots: float = 1, **more: Any) -> dict[str, Any]:
    return event(at(minute), "trade_open", id=identity, symbol=symbol, lots=lots, **{"side": "buy", **more})


def cl(minute: float, identity: str, pnl: float = 0, **more: Any) -> dict[str, Any]:
    return event(at(minute), "trade_close", id=identity, pnl=pnl, **more)


def st(minute: float, identity: str, stop: float | None, **more: Any) -> dict[str, Any]:
    return event(at(minute), "stop_changed", id=identity, stop=stop, **more)


def clock(minute: float) -> dict[str, Any]:
    return event(at(minute), "clock")


def request(minute: float) -> dict[str, Any]:
    return event(at(minute), "payout_request", amount=1)


def breach(at_event: int, **amounts: Any) -> dict[str, Any]:
    return {"outcome": "breach", "at_event": at_event, "amounts": amounts}


def passes(**amounts: Any) -> dict[str, Any]:
    return {"outcome": "pass", "at_event": None, "severity": None, "amounts": {"violations": 0, **amounts}}


METALS = {"XAUUSD": "metals", "XAGUSD": "metals"}
BAND = {"min_multiple": 0.5, "max_multiple": 2}
AVERAGE = {"reference": "average_of_closed", **BAND}
CASES: list[tuple[str, dict[str, Any], Events, dict[str, Any]]] = [
    # max_exposure: per, a map, classes, weights, only
    ("max_exposure", {"limit": 2, "per": "symbol"}, [op(0, "a", lots=2), op(1, "b", "GBPUSD", 2)],
     passes(exposure=2, equivalents=[2, 2], limit=2)),
    ("max_exposure", {"limit": 2}, [op(0, "a", lots=2), op(1, "b", "GBPUSD", 2)], breach(1, exposure=4, violations=1)),
    ("max_exposure", {"limit": {"GBPUSD": 1}, "per": "symbol"}, [op(0, "a", lots=90), op(1, "b", "GBPUSD", 1.01)],
     breach(1, violations=1)),
    ("max_exposure", {"limit": 1, "per": "class", "classes": METALS, "weights": {"metals": 0.5}},
     [op(0, "a", "XAUUSD", 1), op(1, "b", "XAGUSD", 1), op(2, "c", "XAGUSD", 0.02)],
     breach(2, violations=1, exposure=1.01)),
    ("max_exposure", {"limit": 2, "unit": "positions", "per": "symbol"},
     [op(0, "a", lots=9), op(1, "b", "GBPUSD"), op(2, "c"), op(3, "a"), op(4, "d")], breach(4, violations=1)),
    ("max_exposure", {"limit": 2, "unit": "positions", "weights": {"MES": 0.1}},
     [op(n, str(n), "MES", 30) for n in range(20)], passes(exposure=2)),
    ("max_exposure", {"limit": 1, "only": "without_stop"},
     [op(0, "a"), st(1, "a", 1.0), op(2, "b"), st(3, "a", None), op(4, "c", stop=1.0), op(5, "d", lots=0.01)],
     breach(5, violations=1, exposure=2.01)),
    ("max_exposure", {"limit": 1, "only": "with_risk"},
     [op(0, "a", price=1.1, stop=1.1), op(1, "b", price=1.1, stop=1.2), op(2, "c", price=1.1, stop=1.09),
      op(3, "d", price=1.1, stop=1.05, side="sell"), op(4, "e", price=1.1, stop=1.11, side="sell")],
     breach(4, violations=1)),
    ("max_exposure", {"limit": 1, "severity_by_violation": ["warn", "breach"]}, [op(n, str(n)) for n in range(4)],
     {"outcome": "breach", "at_event": 1, "severity": "breach", "amounts": {"violations": 3}}),
    ("max_exposure", {"limit": 1, "severity": "hard", "phases": ["funded"]}, [op(0, "a", lots=2)], passes()),
    ("max_exposure", {"limit": 2, "per": "class"},
     [event(at(0), "position_state", mini=2, micro=2), event(at(1), "position_state", mini=2, micro=3)],
     breach(1, violations=1)),
    # exposure_multiple
    ("exposure_multiple", {"measure": "notional", "multiple": 2, "basis": "initial"},
     [op(0, "a", trade_value=200_000), cl(1, "a", lots=0.5), op(2, "b", trade_value=100_000),
      op(3, "c", trade_value=1)],
     breach(3, violations=1, exposure=200_001)),
    ("exposure_multiple", {"measure": "notional", "multiple": 2, "basis": "balance"},
     [op(0, "a", trade_value=200_000), op(1, "b", trade_value=1), cl(2, "b"), op(3, "b", trade_value=1)],
     breach(1, violations=2)),
    ("exposure_multiple", {"measure": "notional", "multiple": 2, "basis": "equity"},
     [op(0, "a", trade_value=200_000), event(at(1), "snapshot", balance=100_000, equity=99_999.99)],
     breach(1, violations=1)),
    ("exposure_multiple", {"measure": "margin", "leverage": 30, "multiple": 0.3, "basis": "initial", "per": "symbol"},
     [op(0, "a", trade_value=900_000), op(1, "b", "GBPUSD", trade_value=900_000)],
     passes(exposure=30_000, equivalents=[30_000, 30_000])),
    # 900,000.10 / 30 = 30,000.00333: 30,000.00 as money
    ("exposure_multiple", {"measure": "margin", "leverage": 30, "multiple": 0.3, "basis": "initial"},
     [op(0, "a", trade_value=900_000.10)], passes()),
    ("exposure_multiple", {"measure": "margin", "leverage": 30, "multiple": 0.3, "basis": "initial"},
     [op(0, "a", trade_value=900_000.15)], breach(0, violations=1)),
    ("exposure_multiple", {"measure": "notional", "multiple": {"metals": 1}, "per": "class", "classes": METALS},
     [op(0, "a", trade_value=900_000), op(1, "b", "XAUUSD", trade_value=60_000),
      op(2, "c", "XAGUSD", trade_value=40_000.01)], breach(2, violations=1)),
    ("exposure_multiple", {"measure": "notional", "multiple": 2, "cure": {"minutes": 10}},
     [op(0, "a", trade_value=200_001), cl(10, "a"), op(11, "b", trade_value=200_001)], breach(2, violations=1)),
    ("exposure_multiple", {"measure": "notional", "multiple": 2, "cure": {"minutes": 10, "times": 2}},
     [op(0, "a", trade_value=200_001), cl(10, "a"), op(11, "b", trade_value=200_001), cl(20, "b")], passes()),
    ("exposure_multiple", {"measure": "notional", "multiple": 2, "cure": {"minutes": 10}},
     [op(0, "a", trade_value=200_001), clock(10), cl(10.5, "a")], breach(2, violations=1)),
    ("exposure_multiple", {"measure": "notional", "multiple": 2, "only": "with_risk"},
     [op(0, "a", trade_value=200_001, price=1.1, stop=1.1), st(1, "a", 1.05), st(2, "a", 1.1), st(3, "a", None)],
     breach(1, violations=2)),
    # no_hedging
    ("no_hedging", {}, [op(0, "a"), op(1, "b", side="sell")], breach(1, violations=1)),
    ("no_hedging", {}, [op(0, "a"), op(1, "b", "GBPUSD", side="sell")], passes()),
    ("no_hedging", {"groups": [["EURUSD", "GBPUSD"]]}, [op(0, "a"), op(1, "b", "GBPUSD", side="sell")],
     breach(1, violations=1)),
    ("no_hedging", {"groups": [["EURUSD", "GBPUSD"]]}, [op(0, "a"), op(1, "b", "GBPUSD")], passes()),
    ("no_hedging", {"groups": [["ES", "MES"]], "bans": "any_two_symbols"},
     [op(0, "a", "ES"), op(1, "b", "ES", side="sell"), op(2, "c", "MES")], breach(2, violations=1)),
    ("no_hedging", {}, [op(0, "a"), cl(1, "a"), op(2, "b", side="sell"), op(3, "b", side="sell"), op(4, "c")],
     breach(4, violations=1)),
    # max_trades_per_day: 17:00 New York is 21:00 UTC in June
    ("max_trades_per_day", {"limit": 1, "day": {"timezone": "America/New_York", "reset": "17:00"}},
     [op(0, "a"), op(12 * 60 - 0.5, "b"), op(12 * 60, "c")], breach(1, violations=1, limit=1)),
    ("max_trades_per_day", {"limit": 2}, [op(0, "a"), op(1, "a"), op(2, "b"),
                                        {**op(0, "c"), "t": "2025-06-03T09:00:00+00:00"}], passes()),
    ("max_trades_per_day", {"limit": 1, "day": {"timezone": "platform"}},
     [op(0, "a"), event(at(1), "rollover", balance=100_000, equity=100_000), op(2, "b"), op(3, "c")],
     breach(3, violations=1)),
    ("max_trades_per_day", {"limit": 1, "severity_by_violation": ["w", "x"]}, [op(0, "a"), op(1, "b")],
     {"outcome": "breach", "severity": "w", "amounts": {"violations": 1}}),
    # required_stop
    ("required_stop", {}, [op(0, "a", stop=1.0), op(1, "b")], breach(1, violations=1)),
    ("required_stop", {}, [op(0, "a", stop=1.0), st(1, "a", None), clock(2)], breach(1, violations=1)),
    ("required_stop", {"grace_seconds": 60}, [op(0, "a"), st(1, "a", 1.0), clock(9)], passes()),
    ("required_stop", {"grace_seconds": 60}, [op(0, "a"), clock(1), cl(1.5, "a"), clock(9)], breach(2, violations=1)),
    ("required_stop", {"max_risk": {"type": "pct_of_balance", "value": 1}},
     [op(0, "x", stop=1.0, risk=1000), cl(1, "x", pnl=-10_000), op(2, "a", stop=1.0, risk=900),
      st(3, "a", 0.9, risk=901)],
     breach(3, violations=1, max_risk=900)),
    ("required_stop", {"max_risk": 500}, [op(0, "a", stop=1.0, risk=500.01)], breach(0, max_risk=500)),
    ("required_stop", {"max_risk": {"type": "pct_of_anchor", "value": 1}},
     [event(at(0), "rollover", balance=90_000, equity=90_000), op(1, "a", stop=1.0, risk=900.01)],
     breach(1, max_risk=900)),
    # lot_size_band
    ("lot_size_band", BAND, [op(0, "a", lots=2), op(1, "b", lots=1), op(2, "c", lots=4), op(3, "d", lots=4.01)],
     breach(3, min_lots=1, max_lots=4, first_lots=2, violations=1)),
    ("lot_size_band", {**BAND, "reference": "first_trade", "merge_within_minutes": 5},
     [op(0, "a"), op(5, "b"), op(20, "c", lots=4)], passes(min_lots=1, max_lots=4)),
    # 0.6 + 0.5 within five minutes are one of 1.1, at the second; alone each would be too small
    ("lot_size_band", {"max_multiple": 1, "merge_within_minutes": 5},
     [op(0, "a"), op(20, "c", lots=0.6), op(25, "d", lots=0.5), clock(40)], breach(2, violations=[
         {"after_event": 1, "value": 0}, {"after_event": 2, "value": 1}, {"after_event": 3, "value": 1}])),
    ("lot_size_band", {**BAND, "merge_within_minutes": 5}, [op(0, "a"), op(20, "b", lots=9)], breach(1, violations=1)),
    ("lot_size_band", {**BAND, "merge_within_minutes": 5}, [op(0, "a"), op(1, "b", side="sell", lots=3)],
     breach(1, first_lots=1)),
    ("lot_size_band", AVERAGE, [cl(n, str(n), lots=lots) for n, lots in enumerate((1, 1, 4))],
     passes(average_lots=2, min_lots=1, max_lots=4)),
    # 1, 1, 1 and 4: the average is 1.75
    ("lot_size_band", AVERAGE, [cl(n, str(n), lots=lots) for n, lots in enumerate((1, 1, 1, 4))],
     breach(3, violations=1, max_lots=3.5)),
    ("lot_size_band", AVERAGE, [*(cl(n, str(n), lots=lots) for n, lots in enumerate((1, 1, 4))), request(3),
                                cl(4, "x", lots=20)], passes(average_lots=2)),
    ("lot_size_band", AVERAGE, [*(cl(n, str(n), lots=lots) for n, lots in enumerate((1, 1, 1, 4))), request(4),
                                request(5)], breach(4, violations=1)),
    # what is still open is no closed position
    ("lot_size_band", AVERAGE, [op(0, "x", lots=50), cl(1, "x", lots=49), cl(2, "a", lots=1), request(3)],
     passes(average_lots=1)),
    # consequences
    ("max_exposure", {"limit": 1, "consequences": [{"kind": "warn"}, {"kind": "reset_balance"}]},
     [op(0, "a"), op(1, "b"), cl(2, "a", 500), op(3, "c", lots=2)], breach(1, violations=2, balance=[
         {"after_event": 2, "value": 100_500}, {"after_event": 3, "value": 100_000}])),
    ("no_hedging", {"consequences": [{"kind": "warn"}, {"kind": "lower_split", "split_pct": 60}]},
     [op(0, "a"), op(1, "b", side="sell"), op(2, "c", side="sell")], breach(1, violations=2, split_pct=60)),
    # max_loss_per_trade_idea
    ("max_loss_per_trade_idea", {"limit": 1000, "compare": ">="}, [op(0, "a"), cl(1, "a", -1000)],
     breach(1, idea_loss=1000, limit=1000)),
    ("max_loss_per_trade_idea", {"limit": 1000}, [op(0, "a"), cl(1, "a", -1000)], passes(idea_loss=1000)),
    ("max_loss_per_trade_idea", {"limit": {"type": "pct_of_balance", "value": 1}}, [op(0, "a"), cl(1, "a", -995)],
     breach(1, limit=990.05)),
    ("max_loss_per_trade_idea", {"limit": {"type": "pct_of_payout_balance", "value": 1}},
     [event(at(0), "payout", gross_amount=50_000), op(1, "a"), cl(2, "a", -500.01)], breach(2, limit=500)),
    ("max_loss_per_trade_idea", {"limit": {"type": "pct_of_daily_allowance", "value": 50}, "daily_allowance": 1000},
     [op(0, "a"), cl(1, "a", -500.01)], breach(1, limit=500, daily_allowance=1000)),
    ("max_loss_per_trade_idea",
     {"limit": {"type": "pct_of_anchor_profit", "value": 50, "at_least": 100, "steps": []}},
     [event(at(0), "rollover", balance=101_000, equity=101_000), op(1, "a"), cl(2, "a", -500.01)],
     breach(2, limit=500)),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "rule", "events", "expected"), CASES)
def test_a_worked_example(kind: str, rule: dict[str, Any], events: Events, expected: dict[str, Any]) -> None:
    check(kind, rule, events, expected, phase="evaluation")
