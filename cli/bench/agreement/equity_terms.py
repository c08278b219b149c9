"""Random loss limits, every setting drawn by itself, for an initial balance of 10,000."""

from decimal import Decimal
from random import Random
from typing import Any, Final

CLOCKS: Final = [
    ("Europe/Prague", "00:00"),
    ("America/Chicago", "17:00"),
    ("UTC", "00:30"),
    ("America/New_York", "17:00"),
    ("Asia/Ulaanbaatar", "05:00"),
    ("+05:30", "21:15"),
    ("+02:00 to +03:00 as America/New_York", "00:00"),
    ("+01:00 to +02:00 as Europe/Prague", "23:55"),
]


def _pick(random: Random, *choices: Any) -> Any:
    return random.choice(choices)


def _allowance(random: Random, relative: str, largest: int) -> dict[str, str]:
    """Whole hundreds or percents every other time: prices of a coarse story then meet the level to the cent."""
    kind = _pick(random, "amount", "pct_of_initial", relative)
    percent = Decimal(random.randint(50, largest * 100)) / 100
    amount = Decimal(random.randint(5_000, largest * 10_000)) / 100
    if random.random() < 0.5:
        percent, amount = Decimal(random.randint(1, largest)), Decimal(random.randint(1, largest) * 100)
    return {"type": kind, "value": str(amount if kind == "amount" else percent)}


_FURTHER = ("pct_of_anchor", "pct_of_peak", "pct_of_balance", "pct_of_payout_balance")
_PROFITS = ("pct_of_anchor_profit", "pct_of_peak_profit")


def _size(random: Random, relative: str, largest: int) -> dict[str, Any]:
    """Any size that a limit may have, sometimes with a least amount and steps."""
    if random.random() < 0.6:
        return _allowance(random, relative, largest)
    kind = _pick(random, *_FURTHER, *_PROFITS, "amount")
    size: dict[str, Any] = {"type": kind, "value": str(random.randint(1, largest))}
    if kind in _PROFITS:
        size |= {"value": str(random.randint(10, 90)), "at_least": str(random.randint(1, largest) * 50)}
    elif kind == "amount":
        size["value"] = str(random.randint(1, largest) * 100)
    if random.random() < 0.4:
        values = [None, "100", "150.50"] if kind == "amount" else [None, "1", "2.5"]
        starts = sorted(random.sample([0, 50, 100, 250, 400], 2))
        size["steps"] = [
            {"from_profit": str(start), "value": _pick(random, *values[1:], *values)} for start in starts[1:]
        ]
    return size


def _steps(random: Random) -> list[dict[str, Any]]:
    found = []
    for _ in range(random.choice([0, 0, 1, 2])):
        size = _pick(random, {"type": "amount", "value": "150"}, {"type": "pct_of_anchor", "value": "3"})
        found.append(
            {
                "when": _pick(random, "balance", "equity"),
                "reaches": {"type": "amount", "value": str(_pick(random, 50, 100, 200, 300))},
                "anchor": _pick(random, "initial", "reached"),
                "allowance": size,
            }
        )
    return found


def _holds(random: Random) -> dict[str, bool]:
    if random.random() < 0.6:
        return {}
    return {name: random.random() < 0.5 for name in ("floating", "commissions", "swaps", "fees")}


def _rule(random: Random, number: int) -> dict[str, Any]:
    """A rule of any type, every setting drawn by itself; an initial balance of 10,000."""
    kind = _pick(random, "daily_loss", "max_loss_static", "max_loss_trailing", "daily_move_cap", "floating_loss")
    common = {
        "type": kind,
        "id": f"rule_{number}",
        "breach_when": _pick(random, "equity < floor", "equity <= floor"),
        "judged_at": _pick(random, *["every_event"] * 5, "eod"),
    }
    if kind == "floating_loss":
        per = _pick(random, "account", "symbol", "position")
        return common | {"limit": _size(random, "pct_of_balance", 4), "per": per}
    common |= {"holds": _holds(random)}
    after = _pick(random, "unchanged", "unchanged", "locks_at_initial", "floor_set_to_zero", "full_reset")
    anchor = _pick(
        random,
        *("balance", "equity", "max(balance,equity)", "initial_balance", "session_start_net_pnl"),
        "intraday_equity_peak",
    )
    period = "day" if anchor == "initial_balance" else _pick(random, "day", "day", "day", "week", "month")
    sized = _allowance if anchor == "initial_balance" else _size
    if kind == "daily_loss":
        falls = [] if anchor == "initial_balance" or random.random() < 0.5 else ["anchor_falls_by_payout"]
        return common | {
            "anchor": anchor,
            "allowance": sized(random, "pct_of_anchor", 6),
            "payout_effects": falls,
            "period": period,
        }
    if kind == "daily_move_cap":
        return common | {
            "anchor": anchor,
            "allowance": sized(random, "pct_of_anchor", 6),
            "period": period,
            "directions": _pick(random, ["down"], ["up"], ["down", "up"], ["up", "down"]),
        }
    if kind == "max_loss_static":
        size = _size(random, "pct_of_initial", 12)
        return common | {"allowance": size, "payout_effect": after, "steps": _steps(random)}
    bases = ("eod_balance_peak", "eod_max_balance_equity_peak", "intraday_balance_peak", "intraday_equity_peak")
    return common | {
        "peak_basis": _pick(random, *bases),
        "allowance": _size(random, "pct_of_peak", 12),
        "lock": _pick(random, None, {"offset": "-20.50"}, {"offset": "0"}, {"offset": "100"}),
        "peak_falls_by_payout": _pick(random, False, True),
        "payout_effect": after,
    }


def _rules(random: Random) -> list[dict[str, Any]]:
    """One to three rules; two of one type may stand side by side."""
    return [_rule(random, number) for number in range(1, random.randint(1, 3) + 1)]


def lockable_rules(random: Random) -> list[dict[str, Any]]:
    """Rules of which none locks below its first floor, which a product refuses."""
    found = _rules(random)
    for rule in found:
        size: dict[str, Any] = rule["limit"] if "limit" in rule else rule["allowance"]
        small = Decimal(size["value"]) * (1 if size["type"] == "amount" else 100) <= 21
        if rule.get("lock") and (small or size["type"] not in ("amount", "pct_of_initial", "pct_of_peak")):
            rule["lock"] = {"offset": "0"}
    return found
