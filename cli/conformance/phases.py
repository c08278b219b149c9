"""Cases whose account enters another phase: every rule begins anew at a `phase_start`."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from cli.conformance.case import Case, EngineResult

# kinds about the whole challenge, through all its phases
_THROUGHOUT: Final = ("fees", "fee_refund", "day_boundary", "trading_day_label")
_BY_EVENT: Final = ("floors", "ratios", "steps", "met", "left_out")
# amounts that list a figure after each event
_LISTED: Final = ("equivalents", "max_contracts")


def by_phase(case: Case, judge: Callable[[Case], EngineResult]) -> EngineResult:
    """Judges each phase as a case of its own. The first breach is that of the case; the rest is that of the last
    phase."""
    if case.kind in _THROUGHOUT or not any(event.kind == "phase_start" for event in case.events):
        return judge(case)
    whole: EngineResult | None = None
    for phase, known_ahead in phases_of(case):
        whole = _joined(whole, judge(phase), known_ahead)
    return whole or judge(case)


def phases_of(case: Case) -> Iterator[tuple[Case, int]]:
    """Yields the phases of a case. Each begins with its `phase_start`; in front of it are the news of earlier phases,
    which are still known, and their number."""
    starts = [number for number, event in enumerate(case.events) if event.kind == "phase_start"]
    phase = case
    for first, end in zip([0, *starts], [*starts, len(case.events)], strict=True):
        if first in starts and end > first:
            phase = _entered(phase, case, first)
        if end > first:
            news = tuple(event for event in case.events[:first] if event.kind == "news")
            yield replace(phase, events=(*news, *case.events[first:end])), len(news)


def _entered(phase: Case, case: Case, first: int) -> Case:
    start = case.events[first]
    initial = start.money("initial_balance", case.currency)
    return replace(
        phase,
        phase=start.data.get("phase", phase.phase),
        initial_minor=phase.initial_minor if initial is None else initial,
    )


def _joined(before: EngineResult | None, now: EngineResult, known_ahead: int) -> EngineResult:
    for name in _BY_EVENT:
        so_far = [] if before is None else getattr(before, name)
        own = getattr(now, name)
        setattr(now, name, [*so_far, *own[known_ahead:]])
    for name in _LISTED:
        listed, own = None if before is None else before.amounts.get(name), now.amounts.get(name)
        if isinstance(listed, list) and isinstance(own, list):
            now.amounts = {**now.amounts, name: [*listed, *own[known_ahead:]]}
    if before is not None and before.at_event is not None:
        now.severity = before.severity if now.at_event is None else now.severity
        now.outcome, now.at_event, now.floor = before.outcome, before.at_event, before.floor
    return now
