"""People decide a dispute: as many different ones as the policy asks for, and nobody who had a part in the matter.

Each writes a reason for the firm, which no trader reads, and may write what the trader is told. Both are stored
encrypted: the message here, the reason like every reason of a person.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import challenge_workflow, dispute_workflow
from contracts.messages import AccountReinstated, BreachOverturned, MarketTimeReached
from domain import keys
from domain.approvals import Actor, check_reason
from domain.dispute_policy import people_needed
from domain.dispute_votes import decided
from domain.disputes import (
    APPEAL,
    DISPUTE,
    STANDARD_APPEAL_MESSAGE,
    STANDARD_MESSAGE,
    Verb,
)
from domain.errors import SelfApproval
from domain.lifecycle import CHALLENGE
from domain.money import Money
from firm import challenges, dispute_policies, disputes, messages, people, tickets
from firm import decide as guard
from firm.payouts import signals
from store import audit, decisions
from store.models import Account, AuditEntry, Decision, Dispute, DisputeWords, User

TRIGGERS: Final[Mapping[Verb, str]] = {"uphold": "breach_upheld", "reinstate": "reinstatement_granted"}


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a person wants. `reason` is for the firm, `message` for the trader (empty: none). `key`: of the request."""

    verb: Verb
    actor: Actor
    reason: str
    message: str
    key: str


@dataclass(frozen=True, slots=True)
class Tally:
    """`verb`: what is decided now; None while more people are needed. `agree`: how many people want what the last one
    said, `needed`: how many it takes. `message`: what the trader is told."""

    verb: Verb | None
    agree: int
    needed: int
    message: str = ""


Excluded = Callable[[], Awaitable[Mapping[str, str]]]
"""Returns person -> why this person may not decide."""


async def needed(session: AsyncSession, dispute: Dispute) -> dict[str, int]:
    """Returns how many different people each verb needs by the policy in force."""
    account = await session.get_one(Account, dispute.account_id)
    size = Money(minor=account.initial_minor, currency=account.currency)
    policy = await dispute_policies.in_force(session)
    return people_needed(policy, size, about_breach=dispute.breach_id is not None)


async def vote(
    session: AsyncSession, dispute: Dispute, spoken: Spoken, evidence: Mapping[str, Any], excluded: Excluded
) -> Tally | None:
    """Records what a person wants on a locked dispute, and returns whether it is decided; None when this request was
    recorded before. Raises NotAllowed, SelfApproval, AlreadyDecided, BadInput, IllegalTransition."""
    check_reason(spoken.reason)
    subject = guard.Subject(
        kind="dispute",
        id=dispute.id,
        digest=disputes.digest(dispute),
        evidence=evidence,
        asked_by=await people.person_of(session, dispute.trader_id),
    )

    async def still_open(made: Sequence[Decision]) -> None:
        if made and dispute.state != "awaiting_decision":
            raise await guard.already_decided(session, "dispute", dispute.id, made[-1], spoken.actor)
        await guard.allowed(DISPUTE, dispute.state, TRIGGERS[spoken.verb])(made)
        why = (await excluded()).get(spoken.actor.person_id)
        if why is not None:
            raise SelfApproval(why)

    choice = guard.Choice(spoken.verb, spoken.actor, spoken.reason, spoken.key)
    now = await guard.record(session, subject, choice, still_open)
    if now is None:
        return None
    row = decisions.repeated(await decisions.of(session, "dispute", dispute.id), spoken.key)
    assert row is not None
    session.add(
        DisputeWords(
            decision_id=row.id,
            dispute_id=dispute.id,
            trader_id=dispute.trader_id,
            reason="",
            message=spoken.message,
        )
    )
    await session.flush()
    tally = await _count(session, dispute, spoken)
    if tally.verb is None:
        await audit.record(
            session,
            action="dispute.voted",
            subject_kind="dispute",
            subject_id=dispute.id,
            occurred_at=now,
            actor=spoken.actor.user_id,
            role=spoken.actor.role,
            reason=spoken.reason,
            evidence={"decision": spoken.verb, "agree": tally.agree, "needed": tally.needed},
        )
    return tally


async def _count(session: AsyncSession, dispute: Dispute, spoken: Spoken) -> Tally:
    votes = await decisions.votes(session, "dispute", dispute.id)
    wanted = await needed(session, dispute)
    verb = decided(votes, disputes.digest(dispute), wanted)
    agree = sum(each.decision == spoken.verb for each in votes)
    others = len(votes) - agree
    tally = Tally(verb, agree, max(wanted[spoken.verb], others + 1))
    if verb is None:
        return tally
    return Tally(verb, tally.agree, tally.needed, await _message(session, dispute, verb))


