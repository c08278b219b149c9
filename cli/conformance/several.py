"""Cases with several rules: each is judged alone over all events; together they say how the account ends.

The account ends with the first offence that fails it, or at its profit target. What the gates of the list say at an
event is what they say in a case that ends with that event.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from cli.conformance import binding
from cli.conformance.case import GATES, Case, EngineResult, RawEvent, Unsupported, Value
from cli.conformance.phases import by_phase, phases_of
from cli.conformance.translator import Translator
from domain.money import to_minor
from domain.quoting import quoted

Build = Callable[[Case], EngineResult]

TARGET: Final = "profit_target"
_PAYOUTS: Final = ("payout_eligibility", "payout_amount", "fee_refund")
_MET: Final = ("met", "satisfied", "computed")
# a window of a gate may begin at these
_WINDOW_BEGINS: Final = ("payout", "payout_request", "payout_approved", "phase_start")


@dataclass(frozen=True, slots=True)
class Offence:
    rule_id: str
    at_event: int
    consequence: str


@dataclass(slots=True)
class _Rules:
    """The rules of a case: their cases of their own, and what was already judged."""

    case: Case
    kinds: Mapping[str, Build]
    alone: dict[str, Case] = field(default_factory=dict)
    seen: dict[tuple[str, int], EngineResult] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for rule_id, rule in self.case.rules.items():
            own = {name: value for name, value in rule.items() if name != "id"}
            if own["kind"] != TARGET and own["kind"] not in self.kinds:
                raise Unsupported(f"kind {quoted(own['kind'])}", "kind")
            self.alone[rule_id] = replace(
                self.case,
                kind=own["kind"],
                rule=_with_target(own, self.case),
                rules={},
                expected=self.case.expected.get("rules", {}).get(rule_id, {}),
            )

    def of_kind(self, *kinds: str) -> list[str]:
        return [rule_id for rule_id, own in self.alone.items() if own.kind in kinds]

    def judged(self, rule_id: str, events: int | None = None) -> EngineResult:
        """Returns the result of a rule after the first `events` events; None: after all."""
        own = self.alone[rule_id]
        count = len(own.events) if events is None else events
        if (rule_id, count) not in self.seen:
            self.seen[rule_id, count] = by_phase(replace(own, events=own.events[:count]), self.kinds[own.kind])
        return self.seen[rule_id, count]

    def blocking(self, what: str, at_event: int) -> bool:
        """Whether a gate that holds back `what` (pass, payout) is not met after this event."""
        held = (gate for gate in self.of_kind(*GATES) if what in self.blocks(gate))
        return any(not _is_met(self.judged(gate, at_event + 1)) for gate in held)

    def blocks(self, gate: str) -> list[str]:
        given: list[str] = self.alone[gate].rule.get("blocks", ["payout"])
        return given

    def left_out(self, rule_id: str, at_event: int) -> int:
        """Returns all profit (minor units) that a rule ever left out: in this window, and in those before it."""
        result = self.judged(rule_id, at_event + 1)
        if len(result.left_out) > at_event:
            return to_minor(result.left_out[at_event], self.case.currency)
        if "deducted" not in result.amounts:
            return 0
        banked, before = Decimal(0), Decimal(0)
        for event in self.case.events[: at_event + 1]:
            deducted = _deducted(self.judged(rule_id, event.index + 1))
            if event.kind == "phase_start":
                banked = Decimal(0)
            elif event.kind in _WINDOW_BEGINS and deducted < before:
                banked += before - deducted
            before = deducted
        counts_later = self.alone[rule_id].rule.get("counts_later", False)
        return to_minor(before if counts_later else banked + before, self.case.currency)

    def all_left_out(self, at_event: int) -> int:
        return sum(self.left_out(rule_id, at_event) for rule_id in self.alone if self._may_leave_out(rule_id))

    def _may_leave_out(self, rule_id: str) -> bool:
        if self.alone[rule_id].kind in (TARGET, *_PAYOUTS):
            return False
        whole = self.judged(rule_id)
        return bool(whole.left_out) or "deducted" in whole.amounts

    def lets_pass(self, profit_minor: int, target_minor: int, at_event: int) -> bool:
        """Whether the gates let a profit pass: it reaches the target as they raise it, with what does not count."""
        if self.blocking("pass", at_event):
            return False
        return profit_minor >= self._raised(target_minor, at_event) + self.all_left_out(at_event)

    def _raised(self, target_minor: int, at_event: int) -> int:
        raised = (self.judged(gate, at_event + 1).amounts.get("new_target") for gate in self.of_kind(*GATES))
        return max([target_minor, *(to_minor(t, self.case.currency) for t in raised if isinstance(t, Decimal))])


def _with_target(rule: dict[str, Any], case: Case) -> dict[str, Any]:
    """Returns the rule; a best day ratio without a target of its own has that of the list."""
    target = next((one.get("target") for one in case.rules.values() if one.get("kind") == TARGET), None)
    if rule["kind"] != "best_day_ratio" or TARGET in rule or target is None:
        return rule
    return {**rule, TARGET: target}


def _is_met(result: EngineResult) -> bool:
    return result.met[-1] if result.met else result.outcome in _MET


def _deducted(result: EngineResult) -> Decimal:
    amount = result.amounts.get("deducted")
    return amount if isinstance(amount, Decimal) else Decimal(0)


def judge_rules(case: Case, kinds: Mapping[str, Build]) -> EngineResult:
    """Returns how the account ends, with the own result of each rule."""
    rules = _Rules(case, kinds)
    _tell_payouts(rules)
    results = {rule_id: rules.judged(rule_id) for rule_id, own in rules.alone.items() if own.kind != TARGET}
    offences = [each for rule_id, own in results.items() for each in _offences(rule_id, rules.alone[rule_id], own)]
    offences.sort(key=lambda offence: offence.at_event)
    result = EngineResult(outcome="pass", rules=results)
    result.steps = list(_money(case, offences))
    result.amounts = result.steps[-1] if result.steps else {}
    fatal = next((offence for offence in offences if offence.consequence == "fail"), None)
    reached = _targets(rules, result)
    if fatal is not None and (reached is None or fatal.at_event <= reached.at_event):
        own = results[fatal.rule_id]
        result.outcome, result.rule, result.at_event = "breach", fatal.rule_id, fatal.at_event
        result.severity, result.floor = own.severity, own.floor
    elif reached is not None:
        result.outcome, result.rule, result.at_event = "target_reached", reached.rule_id, reached.at_event
    result.offences = [
        {"rule": offence.rule_id, "at_event": offence.at_event}
        for offence in offences
        if offence is not fatal and (result.at_event is None or offence.at_event <= result.at_event)
    ]
    return result


def _tell_payouts(rules: _Rules) -> None:
    """Tells the payout rules what the others say: which gates hold a payout back, and what is left out."""
    for rule_id in rules.of_kind(*_PAYOUTS):
        own = rules.alone[rule_id]
        rules.alone[rule_id] = replace(own, events=tuple(_told(rules, event) for event in own.events))


def _told(rules: _Rules, event: RawEvent) -> RawEvent:
    return replace(
        event, held_back=rules.blocking("payout", event.index), left_out_minor=rules.all_left_out(event.index)
    )


def _offences(rule_id: str, case: Case, result: EngineResult) -> Iterator[Offence]:
    """Yields the offences of one rule, each with its consequence."""
    counted = any("violations" in step for step in result.steps)
    if not counted and result.outcome == "breach" and result.at_event is not None:
        yield Offence(rule_id, result.at_event, _consequence(case, 1))
        return
    before = 0
    for event, step in zip(case.events, result.steps, strict=False):
        before = 0 if event.kind == "phase_start" else before
        count = step.get("violations", before)
        if isinstance(count, int):
            yield from (Offence(rule_id, event.index, _consequence(case, n)) for n in range(before + 1, count + 1))
            before = count


def _consequence(case: Case, offence: int) -> str:
    """Returns the kind of the consequence of offence number `offence` (from 1); the last one repeats."""
    given = case.rule.get("consequences") or [{"kind": "fail"}]
    return str(given[min(offence, len(given)) - 1]["kind"])


def _money(case: Case, offences: list[Offence]) -> Iterator[dict[str, Value]]:
    """Yields balance and equity after each event. An offence may set both back to the initial balance."""
    resets = {offence.at_event for offence in offences if offence.consequence == "reset_balance"}
    for phase, known_ahead in phases_of(case):
        translator = Translator(phase)
        for raw in phase.events[known_ahead:]:
            translator.event(raw)
            if raw.index in resets:
                translator.balance = translator.equity = phase.initial_minor
            yield {"balance": case.major(translator.balance), "equity": case.major(translator.equity)}


def _targets(rules: _Rules, result: EngineResult) -> Offence | None:
    """Judges the profit targets of the list. Returns the first that is reached, with its event."""
    found = list[Offence]()
    for rule_id in rules.of_kind(TARGET):
        at_event, own = _reached(rules, rules.alone[rule_id], result)
        result.rules[rule_id] = own
        if at_event is not None:
            found.append(Offence(rule_id, at_event, "pass"))
    return min(found, key=lambda one: one.at_event, default=None)


def _reached(rules: _Rules, case: Case, result: EngineResult) -> tuple[int | None, EngineResult]:
    """Returns the first event at which a profit target is reached; None: it is not. And the result of its own."""
    given = case.params("target", "min_trading_days", "phases", "account_types", "day")
    if "target" not in given:
        raise Unsupported("profit_target: target is missing", "target")
    clock, needed, own = case.clock(given.get("day")), int(given.get("min_trading_days", 0)), EngineResult("pass")
    for phase, known_ahead in phases_of(case):
        target, progress = phase.money_of(given["target"]), _Progress(Translator(phase, clock))
        for raw in phase.events[known_ahead:]:
            progress.take(raw)
            balance = result.steps[raw.index]["balance"]
            assert isinstance(balance, Decimal)
            days = progress.trading_days
            own.amounts = {"balance": balance, "target": case.major(target), "trading_days": days}
            own.steps.append(own.amounts)
            profit = to_minor(balance, case.currency) - phase.initial_minor
            ready = binding.binds(phase) and profit >= target and not progress.open and days >= needed
            if own.at_event is None and ready and rules.lets_pass(profit, target, raw.index):
                own.outcome, own.at_event = "target_reached", raw.index
    return own.at_event, own


@dataclass(slots=True)
class _Progress:
    """What a pass depends on besides the money: open positions and trading days."""

    translator: Translator
    open: int = 0
    days: set[date] = field(default_factory=set)
    stated: int | None = None

    def take(self, raw: RawEvent) -> None:
        new = raw.kind == "day_result" or (raw.kind == "trade_open" and str(raw.data.get("id")) not in self._held)
        day = raw.day(self.translator.clock)
        if new and day is not None:
            self.days.add(day)
        self.stated = raw.data.get("trading_days", self.stated)
        self.translator.event(raw)
        listed = raw.data.get("open_positions", raw.data.get("positions"))
        self.open = len(self._held) if listed is None else len(listed) if isinstance(listed, list) else listed

    @property
    def trading_days(self) -> int:
        return len(self.days) if self.stated is None else self.stated

    @property
    def _held(self) -> Mapping[str, Decimal]:
        return self.translator.lots
