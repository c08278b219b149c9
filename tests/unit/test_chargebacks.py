"""The life of a chargeback, without a database: its table, its answers, and the time that it takes from a trader."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.chargebacks import (
    ANSWERABLE,
    CHARGEBACK,
    DECIDED,
    Status,
    begins_round,
    check_answerable,
    escalates_at,
    loss_minor,
    lost_time,
    stops_trading,
    trigger_of,
)
from domain.errors import ChargebackClosed

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
STATUSES: tuple[Status, ...] = ("inquiry", "evidence_due", "under_review", "won", "lost")


@pytest.mark.parametrize("status", STATUSES)
def test_the_state_is_that_of_the_newest_answer_whatever_it_was_before(status: Status) -> None:
    trigger = trigger_of(status, accepted=False)
    ends = {CHARGEBACK.table.get((state, trigger), state) for state in CHARGEBACK.states}
    assert len(ends) == 1


def test_a_decided_one_is_over_and_can_open_again() -> None:
    assert CHARGEBACK.terminal == DECIDED
    assert CHARGEBACK.next("won", "evidence_asked") == "evidence_due"


def test_a_loss_after_the_firm_gave_up_is_accepted() -> None:
    assert CHARGEBACK.next("evidence_due", trigger_of("lost", accepted=True)) == "accepted"
    assert CHARGEBACK.next("evidence_due", trigger_of("won", accepted=True)) == "won"


@pytest.mark.parametrize("status", STATUSES)
def test_trading_stops_while_the_money_is_gone_and_the_bank_has_not_decided(status: Status) -> None:
    assert stops_trading(status, withdrawn=True) == (status not in ("won", "lost"))
    assert not stops_trading(status, withdrawn=False)


def test_only_a_loss_is_written_off() -> None:
    assert [loss_minor(status, 54_000) for status in STATUSES] == [0, 0, 0, 0, 54_000]


@pytest.mark.parametrize("state", sorted(CHARGEBACK.states))
def test_one_answer_is_taken_while_one_is_asked_for(state: str) -> None:
    if state in ANSWERABLE:
        check_answerable(state, None)
    else:
        with pytest.raises(ChargebackClosed, match="takes no answer"):
            check_answerable(state, None)
    with pytest.raises(ChargebackClosed, match="answered already: submit"):
        check_answerable(state, "submit")


def test_it_becomes_urgent_a_day_before_its_date() -> None:
    assert escalates_at(AT) == AT - timedelta(days=1)


def test_time_that_two_spans_share_is_lost_once() -> None:
    def day(number: int) -> datetime:
        return AT + timedelta(days=number)

    assert lost_time([]) == timedelta()
    assert lost_time([(day(0), day(2)), (day(5), day(6))]) == timedelta(days=3)
    assert lost_time([(day(5), day(9)), (day(0), day(6)), (day(1), day(2))]) == timedelta(days=9)


@pytest.mark.parametrize(
    ("before", "after", "answered", "begins"),
    [
        ("won", "evidence_due", True, True),
        ("lost", "evidence_due", True, True),
        ("submitted", "evidence_due", True, True),
        ("inquiry", "evidence_due", True, True),
        ("won", "evidence_due", False, False),
        ("evidence_due", "evidence_due", True, False),
        ("evidence_due", "submitted", True, False),
        ("evidence_due", "inquiry", True, False),
        ("received", "evidence_due", True, False),
    ],
)
def test_a_round_begins_when_the_firm_is_asked_again_after_its_answer(
    before: str, after: str, answered: bool, begins: bool
) -> None:
    assert begins_round(before, after, answered=answered) == begins
