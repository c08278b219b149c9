"""Findings: what surveillance has to say of some accounts, and what happens when a person confirms it."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.surveillance.evidence import Evidence


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Involved(_Part):
    """An account that a finding is about, and its part in it, such as `leader` or `follower`."""

    account_id: str
    role: str


class CloseChallenges(_Part):
    """The firm closes the challenges of the blamed accounts and rejects their payouts."""

    kind: Literal["close_challenges"] = "close_challenges"


class DisputeBreach(_Part):
    """The breach with this proof sheet is disputed in the trader's name."""

    kind: Literal["dispute_breach"] = "dispute_breach"
    proof_id: str


# How the accounts of a finding belong together: the weakest relation among them. linked: other owners, whom identity
# facts tie together.
Relation = Literal["one_account", "same_owner", "linked", "stranger"]
# note: on the record, nothing is held. review: a person looks at it. hold: the payouts of the accounts wait, too.
Severity = Literal["note", "review", "hold"]

Action = Annotated[CloseChallenges | DisputeBreach, Field(discriminator="kind")]


class Finding(_Part):
    """`key` identifies the finding: found again, it is told only when it says more (`repeats`). `score` is
    0..1, `at` market time.

    `detector_version` and `thresholds_version` say what judged it; 0 and "" on findings older than these fields.
    `relation`: of the owners of the accounts to each other. `deals`: ids of trades at the venue. `chance`: the measured
    value beside chance or the account's own normal, one sentence. `ruled_out`: harmless readings that the facts
    exclude, one sentence each. `exculpatory`: what speaks for the accounts. `severity`: a note opens no case, a review
    holds no payout. `link_strength`: 0..1, the weakest link by which an account is named. A case holds payouts of
    the challenges of `accounts` if the finding says hold and the link is strong; what is decided hits the `blamed` ones
    only. `below_line`: it does not reach its thresholds, and is kept to measure what is missed.
    """

    key: str = Field(max_length=160)
    detector: str = Field(max_length=40)
    detector_version: int = 0
    thresholds_version: str = ""
    at: datetime
    score: Decimal = Field(ge=0, le=1)
    sentence: str
    accounts: tuple[Involved, ...]
    blamed: tuple[str, ...] = ()
    if_confirmed: Action = CloseChallenges()
    evidence: tuple[Evidence, ...] = ()
    deals: tuple[str, ...] = ()
    chance: str = ""
    ruled_out: tuple[str, ...] = ()
    exculpatory: tuple[Evidence, ...] = ()
    relation: Relation = "one_account"
    severity: Severity = "hold"
    link_strength: Decimal = Field(default=Decimal(1), ge=0, le=1)
    below_line: bool = False

    @model_validator(mode="after")
    def _blames_accounts_that_it_names(self) -> "Finding":
        if not {*self.blamed} <= {involved.account_id for involved in self.accounts}:
            raise ValueError("a blamed account must be among the accounts of the finding")
        return self

    def in_role(self, role: str) -> tuple[str, ...]:
        """Returns the ids of the accounts that have this role."""
        return tuple(involved.account_id for involved in self.accounts if involved.role == role)
