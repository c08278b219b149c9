"""Reviews on the record: a person looks at something doubtful and decides or closes it."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import challenge_workflow
from contracts.messages import BreachDetected, LockAccount
from domain import keys, record_keys
from domain.approvals import Actor
from domain.errors import Conflict, NotFound
from domain.payouts.payout import OPEN_TO_PEOPLE
from domain.proofs.confirmation import confirmed
from domain.reviews import KINDS
from firm import challenges, messages, payment_reviews, platform_refusals
from firm import decide as guard
from firm.payouts import signals
from store import audit, rows
from store.clock import market_now
from store.models import Account, AuditEntry, Breach, Decision, Payout, Proof, Review, Shard
from store.read.reviews import likeness

DOUBTFUL_BREACH: Final = "doubtful_breach"
VENUE_LOCKED: Final = "venue_locked"
MESSAGE_DROPPED: Final = "message_dropped"
WORKFLOW_STUCK: Final = "workflow_stuck"
WORKFLOW_RESTARTED: Final = "workflow_restarted"
SOURCE_UNREAD: Final = "source_unread"
SUBJECT_WAITS: Final = "subject_waits"
SERVICE_LATE: Final = "service_late"
WEBHOOK_DISABLED: Final = "webhook_disabled"
MAIL_FLOOD: Final = "mail_flood"
NOTIFICATION_FAILED: Final = "notification_failed"
OTHER_CUSTOMER: Final = "other_customer"
DOUBTFUL_ARTICLES: Final = "doubtful_articles"
SYSTEM: Final = "system"
Choice = Literal["confirm", "dismiss"]
_ASKS: Final = "This review asks whether a rule was broken."
_OUTCOMES: Final[dict[Choice, str]] = {"confirm": "confirmed", "dismiss": "dismissed"}


async def _locked(session: AsyncSession, review_id: str) -> Review:
    return await rows.locked(session, Review, review_id, references_too=True)


async def _lock_account(session: AsyncSession, review_id: str) -> Account | None:
    """Lock the account that a review is about: its challenge first, then the account, and the review after them, as
    the monitor does when it commits a verdict. Returns None when the review names no account or does not exist."""
    about = select(Account.id, Account.challenge_id).join(Review, Review.account_id == Account.id)
    found = (await session.execute(about.where(Review.id == review_id))).one_or_none()
    if found is None:
        return None
    await challenges.lock(session, found.challenge_id)
    return await session.get_one(Account, found.id, with_for_update={"key_share": True}, populate_existing=True)


async def report(session: AsyncSession, *, key: str, kind: str, detail: dict[str, Any], again: str = "") -> None:
    """Opens a review about the running of the firm itself. The same key again changes nothing, except that it opens a
    review again that the system had closed.

    `again`: the number or day of this report. Once a person has closed the review, a report with another one opens a
    new review. While one about the workflow is open, no report opens a second.
    """
    if again and await session.scalar(select(Review.id).where(*_about(kind, [detail["workflow"]])).limit(1)):
        return
    if again and await session.scalar(
        select(Review.id).where(Review.key == key, Review.status == "closed", Review.closed_by != SYSTEM)
    ):
        key = record_keys.repeated_review(key, again)
    row = {"id": keys.review_id(key), "key": key, "kind": kind, "detail": detail, "status": "open"}
    made = insert(Review).values(**row, occurred_at=await market_now(session))
    reopened = {"status": "open", "closed_by": None, "close_reason": None}
    await session.execute(
        made.on_conflict_do_update(index_elements=["key"], set_=reopened, where=Review.closed_by == SYSTEM)
    )


async def recovered(session: AsyncSession, *, kind: str, workflow_ids: Sequence[str], reason: str) -> None:
    """Closes the open reviews of this kind about these workflows: nobody has to act on them any more."""
    await session.execute(
        update(Review).where(*_about(kind, workflow_ids)).values(status="closed", closed_by=SYSTEM, close_reason=reason)
    )


async def settled(session: AsyncSession, review_keys: Sequence[str], reason: str) -> None:
    """Closes those of these reviews that are open: what they were about is over."""
    await session.execute(
        update(Review)
        .where(Review.key.in_(review_keys), Review.status == "open")
        .values(status="closed", closed_by=SYSTEM, close_reason=reason)
    )


def _about(kind: str, workflow_ids: Sequence[str]) -> tuple[Any, ...]:
    return Review.status == "open", Review.kind == kind, Review.detail["workflow"].astext.in_(workflow_ids)


async def close(session: AsyncSession, *, review_id: str, actor: Actor, reason: str) -> None:
    """Close a review that a person has looked at; the payouts that it held are judged again. Raises NotFound, or
    Conflict when somebody closed it before, or when it asks for a decision or a refund."""
    review = await _locked(session, review_id)
    if review.status == "closed":
        raise Conflict(f"This review was closed already: {review.close_reason}")
    if KINDS[review.kind].closed_by == "decision":
        raise Conflict(_ASKS, remedy="Confirm the breach, or dismiss it.")
    if await payment_reviews.asks_for_refund(session, review):
        raise Conflict(
            "This payment is not what was due, and the money is still with the firm.",
            remedy=f"Refund the challenge {review.detail['challenge_id']}; that closes the review.",
        )
    await _end(session, review, actor=actor, reason=reason, action="review.closed", evidence={"kind": review.kind})


async def held_nothing(session: AsyncSession, review_id: str) -> bool:
    """Returns whether nothing followed from closing it: it was about no account, no step and no payout."""
    review = await session.get(Review, review_id)
    if review is None or review.account_id is not None or KINDS[review.kind].closed_by != "person":
        return False
    return review.kind != payment_reviews.PLATFORM_REFUSED and KINDS[review.kind].holds != "trader"


async def reopen(session: AsyncSession, *, review_id: str, actor: Actor, reason: str, within: timedelta) -> int:
    """Opens a review again that this person has just closed, and those that they closed with it. Returns how many.
    Raises NotFound, or Conflict when something followed from closing it, somebody else closed it, or it is longer ago
    than `within`, in wall time."""
    review = await _locked(session, review_id)
    if review.status != "closed" or review.closed_by != actor.user_id or not await held_nothing(session, review_id):
        raise Conflict("This review was not closed by you, or something followed from closing it.")
    closed = (
        select(AuditEntry.subject_id)
        .where(AuditEntry.subject_kind == "review", AuditEntry.action == "review.closed")
        .where(AuditEntry.actor == actor.user_id, AuditEntry.recorded_at > func.clock_timestamp() - within)
    )
    alike = (Review.id == review_id) | (
        (Review.kind == review.kind) & (likeness(Review) == await session.scalar(_likeness_of(review_id)))
    )
    mine = (Review.status == "closed", Review.closed_by == actor.user_id, Review.id.in_(closed))
    found = (await session.scalars(select(Review).where(alike, *mine).order_by(Review.id).with_for_update())).all()
    if review not in found:
        seconds = int(within.total_seconds())
        raise Conflict(f"It is too late: the closing of a review can be undone for {seconds} seconds.")
    for each in found:
        each.status, each.closed_by, each.close_reason = "open", None, None
        await _note(session, each, actor=actor, reason=reason, action="review.reopened", evidence={"kind": each.kind})
    return len(found)


def _likeness_of(review_id: str) -> Select[tuple[str]]:
    return select(likeness(Review)).where(Review.id == review_id)


async def _not_closable(session: AsyncSession, review_id: str) -> str:
    """Returns why a person cannot close a review just so, as a sentence; empty when they can. Raises NotFound."""
    review = await session.get(Review, review_id)
    if review is None:
        raise NotFound
    if review.status == "closed":
        return "It is closed already."
    if KINDS[review.kind].closed_by == "decision":
        return _ASKS
    return "A refund closes it." if await payment_reviews.asks_for_refund(session, review) else ""


async def decide(
    session: AsyncSession, *, review_id: str, decision: Choice, actor: Actor, reason: str, key: str
) -> Review:
    """Confirm a doubtful breach, which then is a breach like any other, or dismiss it. The same key again changes
    nothing. Raises NotFound, NotAllowed, BadInput, AlreadyDecided, Conflict (nothing to decide, or the account ended).
    """
    account = await _lock_account(session, review_id)
    review = await _locked(session, review_id)
    evidence: dict[str, Any] = {"seq": review.detail.get("seq"), "rule_id": review.detail.get("rule_id")}
    if decision == "confirm" and KINDS[review.kind].closed_by == "decision":
        evidence["breach_id"] = _breach_id(review)
    subject = guard.Subject(kind="review", id=review.id, digest=digest(review), evidence=evidence, once=True)

    async def still_open(_made: Sequence[Decision]) -> None:
        if KINDS[review.kind].closed_by != "decision":
            raise Conflict("There is nothing to confirm or dismiss in this review.", remedy="Close it.")
        if review.status == "closed":
            raise Conflict(f"This review was closed already: {review.close_reason}")

    choice = guard.Choice(decision, actor, reason, key)
    now = await guard.record(session, subject, choice, still_open)
    if now is None:
        return review
    if decision == "confirm":
        if account is None:
            raise NotFound
        await _confirm(session, review, account, actor, now)
    review.outcome = _OUTCOMES[decision]
    await _end(session, review, actor=actor, reason=reason, action=f"review.{review.outcome}", evidence=evidence)
    return review


def digest(review: Review) -> str:
    """Returns a digest of what exactly is decided on: the doubtful inputs and what would follow from them."""
    body = {"v": 1, "review": review.key, "detail": review.detail}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


async def _end(
    session: AsyncSession, review: Review, *, actor: Actor, reason: str, action: str, evidence: dict[str, Any]
) -> None:
    """Close it, and have the open payouts judged again that it may have held."""
    review.status, review.closed_by, review.close_reason = "closed", actor.user_id, reason
    await platform_refusals.wake(session, review)
    traders = await _traders(session, review)
    await signals.send_risk_changed(session, cause=keys.review_closed(review.id), trader_ids=traders)
    await _note(session, review, actor=actor, reason=reason, action=action, evidence=evidence)


async def _traders(session: AsyncSession, review: Review) -> list[str]:
    """Whose payouts are judged again when it is closed."""
    owner = await session.scalar(select(Account.trader_id).where(Account.id == review.account_id))
    return sorted({trader for trader in (owner, await payment_reviews.trader_held_by(session, review)) if trader})


async def alone(session: AsyncSession, review_id: str) -> str:
    """Returns why a person cannot close a review together with others, as a sentence; empty when they can. Raises
    NotFound."""
    if why := await _not_closable(session, review_id):
        return why
    traders = await _traders(session, await session.get_one(Review, review_id))
    count = await session.scalar(
        select(func.count()).where(Payout.trader_id.in_(traders), Payout.state.in_(OPEN_TO_PEOPLE))
    )
    if not count:
        return ""
    them = "An open payout is" if count == 1 else f"{count} open payouts are"
    return f"{them} judged again when it is closed, and sent without an approval if none is needed. Close it alone."


async def _note(
    session: AsyncSession, review: Review, *, actor: Actor, reason: str, action: str, evidence: dict[str, Any]
) -> None:
    await audit.record(
        session,
        action=action,
        subject_kind="review",
        subject_id=review.id,
        occurred_at=await market_now(session),
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence=evidence,
    )


async def _confirm(session: AsyncSession, review: Review, account: Account, actor: Actor, now: datetime) -> None:
    """Record the breach as the monitor would have, lock the account on the platform and tell the challenge. The caller
    holds the row locks of `_lock_account`."""
    detail = review.detail
    if account.status != "active" or account.phase_index != detail["phase_index"]:
        raise Conflict("This account has ended meanwhile.", remedy="Dismiss the review.")
    if detail["sheet"]["consequence"]["kind"] != "fail":
        raise Conflict("Breaking this rule does not end the phase.", remedy="Dismiss the review.")
    sheet = confirmed(detail["sheet"], detail["doubts"], by=actor.user_id, role=actor.role, at=now)
    session.add(Proof(id=sheet["proof_id"], account_id=account.id, kind="breach", digest=sheet["hash"], body=sheet))
    await session.flush()
    breach_id = _breach_id(review)
    made = await session.scalar(
        insert(Breach)
        .values(
            id=breach_id,
            account_id=account.id,
            challenge_id=account.challenge_id,
            phase_index=account.phase_index,
            rule_id=detail["rule_id"],
            offence=detail["offence"],
            proof_id=sheet["proof_id"],
            seq=detail["seq"],
            occurred_at=review.occurred_at,
            floor_minor=detail["floor_minor"],
            equity_minor=detail["equity_minor"],
            status="confirmed",
            epoch=await session.scalar(select(Shard.epoch).where(Shard.id == account.shard)) or 0,
            received_at=datetime.now(UTC),
        )
        .on_conflict_do_nothing()
        .returning(Breach.id)
    )
    if made is None:
        raise Conflict("This rule was found broken meanwhile.", remedy="Dismiss the review.")
    account.status, account.ended_at = "locked", now
    lock = keys.lock_message(breach_id)
    await messages.lock_account(session, LockAccount(key=lock, login=account.login, account_id=account.id))
    detected = BreachDetected(
        key=keys.breach_message(breach_id),
        breach_id=breach_id,
        account_id=account.id,
        occurred_at=review.occurred_at,
    )
    await messages.signal(session, challenge_workflow(account.challenge_id), detected)


def _breach_id(review: Review) -> str:
    """Returns the id of the breach that a doubtful one becomes when it is confirmed."""
    detail = review.detail
    return keys.breach_id(str(review.account_id), detail["phase_index"], detail["rule_id"], detail["offence"])
