"""Adapter for the simulated payment provider, over HTTP: acquirer, payment rail and statement source in one."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from adapters.own_http import WebUrl, options, refusal, transport_error, unreadable
from domain.errors import BadInput, BadSignature, CursorForgotten, NotFound, Unavailable
from ports.acquirer import AcquirerCapabilities, Chargeback, Checkout, CheckoutOrder, Evidence, Refund
from ports.money import WebhookEvent
from ports.plugin import Plugin
from ports.rail import Beneficiary, RailCapabilities, Transfer, TransferOrder
from ports.statements import StatementBalance, StatementEntry

_WHO: Final = "The sandbox payment provider"
_SIGNATURE_HEADER: Final = "propos-signature"
_MAX_AGE_SECONDS: Final = 300
_CHECKOUT: Final = TypeAdapter(Checkout)
_CHARGEBACK: Final = TypeAdapter(Chargeback)
_TRANSFER: Final = TypeAdapter(Transfer)
_TRANSFERS: Final = TypeAdapter(list[Transfer])
_CHECKOUTS: Final = TypeAdapter(list[Checkout])
_REFUNDS: Final = TypeAdapter(list[Refund])
_FORGOTTEN: Final = frozenset({400, 404, 409, 410, 422})  # possible answers to an unknown `after`
_UNREADABLE: Final = "unreadable"
_UNREAD_FIELDS: Final[Mapping[type[BaseModel], Mapping[str, object]]] = {  # in place of an unreadable field
    WebhookEvent: {"kind": _UNREADABLE, "object_id": "-", "created_at": None},
    StatementEntry: {
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

    async def create_checkout(self, order: CheckoutOrder, *, key: str) -> Checkout:
        return await self._post("/provider/checkouts", key, order.model_dump(), Checkout)

    async def find_checkout(self, key: str) -> Checkout | None:
        found = _read(_CHECKOUTS, await self._get("/provider/checkouts", key=key))
        return found[0] if found else None

    async def fetch_checkout(self, checkout_id: str) -> Checkout:
        return _read(_CHECKOUT, await self._get(f"/provider/checkouts/{_segment(checkout_id)}"))

    async def expire_checkout(self, checkout_id: str, *, key: str) -> Checkout:
        return await self._post(f"/provider/checkouts/{_segment(checkout_id)}/expire", key, None, Checkout)

    async def refund(self, checkout_id: str, *, key: str, amount_minor: int | None = None) -> Refund:
        body = {"amount_minor": amount_minor}
        return await self._post(f"/provider/checkouts/{_segment(checkout_id)}/refund", key, body, Refund)

    async def refunds(self, checkout_id: str) -> list[Refund]:
        return _read(_REFUNDS, await self._get(f"/provider/checkouts/{_segment(checkout_id)}/refunds"))

    async def find_refund(self, checkout_id: str, key: str) -> Refund | None:
        return next((refund for refund in await self.refunds(checkout_id) if refund.key == key), None)

    async def fetch_chargeback(self, chargeback_id: str) -> Chargeback:
        return _read(_CHARGEBACK, await self._get(f"/provider/chargebacks/{_segment(chargeback_id)}"))

    async def submit_evidence(self, chargeback_id: str, evidence: Evidence, *, key: str) -> Chargeback:
        path = f"/provider/chargebacks/{_segment(chargeback_id)}/evidence"
        return await self._post(path, key, evidence.model_dump(), Chargeback)

    async def accept_chargeback(self, chargeback_id: str, *, key: str) -> Chargeback:
        return await self._post(f"/provider/chargebacks/{_segment(chargeback_id)}/accept", key, None, Chargeback)

    def check_beneficiary(self, beneficiary: Beneficiary, currency: str) -> None:
        """Takes every text."""

    async def create_transfer(self, order: TransferOrder) -> Transfer:
        body = {**order.model_dump(exclude={"key", "beneficiary"}), "beneficiary": order.beneficiary.account}
        return await self._post("/provider/transfers", order.key, body, Transfer)

    async def cancel_transfer(self, transfer_id: str) -> Transfer:
        """Nothing can be stopped here: a transfer has left at once."""
        return await self.fetch_transfer(transfer_id)

    async def fetch_transfer(self, transfer_id: str) -> Transfer:
        return _read(_TRANSFER, await self._get(f"/provider/transfers/{_segment(transfer_id)}"))

    async def find_transfer(self, key: str) -> Transfer | None:
        found = _read(_TRANSFERS, await self._get("/provider/transfers", key=key))
        return found[0] if found else None

    async def balances(self) -> list[StatementBalance]:
        return []

    async def entries(self, after: str | None, limit: int = 1000) -> list[StatementEntry]:
        rows = _rows(await self._after("/provider/entries", after))
        return [_row(row, StatementEntry, "entry_id", "entry_id") for row in rows[:limit]]

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
        _rows(await self._get("/provider/events", after=None))
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
            raise unreadable(_WHO, changing=True) from exc


def _content(answer: httpx.Response) -> bytes:
    if not answer.is_success:
        raise refusal(_WHO, answer, None)
    return answer.content


def _read(model: TypeAdapter[_Answer], content: bytes) -> _Answer:
    """Returns the answer to a question. Raises Unavailable if it is in the wrong format."""
    try:
        return model.validate_json(content)
    except ValidationError as exc:
        raise unreadable(_WHO, changing=False) from exc


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


def _build(name: str, settings: SandboxPaymentsSettings) -> SandboxPayments:
    return SandboxPayments(
        url=settings.url,
        token=settings.token.get_secret_value(),
        webhook_secret=settings.webhook_secret.get_secret_value(),
        name=name,
    )


ACQUIRER: Final = Plugin(SandboxPaymentsSettings, AcquirerCapabilities(partial_refunds=True, disputes=True), _build)
RAIL: Final = Plugin(
    SandboxPaymentsSettings, RailCapabilities(currencies=(), has_payees=False, returns_after_arrival_days=0), _build
)
STATEMENTS: Final = Plugin(SandboxPaymentsSettings, None, _build)
