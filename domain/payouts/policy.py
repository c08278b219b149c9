"""The firm's payout policy: how many people approve which amount, the limits of a day, and how long things may take.

It belongs to the firm and not to a product: a change applies to every payout that is not sent yet.
"""

import hashlib
import json
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.money import Currency, ExactDecimal, Money, from_minor, is_exact, to_minor

Amount = Annotated[ExactDecimal, Field(ge=0)]
Hours = Annotated[int, Field(ge=1, le=24 * 365)]
MOST_CHECKERS: Final = 2


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CurrencyPolicy(_Part):
    """Amounts in major units. None: no such limit.

    `person_per_day`: what one person may approve. `trader_per_day`: beyond it, payouts to the trader need two checkers.
    `automatic_per_day`: beyond it, a payout that nobody had to approve needs one.
    """

    automatic_up_to: Amount
    one_checker_up_to: Amount
    person_per_day: Amount | None = None
    trader_per_day: Amount | None = None
    automatic_per_day: Amount | None = None

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.one_checker_up_to < self.automatic_up_to:
            raise ValueError("one_checker_up_to: it is below automatic_up_to; raise it")
        return self


class DayTotals(_Part):
    """What the other payouts of the day moved in the payout's currency, in minor units. `automatic`: those that nobody
    had to approve. `trader`: those of the same trader."""

    automatic_minor: int = 0
    trader_minor: int = 0


class PayoutPolicy(_Part):
    """Times are market time. `rate_valid_hours`: an exchange rate may be used for so long after it was quoted."""

    currencies: dict[Currency, CurrencyPolicy] = {}
    approvals_valid_hours: Hours = 72
    decide_within_hours: Hours = 336
    escalate_after_hours: Hours = 24
    beneficiary_cooling_hours: Annotated[int, Field(ge=0, le=24 * 90)] = 48
    rate_valid_hours: Hours = 72

    @model_validator(mode="after")
    def _amounts_are_exact(self) -> Self:
        for currency, own in self.currencies.items():
            for name in CurrencyPolicy.model_fields:
                amount = getattr(own, name)
                if amount is not None and not is_exact(amount, currency):
                    raise ValueError(f"currencies.{currency}.{name}: not an amount in {currency}")
        if self.escalate_after_hours >= self.decide_within_hours:
            raise ValueError("escalate_after_hours: a payout has ended by then; keep it below decide_within_hours")
        return self

    @cached_property
    def content_hash(self) -> str:
        """Returns the hash of the policy. It is computed once: a policy never changes."""
        body = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(body.encode()).hexdigest()

    @property
    def approvals_valid(self) -> timedelta:
        return timedelta(hours=self.approvals_valid_hours)

    @property
    def escalate_after(self) -> timedelta:
        return timedelta(hours=self.escalate_after_hours)

    @property
    def beneficiary_cooling(self) -> timedelta:
        return timedelta(hours=self.beneficiary_cooling_hours)

    @property
    def rate_valid(self) -> timedelta:
        return timedelta(hours=self.rate_valid_hours)

    def person_per_day(self, currency: str) -> Money | None:
        """Returns what one person may approve a day; None: there is no limit."""
        own = self.currencies.get(currency)
        if own is None or own.person_per_day is None:
            return None
        return Money(minor=to_minor(own.person_per_day, currency), currency=currency)


def checkers_needed(
    policy: PayoutPolicy, sent: Money, *, approvals_round: int = 1, day: DayTotals | None = None
) -> int:
    """Returns how many different people must approve `sent`, the whole amount that leaves: 0, 1 or 2.

    `approvals_round`: after a transfer that came back or was refused, nothing is sent again without a person. `day`:
    raises the number when the day's limits are used up; None: the amount alone decides.
    """
    own = policy.currencies.get(sent.currency)
    if own is None:
        return MOST_CHECKERS
    amount = from_minor(sent.minor, sent.currency)
    needed = 0 if amount <= own.automatic_up_to else 1 if amount <= own.one_checker_up_to else MOST_CHECKERS
    if approvals_round > 1:
        needed = max(needed, 1)
    if day is not None:
        automatic = from_minor(day.automatic_minor, sent.currency) + amount
        to_trader = from_minor(day.trader_minor, sent.currency) + amount
        if own.automatic_per_day is not None and automatic > own.automatic_per_day:
            needed = max(needed, 1)
        if own.trader_per_day is not None and to_trader > own.trader_per_day:
            needed = MOST_CHECKERS
    return needed


class Seen(_Part):
    """What a person reads before an approval, as digests. `text` goes to the page and comes back with the decision."""

    amount: str
    beneficiary: str
    rules: str
    policy: str
    approvals_round: int

    @property
    def text(self) -> str:
        parts = (self.amount, self.beneficiary, self.rules, self.policy)
        return ".".join([str(self.approvals_round), *(part[:16] for part in parts)])


_PARTS: Final = (
    "a transfer ended, and the approvals begin anew",
    "the amount",
    "the beneficiary",
    "the product's rules",
    "the firm's payout policy",
)


def changes(seen: str, now: str) -> list[str]:
    """Returns what differs between two texts of `Seen`; a text of another form is all different."""
    before, after = seen.split("."), now.split(".")
    if len(before) != len(after):
        return ["the payout"]
    return [name for name, was, is_now in zip(_PARTS, before, after, strict=True) if was != is_now]
