"""Every pair of state and trigger of every table: it moves where the table says, or it is refused."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.approvals import ROLES, Actor, Role
from domain.chargebacks import CHARGEBACK
from domain.compensations import COMPENSATION
from domain.disputes import DISPUTE, breach_is_final, goodwill_minor, window_end
from domain.errors import Conflict, ExtensionRefused, IllegalTransition, NotAllowed
from domain.interventions import INTERVENTION
from domain.lifecycle import (
    CHALLENGE,
    Paid,
    check_extendable,
    check_may_extend,
    check_may_refund,
    check_refundable,
    may_retake,
    payment_difference,
    payment_due,
    phase_deadline,
    trigger_of_pass,
    trigger_of_reinstatement,
    trigger_of_start,
)
from domain.money import Money
from domain.payouts.payout import PAYOUT, STAGES
from domain.platform_changes import PLATFORM_CHANGE
from domain.products.phase import Phase
from domain.products.publishing import ACCOUNT_MOVE, PROPOSAL
from domain.staff_changes import STAFF_CHANGE
from domain.states import StateMachine
from domain.steps import SENTENCES, sentence
from domain.stops import STOP
from domain.surveillance.casework import CASE
from domain.surveillance.policy import POLICY_CHANGE
from domain.tickets import TICKET

MACHINES = (CHALLENGE, CHARGEBACK, PAYOUT, DISPUTE, CASE, TICKET, PROPOSAL, ACCOUNT_MOVE, POLICY_CHANGE, STAFF_CHANGE)
PAIRS = [
    pytest.param(machine, state, trigger, id=f"{machine.noun}-{state}-{trigger}")
    for machine in MACHINES
    for state in sorted(machine.states)
    for trigger in sorted(machine.triggers)
]
AT = datetime(2014, 5, 2, tzinfo=UTC)


@pytest.mark.parametrize(("machine", "state", "trigger"), PAIRS)
def test_every_pair_moves_or_is_refused(machine: StateMachine, state: str, trigger: str) -> None:
    if (state, trigger) in machine.table:
        assert machine.allows(state, trigger)
        assert machine.next(state, trigger) in machine.states
    else:
        assert not machine.allows(state, trigger)
        with pytest.raises(IllegalTransition) as refused:
            machine.next(state, trigger)
        assert (refused.value.state, refused.value.trigger) == (state, trigger)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.noun)
def test_every_state_is_reached_and_every_rest_can_end(machine: StateMachine) -> None:
    reached, frontier = {machine.initial}, [machine.initial]
    while frontier:
        state = frontier.pop()
        for (source, _), target in machine.table.items():
            if source == state and target not in reached:
                reached.add(target)
                frontier.append(target)
    assert reached == machine.states
    assert machine.transient <= machine.states - machine.terminal, "a transient state ends, so it has a way out"


def test_the_words_of_tables_fit_their_columns() -> None:
    for machine in MACHINES:
        assert max(map(len, machine.states)) <= 24
        assert max(map(len, machine.triggers)) <= 32


def test_what_was_paid_is_compared_with_what_was_due() -> None:
    due, fee = Money(minor=54_000, currency="USD"), Paid(minor=54_000, currency="USD")
    assert payment_difference(due, "chl_1", fee, "chl_1") == ""
    assert payment_difference(due, "chl_1", Paid(minor=1, currency="JPY"), "chl_1") == (
        "1 JPY was paid and 54000 USD was due (minor units)."
    )
    assert payment_difference(due, "chl_1", Paid(minor=54_000, currency="EUR"), "chl_1")
    assert payment_difference(due, "chl_1", Paid(minor=54_001, currency="USD"), "chl_1"), "too much is not the fee"
    assert payment_difference(due, "chl_1", fee, "chl_2") == "the payment names chl_2 and not chl_1."


def test_the_dates_and_choices_of_a_challenge() -> None:
    assert payment_due(AT) == AT + timedelta(hours=24)
    assert phase_deadline(AT, None, []) is None
    assert phase_deadline(AT, None, [], 7) is None
    assert phase_deadline(AT, 30, [], 14) == AT + timedelta(days=44)
    lost = [(AT + timedelta(days=3), AT + timedelta(days=5))]
    assert phase_deadline(AT, 30, lost) == AT + timedelta(days=32)
    assert [trigger_of_pass(index, 3) for index in (1, 2)] == ["phase_passed", "evaluation_passed"]
    assert [trigger_of_start(index, 3) for index in (1, 3)] == ["phase_started", "funding_started"]
    assert [trigger_of_reinstatement(i, 3) for i in (2, 3)] == ["evaluation_reinstated", "funding_reinstated"]


@pytest.mark.parametrize("state", sorted(CHALLENGE.states))
@pytest.mark.parametrize("phase", [0, 1, 2])
def test_only_the_first_phase_and_a_wrong_payment_can_be_refunded(state: str, phase: int) -> None:
    if (state, phase) == ("active", 1) or state == "payment_review":
        check_refundable(state, phase)
    else:
        with pytest.raises(Conflict):
            check_refundable(state, phase)


@pytest.mark.parametrize("role", ROLES)
def test_who_may_ask_for_a_refund(role: Role) -> None:
    stranger = Actor(user_id="usr_1", person_id="p1", role=role, trader_id="trd_2" if role == "trader" else None)
    if role in {"finance", "admin"}:
        check_may_refund(stranger, "trd_1")
    else:
        with pytest.raises(NotAllowed):
            check_may_refund(stranger, "trd_1")
    if role == "trader":
        check_may_refund(stranger, "trd_2")


def _phase(**changes: object) -> Phase:
    rule = {"type": "max_loss_static", "id": "max_loss", "allowance": {"type": "pct_of_initial", "value": "10"}}
    rules = [{**rule, "breach_when": "equity < floor"}]
    target = {"type": "pct_of_initial", "value": "8"}
    return Phase.model_validate({"name": "Challenge", "target": target, "rules": rules, **changes})


@pytest.mark.parametrize("state", sorted(CHALLENGE.states))
def test_only_a_phase_under_way_can_be_extended(state: str) -> None:
    phase = _phase(extension={"days": 14, "times": 2}, time_limit_days=30)
    if state == "active":
        assert check_extendable(state, phase, 1, AT, AT + timedelta(seconds=1)) == 14
    else:
        with pytest.raises(ExtensionRefused):
            check_extendable(state, phase, 0, AT, AT + timedelta(days=1))


@pytest.mark.parametrize(
    ("extension", "granted", "left", "words"),
    [
        (None, 0, timedelta(days=1), "cannot be extended"),
        ({"days": 14}, 1, timedelta(days=1), "already extended once"),
        ({"days": 14, "times": 2}, 2, timedelta(days=1), "already extended twice"),
        ({"days": 14}, 0, timedelta(0), "ended on"),
    ],
)
def test_why_a_phase_is_not_extended(extension: object, granted: int, left: timedelta, words: str) -> None:
    phase = _phase(extension=extension, time_limit_days=30)
    with pytest.raises(ExtensionRefused, match=words):
        check_extendable("active", phase, granted, AT, AT + left)


def test_a_phase_without_a_time_limit_has_nothing_to_extend() -> None:
    with pytest.raises(ExtensionRefused, match="cannot be extended"):
        check_extendable("active", _phase(), 0, AT, None)


@pytest.mark.parametrize("role", ROLES)
def test_who_may_ask_for_more_time(role: Role) -> None:
    actor = Actor(user_id="usr_1", person_id="p1", role=role, trader_id="trd_2" if role == "trader" else None)
    if role in {"support", "admin"}:
        check_may_extend(actor, "trd_1")
    else:
        with pytest.raises(NotAllowed):
            check_may_extend(actor, "trd_1")
    if role == "trader":
        check_may_extend(actor, "trd_2")


def test_who_may_take_a_phase_again() -> None:
    free = _phase(free_retake=True)
    assert may_retake(free, 10_000_001, 10_000_000, breached=False)
    assert not may_retake(free, 10_000_000, 10_000_000, breached=False), "no profit"
    assert not may_retake(free, 10_000_001, 10_000_000, breached=True)
    assert not may_retake(_phase(), 10_000_001, 10_000_000, breached=False), "not promised"


def test_when_a_breach_is_final() -> None:
    until = window_end(AT, 14)
    assert until == AT + timedelta(days=14)
    assert not breach_is_final(until - timedelta(seconds=1), until, None)
    assert breach_is_final(until, until, None)
    assert not breach_is_final(until, until, "awaiting_decision"), "a running dispute delays the end"
    assert breach_is_final(AT, until, "upheld")


@pytest.mark.parametrize(
    ("equity", "floors", "credit"),
    [
        (8_990_000, [9_000_000, 9_400_000], 510_000),
        (9_500_000, [9_000_000, 9_400_000], 0),
        (9_000_000, [9_000_000], 100_000),
    ],
)
def test_a_reinstated_account_has_room_above_its_highest_floor(equity: int, floors: list[int], credit: int) -> None:
    assert goodwill_minor(equity, floors, 10_000_000) == credit


def test_every_step_has_a_sentence_and_every_sentence_a_step() -> None:
    machines = (*MACHINES, COMPENSATION, INTERVENTION, PLATFORM_CHANGE, STOP)
    triggers = {trigger for machine in machines for trigger in machine.triggers}
    assert SENTENCES.keys() == triggers
    assert sentence("risk_clear") == "All checks passed."
    assert sentence("a_step_of_an_earlier_version") == "A step of an earlier version."


def test_every_state_of_an_open_payout_belongs_to_one_stage() -> None:
    states = [state for of_stage in STAGES.values() for state in of_stage]
    assert sorted(states) == sorted(PAYOUT.states - PAYOUT.terminal)
