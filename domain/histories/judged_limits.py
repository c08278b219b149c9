"""The limits of a replay: their levels, as far as they are known at each event, and their offences."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime

from domain.clocks import begun_with
from domain.histories import known_floors
from domain.histories.known_floors import Knowledge, KnownRules
from domain.histories.results import DecidingMoment, Level, ProofWriter, ReplayedBreach, Unpriced
from domain.products.phase_terms import PhaseTerms
from domain.rules import limits
from domain.rules.base import Context, EquityRule
from domain.rules.evaluate import LevelBreach, deducted_minor, worths
from domain.rules.events import Event, PaidOut, Rolled
from domain.rules.floors import FloorSpec, Mark, RuleState, breached, room_minor
from domain.rules.limits import LimitOffence, LimitState
from domain.wording import money


@dataclass(frozen=True, slots=True)
class _Seen:
    """A limit at an event that shows it broken. `moment`: with the number that its offence has then."""

    moment: DecidingMoment
    spec: FloorSpec
    state: RuleState
    knowledge: Knowledge
    worth_minor: int


class JudgedLimits:
    """Offences that the events show for certain. `unpriced`: the rules that need prices, by id."""

    def __init__(self, terms: PhaseTerms, context: Context, write_proof: ProofWriter | None) -> None:
        self._context, self._write_proof = context, write_proof
        self._rules: dict[str, EquityRule] = {rule.id: rule for rule in terms.phase.equity_rules}
        self._known: KnownRules = known_floors.begin(terms.specs)
        self._states: dict[str, LimitState] = {}
        self._curing: dict[str, ReplayedBreach] = {}  # what the offence is unless it is cured, by key of the limit
        self._least_room: dict[str, int] = {}
        self._day: date | None = None  # the day that the last reset of the limits began
        self._closing: KnownRules | None = None  # at a reset, the levels from before it
        self.unpriced: dict[str, Unpriced] = {}

    def due(self) -> datetime | None:
        """Returns the next instant at which time alone finds an offence."""
        return min((at for state in self._states.values() if (at := limits.due(state))), default=None)

    def past(self, at: datetime, event: Event) -> list[ReplayedBreach]:
        """Returns the offences that time alone finds at `at`, before `event`. Each has the figures and the proof of the
        event at which its limit was broken; if profit is deducted, of the last event at which it was."""
        found: list[ReplayedBreach] = []
        for rule_id, rule in self._rules.items():
            self._states[rule_id], offences = limits.step(self._state(rule_id), rule, {}, at)
            mine: list[ReplayedBreach] = []
            for offence in offences:
                broken = self._curing.pop(offence.key)
                same = broken.offence == offence.number  # the sheet names the number
                mine.append(
                    replace(
                        broken,
                        at=at,
                        seq=event.seq,
                        event="clocked",
                        offence=offence.number,
                        consequence=offence.consequence,
                        proof=broken.proof if same else None,
                    )
                )
            found += _until_fatal(mine)
        return found

    def move(self, event: Event, mark: Mark) -> None:
        """Moves anchors, peaks and locks; at their reset the limits count anew."""
        if isinstance(event, PaidOut):
            amount = {"held": event.gross_minor, "released": -event.gross_minor}.get(event.stage, 0)
            amount = event.gross_minor if event.leaves else amount
            self._known = known_floors.paid(self._known, amount, settles=event.stage == "settled")
        context = self._context
        reset = isinstance(event, Rolled) and (context.loss_clock is None or event.purpose != "trading_day")
        known = event.equity_minor is not None
        day = (context.loss_clock or context.clock).trading_day(event.at)
        self._closing = self._known if reset else None
        begins = begun_with(self._day, day) if reset else None
        self._known = known_floors.moved(self._known, mark, equity_known=known, begins=begins)
        if reset:
            self._day = day
            for rule_id, rule in self._rules.items():
                state = self._state(rule_id)
                self._states[rule_id], _ = limits.reset(state, rule, event.at, day, limits.period_of(rule))

    def judge(self, event: Event, mark: Mark) -> list[ReplayedBreach]:
        """Compares the account with every level that is known, and returns the offences."""
        seen: dict[str, _Seen] = {}
        compared: dict[str, dict[str, bool]] = {rule_id: {} for rule_id in self._rules}
        for spec, state, knowledge in self._compared():
            if event.equity_minor is None and not known_floors.judged_on_balance(spec):
                self.needs_price(spec.rule_id, event, "positions were open and their floating result is unknown")
                continue
            if spec.per != "account" and mark.positions is None and event.equity_minor != event.balance_minor:
                self.needs_price(spec.rule_id, event, "the result of each open position is unknown")
                continue
            for subject, worth in worths(spec, mark).items():
                broken = breached(spec, state.floor_minor, worth)
                if not (knowledge == "exact" or (knowledge == "at_least" and spec.direction == "floor" and broken)):
                    self.needs_price(spec.rule_id, event, "its level depends on an equity that is unknown")
                    continue
                room = room_minor(spec, state.floor_minor, worth)
                self._least_room[spec.key] = min(room, self._least_room.get(spec.key, room))
                verdict = LevelBreach(spec, state, worth, subject)
                compared[spec.rule_id][verdict.key] = broken
                if broken:
                    number = self._state(spec.rule_id).offences + 1
                    moment = DecidingMoment(event, mark, (), spec.rule_id, number, spec, state, subject=subject)
                    seen[verdict.key] = _Seen(moment, spec, state, knowledge, worth)
        if mark.positions is not None:  # a position that is closed is not broken any more
            for rule_id, limit in self._states.items():
                closed = {key: False for key in limit.curing if "/" in key}
                compared[rule_id] = closed | compared[rule_id]
        return [breach for rule_id in compared for breach in self._step(rule_id, compared[rule_id], seen, event)]

    def _step(
        self, rule_id: str, compared: dict[str, bool], seen: dict[str, _Seen], event: Event
    ) -> Iterable[ReplayedBreach]:
        rule, before = self._rules[rule_id], self._state(rule_id)
        after, offences = limits.step(before, rule, compared, event.at)
        self._states[rule_id] = after
        for key in [key for key in before.curing if key not in after.curing]:
            del self._curing[key]
        number = after.offences + 1
        # what is above a ceiling is deducted as it is when the time of the cure ends: as at the last event before
        refreshed = rule.consequence(number).kind == "deduct_profit"
        for key in [key for key in after.curing if key not in before.curing or (refreshed and key in seen)]:
            self._curing[key] = self._breach(
                LimitOffence(rule_id, key, number, rule.consequence(number), broken=True), seen[key]
            )
        return _until_fatal([self._breach(offence, seen[offence.key]) for offence in offences])

    def _breach(self, offence: LimitOffence, seen: _Seen) -> ReplayedBreach:
        currency, side = self._context.currency, seen.spec.direction
        known = "" if seen.knowledge == "exact" else "at least "
        level = money(seen.state.floor_minor, currency)
        sentence = f"Worth {money(seen.worth_minor, currency)} against a {side} of {known}{level}"
        event, moment = seen.moment.event, replace(seen.moment, offence=offence.number)
        return ReplayedBreach(
            rule_id=offence.rule_id,
            family="equity",
            at=event.at,
            seq=event.seq,
            event=type(event).__name__.lower(),
            offence=offence.number,
            consequence=offence.consequence,
            sentence=f"{sentence} ({seen.spec.operator}).",
            worth_minor=seen.worth_minor,
            level_minor=seen.state.floor_minor,
            level_is=seen.knowledge,
            deducted_minor=deducted_minor(seen.spec, offence.consequence, seen.worth_minor, seen.state.floor_minor),
            proof=self._write_proof(moment) if self._write_proof and seen.knowledge == "exact" else None,
        )

    def _compared(self) -> Iterable[tuple[FloorSpec, RuleState, Knowledge]]:
        """Yields the levels that this event compares: those that are judged at resets as they were before it, and at
        resets only."""
        for number, (spec, state, knowledge) in enumerate(self._specs()):
            if spec.judged_at == "every_event":
                yield spec, state, knowledge
            elif self._closing is not None:
                yield spec, self._closing.rules.states[number], self._closing.knowledge[number]

    def needs_price(self, rule_id: str, event: Event, reason: str) -> None:
        """Notes that rule `rule_id` cannot be judged at `event` without prices."""
        so_far = self.unpriced.get(rule_id) or Unpriced(rule_id, event.at, 0, reason)
        self.unpriced[rule_id] = replace(so_far, moments=so_far.moments + 1)

    def levels(self) -> tuple[Level, ...]:
        """Returns every level, with the smallest known room of the day."""
        return tuple(
            Level(spec.key, state.floor_minor, knowledge, self._least_room.get(spec.key))
            for spec, state, knowledge in self._specs()
        )

    def begin_day(self) -> None:
        self._least_room = {}

    def _state(self, rule_id: str) -> LimitState:
        return self._states.get(rule_id, limits.FRESH)

    def _specs(self) -> Iterable[tuple[FloorSpec, RuleState, Knowledge]]:
        rules = self._known.rules
        return zip(rules.specs, rules.states, self._known.knowledge, strict=True)


def _until_fatal(breaches: list[ReplayedBreach]) -> list[ReplayedBreach]:
    """Returns the offences of one rule at one event up to the first that ends the account: of several symbols or
    positions, it is the first one."""
    fatal = next((number for number, breach in enumerate(breaches, start=1) if breach.fails), None)
    return breaches[:fatal]
