"""Runs cases through the engine, and says which agree with what their firms expect."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import ValidationError

from cli.conformance import amounts, clocks, equity, fees, gates, positions, scaling, timing
from cli.conformance.case import Case, EngineResult, Unsupported
from cli.conformance.compare import Comparison, plain
from cli.conformance.phases import by_phase
from cli.conformance.several import judge_rules
from domain.errors import PropOSError
from domain.quoting import cut

Status = Literal["passed", "failed", "unsupported"]

KINDS: Final[dict[str, Callable[[Case], EngineResult]]] = {
    **equity.KINDS,
    **positions.KINDS,
    **timing.KINDS,
    **gates.KINDS,
    **amounts.KINDS,
    **clocks.KINDS,
    **fees.KINDS,
    **scaling.KINDS,
}
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
    """Runs one case through the engine and compares the results. A case may expect to be refused."""
    try:
        result = _judged(case)
        compared = dict(_comparison(case).fields(case.expected, result))
    except Unsupported as exc:
        return _refused(case, exc)
    except ValidationError as exc:
        return _refused(case, _invalid(case, exc))
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, AssertionError, PropOSError) as exc:
        # a field is missing or malformed: only this case is unsupported
        return _refused(case, Unsupported(f"{type(exc).__name__}: {exc}", _field_of(exc)))
    differences = tuple((path, str(wanted), str(have)) for path, (wanted, have, same) in compared.items() if not same)
    shown = {path: plain(have) for path, (_, have, _) in compared.items()}
    return CaseResult(
        case.id, case.kind, "failed" if differences else "passed", shown, dict(case.expected), differences
    )


def _judged(case: Case) -> EngineResult:
    if case.problem is not None:
        raise case.problem
    if case.rules:
        return judge_rules(case, KINDS)
    build = KINDS.get(case.kind)
    if build is None:
        raise Unsupported(f"kind {case.kind}", "kind")
    return by_phase(case, build)


def _comparison(case: Case) -> Comparison:
    return Comparison(case.kind, case.currency, {rule_id: rule["kind"] for rule_id, rule in case.rules.items()})


def _refused(case: Case, refusal: Unsupported) -> CaseResult:
    """Returns the result of a case that the engine cannot express; it passes if the case expects just that."""
    why = cut(str(refusal), _LONGEST_REASON)
    got = {"outcome": "refused", "field": refusal.field, "unsupported": why}
    if case.expected.get("outcome") == "refused":
        wrong = tuple(
            (name, str(wanted), str(got.get(name))) for name, wanted in case.expected.items() if got.get(name) != wanted
        )
        status: Status = "unsupported" if wrong else "passed"
        return CaseResult(case.id, case.kind, status, got, dict(case.expected), wrong)
    return CaseResult(case.id, case.kind, "unsupported", got, dict(case.expected), (("unsupported", "-", why),))


def _field_of(exc: Exception) -> str | None:
    if isinstance(exc, PropOSError):
        return exc.field
    return exc.args[0] if isinstance(exc, KeyError) and exc.args and isinstance(exc.args[0], str) else None


# what a definition says of a value that it refuses: the field, and what is wrong with it
_TOLD: Final = re.compile(r"^Value error, ((?:[a-z_]+, )*[a-z_]+): ")
# fields of the engine that have another name in a case
_IN_A_CASE: Final = {
    "zone": "timezone",
    "opens": "from",
    "holds": "measure",
    "attribution": "basis",
    "peak_falls_by_payout": "payout_reduces_peak",
}


def _invalid(case: Case, exc: ValidationError) -> Unsupported:
    """Returns the refusal of a value that the engine's own definition refuses, with the field as the case writes it."""
    text = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors())
    written = set(_names(case.rule)) | {name for rule in case.rules.values() for name in _names(rule)}
    places = [[_IN_A_CASE.get(name, name) for name in _place(error)] for error in exc.errors()]
    inner = max(([name for name in place if name in written] for place in places), key=len)
    told = [name for error in exc.errors() for name in _told(error, written)]
    return Unsupported(text, next(iter((told or inner or places[0])[-1:]), None))


def _place(error: Mapping[str, Any]) -> list[str]:
    return [name for name in error["loc"] if isinstance(name, str)]


def _told(error: Mapping[str, Any], written: set[str]) -> list[str]:
    """Returns the field that the sentence of a definition begins with: "leverage: margin needs it". Of several, the
    last one that the case writes."""
    found = _TOLD.match(str(error["msg"])) if error["type"] == "value_error" else None
    names = [] if found is None else [_IN_A_CASE.get(name, name) for name in found[1].split(", ")]
    return [name for name in names if name in written] or names


def _names(part: Any) -> Iterator[str]:
    """Yields every field name of a rule, at any depth."""
    for each in part.values() if isinstance(part, Mapping) else part if isinstance(part, list) else ():
        yield from _names(each)
    if isinstance(part, Mapping):
        yield from part
