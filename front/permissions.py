"""Who may do what, one line each. Those about what people decide are in `front/subjects/`. Which rows a person sees is
decided by `store.scope.scope_of`."""

from collections.abc import Mapping
from typing import Final

from domain.approvals import DECIDERS, PEOPLE, ROLES, STAFF, Actor, Role
from domain.freezes import FREEZERS, THAWERS
from domain.lifecycle import EXTENDERS, REFUNDERS
from firm.account_notes import NOTERS
from firm.credentials import RESETTERS
from firm.ticket_macros import WRITERS as MACRO_WRITERS
from firm.tickets import ANSWERERS
from front.subjects.subject import Right
from front.subjects.table import SUBJECTS

_EVERYBODY: Final = PEOPLE
_TRADER: Final = frozenset({"trader"})
_SELLERS: Final = frozenset({"support", "admin"})  # a shop or a CRM acts through a key of one of them
_KEY_OWNERS: Final = frozenset(ROLES) - {"auditor"}  # a venue is a program: it signs in to make its key

CAN: Final[Mapping[str, frozenset[str]]] = {
    "products.read": _EVERYBODY,
    "challenges.read": _EVERYBODY,
    "challenges.buy": _TRADER,
    "challenges.order": _TRADER,
    "challenges.buy_for": _SELLERS,
    "receipts.read": _TRADER | frozenset({"finance", "support", "admin", "auditor"}),
    "statements.read": _TRADER,
    "certificates.read": _TRADER,
    "certificates.manage": _TRADER,
    "challenges.refund": REFUNDERS,
    "challenges.extend": EXTENDERS,
    "accounts.read": _EVERYBODY,
    "accounts.actions": STAFF,
    "accounts.freeze": FREEZERS,
    "accounts.thaw": THAWERS,
    "accounts.note": NOTERS,
    "deals.read": STAFF,
    "passes.read": STAFF,
    "ledger.read": STAFF,
    "credentials.show": _TRADER,
    "credentials.reset": RESETTERS,
    "breaches.read": _EVERYBODY,
    "orders.check": frozenset({"trader", "support", "risk", "admin", "venue"}),
    "payouts.request": _TRADER,
    "payouts.simulate": _EVERYBODY - {"auditor"},
    "disputes.open": _TRADER,
    "traders.read": _EVERYBODY,
    "traders.register": _SELLERS,
    "traders.identity_facts": frozenset({"risk", "admin", "auditor"}),
    "traders.set_beneficiary": _TRADER,
    "traders.check_identity": _TRADER,
    "tickets.open": _TRADER,
    "tickets.write": frozenset({"trader", "support", "admin"}),
    "tickets.solve": frozenset({"trader", "support", "admin"}),
    "tickets.open_for": ANSWERERS,
    "tickets.work": ANSWERERS,
    "tickets.context": STAFF,
    "tickets.rate": _TRADER,
    "messages.retry": frozenset({"risk", "finance", "admin"}),
    "messages.drop": frozenset({"admin"}),
    "macros.read": STAFF,
    "macros.change": MACRO_WRITERS,
    "service.read": STAFF,
    "mails.read": frozenset({"support", "admin", "auditor"}),
    "mails.release": frozenset({"support", "admin"}),
    "queue.work": STAFF - {"auditor"},
    "views.own": STAFF - {"auditor"},
    "notifications.own": _EVERYBODY,
    "notifications.preview": frozenset({"support", "admin", "auditor"}),
    "audit.read": STAFF,
    "audit.verify": frozenset({"risk", "admin", "auditor"}),
    "workflows.read": frozenset({"risk", "admin", "auditor"}),
    "workflows.content": frozenset({"admin", "auditor"}),
    "exposure.read": STAFF,
    "exposure.what_if": STAFF - {"auditor"},
    "exposure.stop": DECIDERS["platform_stop"],
    "summary.read": STAFF,
    "platforms.read": STAFF,
    "liability.read": STAFF,
    "reports.read": frozenset({"finance", "risk", "admin", "auditor"}),
    "events.read": STAFF,
    "keys.manage": _KEY_OWNERS,
    "webhooks.read": frozenset({"admin", "auditor"}),
    "webhooks.manage": frozenset({"admin"}),
    "search": _EVERYBODY,
    "staff.read": frozenset({"admin", "auditor"}),
    "staff.review": frozenset({"admin"}),
    "staff.end_sign_ins": frozenset({"admin"}),
    "permissions.read": STAFF,
    "factors.own": _EVERYBODY,
    "step_ups.make": frozenset(ROLES),
    "sign_in.invite": frozenset({"admin"}),
    **SUBJECTS.permissions(),
}


# What no API key may do: whatever people decide or propose, what moves money or secrets, what gives out more keys,
# and how people sign in.
PERSONS_ONLY: Final = frozenset(
    {
        *(verb.right.name for subject in SUBJECTS for verb in subject.verbs),
        *("challenges.refund", "challenges.extend", "credentials.show", "credentials.reset"),
        *("accounts.freeze", "accounts.thaw"),
        *("traders.set_beneficiary", "traders.check_identity", "traders.identity_facts"),
        "certificates.manage",  # it shows personal data to anybody
        *(
            "compensations.propose",
            "interventions.propose",
            "exposure.stop",
            "keys.manage",
            "webhooks.manage",
            "messages.retry",
            "messages.drop",
            "queue.work",
        ),
        *("factors.own", "step_ups.make", "sign_in.invite", "staff.review", "staff.end_sign_ins"),
    }
)


def scopes_of(role: Role) -> frozenset[str]:
    """Returns what an API key of a person with this role may do at most."""
    return frozenset(name for name, roles in CAN.items() if role in roles and name not in PERSONS_ONLY)


def table() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Returns every permission with the roles that have it, by name."""
    return tuple((name, tuple(role for role in ROLES if role in CAN[name])) for name in sorted(CAN))


def may(actor: Actor, permission: str) -> bool:
    return actor.role in CAN[permission]


def check(actor: Actor, permission: str) -> None:
    """Raises NotAllowed."""
    right_of(permission).check(actor)


def right_of(permission: str) -> Right:
    """Raises KeyError, so that a mistyped permission fails when the routes are built."""
    return Right(permission, CAN[permission])
