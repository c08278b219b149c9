"""Scheduled economic releases from a calendar."""

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Release(BaseModel):
    """A release. `key` identifies it for good; `names` lists affected currencies or instruments, empty for all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(min_length=1, max_length=120)
    released_at: AwareDatetime
    names: tuple[str, ...]
    impact: str = Field(min_length=1, max_length=12)
    title: str = Field(min_length=1, max_length=200)

    @property
    def at(self) -> datetime:
        return self.released_at
