"""The payout row: its amounts, what an approval of it is for, and each step of it."""

from datetime import timedelta
from typing import Final, cast

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import payout_workflow
from domain import record_keys
from domain.errors import NotFound
from domain.money import Money
from domain.payouts import payout as policy
from domain.payouts.payout import OPEN_TO_PEOPLE, PAYOUT
from domain.products.product import Product
from firm import messages
from firm.payouts import approving, conversions, deadlines
from store import crypto, outbox, products, rows, transitions
from store.clock import WATERMARK, market_now
from store.models import Account, Payout, Transition

_TRANSFER_CHECK: Final = timedelta(days=1)
_FOUND_IN: Final = "payout_states"  # by the id, when this transaction locked the payout
_WITHOUT_DATE: Final = frozenset({"requested", "reserved", "approved", "settling", "releasing"})


# One round trip: the locked payout, its account, and market time for the rest of the transaction.
_LOCKED: Final = (
    select(Payout, Account, WATERMARK.scalar_subquery())
    .join(Account, Account.id == Payout.account_id)
    .where(Payout.id == bindparam("payout"))
    .with_for_update(of=Payout, key_share=True)
    .execution_options(populate_existing=True)
)


async def locked(session: AsyncSession, payout_id: str) -> Payout:
    """Returns the row, locked until the transaction ends. Its account is read with it, and not locked. Raises
    NotFound."""
    found = (await session.execute(_LOCKED, {"payout": payout_id})).one_or_none()
    if found is None:
        raise NotFound
    payout, account, watermark = found
    rows.keep(session, payout)
    rows.keep(session, account)
    session.info.setdefault(_FOUND_IN, {}).setdefault(payout_id, payout.state)
    await market_now(session, watermark)
    return cast(Payout, payout)


async def product_of(session: AsyncSession, payout: Payout) -> Product:
    account = await session.get_one(Account, payout.account_id)
    return await products.load(session, account.product, account.version)


def share_of(payout: Payout) -> Money:
    return Money(minor=payout.trader_minor, currency=payout.currency)


def refund_of(payout: Payout) -> Money:
    """Returns the part of the fee that is refunded with the share."""
    return Money(minor=payout.refund_minor, currency=payout.currency)


def sent_of(payout: Payout) -> Money:
    """Returns what the trader gets, in the account's currency: the share and the refunded part of the fee."""
    return approving.sent_of(payout)


def transfer_of(payout: Payout) -> Money:
    """Returns what its rail is asked to send: the same in the currency of the beneficiary."""
    conversion = conversions.of(payout)
    return sent_of(payout) if conversion is None else conversion.bought


def gross_of(payout: Payout) -> Money:
    return Money(minor=payout.gross_minor, currency=payout.currency)


def digest(payout: Payout, product: Product) -> str:
    """Returns what an approval of the row as it is now would be for."""
    return policy.terms_digest(
        payout_id=payout.id,
        trader_share=share_of(payout),
        refund_minor=payout.refund_minor,
        forfeited_minor=payout.forfeited_minor,
        beneficiary_digest=crypto.keys().digest(payout.beneficiary),
        product_hash=product.content_hash,
        conversion=conversions.of(payout),
    )


async def approvals(session: AsyncSession, payout: Payout) -> tuple[int, int]:
    """(approvals that count now, approvals needed): people, roles, terms and policy as they are at this moment. Nobody
    is counted where none is needed. Call it before a step: it may wait for other payouts of the day."""
    needed = await approving.needed(session, payout)
    if needed == 0:
        return 0, 0
    persons = await approving.standing(session, payout, digest(payout, await product_of(session, payout)))
    return len(persons), needed


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
    payout.state = await transitions.apply(
        session,
        PAYOUT,
        subject_kind="payout",
        subject_id=payout.id,
        state_now=payout.state,
        trigger=trigger,
        key=record_keys.counted_step(payout.steps, trigger),
        occurred_at=now,
        detail=detail,
        actor=actor,
        role=role,
        reason=reason,
    )
    payout.steps += 1
    payout.changed_at = now
    if reason and trigger != "approvals_complete":  # why it is held, or how it ended; approvals say why in their rows
        payout.reason = reason
    if trader_message:
        payout.told = trader_message
    if policy.ends_round(trigger, payout.state):
        payout.round += 1
    if trigger == "approvals_complete":
        payout.approved_at = now
    if payout.state in PAYOUT.terminal:
        payout.closed_at = now
        await messages.send_limits(session, [payout.account_id], f"{payout.id}/{payout.steps}")


async def set_wakeup(session: AsyncSession, payout: Payout) -> None:
    """Register the date in market time that the payout waits for in its new state, if any. A transfer is looked at
    after a day, and then each time when it is twice as old: its rail tells us of it before."""
    due = await deadlines.next_date(session, payout) if payout.state in OPEN_TO_PEOPLE else None
    if payout.state == "sent":
        now = await market_now(session)
        due = now + max(_TRANSFER_CHECK, now - payout.changed_at)
    if due is None and session.info.get(_FOUND_IN, {}).get(payout.id) in _WITHOUT_DATE:
        return  # the step that brought it there has taken the date away
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
