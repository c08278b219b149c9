"""Cases about conduct rules: the engine's rule is made from the case and stepped over its events."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, Literal, TypeVar

from cli.conformance.case import Case, EngineResult, RawEvent, Unsupported, Value
from cli.conformance.gates import sized
from cli.conformance.translator import Translator, context_of
from domain.quoting import quoted
from domain.rules.base import ConductRule, Consequence, Context, State, Violation
from domain.rules.conduct.lot_size_band import BandState, LotSizeBand
from domain.rules.conduct.max_exposure import MaxExposure, Tier
from domain.rules.conduct.max_loss_per_trade_idea import MaxLossPerTradeIdea, ShareOfDailyAllowance
from domain.rules.events import Closed, Event, Opened
from domain.rules.gates.min_hold_time import MinHoldTime

S = TypeVar("S", bound=State)
Reads = Callable[[Any, list[Violation]], dict[str, Value]]
Translates = Callable[[RawEvent], Iterable[Event]]

# the names under which a list of trades gives the result of each
_RESULTS: Final = ("pnl", "pnls", "profit", "profits", "net_pnl", "net_pnls")


def lot_size_band(case: Case) -> EngineResult:
    known = ("reference", "min_multiple", "max_multiple")
    rule = LotSizeBand.model_validate({"type": "lot_size_band", **_only(case.params(*known, "day"), known)})

    def read(state: BandState, _: list[Violation]) -> dict[str, Value]:
        low, high = rule.band(state)
        return {"min_lots": low, "max_lots": high, "first_lots": state.first}

    return _fold(case, rule, context_of(case), read)


def max_exposure(case: Case) -> EngineResult:
    given = case.params("unit", "limit", "weights", "severity_by_violation", "day")
    has_position_states = any(raw.kind == "position_state" for raw in case.events)
    by_violation = given.get("severity_by_violation") or ([case.severity] if case.severity else [])
    words = list(by_violation.values() if isinstance(by_violation, Mapping) else by_violation)
    weights = given.get("weights") or {}
    rule = MaxExposure.model_validate(
        {
            "type": "max_exposure",
            # weights and position states count contracts, whatever the case calls the unit
            "unit": "positions"
            if given.get("unit") == "positions" and not weights and not has_position_states
            else "lots",
            "limit": _needed(case, "limit"),
            "weights": weights,
            "consequences": [_consequence(word) for word in words] or [_consequence("hard")],
        }
    )
    translator, sums = Translator(case), list[Value]()

    def read(state: Any, _: list[Violation]) -> dict[str, Value]:
        sums.append(rule.exposure(state))
        return {"exposure": state.largest, "limit": rule.limit, "equivalents": list(sums)}

    result = _fold(case, rule, context_of(case), read, translator, _position_states(translator))
    violations = result.amounts.get("violations", 0)
    if isinstance(violations, int) and violations and words:
        result.severity = words[min(violations, len(words)) - 1]
    return result


def _consequence(word: str) -> Consequence:
    """Returns the consequence closest to a firm's word; the result is compared by the case's own word."""
    if word.startswith("hard") or "fail" in word or "terminat" in word:
        return Consequence(kind="fail")
    if "pause" in word:
        return Consequence(kind="pause_until_reset")
    if "clos" in word:
        return Consequence(kind="close_position")
    return Consequence(kind="warn" if "warn" in word else "review")


def _position_states(translator: Translator) -> Translates:
    """Translates a list of held positions into the closings and openings that lead to it."""
    held: dict[str, Decimal] = {}

    def translate(raw: RawEvent) -> Iterable[Event]:
        mark = translator.event(raw)
        if raw.kind != "position_state":
            return (mark,)
        now = {name: _count(name, lots) for name, lots in raw.data.items()}
        moves = {name: now.get(name, Decimal(0)) - held.get(name, Decimal(0)) for name in {**held, **now}}
        closings = [
            _closing(mark, name, -moved, now.get(name, Decimal(0))) for name, moved in moves.items() if moved < 0
        ]
        openings = [
            _opening(mark, name, moved, adds=bool(held.get(name))) for name, moved in moves.items() if moved > 0
        ]
        held.clear()
        held.update(now)
        return (*closings, *openings)

    return translate


def _count(name: str, lots: Any) -> Decimal:
    if isinstance(lots, bool) or not isinstance(lots, int | Decimal):
        raise Unsupported(f"position_state: {name} {quoted(lots)} is not a number")
    return Decimal(lots)


def _closing(mark: Event, name: str, lots: Decimal, left: Decimal) -> Closed:
    return Closed(
        seq=mark.seq,
        at=mark.at,
        balance_minor=mark.balance_minor,
        position_id=name,
        symbol=name,
        side="buy",
        lots=lots,
        lots_left=left,
    )


def _opening(mark: Event, name: str, lots: Decimal, *, adds: bool) -> Opened:
    return Opened(
        seq=mark.seq,
        at=mark.at,
        balance_minor=mark.balance_minor,
        position_id=name,
        symbol=name,
        side="buy",
        lots=lots,
        adds=adds,
    )


def max_loss_per_trade_idea(case: Case) -> EngineResult:
    given = case.params("limit", "daily_allowance", "merge_within_minutes", "day")
    limit, daily = sized(_needed(case, "limit")) or {}, given.get("daily_allowance")
    of_daily = limit["type"] == "pct_of_daily_allowance"
    rule = MaxLossPerTradeIdea(
        type="max_loss_per_trade_idea",
        limit=ShareOfDailyAllowance.model_validate(limit) if of_daily else case.size(limit),
        daily_allowance=case.size(daily) if of_daily else None,
        merge_within_minutes=given.get("merge_within_minutes", 0),
        # the format has only one way to continue a trade idea
        splits=False,
    )
    context = context_of(case)

    def read(state: Any, _: list[Violation]) -> dict[str, Value]:
        named = {"idea_loss": state.loss_minor, "limit": rule.limit_minor(state, context)}
        allowance = rule.daily_allowance_minor(state, context)
        if allowance is not None:
            named["daily_allowance"] = allowance
        return {name: case.major(minor) for name, minor in named.items()}

    return _fold(case, rule, context, read)


def min_hold_time(case: Case) -> EngineResult:
    known = ("seconds", "min_share_pct", "compare", "metric")
    given = case.params(*known, "day")
    rule = MinHoldTime.model_validate({"type": "min_hold_time", "compare": ">=", **_only(given, known)})
    context, translator = context_of(case), Translator(case)
    state, result = rule.start(context), EngineResult(outcome="blocked")
    for raw in case.events:
        for event in _trades(raw, translator) if raw.kind == "trades" else (translator.event(raw),):
            state, _ = rule.step(state, event, context)
        share = rule.share_pct(state)
        result.ratios.append(share)
        result.steps.append({"share_pct": share})
    status = rule.status(state, context)
    result.outcome, result.final_ratio = status.outcome, rule.share_pct(state)
    result.amounts = {"share_pct": result.final_ratio, "trades": state.trades}
    return result


def _trades(raw: RawEvent, translator: Translator) -> Iterable[Event]:
    """Yields the trades of a list: how long each was held and, if the case says so, its result."""
    unknown = sorted(set(raw.data) - {"durations_seconds", "trades", *_RESULTS})
    if unknown:
        raise Unsupported(f"trades: field {unknown[0]}")
    each = raw.data.get("trades", ())
    durations = raw.data.get("durations_seconds") or [trade["duration_seconds"] for trade in each]
    listed = next((raw.data[name] for name in _RESULTS if name in raw.data), None)
    results = listed or [next((trade[name] for name in _RESULTS if name in trade), None) for trade in each]
    if not results and translator.case.rule.get("metric") == "profit" and durations:
        raise Unsupported("trades: the result of each trade is missing", "pnl")
    mark = translator.event(raw)
    for number, (seconds, pnl) in enumerate(zip(durations, results or [0] * len(durations), strict=True)):
        yield Closed(
            seq=mark.seq,
            at=mark.at,
            balance_minor=mark.balance_minor,
            position_id=f"{raw.index}.{number}",
            symbol="",
            side="buy",
            lots=Decimal(1),
            opened_at=mark.at - _seconds(Decimal(seconds)),
            pnl_minor=_money(translator.case, pnl),
        )


def _seconds(seconds: Decimal) -> timedelta:
    return timedelta(microseconds=int(seconds * 1_000_000))


def _money(case: Case, value: Any) -> int:
    return RawEvent(0, "", "", {"value": value}).money("value", case.currency) or 0


def scaling_contracts(case: Case) -> EngineResult:
    given = case.params("tiers", "evaluated", "micro_weight", "day")
    tiers = [Tier(below=_below(case, tier.get("below")), max=tier["max"]) for tier in _needed(case, "tiers")]
    rule = MaxExposure(
        type="max_exposure",
        tiers=tuple(tiers),
        evaluated=_evaluated(given.get("evaluated", "eod_only")),
        weights={"micro": given.get("micro_weight", 1)},
    )
    limits = list[Value]()

    def read(state: Any, _: list[Violation]) -> dict[str, Value]:
        limits.append(state.limit)
        return {"max_contracts": list(limits), "exposure": state.largest}

    translator = Translator(case)
    result = _fold(case, rule, context_of(case), read, translator, _position_states(translator))
    result.steps = [{**step, "max_contracts": limit} for step, limit in zip(result.steps, limits, strict=True)]
    result.outcome, result.at_event, result.severity = "computed", None, None
    return result


def _evaluated(when: str) -> Literal["eod_only", "live"]:
    if when == "eod_only":
        return "eod_only"
    if when not in ("live", "intraday", "realtime", "real_time"):
        raise Unsupported(f"scaling_contracts: evaluated {when}", "evaluated")
    return "live"


def _below(case: Case, bound: Any) -> Any:
    if bound is None:
        return None
    return case.size(bound if isinstance(bound, Mapping) else {"type": "amount", "value": bound})


def _needed(case: Case, name: str) -> Any:
    if case.rule.get(name) is None:
        raise Unsupported(f"{case.kind}: parameter {name} is missing", name)
    return case.rule[name]


def _only(given: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    return {name: given[name] for name in known if name in given}


def _fold(
    case: Case,
    rule: ConductRule[S],
    context: Context,
    read: Reads,
    translator: Translator | None = None,
    translate: Translates | None = None,
) -> EngineResult:
    """Steps the rule over every event; a breach does not stop it."""
    translator = translator or Translator(case)
    state, result, violations = rule.start(context), EngineResult(outcome="pass"), list[Violation]()
    for raw in case.events:
        for event in translate(raw) if translate else (translator.event(raw),):
            state, found = rule.step(state, event, context)
            violations += found
        if violations and result.at_event is None:
            result.outcome, result.at_event, result.severity = "breach", raw.index, case.severity
        result.amounts = {**read(state, violations), "violations": len(violations)}
        result.steps.append(result.amounts)
    return result


KINDS: Final[dict[str, Callable[[Case], EngineResult]]] = {
    "lot_size_band": lot_size_band,
    "max_exposure": max_exposure,
    "max_loss_per_trade_idea": max_loss_per_trade_idea,
    "min_hold_time": min_hold_time,
    "scaling_contracts": scaling_contracts,
}
