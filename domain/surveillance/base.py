"""The numbers that a pattern judges by."""

import hashlib
from collections.abc import Mapping
from math import ceil, floor
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError


class Thresholds(BaseModel):
    """Times are market time. `near_line`: the numbers that make the line, by name, with the factor that makes each a
    little easier to reach: what is found only then is a little below the line."""

    near_line: ClassVar[Mapping[str, float]] = {}

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def version(self) -> str:
        """Returns eight hex digits that change with every number: findings of one version were judged alike."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]

    def eased(self) -> Self:
        """Returns the thresholds a little below these; a number that can be no easier stays."""
        found = self
        for name, factor in self.near_line.items():
            told = getattr(found, name)
            value = told * factor
            if isinstance(told, int):
                value = floor(value) if factor < 1 else ceil(value)
            try:
                found = type(self).model_validate({**found.model_dump(), name: value})
            except ValidationError:
                continue
        return found
