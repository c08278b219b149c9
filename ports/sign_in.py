"""Port of an identity provider that signs staff in."""

from datetime import datetime
from typing import Protocol

from ports.money import Data


class ProviderPerson(Data):
    """Who signed in, as the provider proves it. `subject` is the provider's own name of the person; with `issuer` it is
    the identity. `signed_in_at`: when the person last proved themselves there; None: the provider does not say."""

    issuer: str
    subject: str
    signed_in_at: datetime | None = None


class IdentityProvider(Protocol):
    @property
    def label(self) -> str:
        """Its name on the button of the sign-in page."""
        ...

    async def address(self, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Returns where the browser goes. `verifier` is the secret of PKCE. Raises Unavailable."""
        ...

    async def redeem(self, *, code: str, redirect_uri: str, nonce: str, verifier: str) -> ProviderPerson:
        """Exchanges the code of a browser that came back. Raises SignInRefused, or Unavailable."""
        ...
