"""Random rules of conduct and gates of every type, for an initial balance of 10,000 and lives of a few days."""

from collections.abc import Callable
from random import Random
from typing import Any, Final

Json = dict[str, Any]

CALENDAR: Final = "XNYS"
_ZONES: Final = ("UTC", "America/New_York", "Europe/Prague", "+05:30", "+01:00 to +02:00 as Europe/Prague")
_CLASSES: Final = {"EURUSD": "majors", "GBPUSD": "majors", "XAUUSD": "metals"}
_WINDOWS: Final = (
    *("whole_phase", "whole_phase", "since_last_payout_request", "since_last_approved_payout"),
    *("since_last_payout", {"days": 1}, {"days": 2}, {"days": 4}),
)
_EFFECTS: Final = (
    *("payout_blocked", "continue_trading", "excess_deducted"),
    *("profit_target_raised_to_best_day_over_limit", "excess_added_to_target"),
)
_DAY_BASES: Final = (
    *("closed_pnl", "closed_pnl_plus_negative_floating"),
    *("closing_balance_minus_opening_balance", "equity_snapshot_to_snapshot"),
)


def size(random: Random, *kinds: str, most: int = 3) -> Json:
    """Returns a size of one of `kinds`: an amount up to `most` hundreds, or up to so many percent."""
    kind = random.choice(kinds or ("amount", "pct_of_initial"))
    return {"type": kind, "value": str(random.randint(1, most) * (100 if kind == "amount" else 1))}


_MOVING: Final = ("amount", "pct_of_initial", "pct_of_anchor", "pct_of_peak", "pct_of_balance", "pct_of_payout_balance")


def _cooldown(random: Random) -> Json:
    return {"minutes": random.choice([1, 30, 600]), "after": random.choice(["close", "losing_close"])}


def _sums(random: Random) -> Json:
    """What the rules about exposure share."""
    found: Json = {"per": random.choice(["account", "account", "symbol", "class"])}
    if found["per"] == "class":
        found["classes"] = _CLASSES
    return found | {"only": random.choice([None, None, "with_risk", "without_stop"])}


def _exposure_multiple(random: Random) -> Json:
    found = _sums(random) | {"basis": random.choice(["balance", "equity", "initial"])}
    multiple: Any = random.choice([3, 10, 20, 60])
    if found["per"] == "symbol" and random.random() < 0.5:
        multiple = {"EURUSD": multiple, "XAUUSD": 5}
    found |= {"measure": "notional", "multiple": multiple}
    if random.random() < 0.4:
        found |= {"measure": "margin", "leverage": 10, "multiple": random.choice([1, 2, 5])}
    if random.random() < 0.4:
        found["cure"] = {"minutes": random.choice([1, 60, 900]), "times": random.choice([1, 2])}
    return found


def _flat_by(random: Random) -> Json:
    if random.random() < 0.3:
        longer = random.choice([None, 20])
        minutes = random.choice([0, 0, 30, 300])
        return {"calendar": CALENDAR, "before_close_minutes": minutes, "break_longer_than_hours": longer}
    weekday = random.choice([None, None, "monday", "friday", "saturday", "sunday"])
    found: Json = {"time": random.choice(["03:00", "16:45", "23:00"]), "zone": random.choice(_ZONES)}
    found["weekday"] = weekday
    if random.random() < 0.6:
        found["reopens"] = random.choice(["02:00", "17:00", "23:30"])
        found["reopens_weekday"] = random.choice([None, "monday"]) if weekday else None
    return found


def _inactivity(random: Random) -> Json:
    found: Json = {"calendar_days": random.choice([1, 2, 4])}
    if random.random() < 0.5:
        found = {"trading_days": random.choice([1, 2]), "calendar": random.choice([None, CALENDAR])}
    found["counter_starts"] = random.choice(["last_position_closed", "last_trade", "last_order_placed"])
    pending = found["counter_starts"] != "last_order_placed" and random.random() < 0.4
    return found | {"open_position_suspends": random.random() < 0.6, "pending_orders_count": pending}


def _lot_size_band(random: Random) -> Json:
    low, high = random.choice([(None, "1.5"), ("0.5", None), ("0.8", "1.2"), ("1", "3")])
    return {
        "reference": random.choice(["first_trade", "average_of_closed"]),
        "min_multiple": low,
        "max_multiple": high,
        "merge_within_minutes": random.choice([None, None, 0, 10, 600]),
    }


