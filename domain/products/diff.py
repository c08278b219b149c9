"""What is different between two versions of a product, field by field, in words that a reviewer reads."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from domain.money import from_minor, to_minor
from domain.products.product import Product

_SILENT: Final = frozenset({("product",), ("version",)})
_BASES: Final = {
    "pct_of_initial": "% of the initial balance",
    "pct_of_anchor": "% of the anchor",
    "pct_of_peak": "% of the peak",
    "pct_of_trade_value": "% of the trade's value",
}
Path = tuple[str, ...]


class Change(BaseModel):
    """One field that differs. `was` or `becomes` is None where the version has no such field."""

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


def differences(old: Product | None, new: Product) -> tuple[Change, ...]:
    """Every field of `new` that differs from `old`, in the order of the definition; all of them without `old`."""
    before = {} if old is None else dict(_leaves(old.model_dump(mode="json"), (), old.currency))
    after = dict(_leaves(new.model_dump(mode="json"), (), new.currency))
    paths = [*after, *(path for path in before if path not in after)]
    return tuple(
        Change(field=".".join(path), words=_words(path), was=before.get(path), becomes=after.get(path))
        for path in paths
        if path not in _SILENT and before.get(path) != after.get(path)
    )


def _leaves(value: Any, path: Path, currency: str) -> Iterator[tuple[Path, str]]:
    """(path, value in words) of everything that a definition says; what it leaves empty says nothing."""
    if value is None or value == []:
        return
    whole = _whole(value, currency)
    if whole is not None:
        yield path, whole
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _leaves(part, (*path, str(name)), currency)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, part in enumerate(value, start=1):
            yield from _leaves(part, (*path, _name(part, number)), currency)
    else:
        yield path, _scalar(value, path, currency)


def _whole(value: Any, currency: str) -> str | None:
    """Small mappings that people read as one thing: a size, a clock, an approval band; a list of plain values."""
    if isinstance(value, list) and value and not any(isinstance(part, dict | list) for part in value):
        return ", ".join(str(part) for part in value)
    if not isinstance(value, dict):
        return None
    keys = set(value)
    if keys == {"type", "value"}:
        if value["type"] == "amount":
            return _money(value["value"], currency)
        return f"{_plain(value['value'])} {_BASES.get(value['type'], str(value['type']).replace('_', ' '))}"
    if keys == {"zone", "reset"}:
        return f"{value['reset']} {value['zone']}"
    if keys == {"up_to", "approvers"}:
        limit = "any amount" if value["up_to"] is None else f"up to {_money(value['up_to'], currency)}"
        return f"{limit} needs {value['approvers']} approvals"
    return None


def _name(part: Any, number: int) -> str:
    """How a member of a list is found again in the other version: by its id or name, else by its place."""
    if isinstance(part, Mapping):
        return str(part.get("id") or part.get("name") or number)
    return str(number)


_MONEY_FIELDS: Final = frozenset({"initial_balance", "fee", "min_request", "cap_per_request", "offset"})


def _scalar(value: Any, path: Path, currency: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if path[-1] in _MONEY_FIELDS:
        return _money(value, currency)
    if path[-1].endswith("_pct"):
        return f"{_plain(value)} %"
    return str(value)


def _money(value: Any, currency: str) -> str:
    amount = from_minor(to_minor(Decimal(str(value)), currency), currency)
    return f"{amount:,} {currency}"


def _plain(value: Any) -> str:
    return f"{Decimal(str(value)).normalize():f}"


def _words(path: Path) -> str:
    """`phases.Challenge.rules.daily_loss.allowance` as "Challenge · daily loss · allowance"."""
    shown = [part for part in path if part not in ("phases", "rules", "conduct", "gates")]
    return " · ".join(part.replace("_", " ") for part in shown or path)


def sentences(old: Product | None, new: Product) -> tuple[Change, ...]:
    """The rules that differ as traders read them: the sentences that the definitions themselves generate."""
    before, after = _said(old) if old else {}, _said(new)
    paths = [*after, *(path for path in before if path not in after)]
    return tuple(
        Change(
            field=".".join((*path, "words")),
            words=f"{_words(path)}, as the trader reads it",
            was=before.get(path),
            becomes=after.get(path),
        )
        for path in paths
        if before.get(path) != after.get(path)
    )


def _said(product: Product) -> dict[Path, str]:
    phases = [*product.phases, product.funded]
    return {
        (phase.name, rule.id): rule.words(product.context(index))
        for index, phase in enumerate(phases, start=1)
        for rule in phase.rules
    }
