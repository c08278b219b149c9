"""Runs cases and compares what each names: money to half a cent, ratios to 0.01, instants as instants."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, Literal

from pydantic import ValidationError

from cli.conformance import amounts, clocks, conduct, equity, gates, positions
from cli.conformance.case import EVENTS, Case, EngineResult, Unsupported
from domain.errors import PropOSError
from domain.quoting import cut

Status = Literal["passed", "failed", "unsupported"]

KINDS: Final[dict[str, Callable[[Case], EngineResult]]] = {
    **equity.KINDS,
    **conduct.KINDS,
    **positions.KINDS,
    **gates.KINDS,
    **amounts.KINDS,
    **clocks.KINDS,
}
_CENT: Final = Decimal("0.005")
_RATIO: Final = Decimal("0.01")
_LONGEST_REASON: Final = 400


@dataclass(frozen=True, slots=True)
class CaseResult:
    """`differences`: (field, expected, got) of each difference, or why the case is not supported."""

    id: str
    kind: str
    status: Status
    got: dict[str, Any]
    expected: dict[str, Any]
    differences: tuple[tuple[str, str, str], ...] = ()

    @property
    def line(self) -> str:
        reasons = "; ".join(f"{name}: expected {cut(wanted)}, got {got}" for name, wanted, got in self.differences)
        return f"{cut(self.id)} ({cut(self.kind)}): {reasons}"


def run(case: Case) -> CaseResult:
    """Runs one case through the engine and compares the results."""
    if case.problem is not None:
        return _unsupported(case, case.problem)
    build = KINDS.get(case.kind)
    if build is None:
        return _unsupported(case, f"kind {case.kind}")
    unknown = sorted({event.kind for event in case.events} - EVENTS)
    if unknown:
        return _unsupported(case, f"event type {unknown[0]}")
    try:
        compared = dict(_compared(case.expected, build(case)))
    except Unsupported as exc:
        return _unsupported(case, str(exc))
    except ValidationError as exc:
        return _unsupported(case, "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors()))
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, AssertionError, PropOSError) as exc:
        # a field is missing or malformed: only this case is unsupported
        return _unsupported(case, f"{type(exc).__name__}: {exc}")
    differences = tuple((path, str(wanted), str(have)) for path, (wanted, have, same) in compared.items() if not same)
    shown = {path: _plain(have) for path, (_, have, _) in compared.items()}
    return CaseResult(
        case.id, case.kind, "failed" if differences else "passed", shown, dict(case.expected), differences
    )


def _unsupported(case: Case, why: str) -> CaseResult:
    why = cut(why, _LONGEST_REASON)
    return CaseResult(
        case.id, case.kind, "unsupported", {"unsupported": why}, dict(case.expected), (("unsupported", "-", why),)
    )


Compared = tuple[Any, Any, bool]


def _compared(expected: Mapping[str, Any], result: EngineResult) -> Iterator[tuple[str, Compared]]:
    """Yields every field that the case names: path, (expected, got, whether they agree)."""
    for name, wanted in expected.items():
        if name == "floors":
            for point in wanted:
                yield _at("floor", point, _nth(result.floors, point["after_event"]), _CENT, "floor")
        elif name == "ratios":
            yield "ratios", (wanted, result.ratios, _same(wanted, result.ratios, _RATIO))
        elif name == "amounts":
            yield from _amounts(wanted, result)
        else:
            have = getattr(result, name, None) if name in EngineResult.__dataclass_fields__ else None
            known = name in EngineResult.__dataclass_fields__
            tolerance = _RATIO if name == "final_ratio" else _CENT
            yield name, (wanted, have, known and _same(wanted, have, tolerance))


def _amounts(wanted: Mapping[str, Any], result: EngineResult) -> Iterator[tuple[str, Compared]]:
    for name, value in wanted.items():
        tolerance = _RATIO if name.endswith(("_pct", "ratio")) else _CENT
        points = isinstance(value, list) and value and all(isinstance(v, dict) and "after_event" in v for v in value)
        if points:
            for point in value:
                step = _nth(result.steps, point["after_event"]) or {}
                yield _at(name, point, step.get(name), tolerance, "value")
        else:
            have = result.amounts.get(name)
            yield f"amounts.{name}", (value, have, name in result.amounts and _same(value, have, tolerance))


def _at(name: str, point: Mapping[str, Any], have: Any, tolerance: Decimal, key: str) -> tuple[str, Compared]:
    wanted = point[key]
    return f"{name} after event {point['after_event']}", (wanted, have, _same(wanted, have, tolerance))


def _nth(values: list[Any], index: int) -> Any:
    return values[index] if 0 <= index < len(values) else None


def _same(wanted: Any, have: Any, tolerance: Decimal) -> bool:
    if isinstance(wanted, list):
        if not isinstance(have, list | tuple) or len(wanted) != len(have):
            return False
        return all(_same(w, h, tolerance) for w, h in zip(wanted, have, strict=True))
    if isinstance(wanted, dict):
        return isinstance(have, dict) and all(_same(v, have.get(k), tolerance) for k, v in wanted.items())
    if wanted is None or have is None or isinstance(wanted, bool) or isinstance(have, bool):
        return wanted is have or (isinstance(wanted, bool) and wanted == have)
    if isinstance(wanted, int | Decimal):
        return isinstance(have, int | Decimal) and abs(Decimal(wanted) - Decimal(have)) <= tolerance
    if isinstance(have, datetime):
        return _instant(wanted) == have
    return str(wanted) == (have.isoformat() if isinstance(have, date) else str(have))


def _instant(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _plain(value: Any) -> Any:
    """Returns JSON data; money as numbers, as in the cases, so that people can compare them."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, date):
        return value.isoformat()
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
