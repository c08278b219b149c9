"""Coupons on the record: added and ended by people, used in orders."""

from collections.abc import Sequence

from pydantic import ValidationError
from sqlalchemy import ColumnElement, ScalarSelect, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput, Conflict, CouponRefused, NotFound
from domain.lifecycle import UNPAID
from domain.selling.coupons import Coupon, Use, check_new, check_use
from store import audit
from store.clock import market_now
from store.db import as_firm
from store.models import Challenge, Chargeback, CouponRow, CouponUse, LedgerTransaction


def read(terms: dict[str, object]) -> Coupon:
    """Returns the coupon with these terms. Raises BadInput that names the field."""
    try:
        return Coupon.model_validate(terms)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = ".".join(str(step) for step in first["loc"]) or "coupon"
        raise BadInput(f"{field}: {first['msg']}.", field=field, remedy="See `propos coupons add --help`.") from error


async def add(session: AsyncSession, coupon: Coupon, *, by: str) -> None:
    """Adds a coupon. Its terms never change. Raises BadInput for an amount that no price can be lowered by, Conflict
    for a code that was used before."""
    check_new(coupon)
    now = await market_now(session)
    made = await session.scalar(
        insert(CouponRow)
        .values(code=coupon.code, terms=coupon.model_dump(mode="json"), added_by=by, added_at=now)
        .on_conflict_do_nothing()
        .returning(CouponRow.code)
    )
    if made is None:
        raise Conflict(f"There is a coupon {coupon.code} already.", field="code", remedy="Choose another code.")
    await _note(session, "coupon.added", coupon.code, by, coupon.model_dump(mode="json"))


async def end(session: AsyncSession, code: str, *, by: str) -> bool:
    """Ends a coupon: nobody can use it any more. Orders that use it keep their price. Returns False when it has ended
    before. Raises NotFound."""
    row = await session.get(CouponRow, code, with_for_update=True)
    if row is None:
        raise NotFound(f"There is no coupon {code}.")
    if row.ended_at is not None:
        return False
    row.ended_at = await market_now(session)
    await _note(session, "coupon.ended", code, by, {})
    return True


async def _note(session: AsyncSession, action: str, code: str, by: str, evidence: dict[str, object]) -> None:
    await audit.record(
        session,
        action=action,
        subject_kind="coupon",
        subject_id=code,
        occurred_at=await market_now(session),
        actor=by,
        role="system",
        evidence=evidence,
    )


async def listed(session: AsyncSession) -> list[tuple[Coupon, bool, int]]:
    """Returns every coupon by code, with whether it has ended and how often it is used."""
    uses = _uses(CouponUse.code == CouponRow.code)
    rows = await session.execute(select(CouponRow, uses).order_by(CouponRow.code))
    return [(Coupon.model_validate(row.terms), row.ended_at is not None, int(used)) for row, used in rows.tuples()]


async def named(session: AsyncSession, codes: Sequence[str]) -> list[Coupon]:
    """Returns the coupons with these codes. Whether they can be used is not checked. Raises CouponRefused."""
    found = []
    for code in codes:
        row = await session.get(CouponRow, code)
        if row is None:
            raise CouponRefused(f"There is no coupon {code}.", field="coupons", remedy="Check how it is written.")
        found.append(Coupon.model_validate(row.terms))
    return found


async def check(
    session: AsyncSession, coupon: Coupon, *, trader_id: str, product: str, currency: str, gross_minor: int
) -> None:
    """Checks that this trader can use the coupon for this purchase. Locks the coupon: of two orders at once, the
    second is judged after the first. Raises CouponRefused."""
    row = await session.get_one(CouponRow, coupon.code, with_for_update=True, populate_existing=True)
    used = CouponUse.code == coupon.code
    paid = select(Challenge.id).where(Challenge.trader_id == trader_id, Challenge.state.not_in(UNPAID)).limit(1)
    async with as_firm(session):  # the uses of all traders count
        used_by_all = int(await session.scalar(select(_uses(used))) or 0)
    use = Use(
        now=await market_now(session),
        trader=trader_id,
        product=product,
        currency=currency,
        gross_minor=gross_minor,
        ended=row.ended_at is not None,
        used=used_by_all,
        used_by_trader=int(await session.scalar(select(_uses(used, CouponUse.trader_id == trader_id))) or 0),
        bought_before=await session.scalar(paid) is not None,
        charged_back=await _was_charged_back(session, trader_id),
    )
    check_use(coupon, use)


async def use(session: AsyncSession, challenge: Challenge, codes: Sequence[str]) -> None:
    """Records that this order uses these coupons. The caller has checked them in the same transaction."""
    session.add_all(CouponUse(code=code, challenge_id=challenge.id, trader_id=challenge.trader_id) for code in codes)
    await session.flush()


async def in_use(session: AsyncSession, code: str, *, but: str) -> bool:
    """Returns whether an order that is not cancelled uses this coupon, other than `but`, the id of a challenge. Locks
    the coupon: an order that takes it now is judged after this."""
    await session.get_one(CouponRow, code, with_for_update=True, populate_existing=True)
    others = _uses(CouponUse.code == code, CouponUse.challenge_id != but)
    async with as_firm(session):
        return bool(await session.scalar(select(others)))


def _uses(*wanted: ColumnElement[bool]) -> ScalarSelect[int]:
    """Returns the number of uses. Those in cancelled orders do not count."""
    statement = (
        select(func.count())
        .select_from(CouponUse)
        .join(Challenge, Challenge.id == CouponUse.challenge_id)
        .where(Challenge.state != "cancelled", *wanted)
    )
    return statement.scalar_subquery()


async def _was_charged_back(session: AsyncSession, trader_id: str) -> bool:
    """Returns whether a payment of this trader was charged back and the firm has not won."""
    own = select(Challenge.id).where(Challenge.trader_id == trader_id)
    ended = own.where(Challenge.state == "charged_back")
    open_or_lost = select(Chargeback.id).where(Chargeback.trader_id == trader_id, Chargeback.state != "won")
    by_earlier_versions = select(LedgerTransaction.id).where(
        LedgerTransaction.reference.in_(own), LedgerTransaction.kind.in_(("fee_charged_back", "suspense_charged_back"))
    )
    for found in (ended, open_or_lost, by_earlier_versions):
        if await session.scalar(found.limit(1)) is not None:
            return True
    return False
