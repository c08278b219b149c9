"""The way to Stripe: settings, one client, and the outcome of each call.

The SDK repeats nothing by itself: who repeats a call first looks its effect up.
"""

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Annotated, Any, Final, TypeVar

import httpx
import stripe
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from adapters.own_http import trust
from adapters.stripe.errors import error_of, unreadable
from adapters.stripe.shapes import Balance, Shape
from domain.errors import NotFound, Unavailable

# Every call names this version, so that Stripe's newer ones change nothing here. The SDK's types are of this version.
API_VERSION: Final = "2026-10-28.endive"
LIVE_URL: Final = "https://api.stripe.com"
PAGE: Final = 100  # the most rows that Stripe returns at once
# The metadata that mark an object as ours. Stripe forgets an idempotency key after a day, and its metadata never.
KEY: Final = "propos_key"
REFERENCE: Final = "propos_reference"

_KEY_FORM: Final = r"^(sk|rk)_(test|live)_[A-Za-z0-9_-]{1,240}$"
_ODD: Final = (AttributeError, KeyError, TypeError, ValueError)  # raised by the SDK for an answer in another form
_S = TypeVar("_S", bound=Shape)
_O = TypeVar("_O", bound=stripe.StripeObject)


class ClientSettings(BaseModel):
    """`key`: a secret or restricted key; its prefix says whether it moves real money. `url`: another address, for a
    sandbox. `timeout`: seconds until a call without an answer counts as unknown."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    key: SecretStr
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]*[^\s/]$")] = LIVE_URL
    timeout: Annotated[float, Field(gt=0, le=80)] = 30.0

    @field_validator("key")
    @classmethod
    def _secret_key(cls, key: SecretStr) -> SecretStr:
        if not _matches(_KEY_FORM, key.get_secret_value()):
            raise ValueError("must be a secret or restricted key of Stripe: sk_test_, rk_test_, sk_live_ or rk_live_")
        return key

    @model_validator(mode="after")
    def _live_key_encrypted(self) -> "ClientSettings":
        if self.live and not self.url.startswith("https://"):
            raise ValueError("a live key is sent over https only")
        return self

    @property
    def live(self) -> bool:
        """Whether the key moves real money."""
        return "_live_" in self.key.get_secret_value()[:9]


class EventSettings(ClientSettings):
    """`webhook_secrets`: all signing secrets that are valid now, separated by commas: one for each endpoint, and two
    while one is replaced. `account`: the firm's own account id; only needed where Stripe names it in events."""

    webhook_secrets: SecretStr
    account: Annotated[str, StringConstraints(pattern=r"^acct_[A-Za-z0-9]{1,60}$")] | None = None

    @field_validator("webhook_secrets")
    @classmethod
    def _some_secret(cls, secrets: SecretStr) -> SecretStr:
        parts = [part.strip() for part in secrets.get_secret_value().split(",")]
        if not all(_matches(r"^[!-~]{8,200}$", part) for part in parts):
            raise ValueError("must be one or more signing secrets (whsec_...), separated by commas")
        return secrets

    def secrets(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.webhook_secrets.get_secret_value().split(","))


def _matches(form: str, text: str) -> bool:
    return re.fullmatch(form, text) is not None


def known_id(id: str, *prefixes: str) -> str:
    """Returns the id. Raises NotFound for one that cannot be of an object with one of these prefixes."""
    if not _matches(rf"({'|'.join(prefixes)})_[A-Za-z0-9_]{{1,110}}", id):
        raise NotFound("Stripe has no such object.")
    return id


