"""Drafts of product versions: texts that one person writes, saves, checks and proposes.

A draft belongs to whoever made it: only its author changes, proposes or deletes it, so nobody slips a line into what
another person proposes. Everybody with the right reads it and may copy it. A proposal that was rejected or withdrawn
gives the draft back.
"""

import hashlib
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput, ChangedMeanwhile, Conflict, NotAllowed
from domain.file_errors import ProductInvalid
from domain.keys import new_id
from domain.products.product import Product
from domain.products.publishing import check_may_propose
from firm.products import draft_texts, proposals
from firm.products.shelf import Venues
from firm.products.yaml_text import MAX_BYTES
from store import audit, products, rows
from store.clock import market_now
from store.models import ProductDraft, ProductProposal

KIND: Final = "product_draft"
GIVEN_BACK: Final = ("rejected", "withdrawn")  # states of a proposal whose draft is its author's again


async def next_version(session: AsyncSession, product: str, *, actor: Actor) -> ProductDraft:
    """Starts a draft of the next version from the newest one. Raises NotAllowed, NotFound."""
    newest = await products.newest(session, product)
    known = await products.versions(session, product)
    text = draft_texts.next_text(newest, known[-1] + 1)
    return await _made(session, text, newest.product, actor, base=newest)


async def from_product(session: AsyncSession, source: str, product: str, *, actor: Actor) -> ProductDraft:
    """Starts a draft of a new product from the newest version of another. Raises NotAllowed, NotFound, Conflict."""
    newest = await products.newest(session, source)
    await _check_new(session, product)
    return await _made(
        session, draft_texts.named_anew(draft_texts.next_text(newest, 1), product), product, actor, base=newest
    )


async def from_example(session: AsyncSession, file: str, product: str, *, actor: Actor) -> ProductDraft:
    """Starts a draft of a new product from an example. Raises NotAllowed, NotFound, Conflict."""
    await _check_new(session, product)
    return await _made(session, draft_texts.named_anew(draft_texts.example_text(file), product), product, actor)


async def copy(session: AsyncSession, draft_id: str, *, actor: Actor) -> ProductDraft:
    """Starts a draft of one's own from the text of another draft. Raises NotAllowed, NotFound."""
    other = await rows.locked(session, ProductDraft, draft_id)
    made = await _made(session, other.text, other.product, actor)
    made.base_product, made.base_version = other.base_product, other.base_version
    return made


async def save(session: AsyncSession, draft_id: str, text: str, *, seen: str, actor: Actor) -> ProductDraft:
    """Keeps another text, valid or not. `seen`: the digest of the text that the person began with.

    Raises NotAllowed, NotFound, BadInput (too long), Conflict (it is proposed), ChangedMeanwhile.
    """
    check_may_propose(proposals.KIND, actor)
    draft = await _own(session, draft_id, actor)
    text = cleaned(text)
    if digest_of(text) == draft.digest:
        return draft
    _check_seen(draft, seen)
    draft.text, draft.digest, draft.changed_at = text, digest_of(text), await market_now(session)
    found = draft_texts.check(text, None).product
    if found is not None:
        draft.product = found.product
    await _record(session, draft, actor, "changed")
    return draft


async def discard(session: AsyncSession, draft_id: str, *, actor: Actor) -> str:
    """Deletes a draft and its replays; returns the digest of its text.

    Raises NotAllowed, NotFound, Conflict (it is proposed).
    """
    check_may_propose(proposals.KIND, actor)
    draft = await _own(session, draft_id, actor)
    await _record(session, draft, actor, "deleted")
    await session.delete(draft)
    return draft.digest


async def propose(
    session: AsyncSession, draft_id: str, *, seen: str, venues: Venues | None, actor: Actor, reason: str
) -> ProductProposal:
    """Proposes the text; from now on it stays as it is until the proposal is rejected or withdrawn. `seen`: the digest
    of the text that the person saw.

    Raises NotFound, ChangedMeanwhile, Conflict (it is proposed), ProductInvalid, and what `proposals.propose` raises.
    """
    draft = await _own(session, draft_id, actor)
    _check_seen(draft, seen)
    terms = await terms_of(session, draft, venues)
    proposal = await proposals.propose(session, terms, source=f"draft {draft.id}", actor=actor, reason=reason)
    draft.proposal_id, draft.product = proposal.id, terms.product
    await _record(session, draft, actor, "proposed")
    return proposal


