"""Who may decide what, and when enough distinct people have agreed."""

from collections.abc import Iterable
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from domain.errors import AlreadyDecided, BadInput, NotAllowed, SelfApproval

Role = Literal["support", "risk", "finance", "admin", "auditor", "trader", "venue"]
Subject = Literal["payout", "dispute", "case", "review", "identity", "product_version", "account_move"]

ROLES: Final[tuple[Role, ...]] = ("support", "risk", "finance", "admin", "auditor", "trader", "venue")
PEOPLE: Final = frozenset(ROLES) - {"venue"}  # a venue is a program, which only asks for verdicts on orders
STAFF: Final = frozenset({"support", "risk", "finance", "admin", "auditor"})

DECIDERS: Final[dict[str, frozenset[str]]] = {
    "payout": frozenset({"finance", "admin"}),
    "dispute": frozenset({"risk", "admin"}),
    "case": frozenset({"risk", "admin"}),
    "review": frozenset({"risk", "admin"}),
    "identity": frozenset({"risk", "admin"}),
    "product_version": frozenset({"risk", "admin"}),
    "account_move": frozenset({"risk", "admin"}),
}


class Actor(BaseModel):
    """A signed-in person as decisions see them: the user, the person behind it, the role at this moment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_id: str
    person_id: str
    role: Role
    trader_id: str | None = None


class Vote(BaseModel):
    """A decision row as approvals count it. `role_now` is None for a user who is no longer active."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: str
    user_id: str
    person_id: str
    role_now: str | None
    subject_digest: str


def check_reason(reason: str) -> None:
    """Every decision says why. Raises BadInput."""
    if not reason.strip():
        raise BadInput("Say why.", field="reason", remedy="One sentence is enough.")


def check_may_decide(
    subject: Subject, actor: Actor, *, requester_person: str, decided_by: Iterable[str], subject_id: str
) -> None:
    """Refuse a decision by the wrong role, by the person who asked for it, or by one person twice. `decided_by`: the
    persons whose decisions rule out another one by the same person.

    Raises NotAllowed, SelfApproval or AlreadyDecided.
    """
    noun = subject.replace("_", " ")
    if actor.role not in DECIDERS[subject]:
        names = " or ".join(sorted(DECIDERS[subject]))
        raise NotAllowed(f"Deciding a {noun} needs the role {names}; yours is {actor.role}.")
    if actor.person_id == requester_person:
        raise SelfApproval(f"You asked for this {noun}; somebody else must decide it.")
    if actor.person_id in set(decided_by):
        raise AlreadyDecided(f"{noun} {subject_id}", "a decision", "you")


def approvals_that_count(subject: Subject, votes: Iterable[Vote], *, requester_person: str, digest: str) -> int:
    """Distinct persons, not the requester, whose role still allows it and who approved exactly this subject."""
    return len(
        {
            vote.person_id
            for vote in votes
            if vote.decision == "approve"
            and vote.subject_digest == digest
            and vote.person_id != requester_person
            and vote.role_now in DECIDERS[subject]
        }
    )
