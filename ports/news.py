"""Scheduled economic releases from a calendar."""

from datetime import datetime
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator


class Release(BaseModel):
    """A release. `key` identifies it for good, also when it is moved; `ends_at`: the end of a speech. `names` lists
    affected currencies or instruments, empty for all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(min_length=1, max_length=120)
    released_at: AwareDatetime
    ends_at: AwareDatetime | None = None
    names: tuple[str, ...]
    impact: str = Field(min_length=1, max_length=12)
    title: str = Field(min_length=1, max_length=200)

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.ends_at is not None and self.ends_at < self.released_at:
            raise ValueError("the release ends before it begins; mend its times")
        return self

    @property
    def at(self) -> datetime:
        return self.released_at
