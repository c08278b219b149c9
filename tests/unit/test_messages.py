"""Stored messages: today's code writes what it always wrote, and reads what it wrote before."""

from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.messages import (
    SIGNALS,
    STARTS,
    AccountReinstated,
    BreachDetected,
    BreachOverturned,
    CaseStart,
    ChallengeStart,
    ChargebackChanged,
    ChargebackReceived,
    ChargebackStart,
    ClosedByFirm,
    DisputeStart,
    FeeRefunded,
    IdentityDecided,
    LockAccount,
    MarketTimeReached,
    Message,
    PaymentExpired,
    PaymentSettled,
    PayoutStart,
    PhaseGivenAnew,
    PhasePassed,
    RiskChanged,
    TransferChanged,
    stored,
    wire_name,
)
from store import outbox

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PAID = {"key": "stripe/evt_1", "checkout_id": "co_1"}

ROWS: list[tuple[Message, str, dict[str, Any]]] = [
    (ChallengeStart(challenge_id="chl_1"), "Challenge", {"challenge_id": "chl_1"}),
    (
        ChallengeStart(challenge_id="chl_1", state="awaiting_payment", phase_index=0),
        "Challenge",
        {"challenge_id": "chl_1", "state": "awaiting_payment", "phase_index": 0},
    ),
    (PayoutStart(payout_id="pay_1"), "Payout", {"payout_id": "pay_1"}),
    (DisputeStart(dispute_id="dsp_1"), "Dispute", {"dispute_id": "dsp_1"}),
    (CaseStart(case_id="cas_1"), "Case", {"case_id": "cas_1"}),
    (PaymentSettled(**PAID), "payment_settled", PAID),
    (PaymentExpired(**PAID), "payment_expired", PAID),
    (ChargebackReceived(**PAID), "chargeback_received", PAID),
    (
        ChargebackChanged(key="stripe/evt_1", chargeback_id="cbk_1"),
        "chargeback_changed",
        {"key": "stripe/evt_1", "chargeback_id": "cbk_1"},
    ),
    (ChargebackStart(chargeback_id="cbk_1"), "Chargeback", {"chargeback_id": "cbk_1"}),
    (FeeRefunded(**PAID), "fee_refunded", PAID),
    (
        BreachDetected(key="breach/brc_1", breach_id="brc_1", account_id="acc_1", occurred_at=AT),
        "breach_detected",
        {"key": "breach/brc_1", "breach_id": "brc_1", "account_id": "acc_1", "occurred_at": "2026-01-02T03:04:05Z"},
    ),
    (
        PhasePassed(key="pass/psg_1", pass_id="psg_1", account_id="acc_1", occurred_at=AT),
        "phase_passed",
        {"key": "pass/psg_1", "pass_id": "psg_1", "account_id": "acc_1", "occurred_at": "2026-01-02T03:04:05Z"},
    ),
    (IdentityDecided(key="k", verified=False), "identity_decided", {"key": "k", "verified": False}),
    (
        BreachOverturned(key="k", dispute_id="dsp_1", breach_id="brc_1"),
        "breach_overturned",
        {"key": "k", "dispute_id": "dsp_1", "breach_id": "brc_1"},
    ),
    (ClosedByFirm(key="k", case_id="cas_1"), "closed_by_firm", {"key": "k", "case_id": "cas_1"}),
    (
        PhaseGivenAnew(key="k", intervention_id="itv_1"),
        "phase_given_anew",
        {"key": "k", "intervention_id": "itv_1"},
    ),
    (AccountReinstated(key="k"), "account_reinstated", {"key": "k"}),
    (MarketTimeReached(key="k"), "market_time_reached", {"key": "k"}),
    (RiskChanged(key="k"), "risk_changed", {"key": "k"}),
    (TransferChanged(key="k", transfer_id="tr_1"), "transfer_changed", {"key": "k", "transfer_id": "tr_1"}),
]


@pytest.mark.parametrize(("message", "name", "payload"), ROWS)
def test_a_message_is_stored_as_it_always_was(message: Message, name: str, payload: dict[str, Any]) -> None:
    assert (wire_name(message), stored(message)) == (name, payload)


@pytest.mark.parametrize(("message", "name", "payload"), ROWS)
def test_a_row_of_before_is_read(message: Message, name: str, payload: dict[str, Any]) -> None:
    assert {**SIGNALS, **STARTS}[name].model_validate(payload) == message


def test_a_breach_that_a_person_confirmed_was_stored_with_an_offset() -> None:
    payload = {"key": "k", "breach_id": "brc_1", "account_id": "acc_1", "occurred_at": "2026-01-02T03:04:05+00:00"}
    assert BreachDetected.model_validate(payload).occurred_at == AT


def test_every_signal_has_an_example_here() -> None:
    assert {name for _, name, _ in ROWS} >= set(SIGNALS)


def test_the_orders_to_the_platform_are_as_they_always_were() -> None:
    lock = LockAccount(key="lock/brc_1", login=7, account_id="acc_1")
    assert stored(lock) == {"key": "lock/brc_1", "login": 7, "account_id": "acc_1"}
    judged = LockAccount(key="lock/brc_1", login=7, account_id="acc_1", epoch=3)
    assert stored(judged) == {**stored(lock), "epoch": 3}


def test_a_name_belongs_to_one_message() -> None:
    kinds = [*SIGNALS.values(), *STARTS.values()]
    assert len(kinds) == len(set(kinds))
    assert set(SIGNALS) >= outbox.HINTS
