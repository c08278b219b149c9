"""What other terms would have made of recorded accounts: the replay itself, and the runs that drafts ask for.

A run may take minutes: the process that follows the deals finds it by `waiting` and keeps what came of it. A run is
about one text, by its digest, so a result never speaks of another text.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput
from domain.histories.impact import Comparison, check_comparable, compare
from domain.histories.impact_report import ImpactReport
from domain.keys import new_id
from domain.products.product import Product
from domain.products.publishing import check_may_propose
from firm.products.proposals import KIND
from store import audit, products, rows
from store.clock import market_now
from store.models import DraftImpact, ProductDraft
from store.read import impact as history

Progress = Callable[[int, int], Awaitable[None]]
WAITS: Final = "waiting"


async def compared(session: AsyncSession, a: Product, b: Product, told: Progress) -> tuple[list[Comparison], int]:
    """(every recorded challenge of version `a` under both terms, how many more are left out because their record is no
    longer whole). `told` hears how many of how many are replayed. Raises BadInput when they cannot be compared."""
    check_comparable(a, b)
    whole = await history.count(session, a.product, a.version)
    left_out = await history.count_cut(session, a.product, a.version)
    found: list[Comparison] = []
    async for challenge in history.lives(session, a.product, a.version):
        found.append(await asyncio.to_thread(compare, challenge, a, b))
        await told(len(found), whole)
    return found, left_out


async def ask(
    session: AsyncSession, draft: ProductDraft, terms: Product, *, version: int | None, actor: Actor
) -> DraftImpact:
    """Ask for a replay of recorded accounts under a draft's terms. `version`: of the accounts; None: the newest version
    of the product, or the version that the draft started from. The same request while one waits changes nothing.

    Raises NotAllowed, NotFound, BadInput (no version to compare with, or it cannot be compared).
    """
    check_may_propose(KIND, actor)
    a = await _recorded(session, draft, terms, version)
    check_comparable(a, terms)
    open_run = select(DraftImpact).where(
        DraftImpact.draft_id == draft.id,
        DraftImpact.text_digest == draft.digest,
        DraftImpact.version == a.version,
        DraftImpact.state == WAITS,
    )
    kept = await session.scalar(open_run)
    if kept is not None:
        return kept
    now = await market_now(session)
    run = DraftImpact(
        id=new_id("imp"),
        draft_id=draft.id,
        text_digest=draft.digest,
        product=a.product,
        version=a.version,
        terms=terms.model_dump(mode="json"),
        state=WAITS,
        replayed=0,
        whole=await history.count(session, a.product, a.version),
        why="",
        asked_by=actor.user_id,
        asked_at=now,
    )
    session.add(run)
    await audit.record(
        session,
        action="product_draft.impact_asked",
        subject_kind="product_draft",
        subject_id=draft.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        reason="",
        evidence={"text": draft.digest, "accounts_of": a.ref},
    )
    return run


async def _recorded(session: AsyncSession, draft: ProductDraft, terms: Product, version: int | None) -> Product:
    known = await products.versions(session, terms.product)
    if known:
        return await products.load(session, terms.product, version or known[-1])
    if draft.base_product is None or draft.base_version is None:
        raise BadInput(
            "No accounts can be replayed: the product is new, and its draft did not start from another product.",
            field="product",
            remedy="Start a draft from the product whose accounts you want to compare with.",
        )
    return await products.load(session, draft.base_product, draft.base_version)


async def waiting(session: AsyncSession) -> DraftImpact | None:
    """Returns the run that waits longest, if there is one."""
    waits = select(DraftImpact).where(DraftImpact.state == WAITS)
    found: DraftImpact | None = await session.scalar(waits.order_by(DraftImpact.asked_at, DraftImpact.id).limit(1))
    return found


async def record_progress(session: AsyncSession, run_id: str, replayed: int, whole: int) -> None:
    """Keeps how far a run is. A run whose draft was deleted is gone, and nothing is kept."""
    run = await session.get(DraftImpact, run_id)
    if run is not None:
        run.replayed, run.whole = replayed, whole


async def record_result(session: AsyncSession, run_id: str, result: ImpactReport | str) -> None:
    """Keeps what came of a run: its report, or why it failed. One that has ended stays as it is."""
    if await session.get(DraftImpact, run_id) is None:
        return
    run = await rows.locked(session, DraftImpact, run_id)
    if run.state != WAITS:
        return
    run.as_of = await market_now(session)
    if isinstance(result, str):
        run.state, run.why = "failed", result
    else:
        run.state, run.result = "done", result.model_dump(mode="json")
        run.replayed = run.whole = result.challenges
