"""Who may decide what, and when enough distinct people have agreed."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from domain.errors import AlreadyDecided, BadInput, NotAllowed, SelfApproval

Role = Literal["support", "risk", "finance", "admin", "auditor", "trader", "venue"]
Subject = Literal[
    "payout", "dispute", "case", "review", "identity", "product_version", "account_move", "beneficiary", "sanction_hit",
    "chargeback", "break", "platform_stop", "platform_change", "policy_change", "staff_change", "compensation",
    "intervention",
]  # fmt: skip

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
    "platform_stop": frozenset({"risk", "admin"}),
    "beneficiary": frozenset({"support", "admin"}),
    "sanction_hit": frozenset({"risk", "admin"}),
    "break": frozenset({"finance", "admin"}),
    "chargeback": frozenset({"finance", "admin"}),
    "platform_change": frozenset({"risk", "admin"}),
    "policy_change": frozenset({"risk", "admin"}),
    "staff_change": frozenset({"admin"}),
    "compensation": frozenset({"finance", "admin"}),
    "intervention": frozenset({"risk", "finance", "admin"}),
}


class Actor(BaseModel):
    """A signed-in person as decisions see them: the user, the person behind it, the role at this moment. `key_id`: the
    API key through which a program acts for them; such a program is no person and decides nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_id: str
    person_id: str
    role: Role
    trader_id: str | None = None
    key_id: str | None = None


class Vote(BaseModel):
    """A decision row as approvals count it. `role_now` is None for a user who is no longer active. `expires_at`: from
    then on it no longer counts; None: never."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: str
    user_id: str
    person_id: str
    role_now: str | None
    subject_digest: str
    round: int = 1
    expires_at: datetime | None = None


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


def check_may_withdraw(actor: Actor, proposed_by: str, reason: str) -> None:
    """Checks that the actor proposed it and says why it is taken back. `proposed_by`: a user id. Raises NotAllowed,
    BadInput."""
    if actor.user_id != proposed_by:
        raise NotAllowed("Only who proposed it can withdraw it.", remedy="Reject it instead.")
    check_reason(reason)


def check_other_person(actor: Actor, persons: Iterable[str], words: str) -> None:
    """Refuse what one of `persons` must not do, by whichever of their logins. `words`: why, as a sentence.

    Raises SelfApproval.
    """
    if actor.person_id in set(persons):
        raise SelfApproval(words)


APPROVE: Final = "approve"
RETRACT: Final = "retract"


def approvers(
    subject: Subject,
    votes: Iterable[Vote],
    *,
    requester_person: str,
    digest: str,
    approvals_round: int = 1,
    now: datetime | None = None,
) -> frozenset[str]:
    """Returns the persons who approve exactly this subject in this round: not the requester, with a role that still
    allows it, and with an approval that was neither taken back nor has expired. `votes`: oldest first."""
    last: dict[str, Vote] = {}
    for vote in votes:
        if vote.decision in (APPROVE, RETRACT) and vote.round == approvals_round:
            last[vote.person_id] = vote
    return frozenset(
        person
        for person, vote in last.items()
        if vote.decision == APPROVE
        and vote.subject_digest == digest
        and person != requester_person
        and vote.role_now in DECIDERS[subject]
        and (vote.expires_at is None or now is None or now < vote.expires_at)
    )


def approvals_that_count(subject: Subject, votes: Iterable[Vote], *, requester_person: str, digest: str) -> int:
    """Returns how many different persons approve a subject whose approvals never begin anew and never expire."""
    return len(approvers(subject, votes, requester_person=requester_person, digest=digest))
