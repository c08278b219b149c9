"""Drafts of product versions, and the replays that were asked for them. For staff."""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.errors import NotFound
from domain.histories.impact_report import Count, ImpactReport
from store.models import DraftImpact, ProductDraft, ProductProposal, User
from store.read import history
from store.read.pages import Page, View, Window, keyset
from store.scope import FIRM


class DraftRow(View):
    """A draft. `product`: as its text named it when it could last be read. `base_version`: of `base_product`, which it
    started from. `digest`: of its text. `proposal_state`: of its newest proposal; None before the first."""

    id: str
    product: str
    base_product: str | None
    base_version: int | None
    digest: str
    proposal_id: str | None
    proposal_state: str | None
    made_by: str
    made_by_name: str
    made_at: datetime
    changed_at: datetime

    @property
    def open(self) -> bool:
        """Whether its author can change it."""
        return self.proposal_state in (None, "rejected", "withdrawn")


class Returned(View):
    """Why a proposal of a draft was rejected, and by whom."""

    reason: str
    by_name: str
    at: datetime


class DraftView(DraftRow):
    text: str
    returned: Returned | None


class ImpactView(View):
    """A replay of the accounts of `product`, `version`, under the text with the digest `text_digest`.

    `current`: the draft still has that text. `as_of`: market time at which the accounts were read.
    """

    id: str
    draft_id: str
    text_digest: str
    current: bool
    product: str
    version: int
    state: Literal["waiting", "done", "failed"]
    replayed: Count
    whole: Count
    why: str
    result: ImpactReport | None
    asked_by_name: str
    asked_at: datetime
    as_of: datetime | None


def _drafts() -> Select[Any]:
    return (
        select(ProductDraft, User.name, ProductProposal.state.label("proposal_state"))
        .join(User, User.id == ProductDraft.made_by)
        .outerjoin(ProductProposal, ProductProposal.id == ProductDraft.proposal_id)
    )


def _fields(row: Any) -> dict[str, Any]:
    plain = ("id", "product", "base_product", "base_version", "digest", "proposal_id", "made_by", "made_at")
    return {
        **{field: getattr(row[0], field) for field in (*plain, "changed_at")},
        "made_by_name": row[1],
        "proposal_state": row.proposal_state,
    }


async def drafts(session: AsyncSession, window: Window, *, product: str | None = None) -> Page[DraftRow]:
    """Changed last first. Those of one `product`, or all."""
    statement = _drafts()
    if product is not None:
        statement = statement.where(ProductDraft.product == product)
    rows, cursor = await keyset(session, statement, [ProductDraft.changed_at, ProductDraft.id], window)
    return Page[DraftRow](items=tuple(DraftRow(**_fields(row)) for row in rows), next_cursor=cursor)


async def draft(session: AsyncSession, draft_id: str) -> DraftView:
    """Raises NotFound."""
    row = (await session.execute(_drafts().where(ProductDraft.id == draft_id))).one_or_none()
    if row is None:
        raise NotFound
    returned = None
    if row.proposal_state == "rejected":
        returned = await _returned(session, row[0].proposal_id)
    return DraftView(**_fields(row), text=row[0].text, returned=returned)


async def _returned(session: AsyncSession, proposal_id: str) -> Returned | None:
    made = await history.decisions(session, FIRM, "product_version", proposal_id)
    refused = next((one for one in made if one.decision == "reject"), None)
    if refused is None:
        return None
    return Returned(reason=refused.reason, by_name=refused.name or "", at=refused.occurred_at)


async def impacts(session: AsyncSession, draft_id: str, *, most: int = 10) -> tuple[ImpactView, ...]:
    """Returns the replays of a draft, newest first. Raises NotFound."""
    drafted = await session.get(ProductDraft, draft_id)
    if drafted is None:
        raise NotFound
    asker = aliased(User)
    rows = await session.execute(
        select(DraftImpact, asker.name)
        .join(asker, asker.id == DraftImpact.asked_by)
        .where(DraftImpact.draft_id == draft_id)
        .order_by(DraftImpact.asked_at.desc(), DraftImpact.id.desc())
        .limit(most)
    )
    return tuple(_impact(row, name, drafted.digest) for row, name in rows)


def _impact(row: DraftImpact, name: str, digest: str) -> ImpactView:
    plain = ("id", "draft_id", "text_digest", "product", "version", "state", "replayed", "whole", "why", "asked_at")
    return ImpactView(
        **{field: getattr(row, field) for field in (*plain, "as_of")},
        current=row.text_digest == digest,
        result=None if row.result is None else ImpactReport.model_validate(row.result),
        asked_by_name=name,
    )
