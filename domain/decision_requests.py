"""A decision of a person begins as a request on the record. Only the message of that request may carry it."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.decision_errors import DecisionDiffers, DecisionExpired, DecisionReplayed, DecisionUnasked

DecidedKind = Literal["payout", "dispute", "case", "challenge"]


class DecisionAsked(BaseModel):
    """Who asked for which decision about what. `key` is the id of the one update that may carry it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    subject_kind: DecidedKind
    subject_id: str
    verb: str
    user_id: str


def said(reason: str, rail: str = "", beneficiary: str = "", message: str = "") -> str:
    """Returns all that the person wrote or chose, for the digest of the request."""
    chosen = (("rail", rail), ("beneficiary", beneficiary), ("message", message))
    return "\n".join([reason, *(f"{name}: {value}" for name, value in chosen if value)])


def check_delivery(recorded: DecisionAsked | None, delivered: DecisionAsked, update_id: str) -> None:
    """Refuse an update that is not the one of a request on the record; it leaves that request as it is.

    Raises DecisionUnasked, DecisionDiffers, DecisionReplayed.
    """
    if recorded is None:
        raise DecisionUnasked
    if recorded != delivered:
        raise DecisionDiffers("This message differs from the decision that was asked for.")
    if update_id != recorded.key:
        raise DecisionReplayed


def check_valid(*, expires_at: datetime, now: datetime, digest_asked: str, digest_now: str) -> None:
    """Refuse a request that came too late, or has another reason or subject since it was made. Wall times.

    Raises DecisionExpired, DecisionDiffers.
    """
    if now >= expires_at:
        raise DecisionExpired(expires_at)
    if digest_now != digest_asked:
        raise DecisionDiffers("The subject of this decision, or its reason, changed after it was asked for.")
