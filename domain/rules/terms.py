"""The parts of every definition: immutable terms, sizes in money or percent, operators."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue

from domain.money import ExactDecimal, half_up, to_minor
from domain.wording import listing, money, percent

RuleId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,40}$")]
Operator = Literal["equity < floor", "equity <= floor"]
Compare = Literal["<", "<=", ">", ">="]
Where = tuple[str | int, ...]


class Later:
    """Marks a field that came after the first products were sold: `period: Annotated[Period, LATER] = "day"`. At its
    default it is left out of the definition as data, so that the hash of terms without it stays the same."""


LATER: Final = Later()
WHOLE: Final = {"whole": True}  # the context in which a definition is written with every field, to be compared


class Terms(BaseModel):
    """Any part of a product definition: immutable; unknown fields are refused."""

    # Of most parts only the product that holds them is validated: it would be slow to prepare each for itself too.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @model_serializer(mode="wrap")
    def _without_unused_later_fields(
        self, serialize: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        data: dict[str, Any] = serialize(self)
        if info.context == WHOLE:
            return data
        for name, default in _later_fields(type(self)):
            if getattr(self, name) == default:
                data.pop(name, None)
        return data

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Every field of its own: what the serializer leaves out is only what is at its default."""
        return handler(_without_serializer(core_schema))

    @property
    def path(self) -> Where:
        """The steps after the number of this part in the place of a field, when the part is in a list."""
        return ()

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        """Yields (place of the field, amount in major units) for every amount of money in this part."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Terms):
                yield from (((name, *where), amount) for where, amount in value.amounts())
            elif isinstance(value, tuple):
                for number, item in enumerate(value):
                    if isinstance(item, Terms):
                        yield from (((name, number, *item.path, *where), amount) for where, amount in item.amounts())


def _without_serializer(schema: Any) -> Any:
    kept = {name: value for name, value in schema.items() if name != "serialization"}
    return kept | {"schema": _without_serializer(kept["schema"])} if isinstance(kept.get("schema"), dict) else kept


@cache
def _later_fields(kind: type[Terms]) -> tuple[tuple[str, Any], ...]:
    """Returns (name, default) of each."""
    later = ((name, field) for name, field in kind.model_fields.items() if LATER in field.metadata)
    return tuple((name, field.get_default(call_default_factory=True)) for name, field in later)


SizeType = Literal[
    "amount",
    "pct_of_initial",
    "pct_of_anchor",
    "pct_of_peak",
    "pct_of_trade_value",
    "pct_of_balance",
    "pct_of_payout_balance",
    "pct_of_anchor_profit",
    "pct_of_peak_profit",
]
# In place of minor units: there is no limit. Larger than any amount, and a sum with any amount fits 64 bits.
NO_LIMIT: Final = 2**62


@dataclass(frozen=True, slots=True)
class SizeFigures:
    """The figures of one account that a size may be a percentage of, in minor units."""

    initial: int
    anchor: int
    peak: int
    balance: int
    payout_balance: int


class SizeStep(Terms):
    """From this profit on (major units), the size has another value; None: from there on there is no limit."""

    from_profit: ExactDecimal
    value: Annotated[ExactDecimal, Field(ge=0)] | None

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        yield ("from_profit",), self.from_profit


class Size(Terms):
    """A fixed amount (major units), or a percentage of the figure that `type` names.

    pct_of_balance: the balance after the event. pct_of_payout_balance: what the last payout left, the initial balance
    before any. pct_of_anchor_profit, pct_of_peak_profit: the anchor or peak minus the initial balance, at least 0.
    `at_least` (major units): the size never falls below it. `steps`: another value from such a profit on. The profit is
    the one that the percentage is of; for the other types it is the figure that the percentage is of, or the anchor,
    minus the initial balance.
    """

    type: SizeType
    value: Annotated[ExactDecimal, Field(ge=0)]
    at_least: Annotated[Annotated[ExactDecimal, Field(ge=0)] | None, LATER] = None
    steps: Annotated[tuple[SizeStep, ...], LATER] = ()

    @model_validator(mode="after")
    def _steps_rise(self) -> Self:
        starts = [step.from_profit for step in self.steps]
        if any(later <= earlier for earlier, later in pairwise(starts)):
            raise ValueError("steps: each begins at a larger profit than the one before it")
        return self

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        if self.type == "amount":
            yield ("value",), self.value
        if self.at_least is not None:
            yield ("at_least",), self.at_least
        for number, step in enumerate(self.steps):
            yield from (((("steps", number, *where)), amount) for where, amount in step.amounts())
            if self.type == "amount" and step.value is not None:
                yield ("steps", number, "value"), step.value

    @property
    def is_plain(self) -> bool:
        """Whether the size has neither a least amount nor steps."""
        return self.at_least is None and not self.steps

    def minor(self, *, initial: int, basis: int, currency: str) -> int:
        """Returns the size in minor units, rounded half up, or NO_LIMIT. `basis`: the figure that `type` names, in
        minor units. A percentage of less than 0 is 0."""
        value = self._value(max(basis - initial, 0), currency) if self.steps else self.value
        if value is None:
            return NO_LIMIT
        if self.type == "amount":
            size = to_minor(value, currency)
        else:
            base = initial if self.type == "pct_of_initial" else basis
            if self.type.endswith("_profit"):
                base = basis - initial
            size = half_up(Decimal(base) * value / 100) if base > 0 else 0
        return size if self.at_least is None else max(size, to_minor(self.at_least, currency))

    def minor_of(self, figures: SizeFigures, currency: str) -> int:
        """Returns the size of an account in minor units, or NO_LIMIT."""
        basis = {
            "pct_of_peak": figures.peak,
            "pct_of_peak_profit": figures.peak,
            "pct_of_balance": figures.balance,
            "pct_of_payout_balance": figures.payout_balance,
        }.get(self.type, figures.anchor)
        return self.minor(initial=figures.initial, basis=basis, currency=currency)

    def _value(self, profit_minor: int, currency: str) -> Decimal | None:
        """Returns the value at this profit."""
        value: Decimal | None = self.value
        for step in self.steps:
            if profit_minor >= to_minor(step.from_profit, currency):
                value = step.value
        return value


@dataclass(frozen=True, slots=True)
class MovingSize:
    """A size in the currency of an account, that depends on more than the basis."""

    size: Size
    currency: str


@dataclass(frozen=True, slots=True)
class FloorStep:
    """Once `when` is at least `reaches_minor`, the floor is for good `anchor` minus the size."""

    when: Literal["balance", "equity"]
    reaches_minor: int
    anchor: Literal["initial", "reached"]
    size: MovingSize


@dataclass(frozen=True, slots=True)
class Figures:
    """Further figures of an account, as the rule counts them, of which a size may be a percentage.

    `anchor_minor`: the balance at the last reset, `peak_minor`: the highest one; the initial balance before the first
    (`reset`: there was one). `payout_balance_minor`: what the last
    payout left, `payout_before_minor`: what the one before it left, in case it comes back. `step`: the number of the
    last step that was reached (0: none), which has set the floor to `step_base_minor` minus `step_allowance_minor`.
    """

    anchor_minor: int
    peak_minor: int
    balance_minor: int
    payout_balance_minor: int
    payout_before_minor: int
    reset: bool = False
    step: int = 0
    step_base_minor: int = 0
    step_allowance_minor: int = 0

    @classmethod
    def first(cls, initial_minor: int) -> "Figures":
        """Returns the figures of a new account."""
        return cls(initial_minor, initial_minor, initial_minor, initial_minor, initial_minor)


_FIGURES: Final[dict[SizeType, str]] = {
    "pct_of_initial": "the initial balance",
    "pct_of_anchor": "{anchor}",
    "pct_of_peak": "{peak}",
    "pct_of_trade_value": "the trade value",
    "pct_of_balance": "your current balance",
    "pct_of_payout_balance": "the balance that the last payout left (before any, the initial balance)",
    "pct_of_anchor_profit": "the amount by which {anchor} exceeds the initial balance",
    "pct_of_peak_profit": "the amount by which {peak} exceeds the initial balance",
}
ANCHOR: Final = "the balance at the last daily reset"
PEAK: Final = "the highest balance at a daily reset"


def size_words(size: Size, initial_minor: int, currency: str, *, anchor: str = ANCHOR, peak: str = PEAK) -> str:
    """Returns a size for people, with its least amount and its steps. `anchor`, `peak`: the rule's own, in words."""

    def value_words(value: Decimal) -> str:
        return _value_words(size.type, value, initial_minor, currency, anchor, peak)

    words = value_words(size.value)
    parts = []
    for step in size.steps:
        value = "no limit" if step.value is None else value_words(step.value)
        profit = money(to_minor(step.from_profit, currency), currency)
        parts.append(f"from a profit of {profit} on, {value}")
    if size.at_least is not None:
        parts.append(f"never less than {money(to_minor(size.at_least, currency), currency)}")
    return f"{words} ({listing(parts)})" if parts else words


def _value_words(kind: SizeType, value: Decimal, initial_minor: int, currency: str, anchor: str, peak: str) -> str:
    if kind == "amount":
        return money(to_minor(value, currency), currency)
    words = f"{percent(value)} of {_FIGURES[kind].format(anchor=anchor, peak=peak)}"
    if kind == "pct_of_initial":
        part = half_up(Decimal(initial_minor) * value / 100)
        words += f" ({money(part, currency)})"
    return words
