"""Settings of the adapter, and which group at the venue is which of ours."""

import re
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, StringConstraints, field_validator, model_validator

from adapters.mt5.server_time import ServerClock
from adapters.platforms.http_stream import GatewaySettings
from domain.errors import BadInput
from ports.platform import Marks

_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
_GROUP: Final = re.compile(r"[A-Za-z0-9/_.-]{1,60}")


class Mt5Settings(GatewaySettings):
    """`url`: the WebAPI of the access server; http only on this machine. `manager`, `password`: the manager account for
    it. `first_login`, `last_login`: logins that only this adapter gives out; the manager must be allowed to.

    `group_format`: the name of a group at the venue; {group} is ours with - for /, {currency} the account's.
    `server_zone`: the zone of the server's clock: an IANA name, with hours added if need be ("America/New_York+7");
    empty: the offset is estimated, which is wrong for deals before the last change of the clocks.
    `marks`: whether accounts are judged by the equity that the server states, or by its polled quotes.
    `app_id`: marks our cells in a user's record. `ca_file`: certificates to trust beside the usual ones.
    """

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+$")]
    manager: Annotated[int, Field(gt=0)]
    password: SecretStr
    first_login: Annotated[int, Field(gt=0)]
    last_login: Annotated[int, Field(gt=0, lt=2**53)]
    group_format: str = "propos\\{group}-{currency}"
    server_zone: str = ""
    marks: Marks = "states"
    app_id: Annotated[int, Field(ge=1, le=65535)] = 7707
    build: Annotated[int, Field(gt=0)] = 4755
    agent: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")] = "PropOS"
    timeout: Annotated[float, Field(gt=0, le=120)] = 10
    dealer_seconds: Annotated[float, Field(gt=0, le=120)] = 15
    sessions: Annotated[int, Field(ge=1, le=16)] = 4
    calls_per_second: Annotated[float, Field(gt=0, le=1000)] = 50
    poll_seconds: Annotated[float, Field(ge=0.01, le=5)] = 1
    ca_file: str = ""

    @field_validator("url")
    @classmethod
    def _private(cls, value: str) -> str:
        if value.startswith("http://") and urlsplit(value).hostname not in _HOSTS:
            raise ValueError("passwords go over this connection: use https")
        return value

    @field_validator("group_format")
    @classmethod
    def _names_a_group(cls, value: str) -> str:
        if "{group}" not in value or "{currency}" not in value:
            raise ValueError("must contain {group} and {currency}")
        return value

    @field_validator("server_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        ServerClock(value)
        return value

    @model_validator(mode="after")
    def _has_logins(self) -> Self:
        if self.last_login - self.first_login < 999:
            raise ValueError("first_login to last_login must hold at least 1000 logins")
        return self

    @property
    def group_mask(self) -> str:
        """Every group of ours at the venue."""
        return self.group_format.replace("{group}", "*").replace("{currency}", "*")

    def group_at_venue(self, group: str, currency: str) -> str:
        """Raises BadInput for a group that cannot be part of a name there."""
        if not _GROUP.fullmatch(group):
            raise BadInput(
                f"The group {group[:60]!r} cannot be the name of a group at MT5.",
                field="group",
                remedy="Use letters, figures and - _ . / only.",
            )
        return self.group_format.replace("{group}", group.replace("/", "-")).replace("{currency}", currency)
