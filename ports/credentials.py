"""What traders sign in to a venue with.

The firm makes the password up and stores it encrypted before the call, so that a repeat sends the same one. An adapter
keeps it nowhere and writes it into no error.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Holder:
    """The trader of an account. `username`: under which the trader signs in to this venue already; None if not known.
    It matters where one user trades several accounts."""

    email: str
    name: str
    username: str | None = None


@dataclass(frozen=True, slots=True)
class SignIn:
    """`username`: of the trader at the venue. `new`: whether the password of the call is the one to sign in with. False
    when the trader had a user before, and signs in as before."""

    username: str
    new: bool = True


@runtime_checkable
class GivesCredentials(Protocol):
    """Part of a TradingPlatform with the capability `credentials`."""

    async def create_credentials(self, login: int, *, key: str, password: SecretStr, holder: Holder) -> SignIn:
        """Lets the trader of an account sign in with this password. A late repeat does nothing. Raises NotFound."""
        ...


@runtime_checkable
class ResetsCredentials(GivesCredentials, Protocol):
    """Part of a TradingPlatform with the capability `credentials` "reset"."""

    async def reset_credentials(self, login: int, *, key: str, password: SecretStr) -> SignIn:
        """Replaces the password. A late repeat, after another reset, does nothing. Raises NotFound."""
        ...
