"""A whole history under one phase: what is certain is decided, what needs prices is named, each breach is proven."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.histories.replay import replay
from domain.histories.results import DecidingMoment, Replay
from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.rules.events import Clocked, Closed, Event, Marked, Opened, PaidOut, Rolled
from tests.shelf import shipped

START = datetime(2025, 6, 2, 8, tzinfo=UTC)
TWO_STEP = next(product for product in shipped() if product.product == "two-step")
STATIC = {
    "type": "max_loss_static",
    "allowance": {"type": "pct_of_initial", "value": "10"},
    "breach_when": "equity < floor",
}
DAILY = {"type": "daily_loss", "allowance": {"type": "pct_of_initial", "value": "5"}, "breach_when": "equity < floor"}
TRAILING = {
    "type": "max_loss_trailing",
    "allowance": {"type": "pct_of_initial", "value": "6"},
    "breach_when": "equity <= floor",
}


def product(*rules: dict[str, Any], **phase: Any) -> Product:
    terms = TWO_STEP.model_dump(mode="json")
    terms["phases"][0] |= {"rules": rules, "time_limit_days": None, **phase}
    terms["clock"] = {"zone": "UTC", "reset": "00:00"}
    return Product.model_validate(terms)


class Life:
    """Events of a 100,000 USD account; amounts in dollars."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._at, self._balance = START, Decimal(100_000)

    def _moment(self, hours: float, equity: object) -> dict[str, Any]:
        self._at += timedelta(hours=hours)
        worth = None if equity is None else int(Decimal(str(equity)) * 100)
        minor = int(self._balance * 100)
        return {"seq": len(self.events) + 1, "at": self._at, "balance_minor": minor, "equity_minor": worth}

    def open(self, name: str = "1", *, equity: object = None, hours: float = 1) -> "Life":
        about: dict[str, Any] = {"position_id": name, "symbol": "EURUSD", "side": "buy", "lots": Decimal(1)}
        self.events.append(Opened(**self._moment(hours, equity), **about))
        return self

    def close(self, pnl: int, name: str = "1", *, equity: object = "flat", hours: float = 1) -> "Life":
        self._balance += pnl
        about: dict[str, Any] = {"position_id": name, "symbol": "EURUSD", "side": "buy", "lots": Decimal(1)}
        worth = self._balance if equity == "flat" else equity
        self.events.append(Closed(**self._moment(hours, worth), **about, pnl_minor=pnl * 100))
        return self

    def mark(self, equity: object, hours: float = 1) -> "Life":
        self.events.append(Marked(**self._moment(hours, equity)))
        return self

    def wait(self, hours: float) -> "Life":
        self.events.append(Clocked(**self._moment(hours, self._balance)))
        return self

    def roll(self, equity: object = "flat") -> "Life":
        """The next midnight (UTC)."""
        ends = (self._at + timedelta(days=1)).replace(hour=0)
        hours = (ends - self._at) / timedelta(hours=1)
        worth = self._balance if equity == "flat" else equity
        day = self._at.date()
        self.events.append(Rolled(**self._moment(hours, worth), day=day))
        return self

    def pay(self, amount: int) -> "Life":
        self._balance -= amount
        gross: dict[str, Any] = {"gross_minor": amount * 100, "stage": "settled", "leaves": True}
        self.events.append(PaidOut(**self._moment(1, self._balance), **gross))
        return self


def judged(events: Iterable[Event], *rules: dict[str, Any], **phase: Any) -> Replay:
    terms = phase_terms(product(*rules, **phase), 1)
    return replay(events, terms, terms.product.context(1))


def levels(result: Replay) -> list[tuple[str, str]]:
    return [(str(Decimal(day.levels[0].level_minor) / 100), day.levels[0].level_is) for day in result.days]


def test_floors_by_day_and_the_first_breach() -> None:
    life = Life().open().close(2_000).roll().open().mark(97_001).mark(96_999).close(-5_001)
    result = judged(life.events, {**DAILY, "anchor": "balance"})
    assert levels(result) == [("95000", "exact"), ("97000", "exact")]
    assert result.outcome == "breach"
    breach = result.breaches[0]
    assert (breach.rule_id, breach.seq, breach.worth_minor, breach.level_minor) == (
        "daily_loss",
        6,
        9_699_900,
        9_700_000,
    )
    assert [b.offence for b in result.breaches] == [1], "one offence for one time below"


def test_without_prices_closed_trades_are_judged_exactly() -> None:
    """A loss that is booked is certain; what floated on the way is not."""
    life = Life().open().close(-10_001)
    result = judged(life.events, STATIC)
    assert (result.outcome, result.on_balance) == ("breach", "breach")
    assert result.breaches[0].level_is == "exact"
    assert [(need.rule_id, need.moments) for need in result.unpriced] == [("max_loss", 1)]


def test_without_prices_a_quiet_history_is_undecided() -> None:
    result = judged(Life().open().close(-9_999).events, STATIC)
    assert (result.outcome, result.on_balance) == ("undecided", "in_progress")


def test_nothing_is_undecided_where_every_equity_is_known() -> None:
    result = judged(Life().open(equity=99_990).mark(95_000).close(-5_000).events, STATIC)
    assert (result.outcome, result.unpriced) == ("in_progress", ())


def test_an_anchor_of_unknown_equity_is_known_again_at_the_next_reset() -> None:
    life = Life().open().roll(None).close(-200).roll().wait(1)
    result = judged(life.events, {**DAILY, "anchor": "equity"})
    assert [level_is for _, level_is in levels(result)] == ["exact", "unknown", "exact"]
    assert levels(result)[2][0] == "94800"


