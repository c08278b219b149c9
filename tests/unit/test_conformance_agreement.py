"""A worked example with several rules ends as the replay of the same events under a product with the same rules."""

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from cli.conformance.case import Case, EngineResult, read_cases
from cli.conformance.run import KINDS
from cli.conformance.several import judge_rules
from cli.conformance.translator import Translator
from domain.clocks import Clock
from domain.histories.replay import replay
from domain.histories.results import Replay
from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from tests.unit.venue_story import product

Json = dict[str, Any]

UTC_DAY: Json = {"timezone": "UTC", "reset": "00:00"}
START = datetime(2025, 6, 2, 8, tzinfo=UTC)
OUTCOMES = {"pass": "in_progress", "target_reached": "pass", "breach": "breach"}


def rules_of(random: Random) -> list[tuple[Json, Json]]:
    """Returns rules as a case writes them, and as a product does."""
    loss, operator = random.choice([1500, 2500, 4000]), random.choice(["equity < floor", "equity <= floor"])
    limit = random.choice([40, 50, 70])
    size: Json = {"type": "amount", "value": loss}
    floor: Json = {"allowance": size, "breach_when": operator}
    gate: Json = {"limit_pct": limit, "compare": "<=", "denominator": "total_profit", "effect": "continue_trading"}
    gate["blocks"] = ["pass"]
    positions: Json = {"unit": "positions", "limit": random.choice([1, 2])}
    pairs: list[tuple[Json, Json]] = [
        ({"kind": "max_loss_static", **floor}, {"type": "max_loss_static", **floor}),
        (
            {"kind": "daily_loss", "anchor": "balance", "day": UTC_DAY, **floor},
            {"type": "daily_loss", "anchor": "balance", **floor},
        ),
        (
            {"kind": "max_loss_trailing", "peak_basis": "intraday_equity_peak", **floor},
            {"type": "max_loss_trailing", "peak_basis": "intraday_equity_peak", **floor},
        ),
        ({"kind": "best_day_ratio", "day": UTC_DAY, **gate}, {"type": "best_day_ratio", **gate}),
        ({"kind": "max_exposure", **positions}, {"type": "max_exposure", **positions}),
    ]
    kept = [pair for pair in pairs[:3] if random.random() < 0.5] or pairs[:1]
    kept += [pair for pair in pairs[3:] if random.random() < 0.5]
    return [({"id": f"rule_{n}", **case}, {"id": f"rule_{n}", **made}) for n, (case, made) in enumerate(kept)]


def life(random: Random) -> list[Json]:
    events, now, balance, open_ids = list[Json](), START, 100_000, list[str]()
    for number in range(random.randint(5, 25)):
        later = now + timedelta(minutes=random.randint(1, 300))
        if later.date() != now.date():
            midnight = datetime(later.year, later.month, later.day, tzinfo=UTC)
            events.append({"t": midnight.isoformat(), "type": "rollover", "balance": balance, "equity": balance})
        now = later + timedelta(seconds=1)
        base: Json = {"t": now.isoformat()}
        if open_ids and random.random() < 0.6:
            pnl = random.choice([-1500, -700, -1, 0, 300, 900, 2000])
            balance += pnl
            base |= {"type": "trade_close", "id": open_ids.pop(), "symbol": "EURUSD", "pnl": pnl}
        elif random.random() < 0.7:
            open_ids.append(f"p{number}")
            base |= {"type": "trade_open", "id": f"p{number}", "symbol": "EURUSD", "side": "buy", "lots": 1}
        else:
            equity = balance + random.choice([-2500, -1000, 0, 500])
            events.append({**base, "type": "snapshot", "balance": balance, "equity": equity})
            base = {"t": (now + timedelta(seconds=1)).isoformat(), "type": "snapshot"}
        events.append({**base, "balance": balance, "equity": balance})
    return events


