"""The firm's exposure policy: synonyms of symbols, and limits on what its traders hold together. Data with a hash: a
change is a new version on the record."""

import hashlib
import json
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from domain.exposure.figures import Part
from domain.exposure.symbols import Synonyms
from domain.money import ExactDecimal, to_minor
from domain.pnl import REPORTING_CURRENCY

EVERY: Final = "*"
Of = Literal["symbol", "currency", "trader", "firm"]
Measure = Literal["net", "gross", "slope", "owed", "basel"]
Level = Literal["inside", "soft", "hard"]
Amount = Annotated[ExactDecimal, Field(gt=0)]
_MEASURES: Final[dict[Of, tuple[Measure, ...]]] = {
    "symbol": ("net", "gross", "slope"),
    "currency": ("net",),
    "trader": ("net", "gross"),
    "firm": ("net", "gross", "owed", "basel"),
}


class Limit(Part):
    """One limit, in major units of the reporting currency. `name`: the symbol, currency or trader it is for; `*`: each
    of them by itself. `soft` and `hard` compare with the size of the position, whatever its direction."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,40}$")]
    of: Of
    name: Annotated[str, Field(min_length=1, max_length=40)] = EVERY
    measure: Measure
    soft: Amount
    hard: Amount

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.measure not in _MEASURES[self.of]:
            raise ValueError(f"measure: a {self.of} has no {self.measure}; use {', '.join(_MEASURES[self.of])}")
        if self.hard <= self.soft:
            raise ValueError("hard: it is not above soft; raise it")
        if self.of == "firm" and self.name != EVERY:
            raise ValueError("name: there is one firm; leave it out")
        return self

    def minor(self, level: Literal["soft", "hard"]) -> int:
        """Returns the limit in minor units of the reporting currency."""
        return to_minor(getattr(self, level), REPORTING_CURRENCY)


class ExposurePolicy(Part):
    """`synonyms`: the other names of each symbol. `suffixes`: endings that venues add to names. `hysteresis_pct`: a
    limit counts as kept again only this far below it."""

    synonyms: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    suffixes: tuple[str, ...] = ()
    hysteresis_pct: Annotated[ExactDecimal, Field(ge=0, lt=100)] = Decimal(10)
    limits: tuple[Limit, ...] = ()

    @model_validator(mode="after")
    def _is_clear(self) -> Self:
        ids = [limit.id for limit in self.limits]
        twice = sorted({each for each in ids if ids.count(each) > 1})
        if twice:
            raise ValueError(f"limits: two are called {twice[0]}; give each its own id")
        main: dict[str, str] = {}
        for name, others in self.synonyms.items():
            for other in others:
                if other in self.synonyms or main.setdefault(other, name) != name:
                    raise ValueError(f"synonyms: {other} has two meanings; name it once")
        return self

    @cached_property
    def names(self) -> Synonyms:
        return Synonyms(self.synonyms, self.suffixes)

    @cached_property
    def content_hash(self) -> str:
        body = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(body.encode()).hexdigest()


NO_POLICY: Final = ExposurePolicy()
