"""The identity check without a provider: staff look at the documents and decide in the console."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict

from domain.errors import BadSignature, NotFound
from ports.identity import IdentityChecker, IdentitySession
from ports.money import WebhookEvent
from ports.plugin import Plugin

_PREFIX: Final = "man_"


class ManualChecker:
    """A session is `pending` for ever: the decision of a person is on the firm's own record. Nothing is stored here, so
    starting again has no effect, and a session's id says which trader it is about."""

    def __init__(self, name: str = "manual") -> None:
        self.name = name

    async def start(self, *, key: str, reference: str, return_url: str) -> IdentitySession:
        return IdentitySession(
            session_id=_PREFIX + reference, key=key, reference=reference, url="", status="pending", why="Staff decide."
        )

    async def fetch(self, session_id: str) -> IdentitySession:
        if not session_id.startswith(_PREFIX):
            raise NotFound
        return await self.start(key="", reference=session_id.removeprefix(_PREFIX), return_url="")

    async def find(self, key: str) -> IdentitySession | None:
        return None

    async def events(self, after: str | None) -> list[WebhookEvent]:
        return []

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookEvent | None:
        raise BadSignature("The manual identity check sends no webhooks.")

    async def healthy(self) -> str:
        return "Staff decide identities in the console."

    async def aclose(self) -> None:
        return None


class ManualSettings(BaseModel):
    """There is nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _build(name: str, _: ManualSettings) -> IdentityChecker:
    return ManualChecker(name)


PLUGIN: Final = Plugin(ManualSettings, None, _build)
