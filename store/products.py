"""Published product versions. A version never changes."""

from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from domain.file_errors import ProductInvalid
from domain.products.product import Product
from domain.surveillance.product_terms import PatternTerms
from store import audit
from store.clock import market_now
from store.models import ProductVersion

BOOTSTRAP: Final = "bootstrap"
_PUBLISHED: Final = "published_products"  # set in a transaction that may be undone
_parsed: Final[dict[str, Product]] = {}  # by the hash of the terms; to read the terms of a version takes long
# By the database, then by product and version: a committed version never changes.
_known: Final[WeakKeyDictionary[object, dict[tuple[str, int], Product]]] = WeakKeyDictionary()


async def publish(
    session: AsyncSession,
    product: Product,
    *,
    proposal_id: str | None = None,
    by: str = BOOTSTRAP,
    role: str = "system",
    variant_of: str | None = None,
) -> None:
    """Publish a version. The same terms again change nothing; other terms raise ProductInvalid.

    People publish through `firm.products.proposals`, which passes the proposal's id. Without one it is the
    installation's own product, and the audit log says so. `variant_of`: the product whose version was sold with
    add-ons; these are its terms with their changes, and nobody can buy them by this name.
    """
    row = {
        "variant_of": variant_of,
        "proposal_id": proposal_id,
        "product": product.product,
        "version": product.version,
        "name": product.name,
        "content_hash": product.content_hash,
        "terms": product.model_dump(mode="json"),
    }
    session.info[_PUBLISHED] = True
    made = await session.scalar(
        insert(ProductVersion).values(row).on_conflict_do_nothing().returning(ProductVersion.product)
    )
    stored = await session.get_one(ProductVersion, (product.product, product.version))
    if stored.content_hash != product.content_hash or stored.variant_of != variant_of:
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
            reason="" if proposal_id else ("sold with add-ons" if variant_of else "shipped with the installation"),
            evidence={"content_hash": product.content_hash, "proposal_id": proposal_id},
        )


async def load(session: AsyncSession, product: str, version: int) -> Product:
    """Returns the terms of one version. Raises NotFound."""
    known: dict[tuple[str, int], Product] = {}
    if _PUBLISHED not in session.info:
        known = _known.setdefault(session.get_bind(), known)
    if (product, version) not in known:
        terms_hash = await session.scalar(
            select(ProductVersion.content_hash).where(
                ProductVersion.product == product, ProductVersion.version == version
            )
        )
        if terms_hash is None:
            raise NotFound(f"There is no product {product} version {version}.")
        if terms_hash not in _parsed:
            row = await session.get_one(ProductVersion, (product, version))
            _parsed[terms_hash] = Product.model_validate(row.terms)
        known[product, version] = _parsed[terms_hash]
    return known[product, version]


async def every(session: AsyncSession) -> dict[tuple[str, int], Product]:
    """Returns the terms of every version ever sold, by product and version. A process reads each once."""
    rows = await session.execute(select(ProductVersion.product, ProductVersion.version, ProductVersion.content_hash))
    sold = {(product, version): terms_hash for product, version, terms_hash in rows}
    unknown = set(sold.values()) - _parsed.keys()
    if unknown:
        found = select(ProductVersion.content_hash, ProductVersion.terms).where(
            ProductVersion.content_hash.in_(unknown)
        )
        for terms_hash, terms in await session.execute(found):
            _parsed[terms_hash] = Product.model_validate(terms)
    return {key: _parsed[terms_hash] for key, terms_hash in sold.items()}


async def newest(session: AsyncSession, product: str) -> Product:
    """Returns the newest version of a product, which is the one on sale. Raises NotFound."""
    row = await session.scalar(
        select(ProductVersion)
        .where(ProductVersion.product == product, ProductVersion.variant_of.is_(None))
        .order_by(ProductVersion.version.desc())
        .limit(1)
    )
    if row is None:
        raise NotFound(f"There is no product {product!r} on sale.")
    return Product.model_validate(row.terms)


async def newest_of_each(session: AsyncSession) -> list[Product]:
    """Returns the newest version of every product, by name."""
    rows = await session.scalars(
        select(ProductVersion)
        .where(ProductVersion.variant_of.is_(None))
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


async def pattern_terms(session: AsyncSession) -> dict[str, PatternTerms]:
    """Returns what each version says of patterns of abuse, by `product@version`; versions that say nothing are left
    out."""
    rows = await session.execute(
        select(ProductVersion.product, ProductVersion.version)
        .where(ProductVersion.terms["surveillance"].astext.is_not(None))
        .order_by(ProductVersion.product, ProductVersion.version)
    )
    found = [await load(session, name, version) for name, version in rows.all()]
    return {product.ref: product.surveillance for product in found}


async def count(session: AsyncSession) -> int:
    """Returns how many versions there are; a version never changes and is never deleted."""
    return int(await session.scalar(select(func.count()).select_from(ProductVersion)) or 0)


async def sold_as(session: AsyncSession, product: Product) -> str:
    """Returns the name under which these terms are on sale: for a product with add-ons, the one without them."""
    row = await session.get_one(ProductVersion, (product.product, product.version))
    return row.variant_of or row.product
