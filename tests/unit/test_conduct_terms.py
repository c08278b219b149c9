"""Conduct rules as part of a product: read from plain data, kept as JSON, told in words."""

from typing import Any

import pytest

from domain.products.phase import Phase
from tests.unit.conduct_story import CONTEXT

TERMS: list[dict[str, Any]] = [
    {"type": "inactivity", "trading_days": 20, "calendar": "XNYS"},
    {"type": "flat_by", "weekday": "friday", "time": "16:00", "zone": "America/New_York", "reopens": "18:00"},
    {
        "type": "flat_by",
        "weekday": "friday",
        "time": "16:00",
        "zone": "America/New_York",
        "reopens": "18:00",
        "reopens_weekday": "sunday",
    },
    {"type": "flat_by", "calendar": "XNYS", "before_close_minutes": 10, "break_longer_than_hours": "2.5"},
    {
        "type": "news_window",
        "before_minutes": 2,
        "after_minutes": 2,
        "applies_to": ["open", "close"],
        "targets": [{"name": "USD", "symbols": ["US30"]}],
        "counted_pct": "40",
        "consequences": [{"kind": "deduct_profit"}],
    },
    {
        "type": "news_window",
        "before_minutes": 2,
        "after_minutes": 2,
        "applies_to": ["open", "hold"],
        "exempt_if_opened_minutes_before": 60,
        "cap": {"type": "pct_of_initial", "value": "1"},
        "consequences": [{"kind": "deduct_profit"}],
    },
    {"type": "cooldown", "minutes": 10, "after": "losing_close"},
    {"type": "max_trade_rate", "limit": 5, "within_minutes": 1, "counts": "openings_and_closes"},
    {"type": "opening_hours", "zone": "America/New_York", "hours": [{"opens": "09:30", "closes": "16:00"}]},
    {"type": "inactivity", "calendar_days": 30, "counter_starts": "last_order_placed"},
    {"type": "lot_size_band", "min_multiple": "0.25", "max_multiple": "2"},
    {
        "type": "max_exposure",
        "weights": {"micro": "0.1"},
        "classes": {"MES": "micro"},
        "tiers": [{"below": {"type": "pct_of_initial", "value": "3"}, "max": "2"}, {"max": "5"}],
    },
    {
        "type": "max_loss_per_trade_idea",
        "limit": {"type": "pct_of_daily_allowance", "value": "50"},
        "daily_allowance": {"type": "pct_of_anchor", "value": "5"},
        "merge_within_minutes": 5,
    },
    {"type": "required_stop", "grace_seconds": 60, "max_risk": {"type": "pct_of_initial", "value": "1"}},
    {"type": "no_hedging", "groups": [["EURUSD", "GBPUSD"], ["ES", "MES"]], "bans": "any_two_symbols"},
    {"type": "max_trades_per_day", "limit": 10, "consequences": [{"kind": "warn"}, {"kind": "close_position"}]},
    {
        "type": "exposure_multiple",
        "measure": "margin",
        "leverage": "30",
        "multiple": "0.5",
        "cure": {"minutes": 10},
        "consequences": [{"kind": "warn"}, {"kind": "fail"}],
    },
    {"type": "min_hold_time", "seconds": 10, "min_share_pct": "50", "compare": ">", "metric": "profit"},
]


@pytest.mark.parametrize("terms", TERMS, ids=lambda terms: terms["type"])
def test_terms_survive_json_and_have_words(terms: dict[str, Any]) -> None:
    phase = Phase.model_validate({"name": "Test", "rules": [terms]})
    rule = phase.rules[0]
    assert rule.id == rule.type == terms["type"]
    assert Phase.model_validate_json(phase.model_dump_json()) == phase
    words = rule.words(CONTEXT)
    assert words.endswith(".")
    assert "None" not in words
    assert "_" not in words.replace("New_York", "")
