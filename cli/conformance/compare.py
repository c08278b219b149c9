"""Compares a result with what a case expects: money to half a unit, ratios to 0.01, instants as instants, the rest
exactly. Only what the case names is compared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from cli.conformance.case import EngineResult
from domain.money import from_minor

_RATIO: Final = Decimal("0.01")
# figures that are numbers of lots, contracts or hours, of the kinds that count them
_LOTS: Final[Mapping[str, tuple[str, ...]]] = {
    "max_exposure": ("exposure", "equivalents", "limit"),
    "lot_size_band": ("min_lots", "max_lots", "average_lots", "first_lots"),
    "scaling_contracts": ("max_contracts", "exposure"),
}
_RESULT: Final = ("outcome", "at_event", "severity", "rule")

Compared = tuple[Any, Any, bool]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of the results of one kind, in one currency. `kinds`: the kind of each of several rules."""

    kind: str
    currency: str
    kinds: Mapping[str, str]

    def fields(self, expected: Mapping[str, Any], result: EngineResult) -> Iterator[tuple[str, Compared]]:
        """Yields every field that the case names: path, (expected, got, whether they agree)."""
        for name, wanted in expected.items():
            if name == "floors":
                for point in wanted:
                    yield self._at("floor", point, nth(result.floors, point["after_event"]), "floor")
            elif name == "ratios":
                yield name, (wanted, result.ratios, same(wanted, result.ratios, _RATIO))
            elif name == "final_ratio":
                yield name, (wanted, result.final_ratio, same(wanted, result.final_ratio, _RATIO))
            elif name == "amounts":
                yield from self._amounts(wanted, result)
            elif name == "offences":
                yield name, (wanted, result.offences, same(wanted, result.offences, Decimal(0)))
            elif name == "rules":
                yield from self._rules(wanted, result)
            elif name == "floor":
                yield name, self._floor(wanted, result)
            else:
                known = name in _RESULT
                have = getattr(result, name) if known else None
                yield name, (wanted, have, known and same(wanted, have, self._tolerance(name)))

    def _floor(self, wanted: Any, result: EngineResult) -> Compared:
        """Compares the floor: at the breach, as compared there. A case may state the one after the last event
        instead."""
        least = self._tolerance("floor")
        if not same(wanted, result.floor, least) and result.floors and same(wanted, result.floors[-1], least):
            return wanted, result.floors[-1], True
        return wanted, result.floor, same(wanted, result.floor, least)

    def _rules(self, wanted: Mapping[str, Any], result: EngineResult) -> Iterator[tuple[str, Compared]]:
        for rule_id, expected in wanted.items():
            if rule_id not in result.rules:
                yield f"rules.{rule_id}", (expected, None, False)
                continue
            own = Comparison(self.kinds.get(rule_id, ""), self.currency, {})
            for path, compared in own.fields(expected, result.rules[rule_id]):
                yield f"rules.{rule_id}.{path}", compared

    def _amounts(self, wanted: Mapping[str, Any], result: EngineResult) -> Iterator[tuple[str, Compared]]:
        for name, value in wanted.items():
            if _is_by_event(value):
                for point in value:
                    step = nth(result.steps, point["after_event"]) or {}
                    yield self._at(name, point, step.get(name), "value")
            else:
                have = result.amounts.get(name)
                known = name in result.amounts
                yield f"amounts.{name}", (value, have, known and same(value, have, self._tolerance(name)))

    def _at(self, name: str, point: Mapping[str, Any], have: Any, key: str) -> tuple[str, Compared]:
        wanted = point[key]
        return f"{name} after event {point['after_event']}", (wanted, have, same(wanted, have, self._tolerance(name)))

    def _tolerance(self, name: str) -> Decimal:
        if name in _LOTS.get(self.kind, ()):
            return Decimal(0)
        return _RATIO if name.endswith(("_pct", "ratio")) else from_minor(1, self.currency) / 2


def _is_by_event(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) and "after_event" in v for v in value)


def nth(values: list[Any], index: Any) -> Any:
    """Returns the value after event number `index`; None if there is no such event."""
    if isinstance(index, bool) or not isinstance(index, int):
        raise TypeError(f"after_event {index} is not the number of an event")
    return values[index] if 0 <= index < len(values) else None


def same(wanted: Any, have: Any, tolerance: Decimal) -> bool:
    """Whether the expected value is the one that the engine has. Whole numbers of the engine are counts: they are
    compared exactly."""
    if isinstance(wanted, list):
        if not isinstance(have, list | tuple) or len(wanted) != len(have):
            return False
        return all(same(w, h, tolerance) for w, h in zip(wanted, have, strict=True))
    if isinstance(wanted, dict):
        return isinstance(have, dict) and all(same(v, have.get(k), tolerance) for k, v in wanted.items())
    if wanted is None or have is None or isinstance(wanted, bool) or isinstance(have, bool):
        return wanted is have or (isinstance(wanted, bool) and isinstance(have, bool) and wanted == have)
    if isinstance(wanted, int | Decimal):
        return isinstance(have, int | Decimal) and _near(Decimal(wanted), have, tolerance)
    if isinstance(have, datetime):
        return _instant(wanted) == have
    return str(wanted) == (have.isoformat() if isinstance(have, date) else str(have))


def _near(wanted: Decimal, have: int | Decimal, tolerance: Decimal) -> bool:
    if isinstance(have, int):
        return wanted == have
    digits = have.as_tuple().exponent
    if not tolerance and isinstance(digits, int) and digits < -8:  # an average that no case can write in full
        return have.quantize(Decimal(1).scaleb(min(int(wanted.as_tuple().exponent), 0))) == wanted
    return abs(wanted - have) <= tolerance


def _instant(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def plain(value: Any) -> Any:
    """Returns JSON data; money as numbers, as in the cases, so that people can compare them."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
