"""Proposed product versions: a second person approves the terms, then somebody puts them on sale. Decided by risk."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select, Text, cast
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import DECIDERS, STAFF
from firm.products import proposals
from front.subjects.subject import Decision, Right, Subject, Taken, Verb
from store.models import ProductProposal
from store.read.pages import View
from store.read.search import Findable, to_staff
from store.read.waiting import Row, Waiting, waiting_rows

READ: Final = Right("versions.read", STAFF)
DECIDE: Final = Right("versions.decide", DECIDERS["product_version"])
PROPOSE: Final = Right("versions.propose", DECIDERS["product_version"])


class Proposed(View):
    """A proposal after a step: `version` is written like two-step@2."""

    id: str
    version: str
    state: str


def _rows() -> Select[Any]:
    """What waits for a second person, or, approved, for somebody to put it on sale."""
    return waiting_rows(
        subject_id=ProductProposal.id,
        state=ProductProposal.state,
        since=ProductProposal.proposed_at,
        asked_by=ProductProposal.proposed_by,
        note=ProductProposal.product + " version " + cast(ProductProposal.version, Text),
    ).where(ProductProposal.state.in_(("proposed", "approved")))


def _words(row: Row) -> str:
    return f"New terms: {row.note}"


async def decide(session: AsyncSession, decision: Decision) -> Taken:
    """Approve or reject. Raises what `firm.products.proposals` refuses with."""
    row = await proposals.decide(
        session,
        decision.subject_id,
        verdict="approve" if decision.verb == "approve" else "reject",
        actor=decision.actor,
        reason=decision.reason,
        key=decision.key,
    )
    return Taken(row.state, Proposed(id=row.id, version=f"{row.product}@{row.version}", state=row.state))


async def withdraw(session: AsyncSession, decision: Decision) -> Taken:
    """Raises what `firm.products.proposals` refuses with."""
    row = await proposals.withdraw(session, decision.subject_id, actor=decision.actor, reason=decision.reason)
    return Taken(row.state, Proposed(id=row.id, version=f"{row.product}@{row.version}", state=row.state))


async def publish(session: AsyncSession, decision: Decision) -> Taken:
    """Raises what `firm.products.proposals` refuses with."""
    product = await proposals.publish(session, decision.subject_id, actor=decision.actor)
    return Taken("on_sale", Proposed(id=decision.subject_id, version=product.ref, state="on_sale"))


PRODUCT_VERSION: Final = Subject(
    name="product_version",
    label="product version",
    plural="product versions",
    waits_as="Product versions to approve or publish",
    # Nobody waits for it: accounts keep their version.
    waiting=Waiting(_rows, timedelta(hours=72), _words),
    read=READ,
    under="/products",
    page="/proposals",
    api="/product-proposals",
    verbs=(
        Verb(
            "approve", "Approve these terms", "Approved", DECIDE,
            "Agree to exactly these terms. Whoever proposed them cannot approve them.",
            style="primary", path="approve", carry_out=decide, answer=Proposed,
        ),
        Verb(
            "reject", "Reject", "Rejected", DECIDE, "Refuse the proposal.",
            style="danger", path="reject", carry_out=decide, answer=Proposed,
        ),
        Verb(
            "publish", "Put it on sale", "Put on sale", PROPOSE,
            "Put an approved version on sale: from now on new customers buy it, and it never changes.",
            style="primary", carry_out=publish, answer=Proposed,
        ),
        Verb(
            "withdraw", "Withdraw", "Withdrawn", PROPOSE, "Take one's own proposal back.",
            path="withdraw", carry_out=withdraw, answer=Proposed,
        ),
    ),
    find=Findable("ppr", ProductProposal, to_staff),
)  # fmt: skip
