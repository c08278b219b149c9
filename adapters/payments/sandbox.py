"""Adapter for the simulated payment provider, over HTTP."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from adapters.sandbox_http import WebUrl, options, refusal, transport_error
from domain.errors import BadInput, BadSignature, CursorForgotten, NotFound, OutcomeUnknown, Unavailable
from ports.payments import Checkout, PaymentCapabilities, PaymentProvider, ProviderEntry, Transfer, WebhookEvent
from ports.plugin import Plugin

_WHO: Final = "The sandbox payment provider"
_SIGNATURE_HEADER: Final = "propos-signature"
_MAX_AGE_SECONDS: Final = 300
_CHECKOUT: Final = TypeAdapter(Checkout)
_TRANSFER: Final = TypeAdapter(Transfer)
_TRANSFERS: Final = TypeAdapter(list[Transfer])
_FORGOTTEN: Final = frozenset({400, 404, 409, 410, 422})  # possible answers to an unknown `after`
_UNREADABLE: Final = "unreadable"
_UNREAD_FIELDS: Final[Mapping[type[BaseModel], Mapping[str, object]]] = {  # in place of an unreadable field
    WebhookEvent: {"kind": _UNREADABLE, "object_id": "-", "created_at": None},
    ProviderEntry: {
        "object_id": "-",
        "reference": "-",
        "kind": _UNREADABLE,
        "amount_minor": 0,
        "currency": "-",
        "at": datetime(1970, 1, 1, tzinfo=UTC),
    },
}
_Model = TypeVar("_Model", bound=BaseModel)
_Answer = TypeVar("_Answer")


class SandboxPayments:
    """A PaymentProvider on the sandbox at `url`. A call that gets no answer within `timeout` seconds raises
    OutcomeUnknown if it may have moved money, else Unavailable."""

    def __init__(
        self, *, url: str, token: str, webhook_secret: str, timeout: float = 10.0, name: str = "sandbox"
    ) -> None:
        self.name = name
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
        return _read(_CHECKOUT, await self._get(f"/provider/checkouts/{_segment(checkout_id)}"))

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
        return _read(_TRANSFER, await self._get(f"/provider/transfers/{_segment(transfer_id)}"))

    async def find_transfer(self, key: str) -> Transfer | None:
        found = _read(_TRANSFERS, await self._get("/provider/transfers", key=key))
        return found[0] if found else None

    async def entries(self, after: str | None) -> list[ProviderEntry]:
        rows = _rows(await self._after("/provider/entries", after))
        return [_row(row, ProviderEntry, "entry_id", "entry_id") for row in rows]

    async def events(self, after: str | None) -> list[WebhookEvent]:
        return [_event(row, "event_id") for row in _rows(await self._after("/provider/events", after))]

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookEvent:
        _verify(body, headers, now, self._secret)
        try:
            data = json.loads(body)
        except (ValueError, RecursionError) as exc:
            raise BadInput("The webhook is signed but is not a payment event.", field="body") from exc
        event = _event(data, "id")
        if event.problem is not None and event.event_id == _made_id(data):
            raise BadInput("The webhook is signed but is not a payment event.", field="body")
        return event

    async def healthy(self) -> str:
        await self._get("/provider/events", after=None)
        return "sandbox, no real money"

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _after(self, path: str, after: str | None) -> bytes:
        """Returns the answer of a list with the entries after the id `after`. Raises CursorForgotten."""
        answer = await self._request(path, after=after)
        if after is not None and answer.status_code in _FORGOTTEN:
            raise CursorForgotten(f"{_WHO} no longer knows {after!r}.")
        return _content(answer)

    async def _get(self, path: str, **query: str | None) -> bytes:
        return _content(await self._request(path, **query))

    async def _request(self, path: str, **query: str | None) -> httpx.Response:
        params = {name: value for name, value in query.items() if value is not None}
        try:
            return await self._client.get(path, params=params)
        except httpx.RequestError as exc:
            raise transport_error(_WHO, exc, changing=False) from exc

    async def _post(self, path: str, key: str, body: dict[str, Any] | None, model: type[_Model]) -> _Model:
        try:
            answer = await self._client.post(path, json=body, headers={"Idempotency-Key": key})
        except httpx.RequestError as exc:
            raise transport_error(_WHO, exc, changing=True) from exc
        if not answer.is_success:
            raise refusal(_WHO, answer, key)
        try:
            return model.model_validate_json(answer.content)
        except ValidationError as exc:
            raise OutcomeUnknown(
                f"{_WHO} sent an answer that cannot be read. The call may have taken effect.",
                remedy="Look it up by its key.",
            ) from exc


def _content(answer: httpx.Response) -> bytes:
    if not answer.is_success:
        raise refusal(_WHO, answer, None)
    return answer.content


def _read(model: TypeAdapter[_Answer], content: bytes) -> _Answer:
    """Returns the answer to a question. Raises Unavailable if it is in the wrong format."""
    try:
        return model.validate_json(content)
    except ValidationError as exc:
        raise Unavailable(f"{_WHO} sent an answer that cannot be read.") from exc


def _rows(content: bytes) -> list[object]:
    """Returns the rows of a list, unread. Raises Unavailable if it is no list."""
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise Unavailable(f"{_WHO} sent an answer that is not JSON.") from exc
    if not isinstance(rows, list):
        raise Unavailable(f"{_WHO} sent an answer that is not a list.")
    return rows


def _event(row: object, id_field: str) -> WebhookEvent:
    """Returns the provider's event; see `_row`."""
    return _row(row, WebhookEvent, "event_id", id_field)


