"""A product version in the words that its traders read before they buy."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from domain.products.words import ProductWords, describe
from front.auth import Deps, allowed
from front.fields import Slug
from store import products

router = APIRouter(prefix="/v1", tags=["challenges"])


@router.get("/products/{product}/{version}/words", dependencies=[Depends(allowed("products.read"))])
async def get_product_words(product: Slug, version: Annotated[int, Path(ge=1, le=100_000)], deps: Deps) -> ProductWords:
    """Every term that binds, in plain sentences made from the definition; `content_hash` is that of the terms."""
    async with deps.db.transaction() as session:
        return describe(await products.load(session, product, version))