def replayed(case: Case, rules: list[Json], target: Json, days: int) -> Replay:
    made = product(Random(1)).model_dump(mode="json")
    made |= {"clock": {"zone": "UTC", "reset": "00:00"}, "loss_clock": None, "initial_balance": "100000"}
    made["phases"][0] |= {"rules": rules, "target": target, "min_trading_days": days, "time_limit_days": None}
    made["phases"][0] |= {"extension": None, "free_retake": False}
    terms = phase_terms(Product.model_validate(made), 1)
    translator = Translator(case, Clock(zone="UTC", reset="00:00"))
    return replay([translator.event(raw) for raw in case.events], terms, terms.context)


def deciding(found: Replay) -> tuple[str, str | None, int | None]:
    """Returns how the replay ended, the rule that failed the account, and the number of the event."""
    fatal = next((breach for breach in found.breaches if breach.fails), None)
    if found.outcome == "breach" and fatal is not None:
        return found.outcome, fatal.rule_id, fatal.seq - 1
    return found.outcome, None, found.passed.seq - 1 if found.outcome == "pass" and found.passed else None


def stated(result: EngineResult) -> tuple[str, str | None, int | None]:
    rule = result.rule if result.outcome == "breach" else None
    return OUTCOMES[result.outcome], rule, result.at_event


Ending = tuple[str, str | None, int | None]


def endings(seed: int) -> tuple[Ending, Ending]:
    """Returns how a random life ends as a worked example, and in a replay."""
    random = Random(seed)
    pairs, target = rules_of(random), {"type": "amount", "value": random.choice([1000, 2500])}
    days = random.choice([0, 0, 1, 2])
    goal = {"id": "target", "kind": "profit_target", "target": target, "min_trading_days": days, "day": UTC_DAY}
    raw = {
        "id": "life",
        "account": {"initial_balance": 100_000, "currency": "USD"},
        "rules": [*(case for case, _ in pairs), goal],
        "events": life(random),
        "expected": {},
    }
    (case,) = read_cases(json.dumps([raw]), "life")
    assert case.problem is None
    return stated(judge_rules(case, KINDS)), deciding(replayed(case, [made for _, made in pairs], target, days))


@pytest.mark.parametrize("seed", range(60))
def test_it_ends_as_the_replay_says(seed: int) -> None:
    case, replay_of_it = endings(seed)
    assert case == replay_of_it


def test_the_random_lives_end_in_every_way() -> None:
    assert {endings(seed)[0][0] for seed in range(60)} == {"breach", "pass", "in_progress"}


def test_profit_that_a_conduct_rule_leaves_out_does_not_pass_the_phase() -> None:
    """1,000 made round a release do not count, so that a target of 1,000 needs 2,000."""
    loss: Json = {"type": "max_loss_static", "id": "loss", "allowance": {"type": "amount", "value": 4000}}
    news: Json = {"type": "news_window", "id": "news", "before_minutes": 5, "after_minutes": 5, "applies_to": ["close"]}
    news |= {"targeted_instruments_only": False, "counted_pct": 0, "consequences": [{"kind": "deduct_profit"}]}
    events = [
        {"t": "2025-06-02T10:00:00+00:00", "type": "news", "name": "CPI", "targets": ["USD"]},
        {"t": "2025-06-02T09:00:00+00:00", "type": "trade_open", "id": "a", "symbol": "EURUSD", "side": "buy"},
        {"t": "2025-06-02T10:00:00+00:00", "type": "trade_close", "id": "a", "symbol": "EURUSD", "pnl": 1000},
        {"t": "2025-06-02T11:00:00+00:00", "type": "trade_open", "id": "b", "symbol": "EURUSD", "side": "buy"},
        {"t": "2025-06-02T12:00:00+00:00", "type": "trade_close", "id": "b", "symbol": "EURUSD", "pnl": 1000},
    ]
    raw = {
        "id": "news",
        "account": {"initial_balance": 100_000},
        "rule": {"kind": "x"},
        "events": events,
        "expected": {},
    }
    rules, target = [{**loss, "breach_when": "equity < floor"}, news], {"type": "amount", "value": 1000}
    for count, outcome in ((3, "in_progress"), (5, "pass")):
        (case,) = read_cases(json.dumps([{**raw, "events": events[:count]}]), "news")
        assert replayed(case, rules, target, 0).outcome == outcome
