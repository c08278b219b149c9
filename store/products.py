"""Product versions on the record: published once, never changed, loaded by every system."""

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
    """Put a version on the shelf. Publishing the same terms again changes nothing; other terms are refused.

    People go through `firm.products.proposals`, which names the proposal; without one it is the firm's bootstrap, and the
    audit log says so.
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


async def versions(session: AsyncSession, product: str) -> list[int]:
    """Every published version of a product, oldest first; empty for an unknown one."""
    rows = await session.scalars(
        select(ProductVersion.version).where(ProductVersion.product == product).order_by(ProductVersion.version)
    )
    return list(rows)
