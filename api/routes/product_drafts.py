"""Drafts of product versions: written, checked, compared, replayed on recorded accounts, and proposed."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from firm.products import draft_texts, drafts, impact
from front import product_drafts as front
from front.auth import Deps, allowed
from front.fields import DraftId, Slug, window
from front.once import Keyed
from front.subjects.product_version import Proposed
from store.read import drafts as read
from store.read.pages import Page, View, Window

router = APIRouter(prefix="/v1", tags=["product versions"])
Paged = Annotated[Window, Depends(window)]


class Drafted(View):
    """A draft after a step. `digest`: of its text."""

    id: str
    digest: str


class ImpactAnswer(View):
    """A replay that was asked for. It is done when its `state` says so: look at the impacts of the draft."""

    id: str
    state: str


class Impacts(View):
    items: tuple[read.ImpactView, ...]
    next_cursor: None = None


class Example(View):
    """An example product to copy: `file` is its name."""

    file: str
    family: Annotated[str, Field(description="Such as two-step or instant.")]
    name: str


class Examples(View):
    items: tuple[Example, ...]
    next_cursor: None = None


@router.get("/product-examples", dependencies=[Depends(allowed("versions.read"))])
async def list_product_examples() -> Examples:
    """Example products, modelled on published rulebooks. None is sold until it is copied and proposed."""
    found = draft_texts.examples()
    return Examples(items=tuple(Example(file=each.file, family=each.family, name=each.name) for each in found))


@router.get("/product-drafts", dependencies=[Depends(allowed("versions.read"))])
async def list_product_drafts(deps: Deps, page: Paged, product: Slug | None = None) -> Page[read.DraftRow]:
    """Drafts of everybody, changed last first."""
    async with deps.db.transaction() as session:
        return await read.drafts(session, page, product=product)


@router.post("/product-drafts", status_code=201, dependencies=[Depends(allowed("versions.propose"))])
async def start_product_draft(body: front.DraftStart, once: Keyed) -> Drafted:
    """Start a draft from a version, a product, an example or another draft."""

    async def work(session: AsyncSession) -> Drafted:
        made = await front.start(session, body, once.actor)
        return Drafted(id=made.id, digest=made.digest)

    return await once.write(Drafted, body, work)


@router.get("/product-drafts/{draft_id}", dependencies=[Depends(allowed("versions.read"))])
async def get_product_draft(draft_id: DraftId, deps: Deps) -> read.DraftView:
    """With its text, and, if its proposal was rejected, why."""
    async with deps.db.transaction() as session:
        return await read.draft(session, draft_id)


@router.put("/product-drafts/{draft_id}", dependencies=[Depends(allowed("versions.propose"))])
async def save_product_draft(draft_id: DraftId, body: front.DraftText, once: Keyed) -> Drafted:
    """Save another text, valid or not. Only the author of a draft changes it, and not while it is proposed."""

    async def work(session: AsyncSession) -> Drafted:
        made = await drafts.save(session, draft_id, body.text, seen=body.seen, actor=once.actor)
        return Drafted(id=made.id, digest=made.digest)

    return await once.write(Drafted, body, work)


@router.delete("/product-drafts/{draft_id}", dependencies=[Depends(allowed("versions.propose"))])
async def delete_product_draft(draft_id: DraftId, once: Keyed) -> Drafted:
    """Delete a draft of one's own with its replays. A proposal that was made of it stays."""

    async def work(session: AsyncSession) -> Drafted:
        gone = await drafts.discard(session, draft_id, actor=once.actor)
        return Drafted(id=draft_id, digest=gone)

    return await once.write(Drafted, None, work)


@router.get("/product-drafts/{draft_id}/check", dependencies=[Depends(allowed("versions.read"))])
async def check_product_draft(draft_id: DraftId, deps: Deps) -> front.DraftCheck:
    """Every error of the saved text with its line, field and remedy, and what a trader would read."""
    async with deps.db.transaction() as session:
        found, _ = await front.check(session, (await read.draft(session, draft_id)).text, deps.venues)
        return found


@router.get("/product-drafts/{draft_id}/diff", dependencies=[Depends(allowed("versions.read"))])
async def compare_product_draft(draft_id: DraftId, deps: Deps) -> front.DraftDiff:
    """What the saved text changes against the version before it, in words and line by line."""
    async with deps.db.transaction() as session:
        draft = await read.draft(session, draft_id)
        _, product = await front.check(session, draft.text, deps.venues)
        return await front.diff(session, draft, draft.text, product)


@router.post("/product-drafts/{draft_id}/impacts", status_code=202, dependencies=[Depends(allowed("versions.propose"))])
async def ask_for_impact(draft_id: DraftId, body: front.ImpactAsked, deps: Deps, once: Keyed) -> ImpactAnswer:
    """Replay the recorded accounts of a version under the saved text. It may take minutes."""

    async def work(session: AsyncSession) -> ImpactAnswer:
        draft = await drafts.locked(session, draft_id)
        terms = await drafts.terms_of(session, draft, deps.venues)
        run = await impact.ask(session, draft, terms, version=body.version, actor=once.actor)
        return ImpactAnswer(id=run.id, state=run.state)

    return await once.write(ImpactAnswer, body, work)


@router.get("/product-drafts/{draft_id}/impacts", dependencies=[Depends(allowed("versions.read"))])
async def list_impacts(draft_id: DraftId, deps: Deps) -> Impacts:
    """The last replays, newest first. `current` says whether one is about the text that the draft has now."""
    async with deps.db.transaction() as session:
        return Impacts(items=await read.impacts(session, draft_id))


@router.post(
    "/product-drafts/{draft_id}/proposal", status_code=201, dependencies=[Depends(allowed("versions.propose"))]
)
async def propose_product_draft(draft_id: DraftId, body: front.DraftProposal, deps: Deps, once: Keyed) -> Proposed:
    """Propose the saved text as a version; somebody else must approve it. Errors name their line and field."""

    async def work(session: AsyncSession) -> Proposed:
        row = await drafts.propose(
            session, draft_id, seen=body.seen, venues=deps.venues, actor=once.actor, reason=body.reason
        )
        return Proposed(id=row.id, version=f"{row.product}@{row.version}", state=row.state)

    return await once.write(Proposed, body, work)
