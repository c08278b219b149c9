"""Product versions and the people behind them: proposed, compared, approved, published; accounts moved between them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput
from domain.products.publishing import ACCOUNT_MOVE, PROPOSAL
from firm.products import proposals
from firm.products import version_moves as moves
from firm.products.shelf import read_product
from front.auth import Deps, allowed
from front.fields import Input, MoveId, ProposalId, Reason, Slug, one_of, window
from front.once import Keyed
from front.subjects.account_move import Moving
from front.subjects.product_version import Proposed
from store.read import versions as read
from store.read.pages import Page, View, Window

router = APIRouter(prefix="/v1", tags=["product versions"])
Paged = Annotated[Window, Depends(window)]
_DEFINITION = {
    "required": True,
    "content": {kind: {"schema": {"type": "string"}} for kind in ("application/yaml", "application/json")},
}


class VersionList(View):
    items: tuple[read.VersionRow, ...]
    next_cursor: None = None


class MoveBody(Input):
    """`accounts`: numbers such as A-10482; null: every active account of the version that can move."""

    product: Slug
    from_version: Annotated[int, Field(ge=1)]
    to_version: Annotated[int, Field(ge=1)]
    accounts: Annotated[tuple[Annotated[str, Field(pattern=r"^A-[0-9]{1,15}$")], ...], Field(min_length=1)] | None
    reason: Reason


class _Definition(Input):
    """What was sent, for the idempotency key."""

    text: str
    reason: str


@router.get("/products/{product}/versions", dependencies=[Depends(allowed("versions.read"))])
async def list_versions(product: str, deps: Deps) -> VersionList:
    """Every version that was ever on sale, newest first, with how many active accounts are under it."""
    async with deps.db.transaction() as session:
        return VersionList(items=tuple(await read.versions(session, product)))


@router.post(
    "/products/{product}/versions",
    status_code=201,
    dependencies=[Depends(allowed("versions.propose"))],
    openapi_extra={"requestBody": _DEFINITION},
)
async def propose_version(
    product: Slug,
    request: Request,
    deps: Deps,
    once: Keyed,
    reason: Annotated[Reason, Query(description="Why it is proposed.")],
) -> Proposed:
    """Propose a version. The body is its definition, in YAML or JSON; errors name its line and field."""
    try:
        text = (await request.body()).decode()
    except UnicodeDecodeError as exc:
        raise BadInput(
            "The definition is not UTF-8.", field="body", remedy="Save it as UTF-8 and send it again."
        ) from exc
    definition = read_product(text, "definition", deps.venues)
    if definition.product != product:
        raise BadInput(
            f"This defines {definition.product}, and was sent as a version of {product}.",
            field="product",
            remedy="Send it to the address of the product that it defines.",
        )

    async def work(session: AsyncSession) -> Proposed:
        row = await proposals.propose(session, definition, source="api", actor=once.actor, reason=reason)
        return Proposed(id=row.id, version=definition.ref, state=row.state)

    return await once.write(Proposed, _Definition(text=text, reason=reason), work)


@router.get("/product-proposals", dependencies=[Depends(allowed("versions.read"))])
async def list_proposals(
    deps: Deps, page: Paged, state: Annotated[str, one_of(PROPOSAL.states)] | None = None
) -> Page[read.ProposalRow]:
    async with deps.db.transaction() as session:
        return await read.proposals(session, page, state=state)


@router.get("/product-proposals/{proposal_id}", dependencies=[Depends(allowed("versions.read"))])
async def get_proposal(proposal_id: ProposalId, deps: Deps) -> read.ProposalView:
    """With the differences to the version that was on sale, field by field."""
    async with deps.db.transaction() as session:
        return await read.proposal(session, proposal_id)


@router.post("/product-proposals/{proposal_id}/publish", dependencies=[Depends(allowed("versions.propose"))])
async def publish_proposal(proposal_id: ProposalId, once: Keyed) -> Proposed:
    """Put an approved version on sale: from now on it is what new customers buy, and it never changes."""

    async def work(session: AsyncSession) -> Proposed:
        product = await proposals.publish(session, proposal_id, actor=once.actor)
        return Proposed(id=proposal_id, version=product.ref, state="on_sale")

    return await once.write(Proposed, None, work)


@router.post("/account-moves", status_code=201, dependencies=[Depends(allowed("versions.propose"))])
async def propose_move(body: MoveBody, once: Keyed) -> Moving:
    """Propose that accounts go on under another version of their product, from their next daily reset."""
    numbers = None if body.accounts is None else [int(number[2:]) for number in body.accounts]

    async def work(session: AsyncSession) -> Moving:
        row = await moves.propose(
            session,
            product=body.product,
            from_version=body.from_version,
            to_version=body.to_version,
            numbers=numbers,
            actor=once.actor,
            reason=body.reason,
        )
        return Moving(id=row.id, state=row.state)

    return await once.write(Moving, body, work)


@router.get("/account-moves", dependencies=[Depends(allowed("versions.read"))])
async def list_moves(
    deps: Deps, page: Paged, state: Annotated[str, one_of(ACCOUNT_MOVE.states)] | None = None
) -> Page[read.VersionMoveRow]:
    async with deps.db.transaction() as session:
        return await read.moves(session, page, state=state)


@router.get("/account-moves/{move_id}", dependencies=[Depends(allowed("versions.read"))])
async def get_move(move_id: MoveId, deps: Deps) -> read.VersionMoveView:
    """With the differences between the two versions, and the accounts it names."""
    async with deps.db.transaction() as session:
        return await read.move(session, move_id)
