import pytest

from domain.approvals import ROLES, Actor, Role, Subject, Vote, approvals_that_count, check_may_decide
from domain.errors import AlreadyDecided, NotAllowed, SelfApproval

DIGEST = "d" * 64


def actor(person: str = "p1", role: Role = "finance") -> Actor:
    return Actor(user_id=f"usr_{person}", person_id=person, role=role)


def vote(person: str, **changes: object) -> Vote:
    given = {"decision": "approve", "user_id": f"usr_{person}", "person_id": person}
    return Vote.model_validate({**given, "role_now": "finance", "subject_digest": DIGEST, **changes})


def count(*votes: Vote) -> int:
    return approvals_that_count("payout", votes, requester_person="asker", digest=DIGEST)


def check(who: Actor, subject: Subject = "payout", *, by: tuple[str, ...] = ()) -> None:
    check_may_decide(subject, who, requester_person="asker", decided_by=by, subject_id="pay_1")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("subject", "allowed"),
    [("payout", {"finance", "admin"}), ("dispute", {"risk", "admin"}), ("case", {"risk", "admin"})],
)
def test_who_decides_what(subject: Subject, allowed: set[str], role: Role) -> None:
    if role in allowed:
        check(actor(role=role), subject)
    else:
        with pytest.raises(NotAllowed, match=f"yours is {role}"):
            check(actor(role=role), subject)


def test_the_requester_and_a_second_decision_of_one_person_are_refused() -> None:
    with pytest.raises(SelfApproval):
        check(actor("asker"))
    with pytest.raises(AlreadyDecided):
        check(actor("p1"), by=("p1",))


def test_distinct_people_count() -> None:
    assert count(vote("p1"), vote("p2")) == 2
    assert count(vote("p1"), vote("p1", user_id="usr_other")) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"decision": "reject"},
        {"subject_digest": "e" * 64},
        {"person_id": "asker"},
        {"role_now": "support"},
        {"role_now": None},
    ],
)
def test_what_no_longer_stands_does_not_count(changes: dict[str, object]) -> None:
    assert count(vote("p1", **changes), vote("p2")) == 1