def _row(row: object, model: type[_Model], id_name: str, id_field: str) -> _Model:
    """Returns a row of a list without unknown fields. A row in the wrong format keeps its readable fields, and
    `problem` names the others without quoting them. `id_field`: the provider's name for our `id_name`."""
    fields = row if isinstance(row, dict) else {}
    substitutes = _UNREAD_FIELDS[model]
    values = {id_name: fields.get(id_field)} | {name: fields.get(name) for name in substitutes}
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        wrong = {str(error["loc"][0]): error["msg"] for error in exc.errors(include_input=False)}
    problem = "; ".join(f"{name}: {message}" for name, message in wrong.items())
    substitutes = {**substitutes, id_name: _made_id(row)}
    return model.model_validate(values | {name: substitutes[name] for name in wrong} | {"problem": problem})


def _made_id(row: object) -> str:
    """Returns an id for a row without one. Equal content gets an equal id."""
    try:
        text = json.dumps(row, sort_keys=True)
    except RecursionError:
        text = "nested too deeply"
    return f"odd_{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _segment(id: str) -> str:
    """Returns the id for use in a URL path. Raises NotFound for an id that cannot be one of the provider's."""
    if not id.isascii() or not id.replace("_", "").isalnum():
        raise NotFound(f"The payment provider does not know {id!r}.")
    return id


def _verify(body: bytes, headers: Mapping[str, str], now: datetime, secret: bytes) -> None:
    """Raises BadSignature unless the headers hold exactly one valid, recent signature of this body."""
    values = [value for name, value in headers.items() if name.lower() == _SIGNATURE_HEADER]
    if len(values) != 1:
        raise BadSignature("The webhook has no signature, or more than one.")
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


class SandboxPaymentsSettings(BaseModel):
    """`url`: address of the sandbox. `token`: its bearer token. `webhook_secret`: signs its webhooks."""

    model_config = ConfigDict(extra="forbid")

    url: WebUrl
    token: SecretStr
    webhook_secret: SecretStr


def _build(name: str, settings: SandboxPaymentsSettings) -> PaymentProvider:
    return SandboxPayments(
        url=settings.url,
        token=settings.token.get_secret_value(),
        webhook_secret=settings.webhook_secret.get_secret_value(),
        name=name,
    )


PLUGIN: Final = Plugin(SandboxPaymentsSettings, PaymentCapabilities(takes_fees=True, sends_payouts=True), _build)
