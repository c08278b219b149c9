"""Cases about conduct rules: the engine's rule is made from the case and stepped over its events."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from cli.conformance.case import Case, EngineResult, RawEvent, Unsupported
from cli.conformance.fold import only
from cli.conformance.translator import Translator, context_of
from domain.rules.events import Closed, Event
from domain.rules.gates.min_hold_time import MinHoldTime

# the names under which a list of trades gives the result of each
_RESULTS: Final = ("pnl", "pnls", "profit", "profits", "net_pnl", "net_pnls")


def min_hold_time(case: Case) -> EngineResult:
    known = ("seconds", "min_share_pct", "compare", "metric")
    given = case.params(*known, "day")
    rule = MinHoldTime.model_validate({"type": "min_hold_time", "compare": ">=", **only(given, known)})
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


KINDS: Final[dict[str, Callable[[Case], EngineResult]]] = {
    "min_hold_time": min_hold_time,
}
