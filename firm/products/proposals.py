"""Product versions on their way to the shelf: proposed by one person, approved by another, then published."""

from datetime import datetime
from typing import Final, Literal

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor, check_may_withdraw, check_reason
from domain.errors import Conflict
from domain.keys import new_id
from domain.products.product import Product
from domain.products.publishing import (
    PROPOSAL,
    check_applied,
    check_approved,
    check_may_propose,
    check_next_version,
    content_hash,
    proposal_digest,
)
from firm import decide as guard
from firm.products.pattern_terms import check_pattern_terms
from store import audit, decisions, products, rows
from store.clock import market_now
from store.models import ProductProposal, User

KIND: Final = "product_version"
Verdict = Literal["approve", "reject"]
_TRIGGERS: Final = {"approve": "approval_given", "reject": "proposal_rejected"}


async def propose(
    session: AsyncSession, product: Product, *, source: str, actor: Actor, reason: str
) -> ProductProposal:
    """Ask for a version to be sold: state `proposed`. `source` says where the definition came from.

    Raises NotAllowed, BadInput, ProductInvalid (the version number does not follow, or it promises what is not
    applied), Conflict (it is proposed already).
    """
    check_may_propose(KIND, actor)
    check_reason(reason)
    check_applied(product)
    check_pattern_terms(product)
    known = await products.versions(session, product.product)
    check_next_version(product, known[-1] if known else None)
    now = await market_now(session)
    row = ProductProposal(
        id=new_id("ppr"),
        product=product.product,
        version=product.version,
        base_version=known[-1] if known else None,
        content_hash=product.content_hash,
        terms=product.model_dump(mode="json"),
        source=source[:120],
        reason=reason,
        state=PROPOSAL.initial,
        proposed_by=actor.user_id,
        proposed_at=now,
    )
    session.add(row)
    try:
        await session.flush()
    except IntegrityError as exc:
        raise Conflict(
            f"{product.ref} is proposed already.", remedy="Withdraw or reject that proposal first, then propose anew."
        ) from exc
    await audit.record(
        session,
        action="product_version.proposed",
        subject_kind=KIND,
        subject_id=row.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence={"version": product.ref, "content_hash": row.content_hash, "compared_with": row.base_version},
    )
    return row


async def locked(session: AsyncSession, proposal_id: str) -> ProductProposal:
    """Returns the row, locked until the transaction ends. Raises NotFound."""
    return await rows.locked(session, ProductProposal, proposal_id)


def digest(proposal: ProductProposal) -> str:
    """Returns what an approval of the row as it is now is for."""
    return proposal_digest(proposal_id=proposal.id, terms=proposal.terms, base_version=proposal.base_version)


async def decide(
    session: AsyncSession, proposal_id: str, *, verdict: Verdict, actor: Actor, reason: str, key: str
) -> ProductProposal:
    """Record a second person's decision. The same `key` again changes nothing.

    Raises NotFound, BadInput, NotAllowed, SelfApproval, AlreadyDecided, IllegalTransition.
    """
    proposal = await locked(session, proposal_id)
    subject = guard.Subject(
        kind=KIND,
        id=proposal.id,
        digest=digest(proposal),
        evidence={"content_hash": proposal.content_hash, "compared_with": proposal.base_version},
        asked_by=(await session.get_one(User, proposal.proposed_by)).person_id,
    )
    choice, trigger = guard.Choice(verdict, actor, reason, key), _TRIGGERS[verdict]
    now = await guard.record(session, subject, choice, guard.allowed(PROPOSAL, proposal.state, trigger))
    if now is not None:
        await _move(session, proposal, trigger, actor, reason, now)
    return proposal


async def withdraw(session: AsyncSession, proposal_id: str, *, actor: Actor, reason: str) -> ProductProposal:
    """Take a proposal back; only who made it may. Raises NotFound, NotAllowed, BadInput, IllegalTransition."""
    proposal = await locked(session, proposal_id)
    check_may_withdraw(actor, proposal.proposed_by, reason)
    await _move(session, proposal, "proposal_withdrawn", actor, reason, await market_now(session))
    return proposal


async def publish(session: AsyncSession, proposal_id: str, *, actor: Actor) -> Product:
    """Put an approved version on sale. The approvals are read again, with the roles of today.

    Publishing again changes nothing. Raises NotFound, NotAllowed, IllegalTransition, Conflict, ProductInvalid.
    """
    proposal = await locked(session, proposal_id)
    check_may_propose(KIND, actor)
    product = Product.model_validate(proposal.terms)
    if proposal.state == "on_sale":
        return product
    PROPOSAL.next(proposal.state, "version_published")
    if content_hash(proposal.terms) != proposal.content_hash:
        raise Conflict(f"The terms of {product.ref} are not those that were proposed.", remedy="Propose them anew.")
    proposer = await session.get_one(User, proposal.proposed_by)
    check_approved(
        KIND,
        await decisions.votes(session, KIND, proposal.id),
        proposer_person=proposer.person_id,
        digest=digest(proposal),
    )
    check_applied(product)
    known = await products.versions(session, product.product)
    check_next_version(product, known[-1] if known else None)
    await products.publish(session, product, proposal_id=proposal.id, by=actor.user_id, role=actor.role)
    await _move(session, proposal, "version_published", actor, "", await market_now(session))
    return product


async def _move(
    session: AsyncSession, proposal: ProductProposal, trigger: str, actor: Actor, reason: str, now: datetime
) -> None:
    await guard.step(
        session,
        PROPOSAL,
        proposal,
        trigger,
        kind=KIND,
        key=trigger,
        at=now,
        actor=actor,
        reason=reason,
        detail={"version": f"{proposal.product}@{proposal.version}", "content_hash": proposal.content_hash},
    )
