"""The payment rail `bank`: payouts as bank transfers, by files. Made orders are in the rail's own record first."""

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from adapters.bank.accounts import check_payee
from adapters.bank.config import BankSettings
from adapters.bank.link import BankLink
from adapters.bank.store import add_event
from domain.errors import BadInput, BadSignature, IdempotencyMismatch, NotFound, RefusedForGood
from ports.money import WebhookEvent
from ports.plugin import Plugin
from ports.rail import Beneficiary, PaymentRail, RailCapabilities, Transfer, TransferOrder

_Status = Literal["pending", "paid", "refused", "returned", "cancelled"]
_STATUS: Final[dict[str, _Status]] = {
    "waiting": "pending",
    "sent": "pending",
    "paid": "paid",
    "refused": "refused",
    "returned": "returned",
    "cancelled": "cancelled",
}
_NEVER: Final = "never"
_MOST_EVENTS: Final = 10_000


class BankRail:
    """A PaymentRail. A transfer's id is its key, which is the EndToEndId in all files."""

    def __init__(self, name: str, link: BankLink) -> None:
        self.name, self._link = name, link

    def check_beneficiary(self, beneficiary: Beneficiary, currency: str) -> None:
        """Also raises UnknownCurrency, for a currency whose number of decimals is unknown."""
        check_payee(beneficiary, currency, self._link.settings.accounts)

    async def create_transfer(self, order: TransferOrder) -> Transfer:
        return await asyncio.to_thread(self._create, order)

    async def fetch_transfer(self, transfer_id: str) -> Transfer:
        return await asyncio.to_thread(self._fetch, transfer_id)

    async def find_transfer(self, key: str) -> Transfer | None:
        """Asks the record only, so it answers while the bank's link is down."""
        return await asyncio.to_thread(self._find, key)

    async def cancel_transfer(self, transfer_id: str) -> Transfer:
        """Stops a transfer until its file has been written."""
        return await asyncio.to_thread(self._cancel, transfer_id)

    async def events(self, after: str | None) -> list[WebhookEvent]:
        """Sends and reads files, then returns what changed. A file that is refused is an event with a `problem`."""
        return await asyncio.to_thread(self._events, after)

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookEvent | None:
        raise BadSignature("A bank sends files and no webhooks.")

    async def healthy(self) -> str:
        return await asyncio.to_thread(self._link.state)

    async def aclose(self) -> None:
        self._link.close()

    def _create(self, order: TransferOrder) -> Transfer:
        _check_order(order)
        given, now = _digest(order), self._link.now()
        with self._link.store.transaction() as db:
            row = _row(db, order.key)
            if row is None:
                refused = self._refusal(order)
                _add(db, order, given, now, refused)
                row = _row(db, order.key)
        assert row is not None
        if row["digest"] != given:
            raise IdempotencyMismatch(order.key)
        if row["status"] == _NEVER:
            raise RefusedForGood(order.key, row["failure"])
        return _transfer(row)

    def _refusal(self, order: TransferOrder) -> str | None:
        """Returns why the order can never be carried out: what is wrong of an account stays wrong."""
        try:
            self.check_beneficiary(order.beneficiary, order.currency)
        except BadInput as exc:
            return exc.message
        return None

    def _find(self, key: str) -> Transfer | None:
        row = self._link.store.row("SELECT * FROM orders WHERE key = ?", key)
        return None if row is None or row["status"] == _NEVER else _transfer(row)

    def _fetch(self, transfer_id: str) -> Transfer:
        self._link.exchange()
        transfer = self._find(transfer_id)
        if transfer is None:
            raise NotFound(f"The bank connection has no transfer {transfer_id}.")
        return transfer

    def _cancel(self, transfer_id: str) -> Transfer:
        now = self._link.now()
        with self._link.store.transaction() as db:
            row = _row(db, transfer_id)
            if row is None or row["status"] == _NEVER:
                raise NotFound(f"The bank connection has no transfer {transfer_id}.")
            if row["status"] == "waiting":
                db.execute("UPDATE orders SET status = 'cancelled' WHERE key = ?", (transfer_id,))
                add_event(db, "transfer.changed", transfer_id, now)
                row = _row(db, transfer_id)
        assert row is not None
        return _transfer(row)

    def _events(self, after: str | None) -> list[WebhookEvent]:
        self._link.exchange()
        number = None if after is None else after.removeprefix("bank-")
        rows = self._link.store.page("events", "number", number, _MOST_EVENTS)
        return [
            WebhookEvent(
                event_id=f"bank-{row['number']}",
                kind=row["kind"],
                object_id=row["object"],
                created_at=datetime.fromisoformat(row["at"]),
                problem=row["problem"],
            )
            for row in rows
        ]


def _check_order(order: TransferOrder) -> None:
    """Raises BadInput for what no bank file can carry."""
    if order.amount_minor <= 0:
        raise BadInput("A transfer needs a positive amount.", field="amount_minor", remedy="Give an amount above zero.")
    if order.key.startswith("/") or order.key.endswith("/") or "//" in order.key:
        raise BadInput("A bank's reference has no slash at its ends and no two in a row.", field="key")


def _digest(order: TransferOrder) -> str:
    given: list[Any] = [order.reference, order.amount_minor, order.currency, *order.beneficiary.model_dump().values()]
    return hashlib.sha256(json.dumps(given).encode()).hexdigest()


def _row(db: sqlite3.Connection, key: str) -> Any:
    return db.execute("SELECT * FROM orders WHERE key = ?", (key,)).fetchone()


def _add(db: sqlite3.Connection, order: TransferOrder, given: str, now: datetime, refused: str | None) -> None:
    columns = "key, digest, reference, amount_minor, currency, account, holder, status, failure, made_at"
    db.execute(
        f"INSERT INTO orders ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(order.key, given, order.reference, order.amount_minor, order.currency),
            *(order.beneficiary.account, order.beneficiary.name),
            *("waiting" if refused is None else _NEVER, refused, now.astimezone(UTC).isoformat()),
        ),
    )


def _transfer(row: Any) -> Transfer:
    return Transfer(
        transfer_id=row["key"],
        key=row["key"],
        reference=row["reference"],
        status=_STATUS[row["status"]],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        failure=row["failure"],
    )


def _build(name: str, settings: BankSettings) -> PaymentRail:
    return BankRail(name, BankLink(settings))


PLUGIN: Final = Plugin(
    BankSettings, RailCapabilities(currencies=(), has_payees=False, returns_after_arrival_days=10), _build
)
