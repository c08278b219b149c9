"""Who may do what, one line each. Which rows a person sees is decided by `store.read.pages.scope_of`."""

from collections.abc import Mapping
from typing import Final

from domain.approvals import DECIDERS, ROLES, STAFF, Actor
from domain.errors import NotAllowed
from domain.lifecycle import EXTENDERS, REFUNDERS

_EVERYBODY: Final = frozenset(ROLES)
_TRADER: Final = frozenset({"trader"})

CAN: Final[Mapping[str, frozenset[str]]] = {
    "products.read": _EVERYBODY,
    "versions.read": STAFF,
    "versions.propose": DECIDERS["product_version"],
    "versions.decide": DECIDERS["product_version"],
    "challenges.read": _EVERYBODY,
    "challenges.buy": _TRADER,
    "challenges.refund": REFUNDERS,
    "challenges.extend": EXTENDERS,
    "accounts.read": _EVERYBODY,
    "breaches.read": _EVERYBODY,
    "payouts.read": _EVERYBODY,
    "payouts.request": _TRADER,
    "payouts.decide": DECIDERS["payout"],
    "payouts.cancel": DECIDERS["payout"] | _TRADER,
    "disputes.read": _EVERYBODY,
    "disputes.open": _TRADER,
    "disputes.decide": DECIDERS["dispute"],
    "cases.read": STAFF,
    "cases.decide": DECIDERS["case"],
    "reviews.read": STAFF,
    "reviews.close": frozenset({"risk", "admin"}),
    "reviews.decide": DECIDERS["review"],
    "traders.read": _EVERYBODY,
    "traders.list": STAFF,
    "traders.set_beneficiary": _TRADER,
    "traders.decide_identity": frozenset({"risk", "admin"}),
    "tickets.read": _EVERYBODY,
    "tickets.open": _TRADER,
    "tickets.write": frozenset({"trader", "support", "admin"}),
    "tickets.solve": frozenset({"trader", "support", "admin"}),
    "queue.read": STAFF,
    "audit.read": STAFF,
    "exposure.read": STAFF,
    "summary.read": STAFF,
    "search": _EVERYBODY,
}


def may(actor: Actor, permission: str) -> bool:
    return actor.role in CAN[permission]


def check(actor: Actor, permission: str) -> None:
    """Raises NotAllowed."""
    if not may(actor, permission):
        names = " or ".join(sorted(CAN[permission]))
        raise NotAllowed(f"This needs the role {names}; yours is {actor.role}.")