def _max_exposure(random: Random) -> Json:
    found = _sums(random) | {"unit": random.choice(["lots", "positions"])}
    if random.random() < 0.2:
        found |= {"per": "order", "unit": "lots", "only": None}
    weights = {"EURUSD": "0.1", "majors": "0.5"} if random.random() < 0.3 else {}
    found |= {"weights": weights, "limit": random.choice([1, 2, "2.5", 4])}
    if found["per"] == "symbol" and random.random() < 0.5:
        found["limit"] = {"EURUSD": 1, "GBPUSD": 2}
    elif random.random() < 0.4:
        tiers: list[Json] = [{"below": {"type": "amount", "value": "0"}, "max": 1}]
        tiers += [{"below": {"type": "amount", "value": "150"}, "max": 2}, {"below": None, "max": 4}]
        found |= {"limit": None, "tiers": tiers, "evaluated": random.choice(["eod_only", "live"])}
    return found


def _max_loss_per_trade_idea(random: Random) -> Json:
    found: Json = {"limit": size(random, *_MOVING, most=2), "compare": random.choice([">", ">="])}
    if random.random() < 0.4:
        found["limit"] = {"type": "pct_of_daily_allowance", "value": str(random.choice([20, 50]))}
        found["daily_allowance"] = size(random, *_MOVING, most=4)
    return found | {"merge_within_minutes": random.choice([0, 10, 600]), "splits": random.random() < 0.5}


def _max_trade_rate(random: Random) -> Json:
    counts = random.choice(["openings", "closes", "openings_and_closes"])
    return {"limit": random.choice([1, 2]), "within_minutes": random.choice([1, 60, 600]), "counts": counts}


def _max_trades_per_day(random: Random) -> Json:
    return {"limit": random.choice([0, 1, 2, 3])}


def _news_window(random: Random) -> Json:
    actions = ["open", "close", "pending_fill", "stop_loss", "take_profit", "hold"]
    targeted = random.random() < 0.5
    before = random.choice([0, 2, 120, 600])
    return {
        "before_minutes": before,
        "after_minutes": random.choice([0, 2, 120, 600]),
        "applies_to": random.sample(actions, random.randint(1, len(actions))),
        "targeted_instruments_only": targeted,
        "targets": [{"name": "USD", "symbols": ["XAUUSD"]}] if targeted and random.random() < 0.5 else [],
        "exempt_if_opened_minutes_before": random.choice([None, None, before, before + 600]),
    }


def _no_hedging(random: Random) -> Json:
    groups = random.choice([[], [["EURUSD", "GBPUSD"]], [["EURUSD", "XAUUSD"], ["GBPUSD", "EURUSD"]]])
    return {"groups": groups, "bans": random.choice(["opposite_sides", "any_two_symbols"]) if groups else None}


def _opening_hours(random: Random) -> Json:
    days = random.choice([["monday", "tuesday", "wednesday", "thursday", "friday"], ["saturday", "sunday"]])
    opens, closes = random.choice([("08:00", "17:00"), ("18:00", "06:00")])
    return {"zone": random.choice(_ZONES), "hours": [{"weekdays": days, "opens": opens, "closes": closes}]}


def _required_stop(random: Random) -> Json:
    found: Json = {
        "grace_seconds": random.choice([0, 60, 3600]),
        "require": random.choice(["stop", "take_profit", "both"]),
    }
    if found["require"] != "take_profit" and random.random() < 0.6:
        found["max_risk"] = size(random, "amount", "pct_of_initial", "pct_of_balance", most=2)
    return found


def _best_day(random: Random) -> Json:
    found: Json = {
        "limit_pct": str(random.choice([30, 50, 80, 100])),
        "compare": random.choice(["<", "<="]),
        "denominator": random.choice(["total_profit", "profit_target", "profits_only"]),
        "profit_target": size(random, most=4),
        "attribution": random.choice(_DAY_BASES),
        "effect": random.choice(_EFFECTS),
        "unit": random.choice(["day", "day", "trade"]),
    }
    if found["unit"] == "trade":
        found["attribution"] = "closed_pnl"
    if random.random() < 0.3:
        found["binds_above_profit"] = size(random, most=2)
    return found


def _daily_profit_cap(random: Random) -> Json:
    return {"amount": size(random, *_MOVING, most=2), "basis": random.choice(_DAY_BASES)}


