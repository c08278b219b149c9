"""The judge of the chaos finds what it looks for, and the plan is the seed's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cli.chaos.firm import Payee
from cli.chaos.oracles import FIGURES, Record, judge
from cli.chaos.outside import Moved, Outside
from cli.chaos.plan import CYCLE, PlannedPayout, plan
from cli.demo.actors import ApiClient, Trader
from cli.demo.mailbox import Mailbox
from cli.demo.personas import personas

AT = datetime(2026, 3, 16, tzinfo=UTC)
SENT = 150_000  # two people approve it


def _payout(**changes: Any) -> dict[str, Any]:
    return {
        "id": "pay_1", "state": "paid", "gross_minor": 250_000, "sent_minor": SENT, "account_id": "acc_1",
        "asked_by": "trd_1", **changes,
    }  # fmt: skip


def _attempt(number: int = 1, state: str = "paid", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"trf-{number}", "payout_id": "pay_1", "number": number, "state": state, "amount_minor": SENT,
        "terms_digest": "terms", "recorded_at": AT + timedelta(minutes=number), **changes,
    }  # fmt: skip


def _vote(person: str, **changes: Any) -> dict[str, Any]:
    return {
        "person": person, "decision": "approve", "role": "finance", "subject_digest": "terms", "round": 1,
        "recorded_at": AT, **changes,
    }  # fmt: skip


def _record(**changes: Any) -> Record:
    good = Record(
        payouts=[_payout()],
        attempts={"pay_1": [_attempt()]},
        votes={"pay_1": [_vote("farid"), _vote("grace")]},
        cash_minor={"bank": -SENT},
        counts={},
        faults_in_books=0,
        balances={"acc_1": 750_000},
        on_queue=set(),
    )
    return replace(good, **changes)


def _outside(cash: int = -SENT, **transfers: Moved) -> Outside:
    found = {key.replace("_", "-"): moved for key, moved in transfers.items()}
    return Outside(found or {"trf-1": Moved([SENT])}, {"bank": cash})


def _wrong(record: Record, outside: Outside, roles: Any = ()) -> set[str]:
    planned = PlannedPayout(0, "bank", 2, Decimal(2_500), "none", "arrives", "none")
    trader = Trader(personas(1, 1)[0], ApiClient("http://nobody.test"), Mailbox(Path("nowhere")))
    payee = Payee(planned, trader, "acc_1", 1, 1_000_000, "pay_1")
    found = judge(record, outside, [payee], roles).found
    assert set(found) == set(FIGURES)
    return {figure for figure, sentences in found.items() if sentences}


def test_a_good_run_has_nothing_wrong() -> None:
    assert _wrong(_record(), _outside()) == set()


@pytest.mark.parametrize(
    ("outside", "wrong"),
    [
        (_outside(trf_1=Moved([SENT, SENT])), {"sent_twice", "lost"}),
        (_outside(trf_1=Moved([SENT + 1])), {"sent_twice", "lost"}),
        (_outside(trf_1=Moved([SENT], back_minor=SENT)), {"lost"}),
        (_outside(trf_1=Moved([SENT]), trf_stray=Moved([5])), {"unapproved"}),
        (_outside(cash=-SENT - 1), {"lost"}),
    ],
)
def test_what_the_companies_did_is_compared_with_the_record(outside: Outside, wrong: set[str]) -> None:
    assert _wrong(_record(), outside) == wrong


def test_two_attempts_out_at_once_are_found_and_a_returned_one_is_not() -> None:
    attempts = {"pay_1": [_attempt(1, "returned"), _attempt(2)]}
    votes = {"pay_1": [_vote("farid"), _vote("grace"), _vote("farid", round=2), _vote("grace", round=2)]}
    both = _record(attempts=attempts, votes=votes)
    assert _wrong(both, _outside(trf_1=Moved([SENT], SENT), trf_2=Moved([SENT]))) == set()
    assert _wrong(both, _outside(trf_1=Moved([SENT]), trf_2=Moved([SENT]))) == {"sent_twice", "lost"}


@pytest.mark.parametrize(
    "votes",
    [
        [_vote("farid")],
        [_vote("farid"), _vote("farid")],
        [_vote("farid"), _vote("grace", subject_digest="other terms")],
        [_vote("farid"), _vote("grace", recorded_at=AT + timedelta(minutes=2))],
        [_vote("farid"), _vote("grace"), _vote("grace", decision="retract")],
        [_vote("farid"), _vote("trd_1")],
        [_vote("farid"), _vote("rosa", role="risk")],
    ],
)
def test_approvals_that_do_not_count_are_not_counted(votes: list[dict[str, Any]]) -> None:
    assert _wrong(_record(votes={"pay_1": votes}), _outside()) == {"unapproved"}


def test_a_role_that_was_lost_before_the_transfer_does_not_count() -> None:
    assert _wrong(_record(), _outside(), [(AT, "grace", "auditor")]) == {"unapproved"}
    assert _wrong(_record(), _outside(), [(AT + timedelta(hours=1), "grace", "auditor")]) == set()


def test_approvals_of_an_earlier_round_do_not_count() -> None:
    attempts = {"pay_1": [_attempt(1, "returned"), _attempt(2)]}
    outside = _outside(trf_1=Moved([SENT], SENT), trf_2=Moved([SENT]))
    assert _wrong(_record(attempts=attempts), outside) == {"unapproved"}


def test_accounts_books_and_the_queue_are_looked_at() -> None:
    assert _wrong(_record(balances={"acc_1": 750_001}), _outside()) == {"lost"}
    assert _wrong(_record(faults_in_books=1), _outside()) == {"imbalance"}
    sent = _record(payouts=[_payout(state="sent")])
    assert _wrong(sent, _outside()) == {"stuck"}
    assert _wrong(replace(sent, on_queue={"pay_1"}), _outside()) == set()


def test_a_plan_is_the_seeds_and_meets_everything() -> None:
    assert plan(30, 1) == plan(30, 1) != plan(30, 2)
    waves = plan(200, 1)
    assert sum(map(len, waves)) == 200
    for wave in (*waves, *plan(CYCLE, 3)):
        assert {each.twist for each in wave} == {
            "none", "race", "retract", "role", "beneficiary", "case", "late_effect", "terminated", "reset",
        }  # fmt: skip
        assert {each.fate for each in wave} == {"arrives", "refused", "returned", "fails", "returns"}
        assert {each.buyer for each in wave} == {"none", "won", "lost", "desk_refund"}
