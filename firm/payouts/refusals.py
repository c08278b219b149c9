"""Payouts that cannot be made: each reason with its figures, and the proof sheet that anyone can recompute."""

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.errors import PayoutRefused
from domain.money import Money
from domain.proofs.history import ProofSubject
from domain.proofs.payout import facts_json, payout_refusal_sheet, refusal_parts, room_part
from domain.proofs.sheets import RefusalPart
from firm.payouts.situation import Situation
from store.db import Database
from store.models import Proof


def refusals(current: Situation, gross: Money) -> tuple[RefusalPart, ...]:
    """Returns why a request for `gross` is refused: terms not met, and levels it would break. Empty when it is
    allowed."""
    rooms = tuple(
        room_part(spec, state, current.facts, gross.minor)
        for spec, state in zip(current.rules.specs, current.rules.states, strict=True)
    )
    return refusal_parts(current.terms, current.facts, gross, rooms)


def refused(current: Situation, gross: Money, parts: Sequence[RefusalPart]) -> PayoutRefused:
    """Returns the refusal as an error, with its proof sheet; `keep` stores the proof sheet."""
    return PayoutRefused(
        [part.sentence for part in parts],
        refusals=[part.model_dump(mode="json") for part in parts],
        proof=_sheet(current, gross),
    )


def _sheet(current: Situation, gross: Money) -> dict[str, Any]:
    account = current.account
    asked = json.dumps([facts_json(current.facts), gross.minor, gross.currency], sort_keys=True)
    digest = hashlib.sha256(asked.encode()).hexdigest()
    proof_id = keys.refusal_proof(account.id, digest)
    came = None if current.place is None else current.place.continues
    subject = ProofSubject(account.id, account.challenge_id, account.login or 0, current.terms, came)
    return payout_refusal_sheet(proof_id, subject, current.facts, current.rules, gross)


async def keep(session: AsyncSession, refusal: PayoutRefused) -> str | None:
    """Put the proof of a refusal on the record. Returns its id; the same request at the same instant is one proof."""
    if refusal.proof is None:
        return None
    body = dict(refusal.proof)
    row = {
        "id": body["proof_id"],
        "account_id": body["account"]["account_id"],
        "kind": body["kind"],
        "digest": body["hash"],
        "body": body,
    }
    await session.execute(insert(Proof).values(row).on_conflict_do_nothing(index_elements=["id"]))
    return refusal.proof_id


@asynccontextmanager
async def kept(db: Database) -> AsyncIterator[None]:
    """A refusal rolls back the request that it refuses; its proof is kept in a transaction of its own."""
    try:
        yield
    except PayoutRefused as refusal:
        async with db.transaction() as session:
            await keep(session, refusal)
        raise
