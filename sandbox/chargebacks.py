"""Chargebacks at the fake provider: what the buyer's bank asks, when it decides, and how.

An unanswered chargeback is lost at its date. The bank decides three days after the evidence: for the firm if the
evidence says when the service began. The provider takes the money and a fee with the chargeback, and gives only the
money back. An inquiry takes nothing; unanswered, it becomes a chargeback with a date of its own.
"""

from collections.abc import Iterable
from typing import Any, Final, Literal, Protocol

from domain.errors import Conflict, NotFound
from ports.acquirer import Chargeback, Checkout, Evidence
from ports.money import EventKind
from sandbox.instants import MINUTE, from_us

Stage = Literal["inquiry", "evidence_due", "lost"]

FEE_MINOR: Final = 1_500
_DAY: Final = 24 * 60 * MINUTE
_TO_ANSWER: Final = 7 * _DAY
_REVIEW: Final = 3 * _DAY


Movement = Literal["dispute", "dispute_won", "fee"]
Stored = dict[str, Any]


class Books(Protocol):
    """The provider: its payments, its movements of money and its events."""

    now_us: int

    def stored(self, checkout_id: str) -> Stored: ...

    def checkout(self, checkout_id: str) -> Checkout: ...

    def book(self, object_id: str, source: Stored, kind: Movement, sign: int) -> None: ...

    def announce(self, kind: EventKind, object_id: str) -> None: ...

    def save_checkout(self, checkout_id: str) -> None: ...


class Disputes:
    """All chargebacks. `due`: when an open one moves on by itself, by id."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self.due: dict[str, int] = {}

    def restore(self, checkouts: Iterable[Stored]) -> None:
        every = [made for checkout in checkouts for made in checkout.get("chargebacks", [])]
        self.due = {made["chargeback_id"]: made["decides_us"] for made in every if made["decides_us"] is not None}

    def get(self, chargeback_id: str) -> Chargeback:
        return _view(*self._found(chargeback_id))

    def open(self, checkout_id: str, stage: Stage = "lost") -> Checkout:
        """The cardholder's bank asks for the payment back. While a chargeback of it is open or lost, a second time
        changes nothing. Raises Conflict unless it is paid and something of it is left."""
        data = self._books.stored(checkout_id)
        known = data.setdefault("chargebacks", [])
        if data["status"] == "charged_back" or (known and known[-1]["status"] != "won"):
            return self._books.checkout(checkout_id)
        amount = unrefunded_minor(data)
        if data["status"] != "paid" or not amount:
            raise Conflict(f"Checkout {checkout_id} is {data['status']}; only a paid one can go back.")
        made = {
            "chargeback_id": f"cb_{checkout_id}" + (f"_{len(known) + 1}" if known else ""),
            "status": stage,
            "amount_minor": amount,
            "decides_us": self._books.now_us + _TO_ANSWER if stage != "lost" else None,
            "withdrawn": False,
            "fee_minor": 0,
        }
        known.append(made)
        if stage != "inquiry":
            self._withdraw(data, made)
        self._keep(data, made, "charge.disputed", checkout_id)
        return self._books.checkout(checkout_id)

    def submit(self, chargeback_id: str, evidence: Evidence) -> Chargeback:
        data, made = self._found(chargeback_id)
        if made["status"] in ("inquiry", "evidence_due"):
            decides = self._books.now_us + _REVIEW
            made.update(status="under_review", decides_us=decides, wins=bool(evidence.service_date))
            self._keep(data, made)
        return _view(data, made)

    def accept(self, chargeback_id: str) -> Chargeback:
        _, made = self._found(chargeback_id)
        decided = made["status"] in ("won", "lost")
        return self.get(chargeback_id) if decided else self.decide(chargeback_id, "lost")

    def decide(self, chargeback_id: str, status: Literal["won", "lost"]) -> Chargeback:
        """The bank decides. A decided chargeback is decided anew: a second presentment."""
        data, made = self._found(chargeback_id)
        if status == "won" and made["withdrawn"]:
            made.update(withdrawn=False, given_back=made.get("given_back", 0) + 1)
            self._books.book(data["checkout_id"], data | {"amount_minor": made["amount_minor"]}, "dispute_won", 1)
        elif status == "lost" and not made["withdrawn"]:
            self._withdraw(data, made)
        made.update(status=status, decides_us=None)
        self._keep(data, made)
        return _view(data, made)

    def move_on(self, chargeback_id: str) -> None:
        """An open chargeback has reached its date."""
        data, made = self._found(chargeback_id)
        if made["status"] != "inquiry":
            self.decide(chargeback_id, "won" if made.get("wins") else "lost")
            return
        made.update(status="evidence_due", decides_us=self._books.now_us + _TO_ANSWER)
        self._withdraw(data, made)
        self._keep(data, made)

    def _found(self, chargeback_id: str) -> tuple[Stored, Stored]:
        """Returns (checkout, chargeback). Raises NotFound."""
        data = self._books.stored("_".join(chargeback_id.removeprefix("cb_").split("_")[:2]))
        if data["status"] == "charged_back":  # by a version whose chargebacks were lost at once
            data["status"] = "paid"
            made = {"chargeback_id": chargeback_id, "status": "lost", "amount_minor": unrefunded_minor(data)}
            data["chargebacks"] = [made | {"decides_us": None, "withdrawn": True, "fee_minor": 0}]
        for made in data.get("chargebacks", []):
            if made["chargeback_id"] == chargeback_id:
                return data, made
        raise NotFound(f"The provider knows no chargeback {chargeback_id}.")

    def _withdraw(self, data: Stored, made: Stored) -> None:
        made["withdrawn"] = True
        self._books.book(data["checkout_id"], data | {"amount_minor": made["amount_minor"]}, "dispute", -1)
        if not made["fee_minor"]:
            made["fee_minor"] = FEE_MINOR
            self._books.book(data["checkout_id"], data | {"amount_minor": FEE_MINOR}, "fee", -1)

    def _keep(self, data: Stored, made: Stored, kind: EventKind = "chargeback.changed", about: str = "") -> None:
        """Keeps a change and announces it."""
        self.due.pop(made["chargeback_id"], None)
        if made["decides_us"] is not None:
            self.due[made["chargeback_id"]] = made["decides_us"]
        self._books.save_checkout(data["checkout_id"])
        self._books.announce(kind, about or made["chargeback_id"])


def unrefunded_minor(checkout: Stored) -> int:
    """Returns the part of a payment that is not refunded, in minor units."""
    return int(checkout["amount_minor"]) - int(checkout.get("refunded_minor", 0))


def _view(checkout: Stored, made: Stored) -> Chargeback:
    asks = made["status"] in ("inquiry", "evidence_due")
    return Chargeback(
        chargeback_id=made["chargeback_id"],
        checkout_id=checkout["checkout_id"],
        reference=checkout["reference"],
        status=made["status"],
        amount_minor=made["amount_minor"],
        currency=checkout["currency"],
        reason="fraudulent",
        evidence_due_at=from_us(made["decides_us"]) if asks and made["decides_us"] is not None else None,
        withdrawn=made["withdrawn"],
        fee_minor=made["fee_minor"],
        given_back=made.get("given_back", 0),
    )
