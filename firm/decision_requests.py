"""Requests for decisions: a row is written before the workflow gets the update, and the activity consumes it.

Wall times are the database's own, so that no two machines disagree about what has expired.
"""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.decision_requests import DecidedKind, DecisionAsked, check_delivery, check_valid
from domain.disputes import VERBS
from domain.errors import BadInput, NotFound, StaleDecision
from domain.payouts.policy import changes
from domain.surveillance.casework import ACTION_OF, TWO_PEOPLE, VERB_OF
from firm import case_actions, challenges, disputes
from firm.payouts import approving
from firm.payouts import row as payouts
from store import case_evidence, crypto
from store.models import Case, Challenge, DecisionRequestRow, Dispute, Payout
from store.read import disputes as dispute_reads

VALID: Final = timedelta(minutes=15)
TAKEN: Final = "taken"
SEEN_FIRST: Final = frozenset(
    {
        ("payout", "approve"),
        *(("case", VERB_OF[action]) for action in TWO_PEOPLE),
        *(("dispute", verb) for verb in VERBS),
    }
)


async def ask(
    session: AsyncSession, asked: DecisionAsked, *, reason: str, seen: str | None = None, valid: timedelta = VALID
) -> None:
    """Keep what a person asks for; asking again under the same key changes nothing. `seen`: the digest of what the
    person saw, which every approval of a payout, and of an action of a case that costs money, needs, and every decision
    of a dispute.

    Raises NotFound, BadInput (without `seen`), StaleDecision.
    """
    if (asked.subject_kind, asked.verb) in SEEN_FIRST:
        await _check_seen(session, asked, seen)
    digest = await _digest(session, asked, reason)
    row = {**asked.model_dump(), "digest": digest, "expires_at": func.clock_timestamp() + valid}
    await session.execute(insert(DecisionRequestRow).values(row).on_conflict_do_nothing(index_elements=["key"]))


async def is_asked(session: AsyncSession, asked: DecisionAsked) -> bool:
    """Whether exactly this is on the record: what follows is a repetition, which changes nothing."""
    row = await session.get(DecisionRequestRow, asked.key)
    return row is not None and _asked(row) == asked


async def taken(session: AsyncSession, key: str) -> dict[str, Any] | None:
    """Returns the answer to a request that was carried out; None for one that was refused, or waits."""
    row = await session.get(DecisionRequestRow, key)
    return row.answer if row is not None and row.outcome == TAKEN else None


async def _check_seen(session: AsyncSession, asked: DecisionAsked, seen: str | None) -> None:
    proposal = await case_actions.proposed(session, asked.subject_id) if asked.subject_kind == "case" else None
    if asked.subject_kind == "case" and proposal is None:
        return  # there is nothing to approve: the case says so
    if asked.subject_kind == "dispute" and not seen:
        raise BadInput(
            "A decision says what was seen.", field="seen", remedy="Send the `seen` of GET /v1/disputes/{id} with it."
        )
    if not seen:
        raise BadInput(
            "An approval says what was seen.",
            field="seen",
            remedy=f"Send the `seen` of GET /v1/{asked.subject_kind}s/{{id}} with it.",
        )
    if asked.subject_kind == "case":
        known = await case_evidence.of(session, asked.subject_id)
        if seen != known.seen(asked.subject_id, proposal):
            raise StaleDecision("case", ["its evidence or the proposed action"])
        return
    if asked.subject_kind == "dispute":
        if seen != await dispute_reads.seen(session, asked.subject_id):
            raise StaleDecision("dispute", ["its evidence, or what others decided about it"])
        return
    payout = await session.get(Payout, asked.subject_id)
    if payout is None:
        raise NotFound
    changed = changes(seen, await approving.seen(session, payout, await payouts.product_of(session, payout)))
    if changed:
        raise StaleDecision("payout", changed)


async def locked(session: AsyncSession, delivered: DecisionAsked, update_id: str) -> DecisionRequestRow:
    """Returns the request that an update carries out, locked until the transaction ends. Raises DecisionVoid."""
    row: DecisionRequestRow | None = await session.scalar(
        select(DecisionRequestRow)
        .where(DecisionRequestRow.key == delivered.key)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    check_delivery(_asked(row) if row else None, delivered, update_id)
    assert row is not None
    return row


async def check(session: AsyncSession, row: DecisionRequestRow, *, reason: str) -> None:
    """Refuse a request that is too old, or has another reason or subject by now. Raises DecisionVoid."""
    now: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    check_valid(
        expires_at=row.expires_at.astimezone(UTC),
        now=now,
        digest_asked=row.digest,
        digest_now=await _digest(session, _asked(row), reason),
    )


async def consume(
    session: AsyncSession, key: str, *, outcome: str | None = None, answer: dict[str, Any] | None = None
) -> None:
    """Use up the locked request. `outcome` and `answer` follow as soon as they are known."""
    await session.execute(
        update(DecisionRequestRow)
        .where(DecisionRequestRow.key == key)
        .values(
            consumed_at=func.coalesce(DecisionRequestRow.consumed_at, func.clock_timestamp()),
            outcome=outcome,
            answer=answer,
        )
        .execution_options(synchronize_session=False)
    )


def _asked(row: DecisionRequestRow) -> DecisionAsked:
    return DecisionAsked.model_validate({name: getattr(row, name) for name in DecisionAsked.model_fields})


async def _digest(session: AsyncSession, asked: DecisionAsked, reason: str) -> str:
    """Returns a keyed digest over the reason and the subject as the record has it now."""
    body = {"v": 1, **asked.model_dump(), "reason": reason, "subject": await _subject(session, asked)}
    plain = hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return crypto.keys().digest(plain)


async def _subject(session: AsyncSession, asked: DecisionAsked) -> str:
    """Returns a digest of what exactly is decided on. Raises NotFound."""
    kind: DecidedKind = asked.subject_kind
    if kind == "payout" and (payout := await session.get(Payout, asked.subject_id)):
        product = await payouts.product_of(session, payout)
        return f"{payouts.digest(payout, product)}/{await approving.seen(session, payout, product)}"
    if kind == "dispute" and (dispute := await session.get(Dispute, asked.subject_id)):
        return disputes.digest(dispute)
    if kind == "case" and (case := await session.get(Case, asked.subject_id)):
        takes = asked.verb in ACTION_OF
        proposal = await case_actions.proposed(session, case.id) if takes else None
        return (await case_evidence.of(session, case.id)).seen(case.id, proposal)
    if kind == "challenge" and (challenge := await session.get(Challenge, asked.subject_id)):
        return challenges.fee_digest(challenge)
    raise NotFound
