"""Judges a whole history: the events of an account under one phase of one product.

The same floors, conduct rules and gates judge live accounts. Equity may be unknown at any event: the replay then
decides only what is certain, and lists the rest (`Replay.unpriced`). Nothing ends the fold: a broken rule is still
judged, and `outcome` is what happened first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from domain.histories import known_floors
from domain.histories.known_floors import Knowledge, KnownRules
from domain.histories.results import (
    Day,
    DecidingMoment,
    Level,
    Passed,
    ProofWriter,
    Replay,
    ReplayedBreach,
    ReplayOutcome,
    Unpriced,
)
from domain.lifecycle import phase_deadline
from domain.products.phase_terms import PhaseTerms
from domain.products.target import target_reached
from domain.rules import history
from domain.rules.base import ConductRule, Context, EquityRule, Gate, HistoryRule
from domain.rules.events import Clocked, Closed, DayEnded, Event, News, Opened, PaidOut, Rolled
from domain.rules.floors import NO_COSTS, Costs, FloorSpec, Mark, RuleState, breached, room_minor
from domain.rules.history import HistoryState
from domain.wording import money

_NEEDS_FLOATING: Final = ("closed_pnl_plus_negative_floating", "equity_snapshot_to_snapshot", "equity")


def replay(
    events: Iterable[Event], terms: PhaseTerms, context: Context, write_proof: ProofWriter | None = None
) -> Replay:
    """Judges `events`, which are in order of time. `write_proof` is called at the deciding event, while the source
    of the events is still at that event."""
    fold = _Fold(terms, context, write_proof)
    for event in events:
        fold.take(event)
    return fold.result()


class _Fold:
    """The state of the judgement of one history."""

    def __init__(self, terms: PhaseTerms, context: Context, write_proof: ProofWriter | None) -> None:
        self.terms, self.context, self.write_proof = terms, context, write_proof
        self.history_rules: Sequence[HistoryRule[Any]] = terms.history_rules
        self.equity_rules: dict[str, EquityRule] = {rule.id: rule for rule in terms.phase.equity_rules}
        self.known: KnownRules = known_floors.begin(terms.specs)
        self.moved: list[Event] = []
        self.history: HistoryState = history.start(self.history_rules, context)
        self.costs: Costs = NO_COSTS
        self.open: set[str] = set()
        self.breaches: list[ReplayedBreach] = []
        self.broken_since: dict[str, datetime] = {}
        self.counted_as_offence: set[str] = set()
        self.cured: dict[str, int] = {}
        self.days: list[Day] = []
        self.trading_days: list[date] = []
        self.least_room: dict[str, int] = {}
        self.unpriced: dict[str, Unpriced] = {}
        self.passed: Passed | None = None
        self.expired_at: datetime | None = None
        self.started_at: datetime | None = None
        self.last: Event | None = None
        self.balance_minor = context.initial_minor
        self.closed_minor = 0
        self.opened_today = 0

    def take(self, event: Event) -> None:
        if isinstance(event, DayEnded):
            self._history(event)
            return
        if self.started_at is None:
            self.started_at = event.at
        self.last = event
        self._time_alone(event)
        self._money(event)
        self._levels(event)
        self._judge(event)
        self._history(event)
        self._pass(event)

    def _time_alone(self, event: Event) -> None:
        """Applies what time alone decides before `event`."""
        last = None
        while (due := history.due(self.history, self.history_rules, self.context)) is not None and due <= event.at:
            if due == last:
                break
            last = due
            equity = self.balance_minor if not self.open else None
            self._history(Clocked(seq=event.seq, at=due, balance_minor=self.balance_minor, equity_minor=equity))
        deadline = phase_deadline(self.started_at or event.at, self.terms.phase.time_limit_days, ())
        if deadline is not None and event.at > deadline and self.expired_at is None:
            self.expired_at = deadline

    def _money(self, event: Event) -> None:
        self.balance_minor = event.balance_minor
        if isinstance(event, Opened):
            self.open.add(event.position_id)
            self.costs = replace(self.costs, commission_minor=self.costs.commission_minor + event.commission_minor)
            if not event.adds:
                self.opened_today += 1
                day = self.context.clock.trading_day(event.at)
                if day not in self.trading_days[-1:]:
                    self.trading_days.append(day)
        elif isinstance(event, Closed):
            self.closed_minor += event.pnl_minor
            self.costs = replace(
                self.costs,
                commission_minor=self.costs.commission_minor + event.commission_minor,
                swap_minor=self.costs.swap_minor + event.swap_minor,
            )
            if event.lots_left <= 0:
                self.open.discard(event.position_id)

    def _mark(self, event: Event) -> Mark:
        worth = event.balance_minor if event.equity_minor is None else event.equity_minor
        return Mark(event.balance_minor, worth, event.seq, event.at, self.costs)

    def _levels(self, event: Event) -> None:
        """Moves anchors, peaks and locks; at a reset the ended day is recorded first."""
        if isinstance(event, News):
            return
        if isinstance(event, PaidOut):
            amount = {"held": event.gross_minor, "released": -event.gross_minor}.get(event.stage, 0)
            amount = event.gross_minor if event.leaves else amount
            self.known = known_floors.paid(self.known, amount, settles=event.stage == "settled")
        if isinstance(event, Rolled) and event.purpose != "loss_snapshot":
            self._end_day(event)
        reset = isinstance(event, Rolled) and (self.context.loss_clock is None or event.purpose != "trading_day")
        known = event.equity_minor is not None
        self.known = known_floors.moved(self.known, self._mark(event), equity_known=known, reset=reset)

    def _end_day(self, event: Rolled) -> None:
        day = event.day or self.context.clock.trading_day(event.at - timedelta(microseconds=1))
        self.days.append(self._day(day, event.at, event))
        self.least_room, self.closed_minor, self.opened_today = {}, 0, 0

    def _day(self, day: date, ended_at: datetime | None, last: Event) -> Day:
        levels = tuple(
            Level(spec.key, state.floor_minor, knowledge, self.least_room.get(spec.key))
            for spec, state, knowledge in self._specs()
        )
        equity, closed, opened = last.equity_minor, self.closed_minor, self.opened_today
        return Day(day, ended_at, last.balance_minor, equity, closed, opened, levels)

    def _specs(self) -> Iterable[tuple[FloorSpec, RuleState, Knowledge]]:
        rules = self.known.rules
        return zip(rules.specs, rules.states, self.known.knowledge, strict=True)

    def _judge(self, event: Event) -> None:
        if isinstance(event, News):
            return
        mark = self._mark(event)
        for spec, state, knowledge in self._specs():
            if event.equity_minor is None and not known_floors.judged_on_balance(spec):
                self._needs_price(spec.rule_id, event, "positions were open and their floating result is unknown")
                continue
            worth = spec.counted(mark).equity_minor
            broken = breached(spec, state.floor_minor, worth)
            certain = knowledge == "exact" or (knowledge == "at_least" and spec.direction == "floor" and broken)
            if not certain:
                self._needs_price(spec.rule_id, event, "its level depends on an equity that is unknown")
                continue
            room = room_minor(spec, state.floor_minor, worth)
            self.least_room[spec.key] = min(room, self.least_room.get(spec.key, room))
            self._beyond(event, mark, spec, state, knowledge, worth) if broken else self._within(spec, event.at)

    def _needs_price(self, rule_id: str, event: Event, reason: str) -> None:
        so_far = self.unpriced.get(rule_id) or Unpriced(rule_id, event.at, 0, reason)
        self.unpriced[rule_id] = replace(so_far, moments=so_far.moments + 1)

    def _within(self, spec: FloorSpec, at: datetime) -> None:
        """Handles an account within the limit: an excess that ended in time was cured."""
        since = self.broken_since.pop(spec.key, None)
        if since is not None and spec.key not in self.counted_as_offence:
            self.cured[spec.rule_id] = self.cured.get(spec.rule_id, 0) + 1
        self.counted_as_offence.discard(spec.key)

    def _beyond(
        self, event: Event, mark: Mark, spec: FloorSpec, state: RuleState, knowledge: Knowledge, worth: int
    ) -> None:
        """Handles an account beyond the limit: one offence for each excess, after the minutes of the cure if there
        is one."""
        since = self.broken_since.setdefault(spec.key, event.at)
        rule = self.equity_rules[spec.rule_id]
        cure = rule.cure
        if spec.key in self.counted_as_offence:
            return
        if cure and self.cured.get(rule.id, 0) < cure.times and event.at <= since + timedelta(minutes=cure.minutes):
            return
        self.counted_as_offence.add(spec.key)
        offence = 1 + sum(1 for breach in self.breaches if breach.rule_id == rule.id)
        currency, side = self.context.currency, "floor" if spec.direction == "floor" else "ceiling"
        level = money(state.floor_minor, currency)
        known = "" if knowledge == "exact" else "at least "
        sentence = f"Worth {money(worth, currency)} against a {side} of {known}{level} ({spec.operator})."
        moment = DecidingMoment(event, mark, (), rule.id, offence, spec, state)
        proof = self.write_proof(moment) if self.write_proof and knowledge == "exact" else None
        self.breaches.append(
            ReplayedBreach(
                rule_id=rule.id,
                family="equity",
                at=event.at,
                seq=event.seq,
                event=type(event).__name__.lower(),
                offence=offence,
                consequence=rule.consequence(offence),
                sentence=sentence,
                worth_minor=worth,
                level_minor=state.floor_minor,
                level_is=knowledge,
                proof=proof,
            )
        )

    def _history(self, event: Event) -> None:
        """Steps conduct rules and gates. At a reset without equity, rules that count floating results are undecided."""
        after, violations = history.step(self.history, event, self.history_rules, self.context)
        if after is not self.history or violations:
            self.moved.append(event)
        self.history = after
        for violation in violations:
            name, offence = violation.rule_id, violation.offence
            moment = DecidingMoment(event, self._mark(event), tuple(self.moved), name, offence)
            self.breaches.append(
                ReplayedBreach(
                    rule_id=violation.rule_id,
                    family="conduct",
                    at=event.at,
                    seq=event.seq,
                    event=type(event).__name__.lower(),
                    offence=violation.offence,
                    consequence=violation.consequence,
                    sentence=violation.sentence,
                    figures=dict(violation.figures),
                    position_ids=violation.position_ids,
                    proof=self.write_proof(moment) if self.write_proof else None,
                )
            )
        if event.equity_minor is None and isinstance(event, Rolled | Opened):
            for rule in self.history_rules:
                if _needs_floating(rule):
                    self._needs_price(rule.id, event, "it counts the floating result of open positions")

    def _pass(self, event: Event) -> None:
        """Checks for a pass: closed balance at the target, no open position, enough trading days, all gates met."""
        if self.terms.target_minor is None or self.passed is not None:
            return
        if not target_reached(self.terms, event, len(self.open), len(self.trading_days), self.history):
            return
        rules, context = self.history_rules, self.context
        required = context.initial_minor + history.effective_target(
            self.history, rules, context, self.terms.target_minor, event
        )
        moment = DecidingMoment(event, self._mark(event), tuple(self.moved), trading_days=tuple(self.trading_days))
        proof = self.write_proof(moment) if self.write_proof else None
        self.passed = Passed(event.at, event.seq, event.balance_minor, required, proof)

    def result(self) -> Replay:
        rules, context, target = self.history_rules, self.context, self.terms.target_minor
        unpriced = tuple(self.unpriced.values())
        running = [self._day(context.clock.trading_day(self.last.at), None, self.last)] if self.last else []
        on_balance, ended_at = self._first()
        doubts = [need for need in unpriced if self._can_change(need) and (ended_at is None or need.since < ended_at)]
        return Replay(
            outcome="undecided" if doubts and on_balance != "breach" else on_balance,
            on_balance=on_balance,
            breaches=tuple(self.breaches),
            passed=self.passed,
            expired_at=self.expired_at,
            days=(*self.days, *running),
            trading_days=tuple(self.trading_days),
            gates=tuple(history.gates(self.history, rules, context)),
            unpriced=unpriced,
            balance_minor=self.balance_minor,
            target_minor=None if target is None else history.effective_target(self.history, rules, context, target),
            deducted_minor=history.deducted_minor(self.history, rules, context),
        )

    def _first(self) -> tuple[ReplayOutcome, datetime | None]:
        """Returns what certainly happened first, and when."""
        fatal = next((breach for breach in self.breaches if breach.fails), None)
        ends: list[tuple[datetime, int, ReplayOutcome]] = []
        if fatal is not None:
            ends.append((fatal.at, 0, "breach"))
        if self.passed is not None:
            ends.append((self.passed.at, 1, "pass"))
        if self.expired_at is not None:
            ends.append((self.expired_at, 2, "expired"))
        if not ends:
            return "in_progress", None
        at, _, outcome = min(ends)
        return outcome, at

    def _can_change(self, need: Unpriced) -> bool:
        """Whether the rule may end the phase or prevent a pass."""
        rule = next(rule for rule in self.terms.phase.rules if rule.id == need.rule_id)
        if isinstance(rule, Gate):
            return "pass" in rule.blocks
        if isinstance(rule, EquityRule | ConductRule):
            return any(consequence.kind == "fail" for consequence in rule.consequences)
        return False


def _needs_floating(rule: HistoryRule[Any]) -> bool:
    return any(getattr(rule, name, None) in _NEEDS_FLOATING for name in ("basis", "attribution"))
