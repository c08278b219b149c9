"""A proposed version, or accounts that shall move, as the person sees it who decides."""

from collections.abc import Sequence
from typing import Final

from console.formats import counted
from console.present import closed
from console.present.decisions import said_decisions, said_steps
from console.present.refusals import may
from console.views import Check, Choice, DecisionView, Link
from domain.approvals import Actor
from store.read.versions import ProposalView, VersionMoveView

_OPEN: Final = ("proposed", "approved")


def proposal(row: ProposalView, actor: Actor) -> DecisionView:
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
            Link("Every version of this product", f"/products#{row.product}", ""),
        ),
        decisions=said_decisions(row.decisions),
        closed=_closed(row, _OPEN),
        choices=_proposal_choices(row, actor, refusal),
        refusal=refusal if row.state == "proposed" else "",
        timeline=said_steps(row.transitions),
        changes=row.changes,
        changes_title="What changes against the version on sale" if row.base_version else "The terms",
    )


def _effect(row: ProposalView) -> str:
    if row.state == "proposed":
        return (
            f"Approving agrees to exactly these terms; {row.product} version {row.version} can then be put on sale. "
            "Accounts that run keep the version they were bought under."
        )
    if row.state == "approved":
        return (
            f"A second person has approved these terms. Putting them on sale makes version {row.version} what new "
            "customers buy; it can never be changed again, and accounts that run keep their version."
        )
    words = {"on_sale": "This version is on sale.", "rejected": "This proposal was rejected."}
    return words.get(row.state, "This proposal was withdrawn.")


def _proposal_choices(row: ProposalView, actor: Actor, refusal: str) -> tuple[Choice, ...]:
    if row.state not in _OPEN or may(actor, "versions.decide"):
        return ()
    own = (Choice("withdraw", "Withdraw"),) if row.proposed_by == actor.user_id else ()
    if row.state == "approved":
        return (Choice("publish", f"Put version {row.version} on sale", "primary"), *own)
    if refusal:
        return own
    return (Choice("approve", "Approve these terms", "primary"), Choice("reject", "Reject", "danger"))


def move(row: VersionMoveView, actor: Actor) -> DecisionView:
    refusal = _refusal(actor, row.proposer_person, [made.user_id or "" for made in row.decisions])
    total = row.waiting + row.moved + row.refused
    choices: tuple[Choice, ...] = ()
    if row.state == "proposed" and not may(actor, "versions.decide"):
        approve = Choice("approve", f"Approve moving {counted(total, 'account')}", "primary")
        choices = (approve, Choice("reject", "Reject", "danger"))
        if refusal:
            choices = (Choice("withdraw", "Withdraw"),) if row.proposed_by == actor.user_id else ()
    return DecisionView(
        kind="account_move",
        subject_id=row.id,
        title=f"Move {counted(total, 'account')} from {row.product} version {row.from_version} to {row.to_version}",
        state=row.state,
        effect="Each account changes at its next daily reset: the reset itself is still the old version's, every later "
        "moment is judged under the new one. Rules that both versions have keep their anchors, peaks and locks. An "
        "account that would stand broken at that moment is not moved and comes to Risk as a review.",
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
        decisions=said_decisions(row.decisions),
        closed=_closed(row, ("proposed",)),
        choices=choices,
        refusal=refusal if row.state == "proposed" else "",
        timeline=said_steps(row.transitions),
        changes=row.changes,
        changes_title=f"What version {row.to_version} changes for them",
    )


def _closed(row: ProposalView | VersionMoveView, open_in: Sequence[str]) -> str:
    if row.state == "withdrawn":
        return f"Withdrawn by {row.proposed_by_name}, {closed.moment(row.transitions[-1].occurred_at)}."
    return closed.others(row.state, open_in, said_decisions(row.decisions), row.transitions)


def _refusal(actor: Actor, proposer: str, decided: list[str]) -> str:
    refusal = may(actor, "versions.decide")
    if not refusal and actor.person_id == proposer:
        return "You proposed this; somebody else must decide it."
    if not refusal and actor.user_id in decided:
        return "Your decision stands."
    return refusal
