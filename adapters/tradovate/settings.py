"""Settings of a connection to Tradovate's Partner API."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field, SecretStr, StringConstraints, field_validator, model_validator

from adapters.platforms.http_stream import GatewaySettings
from domain.money import Currency

# Evaluation accounts live on the demo host; users are made on the live host.
_DEMO: Final = "https://demo.tradovateapi.com/v1"
_LIVE: Final = "https://live.tradovateapi.com/v1"
_QUOTES: Final = "wss://md.tradovateapi.com/v1/websocket"

Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]*[^\s/]$")]
SocketUrl = Annotated[str, StringConstraints(pattern=r"^wss?://[^\s]*[^\s/]$")]


class TradovateSettings(GatewaySettings):
    """`name`, `password`, `cid`, `sec`: of the API key of an organization administrator. `holder`: id of the firm's own
    user, to whom new accounts belong until a trader gets the permission to trade. `templates`: which template account
    the accounts of a group are made from, as `group=id` separated by commas; the group `*` is every other one.
    `symbols`: names of the contracts whose quotes are read, separated by commas. `currency`: of the template accounts.
    `prefix`: capital letters that the names of our accounts begin with. `sockets`: over how many web sockets the
    accounts are spread. `calls_per_hour`: the venue's limit for our user. `timeout`: seconds until a call without an
    answer counts as unknown."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    password: SecretStr
    cid: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,12}$")]
    sec: SecretStr
    holder: Annotated[int, Field(gt=0)]
    templates: str
    symbols: str
    currency: Currency = "USD"
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,20}$")] = "PROPOS"
    sockets: Annotated[int, Field(ge=1, le=40)] = 1  # the venue allows 50 connections of one user
    url: Url = _DEMO
    users_url: Url = _LIVE
    quotes_url: SocketUrl = _QUOTES
    calls_per_hour: Annotated[int, Field(ge=1000)] = 5000
    timeout: Annotated[float, Field(gt=0, le=80)] = 20.0

    @field_validator("templates")
    @classmethod
    def _known_templates(cls, text: str) -> str:
        for part in _parts(text):
            group, equals, id = part.rpartition("=")
            if not equals or not group or not id.isdigit():
                raise ValueError("must be group=id, separated by commas, such as two-step/1=1234,*=1235")
        if not _parts(text):
            raise ValueError("must name at least one template account")
        return text

    @model_validator(mode="after")
    def _encrypted(self) -> "TradovateSettings":
        own = ("http://127.0.0.1:", "http://localhost:", "ws://127.0.0.1:", "ws://localhost:")
        for url in (self.url, self.users_url, self.quotes_url):
            if not url.startswith(("https://", "wss://", *own)):
                raise ValueError("passwords are sent over https and wss only, except to this machine")
        return self

    @property
    def socket_url(self) -> str:
        """Where the changes of accounts are pushed."""
        return f"ws{self.url.removeprefix('http')}/websocket"

    def template(self, group: str) -> int | None:
        """The template account for a group; None if there is none."""
        ids = {name: int(id) for name, _, id in (part.rpartition("=") for part in _parts(self.templates))}
        return ids.get(group, ids.get("*"))

    def symbol_names(self) -> tuple[str, ...]:
        return tuple(_parts(self.symbols))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
