"""Faults that the fake produces on request. Each use of a number counts it down."""

from collections import Counter
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

# A text that contains one of these words (a metadata value, a description, an email) produces the fault for its object.
DECLINED: Final = "simulate-decline"
DISPUTED: Final = "simulate-dispute"
DISPUTE_LOST: Final = "simulate-lost"
DEBIT_FAILS: Final = "simulate-debit-fails"
REFUND_FAILS: Final = "simulate-refund-fails"
PAYOUT_FAILS: Final = "closed-account"
PAYOUT_RETURNS: Final = "returned-later"


class Faults(BaseModel):
    """Faults to produce.

    Changing calls whose path starts with `only` (such as "/v1/transfers"; empty: all):
    - timeout_before, timeout_after: answer with 504 after `hold_seconds`, without or with the effect
    - too_many: answer with 429
    - error_before: answer with 500 before the call begins: the same key may be used again
    - error_kept, error_after: answer with 500 without or with the effect; the same key gets the same 500 until it is
      forgotten
    - hold: while set, calls wait before their effect and their key is in use; the effect lands also when the caller
      has given up
    - forget_keys: while set, no idempotency key is remembered, and earlier ones are forgotten
    - short_of_money: refuse a transfer with balance_insufficient

    Money:
    - decline: decline the payment
    - dispute: the buyer disputes the payment two days later
    - disputes_lost: evidence does not help
    - debits_fail: the bank debit fails
    - refunds_fail: the refund fails three days later
    - payouts_fail, payouts_return: the payout fails, or comes back days after it arrived

    Webhooks:
    - duplicate_webhooks, drop_webhooks: deliver twice, or never
    - reorder: deliver the newest first
    - delay_webhooks: seconds of wall time before a first delivery

    `uses` counts what really happened, under the same names; also `key_in_use`, and `late_effect` for a call that had
    its effect after it was held.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    _uses: Counter[str] = PrivateAttr(default_factory=Counter)

    only: str = ""
    timeout_before: int = Field(default=0, ge=0)
    timeout_after: int = Field(default=0, ge=0)
    too_many: int = Field(default=0, ge=0)
    error_before: int = Field(default=0, ge=0)
    error_after: int = Field(default=0, ge=0)
    error_kept: int = Field(default=0, ge=0)
    hold: bool = False
    hold_seconds: float = Field(default=0, ge=0, le=60)
    forget_keys: bool = False
    short_of_money: int = Field(default=0, ge=0)

    decline: int = Field(default=0, ge=0)
    dispute: int = Field(default=0, ge=0)
    disputes_lost: bool = False
    debits_fail: int = Field(default=0, ge=0)
    refunds_fail: int = Field(default=0, ge=0)
    payouts_fail: int = Field(default=0, ge=0)
    payouts_return: int = Field(default=0, ge=0)

    duplicate_webhooks: int = Field(default=0, ge=0)
    drop_webhooks: int = Field(default=0, ge=0)
    reorder: bool = False
    delay_webhooks: float = Field(default=0, ge=0, le=600)

    def use(self, name: str) -> bool:
        """Returns whether fault `name` happens now, and counts it down."""
        left = int(getattr(self, name))
        if left:
            setattr(self, name, left - 1)
            self.count(name)
        return left > 0

    @property
    def uses(self) -> Counter[str]:
        return self._uses

    def count(self, name: str) -> None:
        """Counts a use of a fault that is no number."""
        self._uses[name] += 1

    def counted_since(self, before: Counter[str]) -> "Faults":
        """Returns these faults with the uses of earlier ones."""
        self._uses = before
        return self
