"""Drafts of product versions as the API and the console show them: checked, in a trader's words, and compared."""

from typing import Annotated, Final, Literal

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput, ChangedMeanwhile, Conflict
from domain.products.diff import FieldChange, differences, sentences
from domain.products.product import Product
from domain.products.words import ProductWords, describe
from firm.products import draft_texts, drafts
from firm.products.shelf import Venues
from front.fields import Input, Reason, Slug
from store import products
from store.models import ProductDraft
from store.read.drafts import DraftRow
from store.read.pages import View

NOT_SAVED: Final = (BadInput, ChangedMeanwhile, Conflict)  # refusals to save a text that is shown again with it
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class DraftStart(Input):
    """Where a draft starts from. `version`: the next version of the product `of`. `product`: a new product from the
    newest version of `of`. `example`: a new product from the example file `of`. `draft`: a copy of the draft `of`.
    `product` names a new product."""

    source: Literal["version", "product", "example", "draft"]
    of: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{1,80}$")]
    product: Slug | None = None


class DraftText(Input):
    """`seen`: the digest of the text that was read before it was changed, so that no other change is lost."""

    text: Annotated[str, Field(min_length=1, max_length=100_000)]
    seen: Digest


class DraftProposal(Input):
    """`seen`: the digest of the text that is proposed."""

    seen: Digest
    reason: Reason


class ImpactAsked(Input):
    """`version`: whose accounts are replayed; null: the newest version of the product, or, for a new product, the
    version that the draft started from."""

    version: Annotated[int, Field(ge=1, le=100_000)] | None = None


class FaultView(View):
    """An error of the text. `line` counts from 1, and `written` is what that line says; null and empty for an error of
    the whole text. `field` is dotted. `problem` says what to write instead."""

    line: Annotated[int | None, Field(description="The line of the text, from 1.")]
    field: str
    problem: str
    written: str


class DraftCheck(View):
    """`faults`: everything that keeps the text from being proposed now. `words`: what a trader would read; null while
    the text is no product."""

    digest: str
    faults: tuple[FaultView, ...]
    words: ProductWords | None


class DraftDiff(View):
    """`compared_with`: the newest version of the product, else the version that the draft started from, such as
    two-step@1; null: there is none. `changes`: in words; null while the text is no product. `lines`: of a unified diff
    of both definitions; null when they are too long to compare."""

    digest: str
    compared_with: str | None
    changes: tuple[FieldChange, ...] | None
    lines: tuple[str, ...] | None


async def start(session: AsyncSession, asked: DraftStart, actor: Actor) -> ProductDraft:
    """Raises BadInput, and what `firm.products.drafts` refuses with."""
    if asked.source == "version":
        return await drafts.next_version(session, asked.of, actor=actor)
    if asked.source == "draft":
        return await drafts.copy(session, asked.of, actor=actor)
    if asked.product is None:
        raise BadInput("The new product has no name.", field="product", remedy="Name it like two-step-plus.")
    begin = drafts.from_product if asked.source == "product" else drafts.from_example
    return await begin(session, asked.of, asked.product, actor=actor)


async def check(session: AsyncSession, text: str, venues: Venues | None) -> tuple[DraftCheck, Product | None]:
    """(what is wrong with a text as if it were proposed now, the product when it is one). Raises BadInput for a text
    that is too long."""
    text = drafts.cleaned(text)
    found = await drafts.checked(session, text, venues)
    lines = text.splitlines()
    faults = (
        FaultView(
            line=fault.line,
            field=fault.field,
            problem=fault.problem,
            written=lines[fault.line - 1].strip()[:200] if fault.line and fault.line <= len(lines) else "",
        )
        for fault in found.faults
    )
    words = None if found.product is None else describe(found.product)
    return DraftCheck(digest=drafts.digest_of(text), faults=tuple(faults), words=words), found.product


async def diff(session: AsyncSession, draft: DraftRow, text: str, new: Product | None) -> DraftDiff:
    """Compares a text of a draft, and the product that it defines, with the version before it."""
    text = drafts.cleaned(text)
    base = await _base(session, draft, new.product if new else draft.product)
    return DraftDiff(
        digest=drafts.digest_of(text),
        compared_with=base.ref if base else None,
        changes=None if new is None else (*differences(base, new), *sentences(base, new)),
        lines=draft_texts.line_changes(draft_texts.text_of(base) if base else "", text),
    )


async def _base(session: AsyncSession, draft: DraftRow, product: str) -> Product | None:
    known = await products.versions(session, product)
    if known:
        return await products.load(session, product, known[-1])
    if draft.base_product is None or draft.base_version is None:
        return None
    return await products.load(session, draft.base_product, draft.base_version)
