"""A surveillance case as a person sees it before deciding: what was found, the evidence, and what each choice does."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.formats import counted, words
from console.present import case_parts, closed, evidence
from console.present.case_parts import heading
from console.present.decisions import choice, decision_rows, step_entries
from console.present.refusals import may
from console.views.decision import Check, Choice, DecisionView, TradeRow
from console.views.parts import Link, SumLine
from domain.approvals import Actor
from domain.money import Money
from domain.surveillance.casework import ACTION_WORDS, TWO_PEOPLE, VERB_OF
from domain.surveillance.findings import CloseChallenges, DisputeBreach
from domain.surveillance.names import pattern_name, role_name
from front.subjects.case import CASE
from store.read import cases
from store.read.case_parts import ActionView
from store.read.cases import CaseAccountView, CaseView
from store.read.named import in_texts, written

_CHANGED = "The evidence of this case changed after it was recorded. The case cannot be decided."


async def case(session: AsyncSession, actor: Actor, case_id: str) -> DecisionView:
    """Raises NotFound."""
    row = await cases.one(session, case_id)
    shown = await evidence.show(session, row.evidence)
    sentence = written(row.sentence, await in_texts(session, [row.sentence]))
    held = [named for named in row.accounts if named.held_payout_id and named.holds and row.hold.is_on]
    refusal = may(actor, "cases.decide") or ("" if row.is_intact else _CHANGED)
    is_open, made = row.state == "open", decision_rows(row.decisions)
    acts = is_open and not refusal
    return DecisionView(
        kind="case",
        subject_id=row.id,
        title=heading(row),
        state=row.state,
        effect=f"{sentence} {_effect(row, len(held)) if is_open else f'This case is {words(row.state)}.'}",
        lines=[*shown.lines, *_deducted(row.proposal)],
        facts=[*shown.facts, *_facts(row)],
        checks=[_payout_of(row, named) for named in row.accounts],
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
        choices=_choices(row, actor) if acts else (),
        trades=await _trades(session, row) if acts else (),
        digest=row.seen,
        version=row.seen[:16],
        refusal=refusal if is_open else "",
        timeline=step_entries(row.transitions),
        pairs=shown.pairs,
        grids=shown.grids,
        case=await case_parts.parts(session, row, acts=acts),
    )


def _effect(row: CaseView, held: int) -> str:
    """What clearing and confirming an open case do."""
    match row.if_confirmed:
        case DisputeBreach():
            return (
                "Keep the verdict: nothing changes. Dispute the verdict: a dispute is opened for the trader, and its "
                "decision says whether the account is reinstated."
            )
        case CloseChallenges():
            frees = f"{counted(held, 'held payout')} can be paid" if held else "no payout is held, so nothing changes"
            return f"Clear suspicion: {frees}. {_proposed(row)}"


def _proposed(row: CaseView) -> str:
    made = row.proposal
    if made is None:
        return (
            "To warn the trader, deduct profit, deny a payout or close the account, propose the action on the page of "
            "the case. A second person must approve every action except a warning."
        )
    what = _does(made, row.accounts)
    needs = "Once a second person approves" if made.action in TWO_PEOPLE else "Once the warning is sent"
    return f"{made.proposed_by_name} proposes to {ACTION_WORDS[made.action]}. {needs}, {what}"


def _does(made: ActionView, accounts: Sequence[CaseAccountView]) -> str:
    match made.action:
        case "warn":
            return "the trader receives the message on the page of the case. No money is taken."
        case "deduct":
            return "the profit of the listed trades does not count for payouts. The account stays open."
        case "deny":
            return f"{counted(len(made.payouts), 'payout')} will be rejected. The account stays open."
    blamed = ", ".join(named.number for named in accounts if named.blamed)
    return f"the challenges of {blamed} are closed and their payouts are rejected."


def _choices(row: CaseView, actor: Actor) -> list[Choice]:
    """Whoever proposed an action that costs money is not offered its approval."""
    if isinstance(row.if_confirmed, DisputeBreach):
        labels = {"clear": "Keep the verdict", "confirm": "Dispute the verdict"}
        return [choice(CASE.verb(name), label) for name, label in labels.items()]
    names = ["clear", "inconclusive"]
    if (made := row.proposal) is not None and made.state == "proposed":
        decides = made.action not in TWO_PEOPLE or made.proposed_by != actor.user_id
        names += [VERB_OF[made.action], "withdraw"] if decides else ["withdraw"]
    return [choice(CASE.verb(name)) for name in names]


def _deducted(made: ActionView | None) -> list[SumLine]:
    """Each trade of a deduction with its profit, and the total of each currency."""
    if made is None:
        return []
    lines, totals = [], dict[str, int]()
    for trade in made.trades:
        lines.append(
            SumLine(
                f"{trade.position_id} {trade.symbol}, {trade.account_number}",
                Money(minor=trade.profit_minor, currency=trade.currency),
                f"closed {trade.closed_at:%Y-%m-%d %H:%M} UTC",
            )
        )
        totals[trade.currency] = totals.get(trade.currency, 0) + trade.profit_minor
    what = {"approved": "Does not count for payouts", "overturned": "Counts again"}.get(
        made.state, "Proposed deduction"
    )
    return lines + [SumLine(what, Money(minor=minor, currency=of), total=True) for of, minor in totals.items()]


async def _trades(session: AsyncSession, row: CaseView) -> list[TradeRow]:
    """The trades of the form, those of the proposal chosen."""
    chosen = {(trade.account_id, trade.position_id) for trade in row.proposal.trades} if row.proposal else set()
    return [
        TradeRow(
            value=f"{trade.account_id}/{trade.position_id}",
            account_number=trade.account_number,
            position_id=trade.position_id,
            symbol=trade.symbol,
            closed_at=trade.closed_at,
            profit=Money(minor=trade.profit_minor, currency=trade.currency),
            chosen=(trade.account_id, trade.position_id) in chosen,
            why_not=trade.why_not,
        )
        for trade in await cases.trades(session, row)
    ]


def _facts(row: CaseView) -> list[tuple[str, str]]:
    found = []
    if (made := row.proposal) is not None:
        found = [("Rule that was broken", made.rule), ("Proposed by", f"{made.proposed_by_name}: {made.reason}")]
    if row.outcome:
        found.append(("Outcome", f"{words(row.outcome)}, {ACTION_WORDS[row.action or 'none']}"))
    score = "hidden until the case is decided" if row.score is None else f"{row.score:.2f} of 1"
    found += [("Score", score), ("Opened", f"{row.opened_at:%Y-%m-%d %H:%M} UTC")]
    if row.closed_at:
        found.append(("Closed", f"{row.closed_at:%Y-%m-%d %H:%M} UTC"))
    if row.is_sample:
        found.append(("Sample", "below the threshold; reviewed to measure missed abuse"))
    if row.thresholds_version:
        judge = f"{pattern_name(row.detector)}, version {row.detector_version}"
        found.append(("Pattern", f"{judge}, thresholds {row.thresholds_version}"))
    return found


def _payout_of(row: CaseView, named: CaseAccountView) -> Check:
    is_told = named.role and named.role != "trader"
    who = f"{named.trader_name}, {role_name(named.role)}" if is_told else named.trader_name
    if named.held_payout_id is None:
        return Check(named.number, "ok", f"{who}: no open payout")
    if named.holds and row.hold.is_on:
        return Check(named.number, "warn", f"{who}: the open payout is held by this case")
    return Check(named.number, "ok", f"{who}: the open payout is not held by this case")
