"""Product versions on the record: published once, never changed, loaded by every system."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound, ProductInvalid
from domain.products import Product
from store.models import ProductVersion


async def publish(session: AsyncSession, product: Product) -> None:
    """Put a version on the shelf. Publishing the same terms again changes nothing; other terms are refused."""
    row = {
        "product": product.product,
        "version": product.version,
        "name": product.name,
        "content_hash": product.content_hash,
        "terms": product.model_dump(mode="json"),
    }
    await session.execute(insert(ProductVersion).values(row).on_conflict_do_nothing())
    stored = await session.get_one(ProductVersion, (product.product, product.version))
    if stored.content_hash != product.content_hash:
        raise ProductInvalid(
            f"{product.ref} is published with other terms; a version never changes.",
            field="version",
            remedy=f"Restore the file, or publish the new terms as version {product.version + 1}.",
        )


async def load(session: AsyncSession, product: str, version: int) -> Product:
    """The terms of one version; raises NotFound."""
    row = await session.get(ProductVersion, (product, version))
    if row is None:
        raise NotFound(f"There is no product {product} version {version}.")
    return Product.model_validate(row.terms)


async def newest(session: AsyncSession, product: str) -> Product:
    """The newest version of a product: what is sold today. Raises NotFound for an unknown product."""
    row = await session.scalar(
        select(ProductVersion).where(ProductVersion.product == product).order_by(ProductVersion.version.desc()).limit(1)
    )
    if row is None:
        raise NotFound(f"There is no product {product!r} on the shelf.")
    return Product.model_validate(row.terms)


async def shelf(session: AsyncSession) -> list[Product]:
    """The newest version of every product, by name."""
    rows = await session.scalars(
        select(ProductVersion)
        .distinct(ProductVersion.product)
        .order_by(ProductVersion.product, ProductVersion.version.desc())
    )
    return [Product.model_validate(row.terms) for row in rows]
