"""What a product says of patterns of abuse: thresholds and choices that differ for its accounts."""

from collections.abc import Mapping
from typing import Annotated, TypeAlias

from pydantic import Field

from domain.money import ExactDecimal

_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
# A number, or a word such as `scored`. A number stays one when it is read back as text.
_Value = Annotated[ExactDecimal | _Name, Field(union_mode="left_to_right")]
_Numbers = Annotated[Mapping[_Name, _Value], Field(max_length=40)]
# pattern -> threshold -> value
PatternTerms: TypeAlias = Annotated[Mapping[_Name, _Numbers], Field(max_length=50)]
