"""Compensations: what the firm gives a trader for a mistake of its own, in real value and in the books.

A compensation is a voucher for one purchase of the trader. It is a debt of the firm from the day it is granted until it
is used, and again when that purchase is paid back whole. Simulated money of an account is never a compensation.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Final, Literal

from domain.errors import BadInput
from domain.money import Money, price_step
from domain.selling.price import NO_PRICE
from domain.states import StateMachine

Verb = Literal["grant", "reject"]
TRIGGERS: Final[Mapping[Verb, str]] = {"grant": "compensation_granted", "reject": "compensation_rejected"}
WITHDRAWN: Final = "proposal_withdrawn"  # by who made it
TAKEN: Final = ("proposed", "granted", "used")  # a dispute has at most one in these states
GIVEN: Final = ("granted", "used")  # what the trader has got, and sees

COMPENSATION: Final = StateMachine(
    noun="compensation",
    transient=frozenset(),
    initial="proposed",
    table={
        ("proposed", "compensation_granted"): "granted",
        ("proposed", "compensation_rejected"): "rejected",
        ("proposed", WITHDRAWN): "withdrawn",
        ("granted", "voucher_used"): "used",
        ("granted", "voucher_returned"): "granted",  # its purchase was paid back before it counted as paid
        ("used", "voucher_returned"): "granted",
    },
    reopens=frozenset({"used"}),
)


def check_amount(amount: Money, dearest: Money) -> None:
    """Refuses what no price can be lowered by. `dearest`: the highest price on sale in this currency; a voucher of as
    much could never be used, because something must be left to pay. Raises BadInput."""
    if amount.minor <= 0:
        raise BadInput("A compensation is more than nothing.", field="amount", remedy="Give a positive amount.")
    if amount.minor % price_step(amount.currency):
        why = NO_PRICE.format(currency=amount.currency)
        raise BadInput(f"amount: {why}.", field="amount", remedy="Write 0 as the last digit.")
    if not dearest.minor:
        raise BadInput(
            f"No product is sold in {amount.currency}.", field="amount", remedy="Agree with the trader on another way."
        )
    if amount.minor >= dearest.minor:
        raise BadInput(
            f"amount: no product on sale costs more than {dearest}, so this voucher could never be used.",
            field="amount",
            remedy=f"Give less than {dearest}.",
        )


def digest(compensation_id: str, dispute_id: str, amount_minor: int, currency: str) -> str:
    """Returns the hash of what exactly is decided on."""
    body = {"v": 1, "compensation": compensation_id, "dispute": dispute_id, "amount": amount_minor, "in": currency}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
