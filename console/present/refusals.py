"""Why somebody may not decide."""

from domain.approvals import Actor
from front import permissions


def may(actor: Actor, permission: str) -> str:
    """Empty when allowed, else the sentence that is shown in place of the form."""
    if permissions.may(actor, permission):
        return ""
    names = " or ".join(sorted(permissions.CAN[permission]))
    return f"Only {names} may decide this; your role is {actor.role}."
