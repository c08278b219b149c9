"""A stateful fake payment provider: checkouts, transfers, entries of every movement, events, webhooks.

Transfers settle in market time, 1 to 3 hours after they were made. The beneficiary's text alone decides when a transfer
settles and whether it is returned: one in eight is, and every text that contains `closed-account`. A transfer to a text
that contains `unknown-account` is refused for good; the same key is then refused again.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.errors import BadInput, Conflict, IdempotencyMismatch, InProgress, NotFound, RefusedForGood
from ports.acquirer import Checkout, Refund
from ports.money import EventKind, WebhookEvent
from ports.rail import Transfer
from ports.statements import StatementEntry
from sandbox.chargebacks import Disputes, unrefunded_minor
from sandbox.instants import MINUTE, from_us
from sandbox.journal import Row

_RETURNED_MARK: Final = "closed-account"
_REFUSED_MARK: Final = "unknown-account"
_REFUSED: Final = ""  # in place of a transfer's id: this key was refused for good
EntryKind = Literal["charge", "refund", "dispute", "transfer", "transfer_return", "refund_failed", "dispute_won", "fee"]


class Faults(BaseModel):
    """Faults to produce. Each use of a number counts it down.

    - duplicate_webhooks: deliver this many webhooks twice
    - drop_webhooks: never deliver this many
    - reorder: deliver the newest first
    - timeout_after_effect: this many changing calls take effect but are answered with 504, after `hold_seconds`
    - unavailable: refuse this many changing calls with 503, without effect
    - hold_transfers: while set, transfers wait before their effect, and their key is in use
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    duplicate_webhooks: int = Field(default=0, ge=0)
    drop_webhooks: int = Field(default=0, ge=0)
    reorder: bool = False
    timeout_after_effect: int = Field(default=0, ge=0)
    unavailable: int = Field(default=0, ge=0)
    hold_transfers: bool = False
    hold_seconds: float = Field(default=0, ge=0, le=60)

    def use(self, name: str) -> bool:
        """Returns whether fault `name` happens now, and counts it down."""
        left = int(getattr(self, name))
        if left:
            setattr(self, name, left - 1)
        return left > 0