async def _message(session: AsyncSession, dispute: Dispute, verb: Verb) -> str:
    """Returns the newest message of those who agree; a standard one when nobody wrote any."""
    found = await session.scalars(
        select(DisputeWords)
        .join(Decision, Decision.id == DisputeWords.decision_id)
        .where(DisputeWords.dispute_id == dispute.id, Decision.decision == verb)
        .order_by(DisputeWords.decision_id.desc())
    )
    standard = STANDARD_MESSAGE if dispute.breach_id else STANDARD_APPEAL_MESSAGE
    return next((row.message for row in found if row.message.strip()), standard[verb])


async def decide(session: AsyncSession, dispute: Dispute, spoken: Spoken) -> Tally | None:
    """Record who wants what and why on a locked dispute of a breach. Once enough people agree, tell the trader and the
    challenge. The same key again changes nothing.

    `spoken.actor` is as the record has them now. Raises NotAllowed, SelfApproval, AlreadyDecided, BadInput,
    IllegalTransition.
    """

    async def shut_out() -> Mapping[str, str]:
        return await excluded(session, dispute)

    evidence = {"breach_id": dispute.breach_id, **_proof_of(dispute)}
    tally = await vote(session, dispute, spoken, evidence, shut_out)
    if tally is None or tally.verb is None:
        return tally
    await _announce(session, dispute, tally.verb)
    await tell(session, dispute, spoken.actor, "The decision about your dispute", tally.message)
    await disputes.move(
        session,
        dispute,
        TRIGGERS[tally.verb],
        key=keys.dispute_decision(spoken.key),
        actor=spoken.actor,
        reason=spoken.reason,
    )
    return tally


async def excluded(session: AsyncSession, dispute: Dispute) -> dict[str, str]:
    """Returns person -> why: who opened the dispute for the trader, who confirmed the doubtful breach, and who decided
    about it in the first instance."""
    found: dict[str, str] = {}
    opened = await session.scalars(
        select(User.person_id)
        .join(AuditEntry, AuditEntry.actor == User.id)
        .where(AuditEntry.subject_kind == "dispute", AuditEntry.subject_id == dispute.id)
        .where(AuditEntry.action == "dispute.opened")
    )
    for person in opened:
        found[person] = "You opened this dispute; somebody else must decide it."
    confirmed = await session.scalars(
        select(Decision.person_id).where(
            Decision.subject_kind == "review",
            Decision.decision == "confirm",
            Decision.evidence["breach_id"].astext == dispute.breach_id,
        )
    )
    for person in confirmed:
        found[person] = "You confirmed this breach when its data were doubtful; somebody else must decide the dispute."
    if dispute.instance >= APPEAL:
        before = await session.scalars(
            select(Decision.person_id)
            .join(Dispute, Dispute.id == Decision.subject_id)
            .where(
                Decision.subject_kind == "dispute",
                Dispute.breach_id == dispute.breach_id,
                Dispute.instance < dispute.instance,
            )
        )
        for person in before:
            found[person] = "You decided this dispute the first time; somebody else must decide the appeal."
    return found


async def tell(session: AsyncSession, dispute: Dispute, actor: Actor, subject: str, message: str) -> None:
    """Keeps what the trader is told, and writes it to them."""
    dispute.message = message
    await tickets.tell(
        session,
        ticket_id=keys.dispute_ticket(dispute.id),
        account=await session.get_one(Account, dispute.account_id),
        user_id=actor.user_id,
        role=actor.role,
        subject=subject,
        body=message,
    )


async def _announce(session: AsyncSession, dispute: Dispute, verb: Verb) -> None:
    """Signals the challenge, which reinstates the account or checks whether its breach is now final. When the challenge
    has ended, the dispute is signalled instead."""
    key = keys.dispute_event(dispute.id, verb)
    challenge, dispute_id = challenge_workflow(dispute.challenge_id), dispute.id
    over = (await challenges.lock(session, dispute.challenge_id)).state in CHALLENGE.terminal
    if verb == "reinstate" and over:
        await messages.signal(session, dispute_workflow(dispute_id), AccountReinstated(key=key))
    elif verb == "reinstate":
        overturned = BreachOverturned(key=key, dispute_id=dispute_id, breach_id=dispute.breach_id or "")
        await messages.signal(session, challenge, overturned)
    elif not over:
        await messages.signal(session, challenge, MarketTimeReached(key=key))
    await signals.send_risk_changed(session, cause=key, trader_ids=[dispute.trader_id])


def _proof_of(dispute: Dispute) -> dict[str, str]:
    return {name: dispute.evidence[name] for name in ("proof_id", "proof_digest") if name in dispute.evidence}
