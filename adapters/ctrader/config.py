"""Settings of a connection to the cTrader Open API."""

from pathlib import Path

from pydantic import ConfigDict, Field, SecretStr

from adapters.platforms.http_stream import GatewaySettings


class CTraderSettings(GatewaySettings):
    """One connection: the accounts of one broker in one environment.

    `host`: `live.ctraderapi.com` or `demo.ctraderapi.com`. `client_id`, `client_secret`: of the firm's application.
    `grants_file`: the traders' grants; the adapter writes new tokens into it. `ca_file`: certificates that are trusted
    instead of the system's. `symbols`: names, separated by commas, of the symbols whose prices are read; empty: all
    that can be traded. `timeout`: seconds to wait for an answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(pattern=r"^[A-Za-z0-9.-]{1,253}$")
    port: int = Field(default=5035, ge=1, le=65535)
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)
    grants_file: Path
    ca_file: Path | None = None
    symbols: str = ""
    timeout: float = Field(default=10.0, gt=0, le=120)

    @property
    def wanted_symbols(self) -> frozenset[str]:
        return frozenset(name.strip() for name in self.symbols.split(",") if name.strip())