def _min_hold_time(random: Random) -> Json:
    found: Json = {
        "seconds": random.choice([30, 3600, 100_000]),
        "metric": random.choice(["trade_count", "profit"]),
        "compare": random.choice([">", ">="]),
        "held": random.choice([">", ">="]),
        "effect": random.choice(["blocks", "short_profit_deducted"]),
    }
    asked = {
        "min_share_pct": "50",
        "max_short_trades": 1,
        "min_average_seconds": 7200,
        "max_short_pct_of_request": "20",
    }
    return found | {name: asked[name] for name in random.sample(list(asked), random.randint(1, 3))}


def _profitable_day_count(random: Random) -> Json:
    return {
        "threshold": random.choice([None, size(random, *_MOVING, most=1)]),
        "compare": random.choice([">=", ">"]),
        "basis": random.choice(_DAY_BASES),
        "required": random.choice([1, 1, 2]),
        "consecutive": random.random() < 0.4,
        "min_pct_of_best_day": random.choice([None, None, "50"]),
    }


def _trading_day_count(random: Random) -> Json:
    found: Json = {"required": random.choice([1, 1, 2])}
    if random.random() < 0.3:
        found |= {"half_days_count": False, "calendar": CALENDAR}
    if random.random() < 0.5:
        lots, held = random.choice([None, "80"]), random.choice([None, 60, 50_000])
        return found | {"min_pct_of_average_lots": lots, "min_held_seconds": held}
    found["counts"] = "day_with_qualifying_close"
    found["min_trade_value"] = random.choice([None, size(random, "amount", "pct_of_initial", most=50)])
    found["min_abs_pnl"] = random.choice([None, size(random, *_MOVING, "pct_of_trade_value", most=1)])
    return found | {"compare": random.choice([">=", ">"])}


Maker = Callable[[Random], Json]
CONDUCT: Final[dict[str, Maker]] = {
    "cooldown": _cooldown,
    "exposure_multiple": _exposure_multiple,
    "flat_by": _flat_by,
    "inactivity": _inactivity,
    "lot_size_band": _lot_size_band,
    "max_exposure": _max_exposure,
    "max_loss_per_trade_idea": _max_loss_per_trade_idea,
    "max_trade_rate": _max_trade_rate,
    "max_trades_per_day": _max_trades_per_day,
    "news_window": _news_window,
    "no_hedging": _no_hedging,
    "opening_hours": _opening_hours,
    "required_stop": _required_stop,
}
GATES: Final[dict[str, Maker]] = {
    "best_day_ratio": _best_day,
    "daily_profit_cap": _daily_profit_cap,
    "min_hold_time": _min_hold_time,
    "profitable_day_count": _profitable_day_count,
    "trading_day_count": _trading_day_count,
}


def conduct_rule(random: Random, kind: str, number: int, consequences: list[Json]) -> Json:
    """Returns a rule of conduct of this type with these consequences."""
    rule: Json = {"type": kind, "id": f"conduct_{number}", "consequences": consequences}
    rule |= {name: value for name, value in CONDUCT[kind](random).items() if value is not None}
    if kind == "news_window" and any(one["kind"] == "deduct_profit" for one in consequences):
        terms: list[Json] = [{"counted_pct": "0"}, {"counted_pct": "40"}, {"cap": size(random, most=1)}]
        rule |= random.choice(terms)
    return rule


def gate(random: Random, kind: str, number: int, blocks: list[str]) -> Json:
    """Returns a gate of this type over a random window."""
    rule: Json = {"type": kind, "id": f"gate_{number}", "blocks": blocks, "window": random.choice(_WINDOWS)}
    rule |= {name: value for name, value in GATES[kind](random).items() if value is not None}
    if isinstance(rule["window"], dict) and rule.get("required", 0) > rule["window"]["days"]:
        rule["required"] = 1
    deducts = kind == "daily_profit_cap" or rule.get("effect") in ("excess_deducted", "short_profit_deducted")
    if deducts and rule["window"] != "whole_phase":
        rule["counts_later"] = random.random() < 0.3
    if rule.get("effect") == "payout_blocked" and "payout" not in blocks:
        rule["effect"] = "continue_trading"
    if "pass" not in blocks and rule.get("effect") in (
        "profit_target_raised_to_best_day_over_limit",
        "excess_added_to_target",
    ):
        rule["effect"] = "excess_deducted"
    if "pass" in blocks:
        rule.pop("max_short_pct_of_request", None)
        asked = any(name in rule for name in ("min_share_pct", "max_short_trades", "min_average_seconds"))
        if kind == "min_hold_time" and not asked:
            rule["min_share_pct"] = "50"
    return rule
