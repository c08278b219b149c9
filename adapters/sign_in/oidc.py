"""OpenID Connect: the code flow with PKCE, state and nonce, against one provider.

What the provider says is believed only from its id token: signed with a key of its own, by the issuer that was
configured, for this client, with the nonce of this browser, and not expired.
"""

import time
import warnings
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from authlib.deprecate import AuthlibDeprecationWarning  # type: ignore[import-untyped]
from authlib.integrations.base_client.errors import OAuthError  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from domain.errors import Unavailable
from domain.sign_in_errors import SignInRefused
from ports.sign_in import ProviderPerson

with warnings.catch_warnings():  # authlib would rather have the successor of httpx, which is not here
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]

_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
_LEEWAY: Final = 60  # seconds that two clocks may differ
_SECONDS: Final = 10.0
_KEPT: Final = 3600.0  # the provider's metadata is read again after so many seconds
_NO_ANSWER: Final = "The identity provider does not answer."


class OidcProvider:
    """One identity provider. `issuer` is exactly what its metadata and tokens say."""

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        label: str = "Single sign-on",
        seconds: float = _SECONDS,
    ) -> None:
        """`seconds`: for how long an answer of the provider is waited for."""
        self._issuer = issuer
        self._seconds = seconds
        self._client_id = client_id
        self._client_secret = client_secret
        self._label = label
        self._metadata: dict[str, Any] = {}
        self._read_at = 0.0

    @property
    def label(self) -> str:
        return self._label

    async def address(self, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """See `ports.sign_in.IdentityProvider`."""
        metadata = await self._discovered()
        async with self._client(redirect_uri) as client:
            url, _ = client.create_authorization_url(
                metadata["authorization_endpoint"], state=state, code_verifier=verifier, nonce=nonce
            )
        return str(url)

    async def redeem(self, *, code: str, redirect_uri: str, nonce: str, verifier: str) -> ProviderPerson:
        """See `ports.sign_in.IdentityProvider`."""
        metadata = await self._discovered()
        try:
            async with self._client(redirect_uri) as client:
                tokens = await client.fetch_token(metadata["token_endpoint"], code=code, code_verifier=verifier)
        except OAuthError as error:
            raise SignInRefused("The identity provider did not accept this sign-in. Start again.") from error
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(_NO_ANSWER, remedy="Sign in again in a moment.") from error
        token = tokens.get("id_token")
        if not isinstance(token, str):
            raise SignInRefused("The identity provider sent no id token. Start again.")
        return await self._person(token, metadata, nonce)

    async def _person(self, token: str, metadata: dict[str, Any], nonce: str) -> ProviderPerson:
        keys = await self._get(metadata["jwks_uri"])
        registry = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY,
            iss={"essential": True, "value": self._issuer},
            sub={"essential": True},
            aud={"essential": True, "value": self._client_id},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms=_ALGORITHMS).claims  # type: ignore[arg-type]
            registry.validate(claims)
        except (JoseError, ValueError) as error:
            raise SignInRefused("The identity provider's answer cannot be trusted. Start again.") from error
        audience, party = claims["aud"], claims.get("azp")
        several = isinstance(audience, list) and len(audience) > 1
        if (several and party is None) or party not in (None, self._client_id):
            raise SignInRefused("The identity provider's answer is for another client.")
        subject, proven = claims["sub"], claims.get("auth_time")
        if not 0 < len(subject) <= 255:
            raise SignInRefused("The identity provider's answer names nobody.")
        at = datetime.fromtimestamp(proven, UTC) if isinstance(proven, int) and 0 < proven < time.time() + 60 else None
        return ProviderPerson(issuer=self._issuer, subject=subject, signed_in_at=at)

    async def _discovered(self) -> dict[str, Any]:
        """Raises Unavailable, also for metadata of another issuer."""
        if self._metadata and time.monotonic() - self._read_at < _KEPT:
            return self._metadata
        found = await self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if found.get("issuer") != self._issuer or not all(isinstance(found.get(name), str) for name in needed):
            raise Unavailable(
                "The identity provider is not the one of PROPOS_OIDC_ISSUER.",
                remedy="Set it to exactly the `issuer` of the provider's metadata.",
            )
        self._metadata, self._read_at = found, time.monotonic()
        return found

    async def _get(self, url: str) -> dict[str, Any]:
        try:
            async with httpx.AsyncClient(timeout=self._seconds) as http:
                found = (await http.get(url)).raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(_NO_ANSWER, remedy="Try again in a moment.") from error
        if not isinstance(found, dict):
            raise Unavailable("The identity provider's answer cannot be read.")
        return found

    def _client(self, redirect_uri: str) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            self._client_id,
            self._client_secret,
            scope="openid",
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=self._seconds,
        )
