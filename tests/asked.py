"""Decisions asked for as the API does it: the row first, then the message that carries it."""

from datetime import timedelta

from contracts.messages import DecisionRequest, RefundRequest
from domain.decision_requests import DecidedKind, DecisionAsked
from firm import decision_requests
from store.db import Database


async def ask_for(
    db: Database,
    kind: DecidedKind,
    subject_id: str,
    verb: str,
    request: DecisionRequest | RefundRequest,
    *,
    valid: timedelta = decision_requests.VALID,
) -> None:
    asked = DecisionAsked(
        key=request.key, subject_kind=kind, subject_id=subject_id, verb=verb, user_id=request.actor.user_id
    )
    async with db.transaction() as session:
        await decision_requests.ask(session, asked, reason=request.reason, valid=valid)
