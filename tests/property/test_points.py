"""A history of which only the last events are kept finds the same offences as the whole one, with the same figures."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.products.phase_terms import PhaseTerms
from domain.proofs.check import check
from domain.proofs.history import ProofSubject, fold, gate_sheet, violation_sheet
from domain.proofs.points import MOST, PointSubject, RecentHistory
from domain.rules import history
from domain.rules.base import Gate
from domain.rules.events import Closed, Event, Marked, Opened, PaidOut, Rolled
from tests.unit.conduct_venue import Venue

WARN = [{"kind": "warn"}]
RULES: tuple[dict[str, Any], ...] = (
    {"type": "max_exposure", "limit": "3", "consequences": WARN},
    {"type": "max_trades_per_day", "limit": 4, "consequences": [{"kind": "deduct_profit"}]},
    {"type": "no_hedging", "consequences": WARN},
    {"type": "cooldown", "minutes": 5, "consequences": WARN},
    {"type": "lot_size_band", "reference": "first_trade", "max_multiple": "1.5", "consequences": WARN},
    {"type": "flat_by", "time": "17:00", "zone": "UTC", "consequences": WARN},
    {"type": "inactivity", "calendar_days": 2, "consequences": WARN},
    {"type": "best_day_ratio", "limit_pct": "60", "compare": "<=", "denominator": "total_profit",
     "effect": "continue_trading", "blocks": ["pass"]},
    {"type": "profitable_day_count", "required": 3, "compare": ">=", "basis": "closed_pnl", "blocks": ["pass"]},
    {"type": "trading_day_count", "required": 20, "blocks": ["pass"]},
)  # fmt: skip


def events_of(random: Random, length: int) -> list[Event]:
    found: list[Event] = []
    at, balance, held = datetime(2014, 5, 5, 8, tzinfo=UTC), 10_000_000, dict[str, Opened]()
    for seq in range(1, length + 1):
        moment: dict[str, Any] = {"seq": seq, "at": at, "balance_minor": balance, "equity_minor": balance}
        kind = random.random()
        if kind < 0.45 or not held:
            opened = Opened(
                **moment,
                position_id=f"p{seq}",
                symbol=random.choice(["EURUSD", "XAUUSD"]),
                side=random.choice(["buy", "sell"]),
                lots=Decimal(random.choice(["0.5", "1", "2"])),
                price=Decimal("1.1"),
            )
            held[opened.position_id] = opened
            found.append(opened)
        elif kind < 0.9:
            first = held.pop(random.choice(list(held)))
            made = random.randrange(-50_000, 60_000)
            balance += made
            moment |= {"balance_minor": balance, "equity_minor": balance}
            found.append(
                Closed(
                    **moment, position_id=first.position_id, symbol=first.symbol, side=first.side, lots=first.lots,
                    opened_at=first.at, pnl_minor=made,
                )
            )  # fmt: skip
        elif kind < 0.93:
            found.append(PaidOut(**moment, gross_minor=1_000, stage=random.choice(["held", "released", "settled"])))
        elif kind < 0.96:
            found.append(Marked(**moment))
        else:
            at = datetime(at.year, at.month, at.day, tzinfo=UTC) + timedelta(days=random.choice([1, 1, 3]))
            moment |= {"at": at}
            found.append(Rolled(**moment, day=(at - timedelta(days=1)).date()))
        at += timedelta(minutes=random.choice([1, 3, 20, 200]))
    return found


def terms_of(random: Random) -> PhaseTerms:
    return Venue(*random.sample(RULES, random.randint(1, 5)), target="90000").terms


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), length=st.integers(50, 400))
def test_what_is_dropped_changes_no_verdict(seed: int, length: int) -> None:
    random = Random(seed)
    terms = terms_of(random)
    rules, context, events = terms.history_rules, terms.context, events_of(random, length)
    recent, of, subject = RecentHistory.fresh(terms), PointSubject("acc_1", terms), ProofSubject("acc", "chl", 1, terms)
    found = []
    for number, event in enumerate(events, start=1):
        after, violations = history.step(recent.history, event, rules, context)
        if after is not recent.history or violations:
            recent.take(event, after, of)
        if random.random() < 0.02:  # a restart
            recent = RecentHistory.model_validate_json(recent.model_dump_json())
        assert len(recent.events) <= MOST
        found += [(event, violation) for violation in violations]
        for violation in violations if random.random() < 0.2 else ():
            rule, offence = violation.rule_id, violation.offence
            short = violation_sheet(
                "prf_1", subject, rule, offence, recent.events, began=recent.began, point=recent.point
            )
            whole = violation_sheet("prf_1", subject, rule, offence, events[:number])
            assert check(short) == []
            for name in ("event", "offence", "consequence", "figures", "position_ids", "verdict"):
                assert short[name] == whole[name]
    assert found == fold(rules, context, events).found
    for gate in (rule for rule in rules if isinstance(rule, Gate)):
        last = events[-1]
        now = Marked(seq=last.seq, at=last.at, balance_minor=last.balance_minor, equity_minor=last.equity_minor)
        short = gate_sheet("prf_1", subject, gate.id, now, recent.events, began=recent.began, point=recent.point)
        whole = gate_sheet("prf_1", subject, gate.id, now, events)
        assert check(short) == []
        for name in ("met", "outcome", "figures", "raised_target_minor", "deducted_minor", "verdict"):
            assert short[name] == whole[name]
