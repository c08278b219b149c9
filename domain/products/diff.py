"""The differences between two versions of a product, field by field, in words for the reviewer."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from domain.fees import FEE_NAMES
from domain.money import to_minor
from domain.products.product import Product
from domain.rules.terms import WHOLE
from domain.wording import count, money, name, number, percent

_SILENT: Final = frozenset({("product",), ("version",)})
_BASES: Final = {
    "pct_of_initial": "% of the initial balance",
    "pct_of_anchor": "% of the anchor",
    "pct_of_peak": "% of the peak",
    "pct_of_trade_value": "% of the trade's value",
    "pct_of_balance": "% of the balance of the moment",
    "pct_of_payout_balance": "% of the balance that the last payout left",
    "pct_of_anchor_profit": "% of the profit in the anchor",
    "pct_of_peak_profit": "% of the profit in the peak",
}
Path = tuple[str, ...]


class FieldChange(BaseModel):
    """One field that differs. `was` or `becomes` is None when that version has no such field."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str
    words: str
    was: str | None
    becomes: str | None

    @property
    def sentence(self) -> str:
        if self.was is None:
            return f"{self.words}: new, {self.becomes}"
        if self.becomes is None:
            return f"{self.words}: gone, was {self.was}"
        return f"{self.words}: {self.was} becomes {self.becomes}"


def differences(old: Product | None, new: Product) -> tuple[FieldChange, ...]:
    """Returns every field of `new` that differs from `old`, in the order of the definition; all fields without
    `old`."""
    before = {} if old is None else dict(_leaves(old.model_dump(mode="json", context=WHOLE), (), old.currency))
    after = dict(_leaves(new.model_dump(mode="json", context=WHOLE), (), new.currency))
    paths = [*after, *(path for path in before if path not in after)]
    return tuple(
        FieldChange(field=".".join(path), words=_words(path), was=before.get(path), becomes=after.get(path))
        for path in paths
        if path not in _SILENT and before.get(path) != after.get(path)
    )


def _leaves(value: Any, path: Path, currency: str) -> Iterator[tuple[Path, str]]:
    """Yields (path, value in words) of every field of a definition that is not empty."""
    if value is None or value == []:
        return
    whole = _whole(value, currency)
    if whole is not None:
        yield path, whole
    elif isinstance(value, Mapping):
        for field, part in value.items():
            yield from _leaves(part, (*path, str(field)), currency)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for place, part in enumerate(value, start=1):
            yield from _leaves(part, (*path, _key(part, place)), currency)
    else:
        yield path, _scalar(value, path, currency)


def _whole(value: Any, currency: str) -> str | None:
    """Returns the words of a value that people read as one: a size, a clock, an approval band, a list of plain
    values."""
    if isinstance(value, list) and value and not any(isinstance(part, dict | list) for part in value):
        return ", ".join(str(part) for part in value)
    if not isinstance(value, dict):
        return None
    keys = set(value)
    if {"type", "value"} <= keys <= {"type", "value", "at_least", "steps"}:
        return _size(value, currency)
    if keys == {"zone", "reset"}:
        return f"{value['reset']} {value['zone']}"
    if keys == {"up_to", "approvers"}:
        limit = "any amount" if value["up_to"] is None else f"up to {_money(value['up_to'], currency)}"
        return f"{limit} needs {count(value['approvers'], 'approval')}"
    return None


def _size(value: Mapping[str, Any], currency: str) -> str:
    """Returns a size with its steps and its least amount."""

    def words(amount: Any) -> str:
        if amount is None:
            return "no limit"
        if value["type"] == "amount":
            return _money(amount, currency)
        return f"{number(Decimal(str(amount)))} {_BASES.get(value['type'], name(str(value['type'])))}"

    steps = [
        f"from a profit of {_money(step['from_profit'], currency)} on {words(step['value'])}"
        for step in value.get("steps", [])
    ]
    least = value.get("at_least")
    parts = [words(value["value"]), *steps, *([] if least is None else [f"at least {_money(least, currency)}"])]
    return ", ".join(parts)


def _key(part: Any, place: int) -> str:
    """Returns the key of a member of a list in both versions: its id or name, else its place."""
    if isinstance(part, Mapping):
        return str(part.get("id") or part.get("name") or place)
    return str(place)


_MONEY_FIELDS: Final = frozenset({"initial_balance", "fee", *FEE_NAMES, "min_request", "cap_per_request", "offset"})


def _scalar(value: Any, path: Path, currency: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if path[-1] in _MONEY_FIELDS:
        return _money(value, currency)
    if path[-1].endswith("_pct"):
        return percent(Decimal(str(value)))
    return str(value)


def _money(value: Any, currency: str) -> str:
    return money(to_minor(Decimal(str(value)), currency), currency)


def _words(path: Path) -> str:
    """Returns `phases.Challenge.rules.daily_loss.allowance` as "Challenge · daily loss · allowance"."""
    shown = [part for part in path if part not in ("phases", "rules", "conduct", "gates")]
    return " · ".join(name(part) for part in shown or path)


def sentences(old: Product | None, new: Product) -> tuple[FieldChange, ...]:
    """Returns the rules that differ, as traders read them: the sentences generated from the definitions."""
    before, after = _rule_words(old) if old else {}, _rule_words(new)
    paths = [*after, *(path for path in before if path not in after)]
    return tuple(
        FieldChange(
            field=".".join((*path, "words")),
            words=f"{_words(path)}, as the trader reads it",
            was=before.get(path),
            becomes=after.get(path),
        )
        for path in paths
        if before.get(path) != after.get(path)
    )


def _rule_words(product: Product) -> dict[Path, str]:
    phases = [*product.phases, product.funded]
    return {
        (phase.name, rule.id): rule.words(product.context(index))
        for index, phase in enumerate(phases, start=1)
        for rule in phase.rules
    }
