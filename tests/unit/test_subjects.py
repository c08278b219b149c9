"""The table of what waits for a person: one definition of every kind, its rights and its addresses."""

import pytest

from domain.approvals import DECIDERS, ROLES, STAFF, Actor, Role
from domain.errors import NotAllowed
from front.permissions import CAN
from front.subjects.table import SUBJECTS


def test_every_kind_has_a_clock_a_place_and_a_list() -> None:
    places = {"/queue", "/payouts", "/risk", "/tickets", "/products", "/accounts", "/"}
    for subject in SUBJECTS:
        assert subject.waiting.target.total_seconds() > 0
        assert subject.under in places, subject.name
        assert subject.verbs or subject.list_page, "a count leads to a list"
        assert (subject.workflow is not None) == any(verb.carry_out is None for verb in subject.verbs)


def test_the_api_has_a_route_and_an_id_for_what_it_decides() -> None:
    for subject in SUBJECTS:
        paths = [verb.path for verb in subject.verbs if verb.path]
        assert len(set(paths)) == len(paths)
        assert not paths or (subject.api and subject.find), subject.name


def test_the_right_to_decide_is_the_one_that_the_firm_enforces() -> None:
    for subject in SUBJECTS.decided:
        assert subject.verbs[0].right.roles == DECIDERS[subject.name], subject.name


def test_permissions_are_read_from_the_table() -> None:
    for name, roles in SUBJECTS.permissions().items():
        assert CAN[name] == roles
    rights = [right for subject in SUBJECTS for right in subject.rights]
    assert {right.name: right.roles for right in rights} == {right.name: CAN[right.name] for right in rights}


@pytest.mark.parametrize("role", ROLES)
def test_a_right_refuses_by_role_and_says_which_roles_have_it(role: str) -> None:
    right = SUBJECTS.by_name["payout"].verb("approve").right
    actor = Actor.model_validate({"user_id": "usr_1", "person_id": "p1", "role": role})
    if role in {"finance", "admin"}:
        right.check(actor)
        assert right.refusal(actor) == ""
    else:
        with pytest.raises(NotAllowed, match=f"admin or finance; yours is {role}"):
            right.check(actor)


def test_traders_open_only_what_is_their_own() -> None:
    everybody = {subject.name for subject in SUBJECTS if not subject.read.roles <= STAFF}
    assert everybody == {"payout", "dispute", "ticket"}


def test_search_offers_a_role_what_it_may_open() -> None:
    def found(role: Role) -> set[str]:
        return set(SUBJECTS.findable(Actor(user_id="usr_1", person_id="one", role=role)))

    assert "staff_change" in found("auditor") and "staff_change" not in found("support")
    assert found("trader") == {subject.name for subject in SUBJECTS if subject.find and "trader" in subject.read.roles}
