"""Changes of the staff: what can be proposed, and what becomes of it. Pure."""

import hashlib
import json
from typing import Final, Literal, get_args

from domain.approvals import STAFF
from domain.errors import BadInput, Conflict
from domain.states import StateMachine

Kind = Literal["role", "disable", "enable", "invite"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

STAFF_CHANGE: Final = StateMachine(
    noun="change of the staff",
    initial="proposed",
    table={
        ("proposed", "approval_given"): "approved",
        ("proposed", "proposal_rejected"): "rejected",
        ("proposed", "proposal_withdrawn"): "withdrawn",
    },
    transient=frozenset(),
)


def check_wanted(kind: Kind, role_now: str | None, role: str | None, *, active: bool) -> None:
    """Refuses a change that changes nothing or cannot be. `role_now`, `active`: of the member of staff; None for
    somebody who is invited. Raises BadInput or Conflict."""
    if kind in ("role", "invite") and role not in STAFF:
        names = ", ".join(sorted(STAFF))
        raise BadInput("This is no role of the staff.", field="role", remedy=f"Choose one of {names}.")
    if kind in ("disable", "enable") and role is not None:
        raise BadInput("Disabling and enabling leave the role as it is.", field="role", remedy="Leave the role out.")
    if kind == "role" and role == role_now:
        raise Conflict(f"This person is {role_now} already.")
    if kind == "disable" and not active:
        raise Conflict("This login is disabled already.")
    if kind == "enable" and active:
        raise Conflict("This login may sign in already.")


def takes_admin_away(kind: Kind, role_now: str | None) -> bool:
    """Whether afterwards there is one admin less."""
    return role_now == "admin" and kind in ("role", "disable")


def digest(change_id: str, kind: str, whom: str, role_from: str | None, role_to: str | None) -> str:
    """Returns a digest of what exactly is decided on. `whom`: the user, or the address that is invited."""
    body = {"v": 1, "change": change_id, "kind": kind, "whom": whom, "from": role_from, "to": role_to}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def words(kind: str, whom: str, role_from: str | None, role_to: str | None) -> str:
    """Returns the change as a sentence."""
    return {
        "role": f"Make {whom} {role_to}, who is {role_from} now",
        "disable": f"Disable the login of {whom}, who is {role_from}",
        "enable": f"Let {whom} sign in again, as {role_from}",
        "invite": f"Invite {whom} as {role_to}",
    }[kind]