class _Transport(stripe.HTTPClient):
    """httpx for the SDK, like its own HTTPXClient. That one passes bodies in a way that httpx warns about, and hides
    whether a call was sent: here httpx's errors reach `Api`."""

    name = "httpx"

    def __init__(self, settings: ClientSettings) -> None:
        super().__init__()
        proxied = settings.url.startswith("https://")  # a sandbox is on this machine
        self._http = httpx.AsyncClient(verify=trust(env=proxied), timeout=settings.timeout, trust_env=proxied)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        answer = await self._http.request(method, url, headers=dict(headers), content=post_data or None)
        return answer.content, answer.status_code, answer.headers

    async def aclose(self) -> None:
        await self._http.aclose()


class Api:
    """Stripe's API. `v1`: the services of the SDK; pass their calls to `read`, `write` and `rows`."""

    def __init__(self, settings: ClientSettings) -> None:
        logging.getLogger("stripe").setLevel(logging.WARNING)  # below it the SDK logs bodies and messages
        self.live = settings.live
        self._transport = _Transport(settings)
        client = stripe.StripeClient(
            settings.key.get_secret_value(),
            stripe_version=API_VERSION,
            base_addresses={"api": settings.url},
            http_client=self._transport,
            max_network_retries=0,
        )
        self.v1 = client.v1

    async def read(self, shape: type[_S], call: Awaitable[object]) -> _S:
        """Returns the object of a call that changes nothing. Raises Unavailable, NotFound, BadInput."""
        return await self._answer(shape, call, None)

    async def write(self, shape: type[_S], key: str, call: Awaitable[object]) -> _S:
        """Returns the object of a call with this idempotency key. Raises every outcome of ports/money.py."""
        return await self._answer(shape, call, key)

    async def rows(self, shape: type[_S], call: Awaitable[stripe.ListObject[_O]]) -> AsyncIterator[_S]:
        """Yields the rows of a list, page after page. Raises Unavailable for a row in another form."""
        async for row in self.raw_rows(call):
            try:
                yield shape.model_validate(row)
            except ValidationError:
                raise unreadable(None) from None

    async def raw_rows(self, call: Awaitable[stripe.ListObject[_O]]) -> AsyncIterator[object]:
        """Yields the rows of a list unread, page after page: with `ending_before` oldest first, else newest first.
        Raises Unavailable for an answer that is not a list."""
        try:
            page = await call
            if not isinstance(page, stripe.ListObject):
                raise Unavailable("Stripe sent an answer that is not a list.")
            first: object = None
            async for row in page.auto_paging_iter():
                plain = _plain(row)
                if first is not None and plain == first:
                    raise Unavailable("Stripe sent a list that does not end.")
                first = plain if first is None else first
                yield plain
        except httpx.HTTPError as exc:
            raise error_of(exc, None) from exc
        except stripe.StripeError as exc:
            raise error_of(exc, None) from None  # a traceback would show Stripe's message
        except _ODD:
            raise unreadable(None) from None

    async def healthy(self) -> str:
        """Returns which money this moves. Raises Unavailable when the key is not of that mode."""
        balance = await self.read(Balance, self.v1.balance.retrieve_async())
        if balance.livemode != self.live:
            raise Unavailable("Stripe answers in another mode (test or live) than the key's.")
        return "live, real money" if self.live else "test mode, no real money"

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _answer(self, shape: type[_S], call: Awaitable[object], key: str | None) -> _S:
        try:
            return shape.model_validate(_plain(await call))
        except httpx.HTTPError as exc:
            raise error_of(exc, key) from exc
        except stripe.StripeError as exc:
            raise error_of(exc, key) from None  # a traceback would show Stripe's message
        except _ODD:  # a ValidationError is a ValueError
            raise unreadable(key) from None


def _plain(row: object) -> object:
    return row.to_dict() if isinstance(row, stripe.StripeObject) else row


class Connection:
    """A configured connection to Stripe. `name`: in the firm's settings."""

    def __init__(self, name: str, settings: ClientSettings) -> None:
        self.name = name
        self._api = Api(settings)
        self._v1 = self._api.v1

    async def healthy(self) -> str:
        return await self._api.healthy()

    async def aclose(self) -> None:
        await self._api.aclose()
