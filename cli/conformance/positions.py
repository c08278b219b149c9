"""Cases about positions and their size: the engine's rule is made from the case and stepped over its events."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from cli.conformance.case import Case, EngineResult, RawEvent, Unsupported, Value
from cli.conformance.daily import engine_events
from cli.conformance.fold import COMMON, Translates, fold, terms
from cli.conformance.gates import needed, sized
from cli.conformance.translator import Translator, context_of
from domain.money import half_up
from domain.quoting import quoted
from domain.rules.base import Violation
from domain.rules.conduct.exposure_multiple import ExposureMultiple
from domain.rules.conduct.lot_size_band import BandState, LotSizeBand
from domain.rules.conduct.max_exposure import MaxExposure, Tier
from domain.rules.conduct.max_loss_per_trade_idea import MaxLossPerTradeIdea, ShareOfDailyAllowance
from domain.rules.conduct.max_trades_per_day import MaxTradesPerDay
from domain.rules.conduct.no_hedging import NoHedging
from domain.rules.conduct.required_stop import RequiredStop, StopState
from domain.rules.events import Clocked, Closed, Event, Opened, PayoutRequested


def lot_size_band(case: Case) -> EngineResult:
    known = ("reference", "min_multiple", "max_multiple", "merge_within_minutes")
    rule, context = LotSizeBand.model_validate(terms(case, case.params(*known, *COMMON), known)), context_of(case)
    requested = any(raw.kind == "payout_request" for raw in case.events)

    def read(state: BandState, _: list[Violation]) -> dict[str, Value]:
        low, high = rule.band(state)
        return {"min_lots": low, "max_lots": high, "first_lots": state.first, "average_lots": rule.average(state)}

    def finish(state: BandState, last: Event) -> Event | None:
        moment: dict[str, Any] = {
            "seq": last.seq,
            "balance_minor": last.balance_minor,
            "equity_minor": last.equity_minor,
        }
        due = rule.due(state, context)
        if due is not None:
            return Clocked(**moment, at=due)
        if state.closed is None or requested or isinstance(last, PayoutRequested):
            return None
        return PayoutRequested(**moment, at=last.at)

    return fold(case, rule, context, read, finish=finish)


def max_exposure(case: Case) -> EngineResult:
    known = ("unit", "limit", "weights", "per", "classes", "only")
    given = case.params(*known, *COMMON)
    needed(case, "limit")
    # a position state says how much of each class is open, in the unit of the rule
    states = any(raw.kind == "position_state" for raw in case.events)
    rule = MaxExposure.model_validate(terms(case, given, known) | ({"unit": "lots"} if states else {}))
    translator, sums = Translator(case), list[Value]()

    def read(state: Any, _: list[Violation]) -> dict[str, Value]:
        sums.append(rule.exposure(state))
        limit = None if isinstance(rule.limit, Mapping) else rule.limit
        return {"exposure": state.largest, "limit": limit, "equivalents": list(sums)}

    return fold(case, rule, context_of(case), read, translator, _position_states(translator))


def exposure_multiple(case: Case) -> EngineResult:
    known = ("measure", "leverage", "multiple", "basis", "cure", "per", "classes", "only")
    rule = ExposureMultiple.model_validate(terms(case, case.params(*known, *COMMON), known))
    sums, translator = list[Value](), Translator(case)

    def read(state: Any, _: list[Violation]) -> dict[str, Value]:
        sums.append(case.major(rule.used(state)))
        named: dict[str, Value] = {"exposure": case.major(state.largest_minor), "equivalents": list(sums)}
        if not isinstance(rule.multiple, Mapping):
            money = {"balance": translator.balance, "equity": translator.equity, "initial": case.initial_minor}
            named["multiple"] = case.major(half_up(rule.multiple * money[rule.basis]))
        return named

    return fold(case, rule, context_of(case), read, translator)


def no_hedging(case: Case) -> EngineResult:
    known = ("groups", "bans")
    rule = NoHedging.model_validate(terms(case, case.params(*known, *COMMON), known))
    return fold(case, rule, context_of(case), lambda *_: {})


def max_trades_per_day(case: Case) -> EngineResult:
    given = case.params("limit", *COMMON)
    rule, clock = MaxTradesPerDay.model_validate(terms(case, given, ("limit",))), case.clock(given.get("day"))
    happened = {raw.index: events for raw, events in engine_events(case, clock, close_last=False)}
    translator = Translator(case, clock, as_written=clock is None)

    def translate(raw: RawEvent) -> Iterable[Event]:
        translator.event(raw)
        return happened[raw.index]

    return fold(case, rule, context_of(case, clock), lambda *_: {"limit": rule.limit}, translator, translate)


def required_stop(case: Case) -> EngineResult:
    known = ("grace_seconds", "max_risk")
    given = case.params(*known, *COMMON)
    max_risk, translator, context = case.size(given.get("max_risk")), Translator(case), context_of(case)
    fields = {"grace_seconds": 0, **terms(case, given, known), "max_risk": max_risk}
    rule = RequiredStop.model_validate(fields)

    def read(state: StopState, _: list[Violation]) -> dict[str, Value]:
        return {"max_risk": case.major(rule.max_risk_minor(state, translator.balance, context))}

    return fold(case, rule, context, read, translator)


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
        raise Unsupported(f"position_state: {name} {quoted(lots)} is not a number", name)
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
    given = case.params("limit", "daily_allowance", "merge_within_minutes", "compare", *COMMON)
    limit, daily = sized(needed(case, "limit")) or {}, sized(given.get("daily_allowance"))
    # with a least amount or steps the share is a size of its own
    of_daily = limit["type"] == "pct_of_daily_allowance" and not {"at_least", "steps"} & set(limit)
    rule = MaxLossPerTradeIdea.model_validate(
        {
            **terms(case, given, ("merge_within_minutes", "compare")),
            "limit": ShareOfDailyAllowance.model_validate(limit) if of_daily else case.size(limit),
            "daily_allowance": case.size(daily) if of_daily else None,
            # the format has only one way to continue a trade idea
            "splits": False,
        }
    )
    context, translator = context_of(case), Translator(case)

    def read(state: Any, _: list[Violation]) -> dict[str, Value]:
        named = {"idea_loss": state.loss_minor, "limit": rule.limit_minor(state, context, translator.balance)}
        allowance = rule.daily_allowance_minor(state, context, translator.balance)
        if allowance is not None:
            named["daily_allowance"] = allowance
        return {name: case.major(minor) for name, minor in named.items()}

    return fold(case, rule, context, read, translator)


def scaling_contracts(case: Case) -> EngineResult:
    given = case.params("tiers", "evaluated", "micro_weight", *COMMON)
    for tier in needed(case, "tiers"):
        case.only("tier", tier, ("below", "max"))
    tiers = [Tier(below=case.size(tier.get("below")), max=tier["max"]) for tier in case.rule["tiers"]]
    rule = MaxExposure(
        type="max_exposure",
        tiers=tuple(tiers),
        evaluated=given.get("evaluated", "eod_only"),
        weights={"micro": given.get("micro_weight", 1)},
    )
    limits = list[Value]()

    def read(state: Any, _: list[Violation]) -> dict[str, Value]:
        limits.append(state.limit)
        return {"max_contracts": list(limits), "exposure": state.largest}

    translator = Translator(case)
    result = fold(case, rule, context_of(case), read, translator, _position_states(translator))
    result.steps = [{**step, "max_contracts": limit} for step, limit in zip(result.steps, limits, strict=True)]
    result.outcome, result.at_event, result.severity = "computed", None, None
    return result


KINDS: Final[dict[str, Callable[[Case], EngineResult]]] = {
    "lot_size_band": lot_size_band,
    "max_exposure": max_exposure,
    "exposure_multiple": exposure_multiple,
    "no_hedging": no_hedging,
    "max_trades_per_day": max_trades_per_day,
    "required_stop": required_stop,
    "max_loss_per_trade_idea": max_loss_per_trade_idea,
    "scaling_contracts": scaling_contracts,
}
