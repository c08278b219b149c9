"""Receipts of payments and credit notes of refunds: numbered without gaps in each year, never changed.

The caller holds the challenge's row lock and books the money in the same transaction: there is no receipt without its
entry in the books. The number comes last in it, because its row stays locked until the transaction ends.
"""

from typing import Any, Final, Literal

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.keys import new_id
from domain.selling.price import PriceLine
from firm.selling import sales
from store.clock import market_now
from store.models import Challenge, Receipt, ReceiptCounter, Sale

_NO_SELLER: Final[dict[str, Any]] = {"name": "The firm", "address": [], "tax_id": ""}


async def issue(session: AsyncSession, challenge: Challenge, provider: str) -> None:
    """Issues the receipt of a paid order, once."""
    quote, sale = await sales.quote_of(session, challenge), await session.get(Sale, challenge.id)
    body: dict[str, Any] = {
        **_head(challenge, sale, provider),
        "lines": [line.model_dump(mode="json") for line in quote.lines],
        "net_minor": quote.net_minor,
        "tax_minor": quote.tax_minor,
    }
    await _issue(session, challenge, "receipt", f"{challenge.id}/receipt", quote.total_minor, None, body)


async def credit(session: AsyncSession, challenge: Challenge, key: str, *, since: int, until: int) -> None:
    """Issues the credit note of a refund, or the receipt that follows when it did not arrive, once. Nothing is issued
    for a payment without a receipt. `key`: of the entry in the books. `since`, `until`: how much of the payment was
    with the firm before and after it, in minor units."""
    receipt = await session.scalar(select(Receipt).where(Receipt.key == f"{challenge.id}/receipt"))
    if receipt is None:
        return
    sale, quote = await session.get(Sale, challenge.id), await sales.quote_of(session, challenge)
    arrived = until < since
    back = quote.parts.between(until, since) if arrived else quote.parts.between(since, until)
    words = f"Refund of receipt {number_of(receipt)}" + ("" if arrived else " that did not arrive")
    lines = [PriceLine(kind="fee", code="refund", label=words, amount_minor=back.net_minor)]
    if back.tax_minor:
        lines.append(PriceLine(kind="tax", code="taxes", label="Taxes on it", amount_minor=back.tax_minor))
    body: dict[str, Any] = {
        **_head(challenge, sale, challenge.provider),
        "corrects_number": number_of(receipt),
        "lines": [line.model_dump(mode="json") for line in lines],
        "net_minor": back.net_minor,
        "tax_minor": back.tax_minor,
    }
    kind: Literal["receipt", "credit_note"] = "credit_note" if arrived else "receipt"
    await _issue(session, challenge, kind, f"credit/{key}", back.total_minor, receipt.id, body)


def number_of(receipt: Receipt) -> str:
    """Returns the number of a receipt for people, such as 2026-000042."""
    return f"{receipt.year}-{receipt.number:06d}"


def _head(challenge: Challenge, sale: Sale | None, provider: str) -> dict[str, Any]:
    return {
        "v": 1,
        "seller": _NO_SELLER if sale is None else sale.seller or _NO_SELLER,
        "buyer": challenge.trader_id,
        "country": None if sale is None else sale.country,
        "challenge_id": challenge.id,
        "product": f"{challenge.product}@{challenge.version}",
        "paid_through": provider,
        "payment": challenge.checkout_id,
    }


async def _issue(
    session: AsyncSession,
    challenge: Challenge,
    kind: Literal["receipt", "credit_note"],
    key: str,
    total_minor: int,
    corrects: str | None,
    body: dict[str, Any],
) -> None:
    if await session.scalar(select(Receipt.id).where(Receipt.key == key)) is not None:
        return
    now = await market_now(session)
    session.add(
        Receipt(
            id=new_id("rcp"),
            key=key,
            kind=kind,
            year=now.year,
            number=await _next_number(session, now.year),
            challenge_id=challenge.id,
            trader_id=challenge.trader_id,
            corrects=corrects,
            total_minor=total_minor,
            currency=challenge.currency,
            body=body,
            issued_at=now,
        )
    )
    await session.flush()


async def _next_number(session: AsyncSession, year: int) -> int:
    """Returns the next number of the year. The counter is locked until the transaction ends: an order that is rolled
    back gives its number back."""
    counted = (
        insert(ReceiptCounter)
        .values(year=year, last=1)
        .on_conflict_do_update(index_elements=["year"], set_={"last": ReceiptCounter.last + 1})
        .returning(ReceiptCounter.last)
    )
    return int((await session.execute(counted)).scalar_one())