async def terms_of(session: AsyncSession, draft: ProductDraft, venues: Venues | None) -> Product:
    """Returns the product that a draft's text defines. Raises ProductInvalid, which lists every error."""
    found = await checked(session, draft.text, venues)
    if found.product is None or found.faults:
        listed = [f"line {fault.line}, {fault.field}: {fault.problem}" for fault in found.faults]
        raise ProductInvalid(
            "The draft has errors: " + "\n".join(listed),
            field="text",
            remedy="Correct the text, save it and check it again.",
            faults=found.faults,
        )
    return found.product


async def checked(session: AsyncSession, text: str, venues: Venues | None) -> draft_texts.Checked:
    """Checks a text as if it were proposed now."""
    found = draft_texts.check(text, venues)
    if found.product is None:
        return found
    return draft_texts.with_version(found, text, await products.versions(session, found.product.product))


async def locked(session: AsyncSession, draft_id: str) -> ProductDraft:
    """Returns the row, locked until the transaction ends. Raises NotFound."""
    return await rows.locked(session, ProductDraft, draft_id)


def digest_of(text: str) -> str:
    """Returns the digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def cleaned(text: str) -> str:
    """Returns the text with plain line ends and one at its end. Raises BadInput for one that is too long or no text."""
    text = text.replace("\r\n", "\n").rstrip() + "\n"
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise BadInput(
            f"The definition is longer than {MAX_BYTES:,} bytes.", field="text", remedy="Leave out comments if need be."
        )
    if "\x00" in text or (not text.isascii() and text.encode(errors="ignore").decode() != text):
        raise BadInput("The definition has a character that is no text.", field="text", remedy="Remove it.")
    return text


async def _made(
    session: AsyncSession, text: str, product: str, actor: Actor, base: Product | None = None
) -> ProductDraft:
    check_may_propose(proposals.KIND, actor)
    text, now = cleaned(text), await market_now(session)
    draft = ProductDraft(
        id=new_id("dft"),
        product=product,
        base_product=base.product if base else None,
        base_version=base.version if base else None,
        text=text,
        digest=digest_of(text),
        made_by=actor.user_id,
        made_at=now,
        changed_at=now,
    )
    session.add(draft)
    await session.flush()
    await _record(session, draft, actor, "made")
    return draft


async def _check_new(session: AsyncSession, product: str) -> None:
    if await products.versions(session, product):
        raise Conflict(
            f"There is a product {product} already.",
            remedy="Choose another name, or draft the next version of that product.",
        )


async def _own(session: AsyncSession, draft_id: str, actor: Actor) -> ProductDraft:
    draft = await locked(session, draft_id)
    if draft.made_by != actor.user_id:
        raise NotAllowed("This draft is somebody else's.", remedy="Copy it, and change your copy.")
    if draft.proposal_id is not None:
        proposal = await session.get_one(ProductProposal, draft.proposal_id)
        if proposal.state not in GIVEN_BACK:
            raise Conflict(
                "This draft is proposed, so its text stays as it is.",
                remedy="Withdraw the proposal first, or copy the draft.",
            )
    return draft


def _check_seen(draft: ProductDraft, seen: str) -> None:
    if draft.digest != seen:
        raise ChangedMeanwhile(
            "The draft was saved with another text since you opened it, in another window perhaps.",
            remedy="Open the draft again in a new window, and bring both texts together.",
        )


async def _record(session: AsyncSession, draft: ProductDraft, actor: Actor, step: str) -> None:
    await audit.record(
        session,
        action=f"{KIND}.{step}",
        subject_kind=KIND,
        subject_id=draft.id,
        occurred_at=await market_now(session),
        actor=actor.user_id,
        role=actor.role,
        reason="",
        evidence={"product": draft.product, "text": draft.digest, "proposal_id": draft.proposal_id},
    )
