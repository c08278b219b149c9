"""Challenges on the record: bought, moved along the table, and the accounts of their phases."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import challenge_workflow
from contracts.messages import ChallengeStart
from domain import keys, record_keys
from domain.account_actions import MoreTime
from domain.approvals import Actor
from domain.disputes import window_end
from domain.errors import ExtensionRefused, NotFound
from domain.fees import OrderKind
from domain.keys import new_id
from domain.lifecycle import CHALLENGE, check_extendable, check_may_extend, payment_due
from domain.products.product import Product
from firm import messages
from firm.selling import sales
from store import audit, outbox, products, rows, shards, surveillance, suspensions, transitions
from store.clock import market_now
from store.deadlines import deadline
from store.models import (
    Account,
    Breach,
    Challenge,
    DealRow,
    Intent,
    PhasePass,
    ScalingRow,
    Transition,
)
from store.reading import read_once

_NEW_ATTEMPTS: Final = ("retake_granted", "account_scaled", "closing_overturned")  # a phase is opened again


class Order(NamedTuple):
    """What goes on from challenge `replaces`: the phase that it opens, and its price."""

    kind: OrderKind
    replaces: str
    phase_index: int
    price_minor: int


async def buy(
    session: AsyncSession,
    *,
    trader_id: str,
    product: Product,
    return_url: str,
    provider: str,
    actor: Actor,
    order: Order | None = None,
    sold: sales.Sold | None = None,
) -> Challenge:
    """A trader orders a challenge: state `awaiting_payment`, its workflow starts at commit. With `order`, it
    goes on from another challenge. `sold`: its price, when it is not only that of the product; `product` has the terms
    of its account.

    Then create the checkout with `checkout_terms` and keep it with `record_checkout`; the workflow does it if the
    caller cannot. `return_url`: where the provider sends the buyer afterwards; {id} in it becomes the id of the
    challenge. `provider`: who takes the fee.
    """
    now, fee_of = await market_now(session), "purchase" if order is None else order.kind
    if sold is None:
        sold = sales.plainly(product, fee_of, product.fee_minor if order is None else order.price_minor)
    price = sold.quote.total_minor
    challenge = Challenge(
        id=new_id("chl"),
        trader_id=trader_id,
        product=product.product,
        version=product.version,
        state=CHALLENGE.initial,
        phase_index=0 if order is None else order.phase_index - 1,  # the first account opens phase_index + 1
        fee_minor=price,
        fee_of=fee_of,
        replaces=None if order is None else order.replaces,
        currency=product.currency,
        provider=provider,
        bought_at=now,
        changed_at=now,
    )
    session.add(challenge)
    await session.flush()
    await sales.record(session, challenge, sold, user_id=actor.user_id)
    await _declare_checkout(session, challenge, sales.label_of(product, fee_of), return_url)
    await messages.start(session, challenge_workflow(challenge.id), ChallengeStart(challenge_id=challenge.id))
    await audit.record(
        session,
        action="challenge.bought",
        subject_kind="challenge",
        subject_id=challenge.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        evidence={"product": product.ref, "fee_minor": price, "currency": product.currency}
        | ({} if order is None else {"fee_of": order.kind, "replaces": order.replaces}),
    )
    return challenge


async def _declare_checkout(session: AsyncSession, challenge: Challenge, description: str, return_url: str) -> None:
    terms = {
        "reference": challenge.id,
        "amount_minor": challenge.fee_minor,
        "currency": challenge.currency,
        "description": description,
        "return_url": return_url.replace("{id}", challenge.id),
    }
    await outbox.declare_intent(session, key=keys.checkout(challenge.id), kind="payments.checkout", payload=terms)


async def checkout_terms(session: AsyncSession, challenge_id: str) -> tuple[str, dict[str, Any]]:
    """Returns the key and the fields of the order for `Acquirer.create_checkout`; every call returns the same."""
    intent = await session.get(Intent, keys.checkout(challenge_id))
    if intent is None:
        raise NotFound
    return intent.key, intent.payload


async def record_checkout(session: AsyncSession, challenge_id: str, *, checkout_id: str, url: str) -> bool:
    """Keep the checkout that the provider made, and wake when the time to pay is over. Returns False when the challenge
    was cancelled meanwhile: nobody gets the address of its page then, and the caller closes it at the provider."""
    challenge = await lock(session, challenge_id)
    challenge.checkout_id = checkout_id
    challenge.checkout_url = None if challenge.state == "cancelled" else url
    await outbox.fulfil_intent(session, key=keys.checkout(challenge_id), result={"checkout_id": checkout_id})
    if challenge.state == CHALLENGE.initial:
        await wake(session, challenge, payment_due(challenge.bought_at))
    return challenge.state != "cancelled"


def fee_digest(challenge: Challenge) -> str:
    """Returns a digest of what exactly a refund sends back: this fee, paid through this checkout."""
    body = {"v": 1, "challenge": challenge.id, "checkout": challenge.checkout_id}
    body |= {"fee_minor": challenge.fee_minor, "currency": challenge.currency}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


async def lock(session: AsyncSession, challenge_id: str) -> Challenge:
    """Returns the row, locked until the transaction ends, also against new rows that refer to it. Raises NotFound."""
    return await rows.locked(session, Challenge, challenge_id, references_too=True)


async def move(
    session: AsyncSession,
    challenge: Challenge,
    trigger: str,
    *,
    key: str,
    at: datetime,
    detail: dict[str, Any] | None = None,
    actor: str = "system",
    role: str = "system",
    reason: str = "",
) -> None:
    """Take a step of the table on a locked row; the same key again changes nothing. Raises IllegalTransition."""
    before = challenge.state
    challenge.state = await transitions.apply(
        session,
        CHALLENGE,
        subject_kind="challenge",
        subject_id=challenge.id,
        state_now=before,
        trigger=trigger,
        key=key,
        occurred_at=at,
        detail=detail,
        actor=actor,
        role=role,
        reason=reason,
    )
    if challenge.state != before:
        challenge.changed_at = at


async def wake(session: AsyncSession, challenge: Challenge, due_at: datetime | None) -> None:
    """Register the date in market time that the challenge waits for in its new state; None: no date."""
    await outbox.wake_at(session, workflow_id=challenge_workflow(challenge.id), due_at=due_at)


async def terms(session: AsyncSession, challenge: Challenge) -> Product:
    """Returns the product version that this challenge is pinned to."""
    return await products.load(session, challenge.product, challenge.version)


async def account(session: AsyncSession, challenge: Challenge, *, locked: bool = False) -> Account | None:
    """Returns the account of the current phase; None before the first. `locked`: lock it until the transaction ends."""
    if challenge.account_id is None:
        return None
    statement = select(Account).where(Account.id == challenge.account_id)
    row: Account | None = await session.scalar(statement.with_for_update(key_share=True) if locked else statement)
    return row


async def open_account(
    session: AsyncSession,
    challenge: Challenge,
    product: Product,
    phase_index: int,
    platform: str,
    marks: Literal["quotes", "states"] = "quotes",
) -> Account:
    """The account row of a phase, status `opening` when it is new; it becomes the challenge's current one. A new one
    is assigned to a shard at once, so that there is a shard for its first event. One that follows a step of the
    scaling plan has the size of that step."""
    attempt, grown = await attempts(session, challenge.id, phase_index), await last_scaling(session, challenge.id)
    account_id = keys.account_id(challenge.id, phase_index, attempt)
    row = {
        "id": account_id,
        "challenge_id": challenge.id,
        "trader_id": challenge.trader_id,
        "phase_index": phase_index,
        "attempt": attempt,
        "product": challenge.product,
        "version": challenge.version,
        "platform": platform,
        "shard": await shards.least_loaded(session, platform),
        "marks": marks,
        "clock_group": product.clock.group,
        "currency": product.currency,
        "initial_minor": product.initial_of(phase_index) if grown is None else grown.to_minor,
        "status": "opening",
    }
    await session.execute(insert(Account).values(row).on_conflict_do_nothing(index_elements=["id"]))
    challenge.account_id, challenge.phase_index = account_id, phase_index
    return await session.get_one(Account, account_id)


async def next_phase(session: AsyncSession, challenge: Challenge) -> int | None:
    """Returns the index of the phase to open for a locked challenge, also when opening has begun; None if none is
    due."""
    if challenge.state != "provisioning":
        return None
    current = challenge.account_id
    begun = current is not None and not await transitions.was_applied(
        session, "challenge", challenge.id, record_keys.phase_start(current)
    )
    return challenge.phase_index if begun else challenge.phase_index + 1


async def last_scaling(session: AsyncSession, challenge_id: str) -> ScalingRow | None:
    """Returns the last step of the scaling plan. The account that it ended was funded; so are all that follow."""
    row: ScalingRow | None = await session.scalar(
        select(ScalingRow).where(ScalingRow.challenge_id == challenge_id).order_by(ScalingRow.number.desc()).limit(1)
    )
    return row


async def attempts(session: AsyncSession, challenge_id: str, phase_index: int) -> int:
    """Returns the number of the current attempt at a phase, from 1. Each retake, and each growth, adds one."""
    begun_anew = await session.scalar(
        select(func.count()).where(
            Transition.subject_kind == "challenge",
            Transition.subject_id == challenge_id,
            Transition.trigger.in_(_NEW_ATTEMPTS),
            Transition.detail["phase_index"].as_integer() == phase_index,
        )
    )
    return 1 + int(begun_anew or 0)


async def end_account(session: AsyncSession, challenge: Challenge, status: str, at: datetime) -> None:
    """Mark the current account `locked` or `closed`, if there is one."""
    ended = await account(session, challenge, locked=True)
    if ended is not None and ended.status != status:
        ended.status, ended.ended_at = status, ended.ended_at or at


class Extended(NamedTuple):
    deadline: datetime
    left: int


async def extend(session: AsyncSession, challenge_id: str, *, actor: Actor, key: str, reason: str) -> Extended:
    """Extend the current phase once more: its deadline and the wake-up for it move together.

    Raises NotFound, NotAllowed, ExtensionRefused. The deadline is judged under the same row lock and read
    again then, and market time never goes back: an extension that is granted before the deadline always counts.
    """
    challenge = await lock(session, challenge_id)
    check_may_extend(actor, challenge.trader_id)
    granted, now = await more_time(session, challenge), await market_now(session)
    await wake(session, challenge, granted.ends)
    await move(
        session,
        challenge,
        "extension_granted",
        key=record_keys.phase_extension(key),
        at=now,
        detail={"account_id": challenge.account_id, "days": granted.days, "deadline": granted.ends.isoformat()},
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
    )
    return Extended(granted.ends, granted.left)


async def more_time(session: AsyncSession, challenge: Challenge) -> MoreTime:
    """Returns what one more extension of the current phase would do now. Raises ExtensionRefused."""
    product, now = await terms(session, challenge), await market_now(session)
    opened = await account(session, challenge)
    if opened is None:
        raise ExtensionRefused("The phase has not begun yet; its time does not run.")
    if await suspensions.binds(session, challenge.id):
        raise ExtensionRefused("Trading is suspended; the time of the phase does not run.")
    phase, due = product.phase(opened.phase_index), await deadline(session, challenge, opened, product)
    granted = await _extensions(session, challenge.id, opened.id)
    days = check_extendable(challenge.state, phase, granted, now, due)
    assert due is not None and phase.extension is not None
    return MoreTime(days, due + timedelta(days=days), due, phase.extension.times - granted - 1)


async def _extensions(session: AsyncSession, challenge_id: str, account_id: str) -> int:
    """Returns how often the phase of this account was extended."""
    count = await session.scalar(
        select(func.count()).where(
            Transition.subject_kind == "challenge",
            Transition.subject_id == challenge_id,
            Transition.trigger == "extension_granted",
            Transition.detail["account_id"].astext == account_id,
        )
    )
    return int(count or 0)


async def confirmed_breach(session: AsyncSession, account_id: str) -> Breach | None:
    """Returns the first confirmed breach of the account that was not overturned, or None."""
    row: Breach | None = await session.scalar(
        select(Breach)
        .where(Breach.account_id == account_id, Breach.status == "confirmed")
        .order_by(Breach.seq, Breach.rule_id)
        .limit(1)
    )
    return row


async def dispute_until(session: AsyncSession, challenge: Challenge, breach: Breach) -> datetime:
    """Until when the breach can be disputed."""
    return window_end(breach.occurred_at, (await terms(session, challenge)).dispute_days)


async def overturn(session: AsyncSession, breach_id: str) -> bool:
    """Overturns the breach and every other breach at the same event. Breaches at later events stay. Returns False when
    the breach is already overturned."""
    breach = await session.get_one(Breach, breach_id, populate_existing=True)
    if breach.status != "confirmed":
        return False
    await session.execute(
        update(Breach)
        .where(Breach.account_id == breach.account_id, Breach.seq == breach.seq, Breach.status == "confirmed")
        .values(status="overturned")
    )
    return True


async def case_against(session: AsyncSession, challenge_id: str) -> str | None:
    """Returns the id of a confirmed case that blames an account of this challenge; None when there is none."""
    return next(iter(await surveillance.confirmed_against(session, challenge_id)), None)


async def closes(session: AsyncSession, challenge_id: str, reasons: Mapping[str, str | None]) -> dict[str, str] | None:
    """Returns the first of the reasons to close a challenge that has not closed it before; None when there is none. One
    that closed it once, and was overturned, does not close it again. `reasons`: as the step has them in its detail."""
    for name, found in reasons.items():
        if found is not None and not await _closed_by(session, challenge_id, {name: found}):
            return {name: found}
    return None


async def _closed_by(session: AsyncSession, challenge_id: str, because: dict[str, str]) -> bool:
    of_challenge = (Transition.subject_kind == "challenge", Transition.subject_id == challenge_id)
    closed = (Transition.trigger == "closed_by_firm", Transition.detail.contains(because))
    return await session.scalar(select(Transition.id).where(*of_challenge, *closed).limit(1)) is not None


@read_once
async def verdict_waits(session: AsyncSession, account_id: str) -> bool:
    """Returns whether a breach or pass of this account is stored."""
    passed = await session.scalar(select(PhasePass.id).where(PhasePass.account_id == account_id))
    return passed is not None or await confirmed_breach(session, account_id) is not None


async def ever_traded(session: AsyncSession, challenge_id: str) -> bool:
    """Returns whether any fill of any account of this challenge is stored."""
    accounts: Sequence[str] = (
        await session.scalars(select(Account.id).where(Account.challenge_id == challenge_id))
    ).all()
    return await session.scalar(select(DealRow.id).where(DealRow.account_id.in_(accounts)).limit(1)) is not None