def test_the_higher_of_balance_and_unknown_equity_is_at_least_the_balance() -> None:
    life = Life().open().roll(None).close(-5_001)
    result = judged(life.events, {**DAILY, "anchor": "max(balance,equity)"})
    assert levels(result)[-1] == ("95000", "at_least")
    assert result.outcome == "breach", "whatever the equity was, the floor was no lower"
    assert (result.breaches[0].level_is, result.breaches[0].proof) == ("at_least", None)


def test_a_balance_anchor_does_not_care() -> None:
    life = Life().open().roll(None).close(-4_999)
    result = judged(life.events, {**DAILY, "anchor": "balance"})
    assert levels(result)[-1] == ("95000", "exact")


def test_an_unseen_equity_peak_leaves_the_floor_open_until_it_locks() -> None:
    rule = {**TRAILING, "peak_basis": "intraday_equity_peak", "lock": {"offset": "0"}}
    result = judged(Life().open().close(3_000).roll().open().close(4_000).roll().wait(1).events, rule)
    assert [level_is for _, level_is in levels(result)] == ["at_least", "exact", "exact"]
    assert levels(result)[-1][0] == "100000", "locked at the initial balance, whatever the peak was"


def test_a_ceiling_of_an_unknown_anchor_proves_nothing() -> None:
    rule = {**DAILY, "type": "daily_move_cap", "id": "cap", "anchor": "max(balance,equity)", "directions": ["up"]}
    result = judged(Life().open().roll(None).close(6_000).events, STATIC, rule)
    assert not [breach for breach in result.breaches if breach.rule_id == "cap"]
    assert "cap" in [need.rule_id for need in result.unpriced]


def test_the_target_needs_flat_days_and_comes_before_a_later_breach() -> None:
    life = Life().open(equity=100_000).close(8_000).open(equity=108_000, hours=30).close(-20_000)
    result = judged(life.events, STATIC, min_trading_days=1)
    assert (result.outcome, result.passed is not None and result.passed.seq) == ("pass", 2)
    assert result.breaches[0].fails
    later = judged(life.events, STATIC, min_trading_days=2)
    assert later.outcome == "breach"


def test_time_runs_out() -> None:
    life = Life().open(equity=100_000).close(100).wait(24 * 31)
    result = judged(life.events, STATIC, time_limit_days=30)
    assert (result.outcome, result.expired_at) == ("expired", START + timedelta(days=30, hours=1))


def test_a_payout_lowers_a_peak_where_the_product_says_so() -> None:
    rule = {**TRAILING, "peak_basis": "intraday_balance_peak", "peak_falls_by_payout": True}
    result = judged(Life().open(equity=100_000).close(6_000).pay(3_000).wait(1).events, rule)
    assert levels(result) == [("97000", "exact")]


def test_a_cure_forgives_what_comes_back_in_time() -> None:
    rule = {**STATIC, "cure": {"minutes": 90, "times": 1}}
    dip = Life().open(equity=100_000).mark(89_000).mark(91_000)
    assert judged(dip.close(0).events, rule).breaches == ()
    twice = Life().open(equity=100_000).mark(89_000).mark(91_000).mark(89_000).close(-11_000)
    assert [breach.seq for breach in judged(twice.events, rule).breaches] == [4]
    stays = Life().open(equity=100_000).mark(89_000).mark(88_000).mark(88_500, hours=2)
    assert [breach.seq for breach in judged(stays.events, rule).breaches] == [4]


def test_offences_take_their_own_consequences() -> None:
    rule = {**STATIC, "consequences": [{"kind": "warn"}, {"kind": "fail"}]}
    life = Life().open(equity=100_000).mark(89_000).mark(91_000).mark(89_500)
    result = judged(life.events, rule)
    assert [(b.offence, b.consequence.kind) for b in result.breaches] == [(1, "warn")], "once until the next reset"
    result = judged(life.roll(91_000).mark(89_500).events, rule)
    assert [(b.offence, b.consequence.kind) for b in result.breaches] == [(1, "warn"), (2, "fail")]


def test_conduct_and_gates_are_folded_with_the_days() -> None:
    rules = (
        STATIC,
        {"type": "inactivity", "calendar_days": 5, "consequences": [{"kind": "fail"}]},
        {"type": "trading_day_count", "required": 2, "blocks": ["pass"]},
    )
    life = Life().open(equity=100_000).close(9_000).roll().wait(24 * 6)
    result = judged(life.events, *rules, min_trading_days=0)
    assert [(gate.id, status.met) for gate, status in result.gates] == [("trading_days", False)]
    assert result.passed is None, "the gate is in the way"
    assert [(breach.rule_id, breach.family) for breach in result.breaches] == [("inactivity", "conduct")]
    assert result.outcome == "breach"


def test_a_gate_that_counts_open_losses_needs_prices_at_the_reset() -> None:
    gate = {
        "type": "profitable_day_count",
        "required": 1,
        "basis": "closed_pnl_plus_negative_floating",
        "compare": ">=",
        "blocks": ["pass"],
    }
    result = judged(Life().open(equity=100_000).roll(None).close(5, equity=100_005).events, STATIC, gate)
    assert {"profitable_days", "max_loss"} == {need.rule_id for need in result.unpriced}


def test_the_witness_sees_the_deciding_event_only_when_the_level_is_exact() -> None:
    seen: list[DecidingMoment] = []

    def witness(scene: DecidingMoment) -> dict[str, Any]:
        seen.append(scene)
        return {"proof_id": "prf_x"}

    terms = phase_terms(product(STATIC), 1)
    result = replay(Life().open().close(-10_001).events, terms, terms.product.context(1), witness)
    assert [scene.event.seq for scene in seen] == [2]
    assert result.breaches[0].proof == {"proof_id": "prf_x"}
