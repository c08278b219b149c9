"""Receipts and credit notes, and the state of an order."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from store.models import Receipt, Trader
from store.read.pages import Page, View, Window, keyset
from store.scope import Scope


class ReceiptLine(View):
    kind: str
    code: str
    label: str
    amount_minor: int


class Seller(View):
    name: str
    address: tuple[str, ...] = ()
    tax_id: str = ""


class ReceiptView(View):
    """`number`: of its year, without gaps, such as 2026-000042. `corrects_number`: the receipt that a credit note
    belongs to."""

    id: str
    number: str
    kind: str
    issued_at: datetime
    seller: Seller
    buyer_id: str
    buyer_name: str
    country: str | None
    challenge_id: str
    product: str
    paid_through: str
    payment: str | None
    lines: tuple[ReceiptLine, ...]
    net_minor: int
    tax_minor: int
    total_minor: int
    currency: str
    corrects_number: str | None


def _view(row: Any) -> ReceiptView:
    receipt: Receipt = row.Receipt
    body = receipt.body
    return ReceiptView(
        id=receipt.id,
        number=f"{receipt.year}-{receipt.number:06d}",
        kind=receipt.kind,
        issued_at=receipt.issued_at,
        seller=Seller.model_validate(body["seller"]),
        buyer_id=receipt.trader_id,
        buyer_name=row.buyer_name,
        country=body["country"],
        challenge_id=receipt.challenge_id,
        product=body["product"],
        paid_through=body["paid_through"],
        payment=body["payment"],
        lines=tuple(ReceiptLine.model_validate(line) for line in body["lines"]),
        net_minor=body["net_minor"],
        tax_minor=body["tax_minor"],
        total_minor=receipt.total_minor,
        currency=receipt.currency,
        corrects_number=body.get("corrects_number"),
    )


def _statement(scope: Scope) -> Any:
    return (
        select(Receipt, Trader.name.label("buyer_name"))
        .join(Trader, Trader.id == Receipt.trader_id)
        .where(scope.own(Receipt.trader_id))
    )


async def page(
    session: AsyncSession, scope: Scope, window: Window, *, challenge_id: str | None = None
) -> Page[ReceiptView]:
    """Newest first. `challenge_id`: those of one challenge."""
    statement = _statement(scope)
    if challenge_id is not None:
        statement = statement.where(Receipt.challenge_id == challenge_id)
    rows, cursor = await keyset(session, statement, [Receipt.recorded_at, Receipt.id], window)
    return Page[ReceiptView](items=tuple(_view(row) for row in rows), next_cursor=cursor)


async def one(session: AsyncSession, scope: Scope, receipt_id: str) -> ReceiptView:
    """Raises NotFound, also for the receipt of another trader."""
    row = (await session.execute(_statement(scope).where(Receipt.id == receipt_id))).one_or_none()
    if row is None:
        raise NotFound
    return _view(row)
