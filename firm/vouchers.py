"""Vouchers: what a trader gets as a compensation, as a coupon that only they can use, and what the books have of it."""

import secrets
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain import ledger as entries
from domain.compensations import COMPENSATION, GIVEN
from domain.money import Money, from_minor
from domain.selling.coupons import Coupon
from firm import decide as guard
from firm import tickets
from firm.selling import coupons
from store import audit, ledger
from store.clock import market_now
from store.models import Account, Challenge, Compensation, CouponUse, User

KIND: Final = "compensation"

_NEW: Final = "Your voucher of {amount}: {code}. It lowers the price of one purchase, and only you can use it."
_AGAIN: Final = (
    "The purchase that you used your voucher for was paid back. You have a new voucher of {amount} in its place:"
    " {code}. It lowers the price of one purchase, and only you can use it."
)


async def grant(session: AsyncSession, made: Compensation, *, by: str) -> None:
    """Books the debt, makes the voucher of a locked compensation and tells the trader. `by`: the user who granted
    it."""
    amount = _amount(made)
    await ledger.post(session, entries.compensation_granted(made.id, amount), occurred_at=await market_now(session))
    await _issue(session, made, by=by)
    await audit.record(
        session,
        action="dispute.compensated",
        subject_kind="dispute",
        subject_id=made.dispute_id,
        occurred_at=await market_now(session),
        actor=by,
        role=await _role(session, by),
        evidence={"compensation_id": made.id},
    )
    words = f"{made.message}\n\n{_NEW.format(amount=amount, code=made.coupon)}"
    await _tell(session, made, keys.dispute_ticket(made.id), "A voucher for you", words, by=by)


async def use(session: AsyncSession, challenge: Challenge) -> None:
    """The fee of a locked challenge came in: the voucher that lowered it is used, and no debt any more."""
    made = await _of_order(session, challenge)
    if made is None or made.state != "granted":
        return
    now = await market_now(session)
    await ledger.post(session, entries.compensation_used(made.id, _amount(made), challenge.id), occurred_at=now)
    made.used_in = challenge.id
    await _step(session, made, "voucher_used", challenge)


async def give_back(session: AsyncSession, challenge: Challenge) -> None:
    """The payment of a locked challenge went back whole: the trader gets the voucher that lowered it again, under a new
    code. The code of before has ended, so that a second look finds nothing. When the order was cancelled before it was
    paid, the voucher may have gone to a later order: it stays there."""
    made = await _of_order(session, challenge)
    if made is None or made.coupon is None or made.used_in not in (None, challenge.id):
        return
    if await coupons.in_use(session, made.coupon, but=challenge.id):
        return
    if made.state == "used":
        back = Money(minor=-made.amount_minor, currency=made.currency)
        entry = entries.compensation_used(made.id, back, challenge.id)
        await ledger.post(session, entry, occurred_at=await market_now(session))
    await coupons.end(session, made.coupon, by=audit.SYSTEM)
    await _issue(session, made, by=audit.SYSTEM)
    made.used_in = made.closed_at = None
    await _step(session, made, "voucher_returned", challenge)
    words = _AGAIN.format(amount=_amount(made), code=made.coupon)
    ticket_id = keys.dispute_ticket(made.id, challenge.id)
    await _tell(session, made, ticket_id, "Your voucher is valid again", words, by=None)


async def _of_order(session: AsyncSession, challenge: Challenge) -> Compensation | None:
    """Returns the compensation, locked, whose voucher of now is used in the order of this challenge."""
    found: Compensation | None = await session.scalar(
        select(Compensation)
        .join(CouponUse, CouponUse.code == Compensation.coupon)
        .where(CouponUse.challenge_id == challenge.id, Compensation.state.in_(GIVEN))
        .with_for_update(of=Compensation)
    )
    return found


async def _issue(session: AsyncSession, made: Compensation, *, by: str) -> None:
    code = f"VOUCHER-{secrets.token_hex(8).upper()}"
    value = from_minor(made.amount_minor, made.currency)
    coupon = Coupon(code=code, amount=value, currency=made.currency, uses=1, trader=made.trader_id)
    await coupons.add(session, coupon, by=by)
    made.coupon = code


async def _step(session: AsyncSession, made: Compensation, trigger: str, challenge: Challenge) -> None:
    detail = {"challenge_id": challenge.id, "amount_minor": made.amount_minor, "currency": made.currency}
    key, now = f"{trigger}/{challenge.id}", await market_now(session)
    await guard.step(session, COMPENSATION, made, trigger, kind=KIND, key=key, at=now, detail=detail)


async def _tell(
    session: AsyncSession, made: Compensation, ticket_id: str, subject: str, body: str, *, by: str | None
) -> None:
    """`by`: the user who grants it; None: the program."""
    await tickets.tell(
        session,
        ticket_id=ticket_id,
        account=await session.get_one(Account, made.account_id),
        user_id=by,
        role=await _role(session, by) if by else audit.SYSTEM,
        subject=subject,
        body=body,
    )


async def _role(session: AsyncSession, user_id: str) -> str:
    return (await session.get_one(User, user_id)).role


def _amount(made: Compensation) -> Money:
    return Money(minor=made.amount_minor, currency=made.currency)
