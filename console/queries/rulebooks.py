"""Which rule books a trader may want to read: those of their own accounts, and what is on sale."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store import products
from store.models import Challenge


@dataclass(frozen=True)
class RuleBook:
    product: str
    title: str
    href: str
    mine: bool


def page_of(product: str, version: int) -> str:
    """Where the words of a version stand."""
    return f"/products/{product}/{version}"


async def of_trader(session: AsyncSession, trader_id: str) -> list[RuleBook]:
    """Own versions first, then the newest of every product."""
    bought = (
        select(Challenge.product, Challenge.version)
        .where(Challenge.trader_id == trader_id)
        .distinct()
        .order_by(Challenge.product, Challenge.version)
    )
    own = [await products.load(session, product, version) for product, version in await session.execute(bought)]
    held = {product.ref for product in own}
    others = [product for product in await products.newest_of_each(session) if product.ref not in held]
    return [
        RuleBook(
            product.product,
            f"{product.name}, version {product.version}",
            page_of(product.product, product.version),
            mine,
        )
        for mine, found in ((True, own), (False, others))
        for product in found
    ]
