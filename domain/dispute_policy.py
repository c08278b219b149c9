"""The firm's policy of disputes: by how many people they are decided, and when an appeal is possible.

Until when they are decided stands in the service policy.

It belongs to the firm and not to a product: a change applies to every dispute that is not decided yet.
"""

import hashlib
import json
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.disputes import APPEAL, VERBS
from domain.money import Currency, ExactDecimal, Money, from_minor, is_exact

AppealDays = Annotated[int, Field(ge=0, le=90)]
People = Annotated[int, Field(ge=1, le=2)]
Bands = dict[Currency, Annotated[ExactDecimal, Field(ge=0)]]


class DisputePolicy(BaseModel):
    """`appeal_within_days`: calendar days of market time; with 0 there is no appeal. `reinstate_people`: how many
    different people a reinstatement takes. `uphold_alone_up_to`: up to this size of account (major units, by currency)
    one person may uphold a breach; above it, and in another currency, two. `compensate_alone_up_to`: the amount (major
    units, by currency) of all compensations of an account up to which finance or admin may grant one alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    appeal_within_days: AppealDays = 7
    reinstate_people: People = 2
    uphold_alone_up_to: Bands = {}
    compensate_alone_up_to: Bands = {}

    @model_validator(mode="after")
    def _amounts_are_exact(self) -> Self:
        for name in ("uphold_alone_up_to", "compensate_alone_up_to"):
            for currency, amount in getattr(self, name).items():
                if not is_exact(amount, currency):
                    raise ValueError(f"{name}.{currency}: not an amount in {currency}")
        return self

    @cached_property
    def content_hash(self) -> str:
        """Returns the hash of the policy. It is computed once: a policy never changes."""
        body = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(body.encode()).hexdigest()


def appeal_until(closed_at: datetime, instance: int, policy: DisputePolicy) -> datetime | None:
    """Returns the market time at which the time to appeal against an upheld dispute ends; None for one that is an
    appeal itself."""
    return None if instance >= APPEAL else closed_at + timedelta(days=policy.appeal_within_days)


def people_needed(policy: DisputePolicy, size: Money, *, about_breach: bool = True) -> dict[str, int]:
    """Returns how many different people each verb needs. `size`: of the account. An appeal against an action of a case
    needs one: the action itself took two people."""
    if not about_breach:
        return dict.fromkeys(VERBS, 1)
    alone = _alone(policy.uphold_alone_up_to, size)
    return {"uphold": 1 if alone else 2, "reinstate": policy.reinstate_people}


def people_for_compensation(policy: DisputePolicy, total: Money) -> int:
    """Returns how many different people must agree to a compensation: 1 or 2, with the one who proposes it. `total`:
    its amount and what the account has got in earlier ones."""
    return 1 if _alone(policy.compensate_alone_up_to, total) else 2


def _alone(bands: dict[Currency, Decimal], amount: Money) -> bool:
    limit = bands.get(amount.currency)
    return limit is not None and from_minor(amount.minor, amount.currency) <= limit
