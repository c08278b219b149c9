"""Judges a whole history: the events of an account under one phase of one product.

The same floors, conduct rules and gates judge live accounts. Equity may be unknown at any event: the replay then
decides only what is certain, and lists the rest (`Replay.unpriced`). Nothing ends the fold: a broken rule is still
judged, and `outcome` is what happened first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from domain.histories.judged_limits import JudgedLimits
from domain.histories.results import (
    Day,
    DecidingMoment,
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
from domain.proofs.points import PointSubject, RecentHistory
from domain.rules import history
from domain.rules.base import ConductRule, Context, EquityRule, Gate, HistoryRule
from domain.rules.events import Clocked, Closed, DayEnded, Event, News, Opened, Rolled
from domain.rules.floors import NO_COSTS, Costs, Mark
from domain.rules.history import HistoryState

# what may have ended the phase: when, at which event, in which order at one and the same event
_Ending = tuple[datetime, int, int, ReplayOutcome]

_NEEDS_FLOATING: Final = ("closed_pnl_plus_negative_floating", "equity_snapshot_to_snapshot", "equity")


def replay(
    events: Iterable[Event], terms: PhaseTerms, context: Context, write_proof: ProofWriter | None = None
) -> Replay:
    """Judges `events`, which are in order of time. `write_proof` is called at the deciding event, while the source
    of the events is still at that event."""
    fold = Fold(terms, context, write_proof)
    for event in events:
        fold.take(event)
    return fold.result()


class Fold:
    """The state of the judgement of one history."""

    def __init__(self, terms: PhaseTerms, context: Context, write_proof: ProofWriter | None) -> None:
        self.terms, self.context, self.write_proof = terms, context, write_proof
        self.history_rules: Sequence[HistoryRule[Any]] = terms.history_rules
        self.limits = JudgedLimits(terms, context, write_proof)
        self.recent = RecentHistory(history=history.start(self.history_rules, context))
        self.subject = PointSubject("", terms)
        self.costs: Costs = NO_COSTS
        self.open: set[str] = set()
        self.places = {rule.id: place for place, rule in enumerate(terms.phase.rules)}
        self.breaches: list[ReplayedBreach] = []
        self.days: list[Day] = []
        self.trading_days: list[date] = []
        self.passed: Passed | None = None
        self.expired_at: datetime | None = None
        self.endings: list[_Ending] = []
        self.taken = 0
        # an offence resets the balance: nobody passes until all is closed and it is the initial one
        self.resetting = False
        self.started_at: datetime | None = None
        self.last: Event | None = None
        self.balance_minor = context.initial_minor
        self.closed_minor = 0
        self.opened_today = 0

    @property
    def history(self) -> HistoryState:
        return self.recent.history

    def take(self, event: Event) -> None:
        if isinstance(event, DayEnded):
            self._history(event)
            return
        if self.started_at is None:
            self.started_at = event.at
        self.last = event
        self.taken += 1
        self._time_alone(event)
        self._money(event)
        before = len(self.breaches)
        self._levels(event)
        self._history(event)
        self._as_listed(before)
        if self.resetting:
            self.resetting = bool(self.open) or event.balance_minor != self.context.initial_minor
        else:
            self._pass(event)

    def pass_time(self, event: Event) -> None:
        """Applies what time alone decides up to `event`, at which nothing happens to the account."""
        self.last = event
        self.taken += 1
        self._time_alone(event)

    def _time_alone(self, event: Event) -> None:
        """Applies what time alone decides before `event`."""
        tried: datetime | None = None
        while True:
            of_history = history.due(self.history, self.history_rules, self.context)
            instants = [of_history if of_history != tried else None, self.limits.due()]
            due = min((at for at in instants if at is not None and at <= event.at), default=None)
            if due is None:
                break
            tried, before = due, len(self.breaches)
            for breach in self.limits.past(due, event):
                self._broken(breach)
            equity = self.balance_minor if not self.open else None
            self._history(Clocked(seq=event.seq, at=due, balance_minor=self.balance_minor, equity_minor=equity))
            self._as_listed(before)
        deadline = phase_deadline(self.started_at or event.at, self.terms.phase.time_limit_days, ())
        if deadline is not None and event.at > deadline and self.expired_at is None:
            self.expired_at = deadline
            self.endings.append((deadline, self.taken, 2, "expired"))

    def _money(self, event: Event) -> None:
        self.balance_minor = event.balance_minor
        if isinstance(event, Opened):
            self.open.add(event.position_id)
            self.costs = replace(
                self.costs,
                commission_minor=self.costs.commission_minor + event.commission_minor,
                fee_minor=self.costs.fee_minor + event.fee_minor,
            )
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
                fee_minor=self.costs.fee_minor + event.fee_minor,
            )
            if event.lots_left <= 0:
                self.open.discard(event.position_id)

    def _mark(self, event: Event) -> Mark:
        worth = event.balance_minor if event.equity_minor is None else event.equity_minor
        return Mark(event.balance_minor, worth, event.seq, event.at, self.costs, event.positions)

    def _levels(self, event: Event) -> None:
        """Moves and judges the limits; at a reset the ended day is recorded first."""
        if isinstance(event, News):
            return
        if isinstance(event, Rolled) and event.purpose != "loss_snapshot":
            self._end_day(event)
        mark = self._mark(event)
        self.limits.move(event, mark)
        for breach in self.limits.judge(event, mark):
            self._broken(breach)

    def _end_day(self, event: Rolled) -> None:
        day = event.day or self.context.clock.trading_day(event.at - timedelta(microseconds=1))
        self.days.append(self._day(day, event.at, event))
        self.limits.begin_day()
        self.closed_minor, self.opened_today = 0, 0

    def _day(self, day: date, ended_at: datetime | None, last: Event) -> Day:
        equity, closed, opened = last.equity_minor, self.closed_minor, self.opened_today
        return Day(day, ended_at, last.balance_minor, equity, closed, opened, self.limits.levels())

    def _broken(self, breach: ReplayedBreach) -> None:
        self.breaches.append(breach)
        if breach.consequence.kind == "reset_balance":
            self.resetting = True
        if breach.fails:
            self.endings.append((breach.at, self.taken, 0, "breach"))

    def _as_listed(self, since: int) -> None:
        """Puts the offences of one event, from number `since` on, in the order of the product's rules: of several that
        end the phase, the first is the cause."""
        self.breaches[since:] = sorted(self.breaches[since:], key=lambda breach: self.places[breach.rule_id])

    def _history(self, event: Event) -> None:
        """Steps conduct rules and gates. At a reset without equity, rules that count floating results are undecided."""
        after, violations = history.step(self.history, event, self.history_rules, self.context)
        if self.write_proof is None:
            self.recent.history = after
        elif after is not self.history or violations:
            # no rule of conduct and no gate looks at the results of positions
            self.recent.take(replace(event, positions=None), after, self.subject)
        for violation in violations:
            self._broken(
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
                    proof=self._proof(event, rule_id=violation.rule_id, offence=violation.offence),
                )
            )
        if event.equity_minor is None and isinstance(event, Rolled | Opened):
            for rule in self.history_rules:
                if _needs_floating(rule):
                    self.limits.needs_price(rule.id, event, "it counts the floating result of open positions")

    def _proof(self, event: Event, **subject: Any) -> dict[str, Any] | None:
        if self.write_proof is None:
            return None
        recent = self.recent
        moment = DecidingMoment(
            event, self._mark(event), tuple(recent.events), began=recent.began, point=recent.point, **subject
        )
        return self.write_proof(moment)

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
        proof = self._proof(event, trading_days=tuple(self.trading_days))
        self.passed = Passed(event.at, event.seq, event.balance_minor, required, proof)
        self.endings.append((event.at, self.taken, 1, "pass"))

    def result(self) -> Replay:
        rules, context, target = self.history_rules, self.context, self.terms.target_minor
        now = self.last  # the running day counts as on a live account
        wanted = None if target is None else history.effective_target(self.history, rules, context, target, now)
        unpriced = tuple(self.limits.unpriced.values())
        running = [self._day(context.clock.trading_day(self.last.at), None, self.last)] if self.last else []
        first = min(self.endings, default=None)
        on_balance: ReplayOutcome = first[3] if first else "in_progress"
        ended_at = first[0] if first else None
        doubts = [need for need in unpriced if self._can_change(need) and (ended_at is None or need.since < ended_at)]
        return Replay(
            outcome="undecided" if doubts and on_balance != "breach" else on_balance,
            on_balance=on_balance,
            breaches=tuple(self.breaches),
            passed=self.passed,
            expired_at=self.expired_at,
            days=(*self.days, *running),
            trading_days=tuple(self.trading_days),
            gates=tuple(history.gates(self.history, rules, context, now)),
            unpriced=unpriced,
            balance_minor=self.balance_minor,
            target_minor=wanted,
            deducted_minor=history.deducted_minor(self.history, rules, context, now)
            + sum(breach.deducted_minor for breach in self.breaches),
        )

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
