"""Port of an identity check: who is the trader?

ports/money.py says how each call may end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from domain.errors import NotConfigured
from ports.money import Data, EventSource


class IdentitySession(Data):
    """One check of a trader. `reference`: our trader id. `url`: where the trader continues; "" when there is nothing to
    do there. `status`: `pending` until it is decided; `failed` may be tried again with a new session. `why`: in the
    checker's words. `full_name`: the verified name, `born`: the verified date of birth, as YYYY-MM-DD, `address`: the
    verified postal address, `document`: country, kind and number of the document; "" while unknown."""

    session_id: str
    key: str
    reference: str
    url: str
    status: Literal["pending", "verified", "failed", "cancelled"]
    why: str = ""
    full_name: str = ""
    born: str = ""
    address: str = ""
    document: str = ""


class IdentityChecker(EventSource, Protocol):
    """`name`: the name in the firm's settings."""

    async def start(self, *, key: str, reference: str, return_url: str) -> IdentitySession: ...

    async def fetch(self, session_id: str) -> IdentitySession: ...

    async def find(self, key: str) -> IdentitySession | None: ...

    async def healthy(self) -> str: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True)
class IdentityCheckers:
    """The configured identity checkers by name. `default`: checks new traders."""

    by_name: Mapping[str, IdentityChecker]
    default: str

    def of(self, name: str) -> IdentityChecker:
        """Raises NotConfigured."""
        if name not in self.by_name:
            raise NotConfigured("identity checker", name, "PROPOS_IDENTITY")
        return self.by_name[name]
