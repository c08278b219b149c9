"""A proposed product version, and a proposed move of accounts, as a person sees them before deciding."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import counted
from console.present import closed
from console.present.decisions import choice, decision_rows, step_entries
from console.present.refusals import may
from console.views.decision import Check, Choice, DecisionView
from console.views.parts import Link
from domain.approvals import Actor
from front.subjects.account_move import ACCOUNT_MOVE
from front.subjects.product_version import PRODUCT_VERSION
from store.read import versions
from store.read.versions import ProposalView, VersionMoveView

_OPEN: Final = ("proposed", "approved")


async def proposal(session: AsyncSession, actor: Actor, proposal_id: str) -> DecisionView:
    """Raises NotFound."""
    row = await versions.proposal(session, proposal_id)
    refusal = _refusal(actor, row.proposer_person, [made.user_id or "" for made in row.decisions])
    compared = f"version {row.base_version}, which is on sale" if row.base_version else "nothing: it is a new product"
    return DecisionView(
        kind="product_version",
        subject_id=row.id,
        title=f"{row.terms.name}, {row.product} version {row.version}",
        state=row.state,
        effect=_effect(row),
        facts=(
            ("Proposed by", row.proposed_by_name),
            ("Why", row.reason),
            ("Proposed", f"{row.proposed_at:%Y-%m-%d %H:%M} UTC"),
            ("From", row.source),
            ("Compared with", compared),
            ("Hash of the terms", row.content_hash[:16] + "…"),
        ),
        evidence=(
            Link("The terms in plain words, as the trader reads them", f"/proposals/{row.id}/words", ""),
            *(
                [Link("The draft, and its effect on recorded accounts", f"/product-drafts/{row.source[6:]}", "")]
                if row.source.startswith("draft dft_")
                else []
            ),
            Link("Every version of this product", f"/products#{row.product}", ""),
        ),
        decisions=decision_rows(row.decisions),
        closed=_closed(row, _OPEN),
        choices=_proposal_choices(row, actor, refusal),
        refusal=refusal if row.state == "proposed" else "",
        timeline=step_entries(row.transitions),
        changes=row.changes,
        changes_title="Changes from the version on sale" if row.base_version else "The terms",
    )


def _effect(row: ProposalView) -> str:
    if row.state == "proposed":
        return (
            f"Approving agrees to exactly these terms; {row.product} version {row.version} can then be put on sale. "
            "Running accounts keep the version they were bought under."
        )
    if row.state == "approved":
        return (
            f"A second person has approved these terms. Putting them on sale makes version {row.version} what new "
            "customers buy. It can never be changed again, and running accounts keep their version."
        )
    words = {"on_sale": "This version is on sale.", "rejected": "This proposal was rejected."}
    return words.get(row.state, "This proposal was withdrawn.")


def _proposal_choices(row: ProposalView, actor: Actor, refusal: str) -> list[Choice]:
    if row.state not in _OPEN or may(actor, "versions.decide"):
        return []
    own = [choice(PRODUCT_VERSION.verb("withdraw"))] if row.proposed_by == actor.user_id else []
    if row.state == "approved":
        return [choice(PRODUCT_VERSION.verb("publish"), f"Put version {row.version} on sale"), *own]
    if refusal:
        return own
    return [choice(PRODUCT_VERSION.verb(name)) for name in ("approve", "reject")]


def _move_choices(row: VersionMoveView, actor: Actor, refusal: str) -> list[Choice]:
    if row.state != "proposed" or may(actor, "versions.decide"):
        return []
    if refusal:
        return [choice(ACCOUNT_MOVE.verb("withdraw"))] if row.proposed_by == actor.user_id else []
    approve = choice(ACCOUNT_MOVE.verb("approve"), f"Approve moving {counted(_accounts(row), 'account')}")
    return [approve, choice(ACCOUNT_MOVE.verb("reject"))]


def _accounts(row: VersionMoveView) -> int:
    return row.waiting + row.moved + row.refused


async def move(session: AsyncSession, actor: Actor, move_id: str) -> DecisionView:
    """Raises NotFound."""
    row = await versions.move(session, move_id)
    refusal = _refusal(actor, row.proposer_person, [made.user_id or "" for made in row.decisions])
    return DecisionView(
        kind="account_move",
        subject_id=row.id,
        title=f"Move {counted(_accounts(row), 'account')} from {row.product} version {row.from_version}"
        f" to {row.to_version}",
        state=row.state,
        effect="Each account changes at its next daily reset: the old version judges the reset itself, the new one "
        "everything after it. Rules that both versions have keep their anchors, peaks and locks. An account that would "
        "be in breach at that moment is not moved, and a review is opened for it.",
        facts=(
            ("Proposed by", row.proposed_by_name),
            ("Why", row.reason),
            ("Proposed", f"{row.proposed_at:%Y-%m-%d %H:%M} UTC"),
            ("Waiting", str(row.waiting)),
            ("Moved", str(row.moved)),
            ("Refused", str(row.refused)),
        ),
        checks=[Check(named.number, "bad", named.why) for named in row.accounts if named.why],
        evidence=[
            Link(f"Account {named.number}", f"/accounts/{named.number}", named.state, named.why)
            for named in row.accounts[:30]
        ],
        decisions=decision_rows(row.decisions),
        closed=_closed(row, ("proposed",)),
        choices=_move_choices(row, actor, refusal),
        refusal=refusal if row.state == "proposed" else "",
        timeline=step_entries(row.transitions),
        changes=row.changes,
        changes_title=f"What version {row.to_version} changes for them",
    )


def _closed(row: ProposalView | VersionMoveView, open_in: Sequence[str]) -> str:
    if row.state == "withdrawn":
        return f"Withdrawn by {row.proposed_by_name}, {closed.moment(row.transitions[-1].occurred_at)}."
    return closed.others(row.state, open_in, decision_rows(row.decisions), row.transitions)


def _refusal(actor: Actor, proposer: str, decided: list[str]) -> str:
    refusal = may(actor, "versions.decide")
    if not refusal and actor.person_id == proposer:
        return "You proposed this; somebody else must decide it."
    if not refusal and actor.user_id in decided:
        return "You have decided already."
    return refusal