class Provider:
    """The provider's state. Times are market time in microseconds; `undelivered` holds ids of webhook events."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self.now_us = 0
        self.faults = Faults()
        self._checkouts: dict[str, dict[str, Any]] = {}
        self._transfers: dict[str, dict[str, Any]] = {}
        self._unsettled: dict[str, int] = {}
        self.disputes = Disputes(self)
        self._keys: dict[str, list[str]] = {}
        self._under_way: set[str] = set()
        self.entries: list[StatementEntry] = []
        self.events: list[WebhookEvent] = []
        self.undelivered: list[str] = []
        self._rows: list[Row] = []

    # checkouts

    def create_checkout(
        self, key: str, reference: str, amount_minor: int, currency: str, description: str, return_url: str
    ) -> Checkout:
        given = [reference, amount_minor, currency, description, return_url]
        known = self._stored_answer("checkout", key, given)
        if known is not None:
            return self.checkout(known)
        if not return_url.startswith(("http://", "https://")):
            raise BadInput(
                "The return address is no web address.", field="return_url", remedy="Give an http or https URL."
            )
        checkout_id = f"co_{len(self._checkouts) + 1:08d}"
        self._checkouts[checkout_id] = {
            "checkout_id": checkout_id,
            "key": key,
            "url": f"{self._base_url}/pay/{checkout_id}",
            "reference": reference,
            "status": "open",
            "amount_minor": amount_minor,
            "currency": currency,
            "description": description,
            "return_url": return_url,
            "refunds": [],
        }
        self._store_answer("checkout", key, given, checkout_id)
        self.save_checkout(checkout_id)
        return self.checkout(checkout_id)

    def find_checkout(self, key: str) -> Checkout | None:
        known = self._keys.get(f"checkout:{key}")
        return None if known is None else self.checkout(known[1])

    def checkout(self, checkout_id: str) -> Checkout:
        data = self.stored(checkout_id)
        kept = {name: data[name] for name in ("checkout_id", "url", "reference", "amount_minor", "currency")}
        status = data["status"]
        return Checkout(
            **kept,
            key=data.get("key", ""),
            status=status if status in ("open", "expired") else "paid",
            refunded_minor=data["amount_minor"] if status == "refunded" else data.get("refunded_minor", 0),
            chargebacks=tuple(made["chargeback_id"] for made in data.get("chargebacks", []))
            or ((f"cb_{checkout_id}",) if status == "charged_back" else ()),
        )

    def page(self, checkout_id: str) -> tuple[Checkout, str, str]:
        """Returns (checkout, description, return address) for the hosted page."""
        data = self.stored(checkout_id)
        return self.checkout(checkout_id), data["description"], data["return_url"]

    def complete(self, checkout_id: str, paid: bool) -> None:
        """The customer pays or cancels on the hosted page. Only the first decision counts."""
        if self.stored(checkout_id)["status"] == "open":
            self._set_status(
                checkout_id, "paid" if paid else "expired", "checkout.paid" if paid else "checkout.expired"
            )
            if paid:
                self.book(checkout_id, self._checkouts[checkout_id], "charge", 1)

    def expire(self, checkout_id: str) -> Checkout:
        """Close an open checkout. A decided one does not change."""
        self.complete(checkout_id, paid=False)
        return self.checkout(checkout_id)

    def refund(self, checkout_id: str, key: str, amount_minor: int | None = None) -> Refund:
        """Refund `amount_minor`, or the rest of the payment. Raises Conflict unless it is paid."""
        given = [checkout_id] if amount_minor is None else [checkout_id, amount_minor]
        if self._stored_answer("refund", key, given) is None:
            self._refund(checkout_id, amount_minor, key)
            self._store_answer("refund", key, given, checkout_id)
        return next(refund for refund in self.refunds(checkout_id) if refund.key == key)

    def refunds(self, checkout_id: str) -> list[Refund]:
        return [Refund.model_validate(refund) for refund in self.stored(checkout_id).get("refunds", [])]

    def refund_at_desk(self, checkout_id: str, amount_minor: int | None) -> Checkout:
        """Refund a payment as on the provider's own pages: `amount_minor`, or the rest for None. Raises Conflict."""
        self._refund(checkout_id, amount_minor, "")
        return self.checkout(checkout_id)

    def _refund(self, checkout_id: str, amount_minor: int | None, key: str) -> None:
        data = self.stored(checkout_id)
        left = unrefunded_minor(data)
        if amount_minor is not None and data["status"] == "paid" and amount_minor > left:
            raise Conflict(f"Only {left} minor units of checkout {checkout_id} are left.")
        if amount_minor is None or data["status"] != "paid" or amount_minor == left:
            self._reverse(checkout_id, "refunded", "refund", "charge.refunded")
        else:
            data["refunded_minor"] = data["amount_minor"] - left + amount_minor
            self.announce("charge.refunded", checkout_id)
            self.book(checkout_id, {**data, "amount_minor": amount_minor}, "refund", -1)
        refunds = data.setdefault("refunds", [])
        refunds.append(
            Refund(
                refund_id=f"re_{checkout_id}_{len(refunds) + 1}",
                key=key,
                checkout_id=checkout_id,
                status="succeeded",
                amount_minor=left if amount_minor is None else amount_minor,
                currency=data["currency"],
            ).model_dump()
        )
        self.save_checkout(checkout_id)

    def refund_fails(self, checkout_id: str) -> Checkout:
        """The buyer's bank sends the newest refund back. Raises Conflict when there is none that arrived."""
        data = self.stored(checkout_id)
        refunds = data.get("refunds", [])
        if not refunds or refunds[-1]["status"] == "failed":
            raise Conflict(f"Checkout {checkout_id} has no refund that can fail.")
        refunds[-1].update(status="failed", failure="The buyer's account is closed.", came_back=True)
        data["refunded_minor"] = sum(one["amount_minor"] for one in refunds if one["status"] != "failed")
        self._set_status(checkout_id, "paid", "charge.refunded")
        self.book(checkout_id, {**data, "amount_minor": refunds[-1]["amount_minor"]}, "refund_failed", 1)
        return self.checkout(checkout_id)

    # transfers

    @contextmanager
    def transfer_under_way(self, key: str) -> Iterator[None]:
        """Hold `key` for the call. Another call with the same key raises InProgress."""
        if key in self._under_way:
            raise InProgress("A call with this key is in progress.", remedy="Repeat it later with its key.")
        self._under_way.add(key)
        try:
            yield
        finally:
            self._under_way.remove(key)

    def create_transfer(self, key: str, reference: str, amount_minor: int, currency: str, beneficiary: str) -> Transfer:
        given = [reference, amount_minor, currency, beneficiary]
        known = self._stored_answer("transfer", key, given)
        if known is None and _REFUSED_MARK in beneficiary:
            known = _REFUSED
            self._store_answer("transfer", key, given, known)
        if known == _REFUSED:
            raise RefusedForGood(key, f"There is no account {beneficiary}.")
        if known is not None:
            return self.transfer(known)
        transfer_id = f"tr_{len(self._transfers) + 1:08d}"
        transfer = Transfer(
            transfer_id=transfer_id,
            key=key,
            reference=reference,
            status="pending",
            amount_minor=amount_minor,
            currency=currency,
        )
        digest = sha256(beneficiary.encode()).digest()
        settles_us = self.now_us + (60 + int.from_bytes(digest[:4]) % 121) * MINUTE
        returned = digest[4] % 8 == 0 or _RETURNED_MARK in beneficiary
        self._transfers[transfer_id] = {**transfer.model_dump(), "settles_us": settles_us, "returned": returned}
        self._unsettled[transfer_id] = settles_us
        self._store_answer("transfer", key, given, transfer_id)
        self._save_transfer(transfer_id)
        self.book(transfer_id, self._transfers[transfer_id], "transfer", -1)
        return transfer

    def transfer(self, transfer_id: str) -> Transfer:
        data = self._transfers.get(transfer_id)
        if data is None:
            raise NotFound(f"The provider knows no transfer {transfer_id}.")
        return Transfer(**{name: data[name] for name in Transfer.model_fields})

    def find_transfer(self, key: str) -> Transfer | None:
        known = self._keys.get(f"transfer:{key}")
        return None if known is None or known[1] == _REFUSED else self.transfer(known[1])

    def advance(self, now_us: int) -> None:
        """Set market time and settle the due transfers in order of their due times."""
        due: list[tuple[int, str, Callable[[str], object]]] = []
        due += [(at, transfer_id, self._settle) for transfer_id, at in self._unsettled.items() if at <= now_us]
        due += [(at, each, self.disputes.move_on) for each, at in self.disputes.due.items() if at <= now_us]
        for at, object_id, happens in sorted(due, key=lambda one: one[:2]):
            self.now_us = at
            happens(object_id)
        self.now_us = now_us

    def _settle(self, transfer_id: str) -> None:
        transfer = self._transfers[transfer_id]
        del self._unsettled[transfer_id]
        if transfer["returned"]:
            transfer["status"], transfer["failure"] = "returned", "The beneficiary's bank returned it: account closed."
            self.book(transfer_id, transfer, "transfer_return", 1)
            self.announce("transfer.returned", transfer_id)
        else:
            transfer["status"] = "paid"
            self.announce("transfer.paid", transfer_id)
        self._save_transfer(transfer_id)

    # lists

    def entries_after(self, after: str | None) -> list[StatementEntry]:
        return self.entries[_index(after, "en_", len(self.entries)) :]

    def events_after(self, after: str | None) -> list[WebhookEvent]:
        return self.events[_index(after, "ev_", len(self.events)) :]

    def event(self, event_id: str) -> WebhookEvent:
        return self.events[_index(event_id, "ev_", len(self.events)) - 1]

    def delivered(self, event_id: str) -> None:
        """Mark the event's webhook as delivered."""
        if event_id in self.undelivered:
            self.undelivered.remove(event_id)
            self._rows.append(Row("webhook", event_id, None))

    # for the journal

    def drain(self) -> Iterable[Row]:
        """Rows changed since the last call."""
        rows, self._rows = self._rows, []
        return rows

    def save_faults(self) -> None:
        self._rows.append(Row("faults", "now", self.faults.model_dump_json()))

    def restore(self, rows: dict[str, list[tuple[str, Any]]], now_us: int) -> None:
        """Restore the state from the journal's rows by kind."""
        self.now_us = now_us
        self._checkouts, self._transfers = dict(rows["checkout"]), dict(rows["transfer"])
        self._unsettled = {id: t["settles_us"] for id, t in self._transfers.items() if t["status"] == "pending"}
        self.disputes.restore(self._checkouts.values())
        self._keys = dict(rows["idempotency"])
        self.entries = [StatementEntry.model_validate(data) for _, data in rows["entry"]]
        self.events = [WebhookEvent.model_validate(data) for _, data in rows["event"]]
        self.undelivered = [event_id for event_id, _ in rows["webhook"]]
        self.faults = Faults.model_validate(dict(rows["faults"]).get("now", {}))

    # inside

    def stored(self, checkout_id: str) -> dict[str, Any]:
        data = self._checkouts.get(checkout_id)
        if data is None:
            raise NotFound(f"The provider knows no checkout {checkout_id}.")
        return data

    def _reverse(
        self,
        checkout_id: str,
        status: Literal["refunded", "charged_back"],
        entry: EntryKind,
        kind: EventKind,
    ) -> None:
        data = self.stored(checkout_id)
        if data["status"] != "paid":
            raise Conflict(
                f"Checkout {checkout_id} is {data['status'].replace('_', ' ')}; only a paid one can go back."
            )
        self._set_status(checkout_id, status, kind)
        self.book(checkout_id, {**data, "amount_minor": unrefunded_minor(data)}, entry, -1)

    def _set_status(self, checkout_id: str, status: str, kind: EventKind) -> None:
        self._checkouts[checkout_id]["status"] = status
        self.save_checkout(checkout_id)
        self.announce(kind, checkout_id)

    def book(self, object_id: str, source: dict[str, Any], kind: EntryKind, sign: int) -> None:
        entry = StatementEntry(
            entry_id=f"en_{len(self.entries) + 1:08d}",
            object_id=object_id,
            reference=source["reference"],
            kind=kind,
            amount_minor=sign * source["amount_minor"],
            currency=source["currency"],
            at=from_us(self.now_us),
        )
        self.entries.append(entry)
        self._rows.append(Row("entry", entry.entry_id, entry.model_dump_json()))

    def announce(self, kind: EventKind, object_id: str) -> None:
        event_id = f"ev_{len(self.events) + 1:08d}"
        event = WebhookEvent(event_id=event_id, kind=kind, object_id=object_id, created_at=from_us(self.now_us))
        self.events.append(event)
        self.undelivered.append(event_id)
        self._rows += [Row("event", event_id, event.model_dump_json()), Row("webhook", event_id, "true")]

    def _stored_answer(self, scope: str, key: str, given: list[Any]) -> str | None:
        known = self._keys.get(f"{scope}:{key}")
        if known is None:
            return None
        if known[0] != _digest(given):
            raise IdempotencyMismatch(key)
        return known[1]

    def _store_answer(self, scope: str, key: str, given: list[Any], object_id: str) -> None:
        self._keys[f"{scope}:{key}"] = [_digest(given), object_id]
        self._rows.append(Row("idempotency", f"{scope}:{key}", json.dumps([_digest(given), object_id])))

    def save_checkout(self, checkout_id: str) -> None:
        self._rows.append(Row("checkout", checkout_id, json.dumps(self._checkouts[checkout_id])))

    def _save_transfer(self, transfer_id: str) -> None:
        self._rows.append(Row("transfer", transfer_id, json.dumps(self._transfers[transfer_id])))


def _digest(given: list[Any]) -> str:
    return sha256(json.dumps(given).encode()).hexdigest()


def _index(after: str | None, prefix: str, count: int) -> int:
    """Returns the number of items up to and including the id `after`; ids count from 1. Raises NotFound."""
    if after is None:
        return 0
    number = after.removeprefix(prefix)
    if not after.startswith(prefix) or not number.isascii() or not number.isdigit() or int(number) > count:
        raise NotFound(f"The provider has issued no {after!r}.")
    return int(number)
