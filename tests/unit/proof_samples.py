"""Sealed sheets of every kind, source and shape, for the tests that read, forge and show them."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

from domain.money import Money
from domain.payouts import PayoutFacts
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from domain.proofs.history import ProofSubject, fold, gate_sheet, pass_history, violation_sheet
from domain.proofs.money import BalancePart, EventPart, JudgedAccount, breach_sheet, pass_sheet
from domain.proofs.payout import payout_refusal_sheet
from domain.proofs.sheets import PointPart
from domain.proofs.sources import BarSource, Source, StatementSource, StateSource
from domain.rules import state as rules_of
from domain.rules.events import Closed, Event, Marked, Opened, PaidOut, Rolled
from domain.rules.floors import Costs, Mark
from domain.rules.marking import QuoteBoard
from domain.rules.state import AccountRules, fresh
from monitor.judging.feed_quality import FeedQuality, Limits
from monitor.loaded import Loaded
from monitor.shard import Shard
from tests.unit.market_story import Shelf, batches, instruments
from tests.unit.venue_story import Story, product

START = datetime(2025, 3, 6, 8, tzinfo=UTC)
SERVER = {"standard": "+02:00", "daylight": "+03:00", "dst_of": "America/New_York"}
CONDUCT: list[dict[str, Any]] = [
    {"type": "max_exposure", "id": "exposure", "limit": "3", "consequences": [{"kind": "warn"}, {"kind": "fail"}]},
    {"type": "flat_by", "id": "flat", "calendar": "XNYS", "before_close_minutes": 10},
    {"type": "best_day_ratio", "id": "best_day", "limit_pct": "40", "compare": "<=", "blocks": ["pass", "payout"],
     "effect": "excess_added_to_target"},
    {"type": "trading_day_count", "id": "days", "required": 3, "counts": "day_with_new_position_opened",
     "blocks": ["pass"]},
]  # fmt: skip
LEVELS: list[dict[str, Any]] = [
    {"type": "daily_move_cap", "id": "cap", "anchor": "max(balance,equity)", "directions": ["down", "up"],
     "allowance": {"type": "pct_of_anchor", "value": "4"}, "breach_when": "equity <= floor",
     "holds": {"commissions": False, "swaps": False},
     "consequences": [{"kind": "pause_until_reset"}, {"kind": "fail"}]},
    {"type": "daily_loss", "id": "daily", "anchor": "balance", "allowance": {"type": "amount", "value": "500"},
     "payout_effects": ["anchor_falls_by_payout"], "breach_when": "equity < floor"},
    {"type": "max_loss_trailing", "id": "trailing", "peak_basis": "intraday_balance_peak", "lock": {"offset": "50"},
     "allowance": {"type": "pct_of_peak", "value": "10"}, "payout_effect": "locks_at_initial",
     "breach_when": "equity < floor"},
]  # fmt: skip


class NewYork:
    """A venue that closes at 16:00 New York, in winter time, on weekdays."""

    def close_on(self, day: date) -> datetime | None:
        return None if day.weekday() > 4 else datetime(day.year, day.month, day.day, 21, tzinfo=UTC)

    def next_open(self, after: datetime) -> datetime:
        day = after.date() + timedelta(1)
        while day.weekday() > 4:
            day += timedelta(1)
        return datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC)

    def closes_early(self, day: date) -> bool:
        return False


@cache
def terms(phase: int = 1) -> PhaseTerms:
    made = product(Random(1)).model_dump(mode="json")
    made |= {"clock": {"zone": SERVER, "reset": "00:00"}, "loss_clock": {"zone": "America/Chicago", "reset": "17:00"}}
    made["phases"][0] |= {"rules": [*LEVELS, *CONDUCT], "target": {"type": "amount", "value": "500"}}
    made["phases"][0]["min_trading_days"] = 0
    made["funded"]["rules"] = LEVELS
    made["payout"] |= {"first_after_days": 14, "min_request": "50"}
    return phase_terms(Product.model_validate(made), phase, {"XNYS": NewYork()})


def whose(phase: int = 1) -> ProofSubject:
    return ProofSubject("acc_1", "chl_1", 10_001, terms(phase))


def from_stories(wanted: int = 8) -> list[dict[str, Any]]:
    """Breaches and passes of the live engine, out of random stories."""
    found: list[dict[str, Any]] = []
    seed = 0
    while len(found) < wanted:
        seed += 1
        random = Random(seed)
        account = Loaded("acc_1", "chl_1", 1, phase_terms(product(random), 1), "active", (), None)
        quality = FeedQuality(Limits(stale_after=timedelta(days=1000)))
        shard = Shard(Shelf({1: account}), instruments, quality=quality)
        story = Story(random, [1])
        for _ in range(60):
            story.step()
        for batch in batches(story.events, random):
            shard.apply(batch)
        kinds = [sheet["kind"] for sheet in found]
        # a few of each kind: most stories end in a breach
        found += [f.proof for f in shard.state.facts.verdicts if kinds.count(f.proof["kind"]) < wanted - 2]
    return found


def scene(equity: int, source: Source, kind: str, *, phase: int = 1, balance: int = 1_000_000) -> JudgedAccount:
    at = START + timedelta(minutes=1)
    return JudgedAccount(
        account_id="acc_1",
        challenge_id="chl_1",
        login=10_001,
        terms=terms(phase),
        event=EventPart.model_validate({"kind": kind, "seq": 90, "at": at}),
        balance=BalancePart(opening_minor=balance, opening_at=None, opening_seq=0, movements=(), balance_minor=balance),
        positions=(),
        equity_minor=equity,
        trading_days=(START.date(),),
        costs=Costs(-4_000, -1_000, 0),
        source=source,
    )


def of_sources() -> list[dict[str, Any]]:
    """A floor and a ceiling of one rule, by what the venue states, by a stored bar and by a statement."""
    at = START + timedelta(minutes=1)
    high, low = 1_040_000, 950_000
    state = StateSource(seq=90, at=at, balance_minor=1_000_000, equity_minor=high)
    bar = BarSource(
        minute=START, open_minor=980_000, high_minor=990_000, low_minor=low, close_minor=960_000,
        balance_minor=1_000_000, taken="low",
    )  # fmt: skip
    file = StatementSource(file="report.html", sha256="ab" * 32, stated_equity_minor=low - 1)
    rules, board = fresh(terms().specs), QuoteBoard()
    levels = {spec.key: (spec, where) for spec, where in zip(rules.specs, rules.states, strict=True)}
    made = [
        breach_sheet("prf_state", scene(high, state, "state"), *levels["cap.up"], board, {}, offence=2),
        breach_sheet("prf_bar", scene(low, bar, "bar"), *levels["cap"], board, {}),
        breach_sheet("prf_file", scene(low - 1, file, "deal"), *levels["daily"], board, {}, offence=3),
    ]
    paid = _paid_out(fresh(terms(2).specs))
    moved = {spec.key: (spec, where) for spec, where in zip(paid.specs, paid.states, strict=True)}
    low_state = state.model_copy(update={"equity_minor": 900_000, "balance_minor": 900_000})
    poor = scene(900_000, low_state, "state", phase=2, balance=900_000)
    return [*made, *(breach_sheet(f"prf_{key}", poor, *moved[key], board, {}) for key in ("daily", "trailing"))]


def _paid_out(rules: AccountRules) -> AccountRules:
    """After a rise, a reset and a payout."""
    rules = rules_of.on_rollover(rules, Mark(1_060_000, 1_055_000, 40, START - timedelta(hours=9)))
    return rules_of.on_payout_settled(rules_of.on_payout_hold(rules, 30_000))


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def now(balance: int) -> Marked:
    return Marked(seq=80, at=at(63), balance_minor=balance, equity_minor=balance)


def traded(number: int, hours: float, lots: str, pnl: int, balance: int) -> list[Event]:
    """A position opened at `hours` and closed an hour later."""
    name, size = f"p{number}", Decimal(lots)
    first = Opened(
        seq=number, at=at(hours), balance_minor=balance, position_id=name, symbol="EURUSD", side="buy", lots=size
    )
    last = Closed(
        seq=number + 1, at=at(hours + 1), balance_minor=balance + pnl, position_id=name, symbol="EURUSD", side="buy",
        lots=size, opened_at=at(hours), pnl_minor=pnl,
    )  # fmt: skip
    return [first, last]


def reset(number: int, hours: float, balance: int) -> Rolled:
    return Rolled(seq=number, at=at(hours), balance_minor=balance, equity_minor=balance, day=at(hours).date())


@cache
def history() -> tuple[Event, ...]:
    """Four days: 100, 400, 150 and 150 of profit; too large on the second, not flat by the close on the third."""
    held = Opened(
        seq=34,
        at=at(60),
        balance_minor=1_080_000,
        position_id="late",
        symbol="XAUUSD",
        side="sell",
        lots=Decimal("0.5"),
    )
    gone = Closed(
        seq=36, at=at(62.5), balance_minor=1_080_000, position_id="late", symbol="XAUUSD", side="sell",
        lots=Decimal("0.5"),
    )  # fmt: skip
    return (
        *traded(1, 0, "1", 10_000, 1_000_000),
        reset(9, 14, 1_010_000),
        *traded(10, 24, "2", 20_000, 1_010_000),
        *traded(12, 26, "4", 20_000, 1_030_000),
        reset(19, 38, 1_050_000),
        *traded(20, 48, "3.5", 15_000, 1_050_000),
        Marked(seq=22, at=at(50), balance_minor=1_065_000, equity_minor=1_065_000),
        *traded(24, 51, "1", 15_000, 1_065_000),
        held,
        gone,
        reset(39, 62, 1_080_000),
    )


def of_history() -> list[dict[str, Any]]:
    events = sorted(history(), key=lambda event: event.at)
    deciding = Marked(seq=90, at=at(70), balance_minor=1_080_000, equity_minor=1_080_000)
    part, gates, wanted = pass_history(terms(), events, deciding)
    state = StateSource(seq=90, at=START, balance_minor=1_080_000, equity_minor=1_080_000)
    passed = scene(1_080_000, state, "deal", balance=1_080_000)
    passed = replace(passed, event=EventPart(kind="deal", seq=90, at=at(70)), trading_days=(START.date(),))
    return [
        violation_sheet("prf_lots_1", whose(), "exposure", 1, events),
        violation_sheet("prf_lots_2", whose(), "exposure", 2, events),
        violation_sheet("prf_flat", whose(), "flat", 1, events),
        _later("prf_later", events),
        gate_sheet("prf_days", whose(), "days", now(1_080_000), events),
        gate_sheet("prf_best", whose(), "best_day", now(1_060_000), [*events, *_paid()]),
        gate_sheet("prf_none", whose(), "best_day", now(1_000_000), []),
        gate_sheet("prf_midway", whose(), "days", now(1_080_000), events[2:], midway=True),
        pass_sheet("prf_pass", passed, QuoteBoard(), {}, history=part, gates=gates, effective_minor=wanted),
    ]


def _later(name: str, events: list[Event]) -> dict[str, Any]:
    """The second offence, from the state after the second day on."""
    first, later = [e for e in events if e.at <= at(38)], [e for e in events if e.at > at(38)]
    began = fold(terms().history_rules, terms().context, first).state
    return violation_sheet(
        name, whose(), "exposure", 2, later, began=began, point=PointPart(number=7, hash=f"{7:064x}")
    )


def _paid() -> list[Event]:
    held = PaidOut(seq=40, at=at(62.5), balance_minor=1_060_000, gross_minor=20_000, stage="held")
    return [held, PaidOut(seq=41, at=at(62.6), balance_minor=1_060_000, gross_minor=20_000, stage="settled")]


def refusal(**changes: Any) -> dict[str, Any]:
    facts = PayoutFacts.model_validate(
        {
            "now": at(63), "challenge_state": "funded", "funded_at": START, "last_payout_at": None,
            "balance_minor": 1_040_000, "initial_minor": 1_000_000, "open_positions": 2, "open_payout_id": None,
            "beneficiary_known": False, **changes,
        }
    )  # fmt: skip
    rules = _paid_out(fresh(terms(2).specs))
    return payout_refusal_sheet("prf_pay", whose(2), facts, rules, Money(minor=45_000, currency="USD"))


@cache
def samples() -> tuple[dict[str, Any], ...]:
    return (*from_stories(), *of_sources(), *of_history(), refusal(), refusal(challenge_state="breached"))
