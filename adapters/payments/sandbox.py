"""The fake payment provider behind the payments port, over HTTP."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from adapters.sandbox_http import options, refusal, transport_error
from domain.errors import BadInput, BadSignature, NotFound
from ports.payments import Checkout, ProviderEntry, Transfer, WebhookEvent

_WHO: Final = "The sandbox payment provider"
_SIGNATURE_HEADER: Final = "propos-signature"
_MAX_AGE_SECONDS: Final = 300
_TRANSFERS: Final = TypeAdapter(list[Transfer])
_ENTRIES: Final = TypeAdapter(list[ProviderEntry])
_EVENTS: Final = TypeAdapter(list[WebhookEvent])
_Model = TypeVar("_Model", bound=BaseModel)


class SandboxPayments:
    """A PaymentProvider on the sandbox at `url`. A call without an answer within `timeout` seconds raises
    OutcomeUnknown when it may have moved money, else Unavailable."""

    name = "sandbox"

    def __init__(self, *, url: str, token: str, webhook_secret: str, timeout: float = 10.0) -> None:
        self._client = httpx.AsyncClient(**options(url, token, timeout))
        self._secret = webhook_secret.encode()

    async def create_checkout(
        self, *, key: str, reference: str, amount_minor: int, currency: str, description: str, return_url: str
    ) -> Checkout:
        body = {
            "reference": reference,
            "amount_minor": amount_minor,
            "currency": currency,
            "description": description,
            "return_url": return_url,
        }
        return await self._post("/provider/checkouts", key, body, Checkout)

    async def fetch_checkout(self, checkout_id: str) -> Checkout:
        return Checkout.model_validate_json(await self._get(f"/provider/checkouts/{_segment(checkout_id)}"))

    async def expire_checkout(self, checkout_id: str, *, key: str) -> Checkout:
        return await self._post(f"/provider/checkouts/{_segment(checkout_id)}/expire", key, None, Checkout)

    async def refund(self, checkout_id: str, *, key: str) -> Checkout:
        return await self._post(f"/provider/checkouts/{_segment(checkout_id)}/refund", key, None, Checkout)

    async def create_transfer(
        self, *, key: str, reference: str, amount_minor: int, currency: str, beneficiary: str
    ) -> Transfer:
        body = {
            "reference": reference,
            "amount_minor": amount_minor,
            "currency": currency,
            "beneficiary": beneficiary,
        }
        return await self._post("/provider/transfers", key, body, Transfer)

    async def fetch_transfer(self, transfer_id: str) -> Transfer:
        return Transfer.model_validate_json(await self._get(f"/provider/transfers/{_segment(transfer_id)}"))

    async def find_transfer(self, key: str) -> Transfer | None:
        found = _TRANSFERS.validate_json(await self._get("/provider/transfers", key=key))
        return found[0] if found else None

    async def entries(self, after: str | None) -> list[ProviderEntry]:
        return _ENTRIES.validate_json(await self._get("/provider/entries", after=after))

    async def events(self, after: str | None) -> list[WebhookEvent]:
        return _EVENTS.validate_json(await self._get("/provider/events", after=after))

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookEvent:
        _verify(body, headers, now, self._secret)
        try:
            data = json.loads(body)
            return WebhookEvent.model_validate({"event_id": data.pop("id"), **data})
        except (ValueError, KeyError, AttributeError, TypeError, ValidationError) as exc:
            raise BadInput("The webhook is signed but is no payment event.", field="body") from exc

    async def healthy(self) -> str:
        await self._get("/provider/events", after=None)
        return "sandbox, no real money"

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _get(self, path: str, **query: str | None) -> bytes:
        params = {name: value for name, value in query.items() if value is not None}
        try:
            answer = await self._client.get(path, params=params)
        except httpx.TransportError as exc:
            raise transport_error(_WHO, exc, changing=False) from exc
        if not answer.is_success:
            raise refusal(_WHO, answer, None)
        return answer.content

    async def _post(self, path: str, key: str, body: dict[str, Any] | None, model: type[_Model]) -> _Model:
        try:
            answer = await self._client.post(path, json=body, headers={"Idempotency-Key": key})
        except httpx.TransportError as exc:
            raise transport_error(_WHO, exc, changing=True) from exc
        if not answer.is_success:
            raise refusal(_WHO, answer, key)
        return model.model_validate_json(answer.content)


def _segment(id: str) -> str:
    """An id as one part of a path."""
    if not id.isascii() or not id.replace("_", "").isalnum():
        raise NotFound(f"The payment provider knows no {id!r}.")
    return id


def _verify(body: bytes, headers: Mapping[str, str], now: datetime, secret: bytes) -> None:
    """Raises BadSignature unless exactly one fresh signature of ours stands over exactly this body."""
    values = [value for name, value in headers.items() if name.lower() == _SIGNATURE_HEADER]
    if len(values) != 1:
        raise BadSignature("The webhook carries no signature.")
    pairs = [part.partition("=")[::2] for part in values[0].split(",")]
    fields = dict(pairs)
    unix, digest = fields.get("t", ""), fields.get("v1", "")
    if len(pairs) != 2 or set(fields) != {"t", "v1"} or not re.fullmatch(r"[0-9]{1,12}", unix):
        raise BadSignature("The webhook's signature header is malformed.")
    expected = hmac.new(secret, unix.encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), digest.encode()):
        raise BadSignature("The webhook's signature does not match its body.")
    if abs(int(now.timestamp()) - int(unix)) > _MAX_AGE_SECONDS:
        raise BadSignature(f"The webhook's signature is older than {_MAX_AGE_SECONDS} seconds.")
