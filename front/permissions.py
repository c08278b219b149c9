"""Who may do what, one line each. Those about what people decide are in `front/subjects/`. Which rows a person sees is
decided by `store.read.pages.scope_of`."""

from collections.abc import Mapping
from typing import Final

from domain.approvals import PEOPLE, STAFF, Actor
from domain.lifecycle import EXTENDERS, REFUNDERS
from front.subjects.subject import Right
from front.subjects.table import SUBJECTS

_EVERYBODY: Final = PEOPLE
_TRADER: Final = frozenset({"trader"})

CAN: Final[Mapping[str, frozenset[str]]] = {
    "products.read": _EVERYBODY,
    "challenges.read": _EVERYBODY,
    "challenges.buy": _TRADER,
    "challenges.order": _TRADER,
    "challenges.refund": REFUNDERS,
    "challenges.extend": EXTENDERS,
    "accounts.read": _EVERYBODY,
    "breaches.read": _EVERYBODY,
    "orders.check": frozenset({"trader", "support", "risk", "admin", "venue"}),
    "payouts.request": _TRADER,
    "disputes.open": _TRADER,
    "traders.read": _EVERYBODY,
    "traders.set_beneficiary": _TRADER,
    "tickets.open": _TRADER,
    "tickets.write": frozenset({"trader", "support", "admin"}),
    "tickets.solve": frozenset({"trader", "support", "admin"}),
    "audit.read": STAFF,
    "exposure.read": STAFF,
    "summary.read": STAFF,
    "search": _EVERYBODY,
    **SUBJECTS.permissions(),
}


def may(actor: Actor, permission: str) -> bool:
    return actor.role in CAN[permission]


def check(actor: Actor, permission: str) -> None:
    """Raises NotAllowed."""
    right_of(permission).check(actor)


def right_of(permission: str) -> Right:
    """Raises KeyError, so that a mistyped permission fails when the routes are built."""
    return Right(permission, CAN[permission])
