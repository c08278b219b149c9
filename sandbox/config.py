"""Settings of a sandbox."""

import datetime
from pathlib import Path
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from ports.platform import FIRST_READER


class SandboxConfig(BaseModel):
    """Settings of one sandbox.

    With `market_dir`, the sandbox replays the recorded quotes of `date`, or of every date that all symbols have: in
    lockstep when `speed` is None, else `speed` times as fast as recorded. `start` is the market time at which the
    replay begins (default: midnight UTC of its first date). Lockstep waits for all `readers`, and for readers that join
    later. A lockstep replay that has gone live uses the price model and no longer reads `market_dir`.

    Without `market_dir`, a seeded price model makes quotes at wall time, without end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = Field(default=8100, ge=1, le=65535)
    token: str = Field(min_length=1)
    webhook_url: str | None = None
    webhook_secret: str = Field(min_length=1)
    public_url: str | None = None
    seed: int = 7
    market_dir: Path | None = None
    symbols: tuple[str, ...] = Field(default=("EURUSD", "XAUUSD"), min_length=1)
    date: datetime.date | None = None
    speed: float | None = Field(default=None, gt=0, le=100_000)
    start: AwareDatetime | None = None
    readers: tuple[str, ...] = Field(default=(FIRST_READER,), min_length=1)

    @model_validator(mode="after")
    def _replay_only(self) -> Self:
        if self.market_dir is None and (self.date or self.speed or self.start):
            raise ValueError("date, speed and start belong to a replay: give market_dir too")
        return self

    @property
    def lockstep(self) -> bool:
        return self.market_dir is not None and self.speed is None

    @property
    def base_url(self) -> str:
        """The address of the hosted checkout page for a browser."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")
