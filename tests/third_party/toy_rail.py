"""A payment rail that is no part of PropOS: a package of its own, found by its entry point (docs/adding-a-rail.md)."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, SecretStr

from domain.errors import (
    BadInput,
    BadSignature,
    CursorForgotten,
    IdempotencyMismatch,
    InProgress,
    NotFound,
    OutcomeUnknown,
    RefusedForGood,
    Unavailable,
)
from ports.money import WebhookEvent
from ports.plugin import Plugin
from ports.rail import Beneficiary, PaymentRail, RailCapabilities, Transfer, TransferOrder
from ports.statements import StatementBalance, StatementEntry, StatementSource


class ToySettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str
    secret: SecretStr


class ToyCompany:
    """The other side of the wire. A real rail asks it over HTTP. `fault`: how its next calls end."""

    def __init__(self) -> None:
        self.transfers: dict[str, Transfer] = {}
        self.orders: dict[str, TransferOrder] = {}
        self.refusals: dict[str, str] = {}
        self.events: list[WebhookEvent] = []
        self.arrived: list[tuple[str, int]] = []
        self.fault = ""

    def send(self, order: TransferOrder) -> Transfer:
        if self.fault in ("retry later", "in progress", "unknown, not done"):
            self._fail()
        known = self.orders.setdefault(order.key, order)
        if known != order:
            raise IdempotencyMismatch(order.key)
        if order.beneficiary.account == "toy:closed":
            raise RefusedForGood(order.key, "The wallet is closed.")
        if order.key not in self.transfers:
            self._set(order, "pending")
        if self.fault == "unknown, done":
            self._fail()
        return self.transfers[order.key]

    def cancel(self, transfer_id: str) -> Transfer:
        if self.fault:
            self._fail()
        key = transfer_id.removeprefix("toy_")
        if key not in self.transfers:
            raise NotFound(f"There is no transfer {transfer_id}.")
        if self.transfers[key].status == "pending":
            self._set(self.orders[key], "cancelled")
        return self.transfers[key]

    def settle(self) -> None:
        for key, transfer in self.transfers.items():
            if transfer.status == "pending" and self.orders[key].beneficiary.account == "toy:gone":
                self._set(self.orders[key], "returned", "The wallet is gone.")
            elif transfer.status == "pending":
                self._set(self.orders[key], "paid")
                self.arrived.append((key, transfer.amount_minor))

    def _set(self, order: TransferOrder, status: str, failure: str | None = None) -> None:
        given = {"transfer_id": f"toy_{order.key}", "key": order.key, "reference": order.reference, "status": status}
        amount = {"amount_minor": order.amount_minor, "currency": order.currency, "failure": failure}
        self.transfers[order.key] = Transfer.model_validate(given | amount)
        number = f"toy-{len(self.events) + 1}"
        event = {"event_id": number, "kind": "transfer.changed", "object_id": f"toy_{order.key}", "created_at": None}
        self.events.append(WebhookEvent.model_validate(event))

    def _fail(self) -> None:
        if self.fault == "in progress":
            raise InProgress("The first call with this key is not finished.")
        if self.fault == "retry later":
            raise Unavailable("The toy wire is down.")
        raise OutcomeUnknown("The toy wire did not answer in time.")


class ToyRail:
    def __init__(self, name: str, settings: ToySettings) -> None:
        self.name, self.settings, self.company = name, settings, ToyCompany()

    def check_beneficiary(self, beneficiary: Beneficiary, currency: str) -> None:
        if not beneficiary.account.startswith("toy:"):
            raise BadInput("A wallet's address starts with toy:.", field="beneficiary", remedy="Ask the trader again.")

    async def create_transfer(self, order: TransferOrder) -> Transfer:
        return self.company.send(order)

    async def fetch_transfer(self, transfer_id: str) -> Transfer:
        found = await self.find_transfer(transfer_id.removeprefix("toy_"))
        if found is None:
            raise NotFound(f"There is no transfer {transfer_id}.")
        return found

    async def find_transfer(self, key: str) -> Transfer | None:
        return self.company.transfers.get(key)

    async def cancel_transfer(self, transfer_id: str) -> Transfer:
        return self.company.cancel(transfer_id)

    async def events(self, after: str | None) -> list[WebhookEvent]:
        ids = [event.event_id for event in self.company.events]
        if after is not None and after not in ids:
            raise CursorForgotten(f"The toy wire knows no {after!r}.")
        return self.company.events[0 if after is None else ids.index(after) + 1 :]

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookEvent | None:
        expected = hmac.new(self.settings.secret.get_secret_value().encode(), body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(headers.get("toy-signature", ""), expected):
            raise BadSignature("The webhook is not signed by the toy wire.")
        return WebhookEvent.model_validate_json(body)

    async def healthy(self) -> str:
        return f"toy wire at {self.settings.url}"

    async def aclose(self) -> None:
        return None


class ToyStatements:
    """Has no movements: enough to be found, configured and asked."""

    def __init__(self, name: str, settings: ToySettings) -> None:
        self.name, self.settings = name, settings

    async def entries(self, after: str | None, limit: int = 1000) -> list[StatementEntry]:
        return []

    async def balances(self) -> list[StatementBalance]:
        return []

    async def healthy(self) -> str:
        return f"toy wire at {self.settings.url}"

    async def aclose(self) -> None:
        return None


def _build_rail(name: str, settings: ToySettings) -> PaymentRail:
    return ToyRail(name, settings)


def _build_statements(name: str, settings: ToySettings) -> StatementSource:
    return ToyStatements(name, settings)


RAIL = Plugin(ToySettings, RailCapabilities(currencies=(), has_payees=False, returns_after_arrival_days=0), _build_rail)
STATEMENTS = Plugin(ToySettings, None, _build_statements)
