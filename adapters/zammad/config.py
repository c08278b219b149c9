"""The settings of a Zammad."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from adapters.own_http import WebUrl

WHO: Final = "Zammad"


class ZammadSettings(BaseModel):
    """`token`: an access token of an agent of Zammad with the permission `ticket.agent`, who may read, create and
    change tickets of `group`. `webhook_secret`: the signature token of the webhook in Zammad. `open_state`,
    `closed_state`, `merged_state`: the names of these states there; every state of the type of the closed one counts as
    closed. `timeout`: seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: WebUrl
    token: SecretStr = Field(min_length=1)
    group: str = Field(default="Users", min_length=1)
    webhook_secret: SecretStr = Field(min_length=16)
    open_state: str = "open"
    closed_state: str = "closed"
    merged_state: str = "merged"
    timeout: float = Field(default=8.0, gt=0, le=15)
