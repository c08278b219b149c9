"""The payout row: its amounts, what an approval of it is for, and each step of it."""

from datetime import timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import payout_workflow
from domain import keys
from domain.approvals import approvals_that_count
from domain.money import Money
from domain.payouts import payout as policy
from domain.payouts.payout import PAYOUT
from domain.products.product import Product
from store import crypto, decisions, outbox, products, rows, transitions
from store.clock import market_now
from store.models import Account, Intent, Payout, Transition, User

OPEN_TO_PEOPLE: Final = ("in_review", "awaiting_approval")
_TRANSFER_CHECK: Final = timedelta(days=1)


async def locked(session: AsyncSession, payout_id: str) -> Payout:
    """Returns the row, locked until the transaction ends. Raises NotFound."""
    return await rows.locked(session, Payout, payout_id)


async def product_of(session: AsyncSession, payout: Payout) -> Product:
    account = await session.get_one(Account, payout.account_id)
    return await products.load(session, account.product, account.version)


def share_of(payout: Payout) -> Money:
    return Money(minor=payout.trader_minor, currency=payout.currency)


def refund_of(payout: Payout) -> Money:
    """Returns the part of the fee that is refunded with the share."""
    return Money(minor=payout.refund_minor, currency=payout.currency)


def sent_of(payout: Payout) -> Money:
    """Returns the amount sent to the trader: the share and the refunded part of the fee."""
    return share_of(payout) + refund_of(payout)


def gross_of(payout: Payout) -> Money:
    return Money(minor=payout.gross_minor, currency=payout.currency)


def digest(payout: Payout, product: Product) -> str:
    """Returns what an approval of the row as it is now would be for."""
    return policy.terms_digest(
        payout_id=payout.id,
        trader_share=share_of(payout),
        refund_minor=payout.refund_minor,
        forfeited_minor=payout.forfeited_minor,
        beneficiary_index=crypto.keys().index(payout.beneficiary),
        product_hash=product.content_hash,
    )


async def approvals(session: AsyncSession, payout: Payout) -> tuple[int, int]:
    """(approvals that count now, approvals needed): people, roles and terms as they are at this moment."""
    product = await product_of(session, payout)
    requester = await session.get_one(User, payout.requested_by)
    votes = await decisions.votes(session, "payout", payout.id)
    counted = approvals_that_count(
        "payout", votes, requester_person=requester.person_id, digest=digest(payout, product)
    )
    return counted, policy.approvers_needed(sent_of(payout), product.payout)


async def advance(
    session: AsyncSession,
    payout: Payout,
    trigger: str,
    *,
    reason: str = "",
    trader_message: str = "",
    actor: str = "system",
    role: str = "system",
    detail: dict[str, object] | None = None,
) -> None:
    """One step of the locked row's machine; raises IllegalTransition. A payout can be held and freed many times, so
    the step's key counts: the row lock and the state it starts from make repeating a step harmless. `reason` is
    for the firm, `trader_message` for the trader."""
    now = await market_now(session)
    taken = await session.scalar(
        select(func.count()).where(Transition.subject_kind == "payout", Transition.subject_id == payout.id)
    )
    payout.state = await transitions.apply(
        session,
        PAYOUT,
        subject_kind="payout",
        subject_id=payout.id,
        state_now=payout.state,
        trigger=trigger,
        key=keys.counted_step(int(taken or 0), trigger),
        occurred_at=now,
        detail=detail,
        actor=actor,
        role=role,
        reason=reason,
    )
    if reason and trigger != "approvals_complete":  # why it is held, or how it ended; approvals say why in their rows
        payout.reason = reason
    if trader_message:
        payout.told = trader_message
    if payout.state in PAYOUT.terminal:
        payout.closed_at = now


async def can_be_stopped(session: AsyncSession, payout: Payout) -> bool:
    """Returns whether the locked row is approved and its transfer not declared yet."""
    return payout.state == "approved" and await session.get(Intent, keys.payout_transfer(payout.id)) is None


async def set_wakeup(session: AsyncSession, payout: Payout) -> None:
    """Register the date in market time that the payout waits for in its new state, if any."""
    due = payout.decide_by if payout.state in OPEN_TO_PEOPLE else None
    if payout.state == "sent":
        due = await market_now(session) + _TRANSFER_CHECK
    await outbox.wake_at(session, workflow_id=payout_workflow(payout.id), due_at=due)


async def why_releasing(session: AsyncSession, payout: Payout) -> str:
    """Returns the trigger that led to `releasing`."""
    trigger = await session.scalar(
        select(Transition.trigger)
        .where(
            Transition.subject_kind == "payout",
            Transition.subject_id == payout.id,
            Transition.to_state == "releasing",
        )
        .order_by(Transition.id.desc())
        .limit(1)
    )
    return trigger or ""
