"""The life of a purchased challenge."""

from typing import Final

from domain.states import StateMachine

_AFTER_PAYMENT: Final = ("provisioning", "active", "identity_check", "funded", "breached")

CHALLENGE: Final = StateMachine(
    noun="challenge",
    initial="awaiting_payment",
    table={
        ("awaiting_payment", "payment_settled"): "provisioning",
        ("awaiting_payment", "payment_expired"): "cancelled",
        ("provisioning", "phase_started"): "active",
        ("provisioning", "funding_started"): "funded",
        ("active", "phase_passed"): "provisioning",
        ("active", "evaluation_passed"): "identity_check",
        ("active", "breach_detected"): "breached",
        ("active", "time_limit_reached"): "expired",
        ("active", "refund_granted"): "refunded",
        ("active", "closed_by_firm"): "closed",
        ("identity_check", "identity_verified"): "provisioning",
        ("identity_check", "identity_refused"): "closed",
        ("identity_check", "closed_by_firm"): "closed",
        ("funded", "breach_detected"): "breached",
        ("funded", "closed_by_firm"): "closed",
        ("breached", "evaluation_reinstated"): "active",
        ("breached", "funding_reinstated"): "funded",
        ("breached", "dispute_window_over"): "failed",
        **{(state, "chargeback_received"): "charged_back" for state in _AFTER_PAYMENT},
    },
    transient=frozenset({"provisioning"}),
)
