"""A surveillance case as a person sees it before deciding: what was found, the evidence, and what each choice does."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.formats import counted, words
from console.present import closed, evidence
from console.present.decisions import choice, decision_rows, step_entries
from console.present.refusals import may
from console.views.decision import Check, Choice, DecisionView
from console.views.parts import Link
from domain.approvals import Actor
from domain.surveillance.findings import CloseChallenges, DisputeBreach
from front.subjects.case import CASE
from store.read import cases
from store.read.cases import CaseAccountView, CaseView


async def case(session: AsyncSession, actor: Actor, case_id: str) -> DecisionView:
    """Raises NotFound."""
    row = await cases.one(session, case_id)
    shown = await evidence.show(session, row.evidence)
    held = [named for named in row.accounts if named.held_payout_id]
    refusal = may(actor, "cases.decide")
    is_open, made = row.state == "open", decision_rows(row.decisions)
    return DecisionView(
        kind="case",
        subject_id=row.id,
        title=f"Case: {words(row.detector)}",
        state=row.state,
        effect=f"{row.sentence} {_effect(row, len(held)) if is_open else f'This case is {row.state}.'}",
        lines=shown.lines,
        facts=[*shown.facts, *_facts(row)],
        checks=[_payout_of(named) for named in row.accounts],
        evidence=[
            *shown.links,
            *(
                Link(f"Account {named.number}", f"/accounts/{named.number}", "", named.trader_name)
                for named in row.accounts
            ),
            *(Link("Held payout", href("payout", str(named.held_payout_id)), "", named.number) for named in held),
        ],
        decisions=made,
        closed=closed.others(row.state, ("open",), made, row.transitions),
        choices=_choices(row) if is_open and not refusal else (),
        refusal=refusal if is_open else "",
        timeline=step_entries(row.transitions),
        pairs=shown.pairs,
        grids=shown.grids,
    )


def _effect(row: CaseView, held: int) -> str:
    """What clearing and confirming an open case do."""
    match row.if_confirmed:
        case DisputeBreach():
            return (
                "Nothing has changed by itself. Clearing leaves the verdict as it is. Confirming disputes a breach in "
                "the trader's name, and the dispute decides whether the account is reinstated."
            )
        case CloseChallenges():
            frees = (
                f"releases {counted(held, 'held payout')}" if held else "changes nothing else, since no payout is held"
            )
            return f"Clearing {frees}. Confirming {_closes(row.accounts)}."


def _closes(accounts: Sequence[CaseAccountView]) -> str:
    blamed = [named.number for named in accounts if named.blamed]
    if not blamed:
        return "closes no challenge, since no account is blamed"
    if len(blamed) == 1:
        return f"closes the challenge of {blamed[0]} and rejects its payouts"
    return f"closes the challenges of {', '.join(blamed)} and rejects their payouts"


def _choices(row: CaseView) -> list[Choice]:
    labels: dict[str, str]
    match row.if_confirmed:
        case DisputeBreach():
            labels = {"clear": "Keep the verdict", "confirm": "Dispute the verdict"}
        case CloseChallenges():
            labels = {}
    return [choice(verb, labels.get(verb.name, "")) for verb in CASE.verbs]


def _facts(row: CaseView) -> list[tuple[str, str]]:
    found = [("Score", f"{row.score:.2f} of 1"), ("Opened", f"{row.opened_at:%Y-%m-%d %H:%M} UTC")]
    if row.closed_at:
        found.append(("Closed", f"{row.closed_at:%Y-%m-%d %H:%M} UTC"))
    if row.thresholds_version:
        judge = f"{words(row.detector)}, version {row.detector_version}"
        found.append(("Detector", f"{judge}, thresholds {row.thresholds_version}"))
    return found


def _payout_of(named: CaseAccountView) -> Check:
    who = f"{named.trader_name}, {words(named.role)}" if named.role else named.trader_name
    if named.held_payout_id:
        return Check(named.number, "warn", f"{who}: its open payout is held")
    return Check(named.number, "ok", f"{who}: no open payout")
