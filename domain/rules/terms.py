"""The parts of every definition: immutable terms, sizes in money or percent, operators."""

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from domain.money import ExactDecimal, half_up, to_minor

RuleId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,40}$")]
Operator = Literal["equity < floor", "equity <= floor"]
Compare = Literal["<", "<=", ">", ">="]
Where = tuple[str | int, ...]


class Later:
    """Marks a field that came after the first products were sold: `period: Annotated[Period, LATER] = "day"`. At its
    default it is left out of the definition as data, so that the hash of terms without it stays the same."""


LATER: Final = Later()


class Terms(BaseModel):
    """Any part of a product definition: immutable; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_serializer(mode="wrap")
    def _without_unused_later_fields(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = serialize(self)
        for name in _later_fields(type(self)):
            if getattr(self, name) == type(self).model_fields[name].get_default(call_default_factory=True):
                data.pop(name, None)
        return data

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


@cache
def _later_fields(kind: type[Terms]) -> tuple[str, ...]:
    return tuple(name for name, field in kind.model_fields.items() if LATER in field.metadata)


class Size(Terms):
    """A fixed amount (major units), or a percentage of the figure that `type` names."""

    type: Literal["amount", "pct_of_initial", "pct_of_anchor", "pct_of_peak", "pct_of_trade_value", "pct_of_balance"]
    value: Annotated[ExactDecimal, Field(gt=0)]

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        if self.type == "amount":
            yield ("value",), self.value

    def minor(self, *, initial: int, basis: int, currency: str) -> int:
        """Returns the size in minor units, rounded half up. `basis`: the figure that `type` names, in minor units."""
        if self.type == "amount":
            return to_minor(self.value, currency)
        base = initial if self.type == "pct_of_initial" else basis
        return half_up(Decimal(base) * self.value / 100)
