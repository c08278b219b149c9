"""Published product versions. A version never changes."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound, ProductInvalid
from domain.products.product import Product
from store import audit
from store.clock import market_now
from store.models import ProductVersion

BOOTSTRAP: Final = "bootstrap"


async def publish(
    session: AsyncSession,
    product: Product,
    *,
    proposal_id: str | None = None,
    by: str = BOOTSTRAP,
    role: str = "system",
) -> None:
    """Publish a version. The same terms again change nothing; other terms raise ProductInvalid.

    People publish through `firm.products.proposals`, which passes the proposal's id. Without one it is the
    installation's own product, and the audit log says so.
    """
    row = {
        "proposal_id": proposal_id,
        "product": product.product,
        "version": product.version,
        "name": product.name,
        "content_hash": product.content_hash,
        "terms": product.model_dump(mode="json"),
    }
    made = await session.scalar(
        insert(ProductVersion).values(row).on_conflict_do_nothing().returning(ProductVersion.product)
    )
    stored = await session.get_one(ProductVersion, (product.product, product.version))
    if stored.content_hash != product.content_hash:
        raise ProductInvalid(
            f"{product.ref} is published with other terms; a version never changes.",
            field="version",
            remedy=f"Restore the file, or publish the new terms as version {product.version + 1}.",
        )
    if made is not None:
        await audit.record(
            session,
            action="product.published",
            subject_kind="product",
            subject_id=product.ref,
            occurred_at=await market_now(session),
            actor=by,
            role=role,
            reason="" if proposal_id else "shipped with the installation",
            evidence={"content_hash": product.content_hash, "proposal_id": proposal_id},
        )


async def load(session: AsyncSession, product: str, version: int) -> Product:
    """Returns the terms of one version. Raises NotFound."""
    row = await session.get(ProductVersion, (product, version))
    if row is None:
        raise NotFound(f"There is no product {product} version {version}.")
    return Product.model_validate(row.terms)


async def newest(session: AsyncSession, product: str) -> Product:
    """Returns the newest version of a product, which is the one on sale. Raises NotFound."""
    row = await session.scalar(
        select(ProductVersion).where(ProductVersion.product == product).order_by(ProductVersion.version.desc()).limit(1)
    )
    if row is None:
        raise NotFound(f"There is no product {product!r} on sale.")
    return Product.model_validate(row.terms)


async def newest_of_each(session: AsyncSession) -> list[Product]:
    """Returns the newest version of every product, by name."""
    rows = await session.scalars(
        select(ProductVersion)
        .distinct(ProductVersion.product)
        .order_by(ProductVersion.product, ProductVersion.version.desc())
    )
    return [Product.model_validate(row.terms) for row in rows]


async def versions(session: AsyncSession, product: str) -> list[int]:
    """Returns every published version number of a product, oldest first. Empty for an unknown product."""
    rows = await session.scalars(
        select(ProductVersion.version).where(ProductVersion.product == product).order_by(ProductVersion.version)
    )
    return list(rows)
