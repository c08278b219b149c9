"""What keeps a payout from being requested or sent, who ends that, and when it ends where a date is known."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from domain.errors import BadInput, NoUsableRate

EndedBy = Literal["time", "trader", "firm", "nobody"]

_BY_TIME: Final = frozenset({"too_early"})
_BY_NOBODY: Final = frozenset({"not_funded", "payouts_used_up", "closing_payout_paid"})


class Block(BaseModel):
    """One thing in the way. `stage`: whether it refuses the request, or holds the payout after it. `until`: the market
    time at which it ends by itself, or ends at the latest; None where that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    sentence: str
    stage: Literal["request", "payment"]
    ended_by: EndedBy
    until: datetime | None = None


def refusal_block(code: str, sentence: str, figures: Mapping[str, Any]) -> Block:
    """Returns the block of a refusal of the terms, or of a level."""
    until = datetime.fromisoformat(str(figures["from"])) if code in _BY_TIME else None
    ended_by: EndedBy = "time" if code in _BY_TIME else "nobody" if code in _BY_NOBODY else "trader"
    return Block(code=code, sentence=sentence, stage="request", ended_by=ended_by, until=until)


def open_payout_block(decide_by: datetime | None) -> Block:
    """Returns the block of an earlier payout. `decide_by`: it ends then at the latest, unless it is sent before."""
    sentence = "an earlier payout of this account is still open"
    return Block(code="payout_open", sentence=sentence, stage="request", ended_by="firm", until=decide_by)


def platform_change_block() -> Block:
    sentence = "the account is on its way to another platform"
    return Block(code="platform_changes", sentence=sentence, stage="request", ended_by="firm")


def closing_block() -> Block:
    sentence = "the account is being closed"
    return Block(code="account_closes", sentence=sentence, stage="request", ended_by="nobody")


def identity_block(identity: str) -> Block | None:
    """Returns the block of an identity that is not verified; None for a verified one."""
    if identity == "verified":
        return None
    if identity == "refused":
        sentence: str = "your identity could not be verified"
        return Block(code="identity_refused", sentence=sentence, stage="payment", ended_by="nobody")
    sentence = "your identity is not verified yet; nothing is paid before"
    return Block(code="identity_missing", sentence=sentence, stage="payment", ended_by="trader")


def payment_block(refusal: BadInput) -> Block:
    """Returns the block of a bank account that cannot be paid as it is: by no rail, or at no usable exchange rate."""
    ended_by: EndedBy = "firm" if isinstance(refusal, NoUsableRate) else "trader"
    sentence = f"{refusal.message.rstrip('.')}. {refusal.remedy or ''}".strip().rstrip(".")
    return Block(code=refusal.type.replace("-", "_"), sentence=sentence, stage="request", ended_by=ended_by)


def beneficiary_block(why: str, usable_at: datetime | None) -> Block | None:
    """Returns the block of a bank account that is not paid to yet. `usable_at`: the end of its cooling period, once it
    is confirmed."""
    if not why:
        return None
    ended_by: EndedBy = "firm" if usable_at is None else "time"
    return Block(code="beneficiary_waits", sentence=why, stage="payment", ended_by=ended_by, until=usable_at)


def dispute_block(dispute_id: str) -> Block:
    sentence = f"dispute {dispute_id} of this challenge is not decided yet"
    return Block(code="dispute_open", sentence=sentence, stage="payment", ended_by="firm")


def possible_from(blocks: Iterable[Block], now: datetime) -> datetime | None:
    """Returns the market time from which the request is possible, if the account stays as it is; None when something
    other than time is in its way."""
    waits = [block for block in blocks if block.stage == "request"]
    if any(block.ended_by != "time" or block.until is None for block in waits):
        return None
    return max([now, *(block.until for block in waits if block.until is not None)])
