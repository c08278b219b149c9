"""The products that ship, read once for all tests of a process, and published for a test's firm."""

from functools import cache

from sqlalchemy.ext.asyncio import AsyncSession

from domain.products.product import Product
from firm.products.shelf import load_products
from store import products


@cache
def shipped() -> tuple[Product, ...]:
    """Every product that ships, by name and version."""
    return tuple(load_products())


async def publish_shelf(session: AsyncSession) -> None:
    for product in shipped():
        await products.publish(session, product)
