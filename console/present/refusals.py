"""Why somebody may not decide."""

from domain.approvals import Actor
from front import permissions
from front.subjects.subject import Right


def may(actor: Actor, permission: str) -> str:
    """Empty when allowed, else the sentence that is shown in place of the form."""
    return may_use(actor, permissions.right_of(permission))


def may_use(actor: Actor, right: Right) -> str:
    """The same for a right."""
    if actor.role in right.roles:
        return ""
    return f"Only {' or '.join(sorted(right.roles))} may decide this; your role is {actor.role}."
