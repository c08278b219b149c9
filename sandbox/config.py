"""Settings of a sandbox."""

import datetime
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from ports.platform import FIRST_READER

SETTLED_BY: Final = "STRIPE"  # the debtor of what the fake Stripe pays out to the firm's bank


class StripeEndpoint(BaseModel):
    """A receiver of the fake Stripe's webhooks, with a signing secret of its own.

    `kind`: `account` takes the events of the firm's own account, `connect` those of the payees' accounts, `thin` the
    thin events. `events`: the types it takes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")
    url: str = Field(pattern=r"^https?://")
    secret: str = Field(min_length=8)
    kind: Literal["account", "connect", "thin"] = "account"
    events: tuple[str, ...] = ("*",)


class SandboxConfig(BaseModel):
    """Settings of one sandbox.

    With `market_dir`, the sandbox replays the recorded quotes of `date`, or of every date that all symbols have: in
    lockstep when `speed` is None, else `speed` times as fast as recorded. `start` is the market time at which the
    replay begins (default: midnight UTC of its first date). Lockstep waits for all `readers`, and for readers that join
    later. A lockstep replay that has gone live uses the price model and no longer reads `market_dir`.

    With `bank_dir`, a simulated bank exchanges files in that folder and keeps an account of the firm in each of
    `bank_currencies`.

    Without `market_dir`, a seeded price model makes quotes at wall time, without end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = Field(default=8100, ge=1, le=65535)
    token: str = Field(min_length=1)
    webhook_url: str | None = None
    webhook_secret: str = Field(min_length=1)
    stripe_endpoints: tuple[StripeEndpoint, ...] = ()
    public_url: str | None = None
    seed: int = 7
    market_dir: Path | None = None
    symbols: tuple[str, ...] = Field(default=("EURUSD", "XAUUSD"), min_length=1)
    date: datetime.date | None = None
    speed: float | None = Field(default=None, gt=0, le=100_000)
    start: AwareDatetime | None = None
    readers: tuple[str, ...] = Field(default=(FIRST_READER,), min_length=1)
    bank_dir: Path | None = None
    bank_currencies: tuple[str, ...] = ("EUR", "USD", "GBP")

    @model_validator(mode="after")
    def _replay_only(self) -> Self:
        if self.market_dir is None and (self.date or self.speed or self.start):
            raise ValueError("date, speed and start belong to a replay: give market_dir too")
        return self

    @property
    def lockstep(self) -> bool:
        return self.market_dir is not None and self.speed is None

    @property
    def stripe_key(self) -> str:
        """The secret key of the fake Stripe."""
        return f"sk_test_{self.token}"

    @property
    def base_url(self) -> str:
        """The address of the hosted checkout page for a browser."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")
