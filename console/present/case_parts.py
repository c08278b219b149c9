"""The parts of a case's page: alerts, the hold, linked accounts, notes, the message to the trader, what is proposed."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import counted, number, percent, words
from console.present import case_graph, evidence
from console.views.case import AlertPart, CaseParts, LetterPart, NotePart, OpenPayout
from console.views.parts import Grid
from domain.approvals import DECIDERS
from domain.money import Money
from domain.surveillance.casework import ACTION_WORDS
from domain.surveillance.evidence import Evidence
from domain.surveillance.findings import CloseChallenges
from domain.surveillance.names import pattern_name
from firm import case_actions, case_grades, case_messages
from store import case_evidence
from store.models import Account, Case, Payout, User
from store.read import precision
from store.read.case_parts import AlertView, SimilarCase
from store.read.cases import CaseRow, CaseView
from store.read.named import in_texts, written
from store.read.pages import account_number
from store.read.precision import PrecisionRow, ShareView

_RELATION = {
    "same_owner": "accounts of the same trader",
    "linked": "accounts of traders who share personal details",
    "stranger": "accounts of traders with no known link",
}
_LEVEL = {
    "note": "Note: recorded, no case and no hold",
    "review": "Review: a person decides, no payout is held",
    "hold": "Hold: payouts wait until a person decides",
}


def heading(row: CaseRow) -> str:
    """ "All-in trade · A-10003, Leila Rahimi": the pattern, the first account and its trader."""
    more = len(row.account_numbers) - 1
    about = ", ".join(part for part in (*row.account_numbers[:1], row.trader_name) if part)
    others = f", and {counted(more, 'more account')}" if more > 0 else ""
    return f"{pattern_name(row.detector)} · {about}{others}"


async def parts(session: AsyncSession, row: CaseView, *, acts: bool) -> CaseParts:
    """`acts`: the reader may decide this case now."""
    case, known = await session.get_one(Case, row.id), await case_evidence.of(session, row.id)
    suggestion = await case_grades.suggested(session, case, known) if acts and known.is_about_trading else None
    hold, tone = _hold(row)
    judged = await precision.by_pattern(session, sorted({alert.detector for alert in row.alerts}))
    told = [text for alert in row.alerts for text in (alert.sentence, alert.chance, *alert.ruled_out)]
    names = await in_texts(session, [*told, *(one.sentence for one in row.similar)])
    return CaseParts(
        alerts=[_alert(alert, judged.items, names, hides_score=row.score is None) for alert in row.alerts],
        hold=hold,
        hold_tone=tone,
        graph=case_graph.graph(row.accounts, row.links),
        links=case_graph.table(row.accounts, row.links),
        similar=_similar(row.similar, names),
        exculpatory=await _exculpatory(session, row.exculpatory),
        notes=[NotePart(note.by_name, note.at, note.body) for note in row.notes],
        letters=await _letters(session, row),
        assigned=row.assigned_name,
        assigned_to=row.assigned_to,
        colleagues=await _colleagues(session) if acts else (),
        may_act=acts,
        may_propose=acts and isinstance(row.if_confirmed, CloseChallenges) and bool(known.blamed),
        suggested=suggestion.action if suggestion else "",
        why=suggestion.reason if suggestion else "",
        rule=row.proposal.rule if row.proposal else "",
        message=row.proposal.message if row.proposal else "",
        payouts=await _payouts(session, known.blamed) if acts else (),
    )


def _alert(
    alert: AlertView, judged: Sequence[PrecisionRow], names: Mapping[str, str], *, hides_score: bool
) -> AlertPart:
    score = "hidden until the case is decided" if hides_score or alert.score is None else f"{alert.score:.2f} of 1"
    facts = [
        ("Time", f"{alert.occurred_at:%Y-%m-%d %H:%M} UTC"),
        ("Score", score),
        ("Alert level", _LEVEL.get(alert.severity, alert.severity)),
    ]
    if relation := _RELATION.get(alert.relation):
        strength = f"{number(alert.link_strength)} of 1"
        facts += [
            ("Accounts involved", relation),
            ("Strength of the weakest link between the accounts", strength),
        ]
    if alert.chance:
        facts.append(("How common this is", written(alert.chance, names)))
    return AlertPart(
        title=pattern_name(alert.detector),
        sentence=written(alert.sentence, names),
        facts=facts,
        ruled_out=[written(reading, names) for reading in alert.ruled_out],
        precision=_precision(alert, judged),
        is_intact=alert.is_intact,
    )


def _precision(alert: AlertView, judged: Sequence[PrecisionRow]) -> str:
    """How often this version of the pattern's thresholds was right."""
    wanted = alert.detector, alert.thresholds_version
    row = next((each for each in judged if (each.pattern, each.thresholds_version) == wanted), None)
    if row is None or row.above.precision is None:
        return "No case of this pattern and threshold version is decided yet."
    decided = row.above.confirmed + row.above.false_positive
    return f"Confirmed in {row.above.confirmed} of {decided} decided cases: {share(row.above.precision)}."


def share(found: ShareView | None) -> str:
    """ "90 % (70 % to 97 %)"; a dash when nothing was counted."""
    if found is None:
        return "–"
    return f"{percent(found.share * 100)} ({percent(found.low * 100)} to {percent(found.high * 100)})"


def _hold(row: CaseView) -> tuple[str, str]:
    """The sentence about the hold, and its tone."""
    hold = row.hold
    if hold.ended_at is not None:
        return f"The hold ended on {hold.ended_at:%Y-%m-%d %H:%M} UTC because nobody decided the case in time.", "warn"
    if not hold.accounts:
        return "This case holds no payout: its alerts ask for a review only.", "mute"
    named = ", ".join(hold.accounts)
    if row.state != "open":
        return f"This case held payouts of {named} until the decision.", "mute"
    until = (
        "until the case is decided" if hold.until is None else f"until {hold.until:%Y-%m-%d %H:%M} UTC at the latest"
    )
    raised = ""
    if hold.escalated_at is not None:
        raised = f" The case was escalated to admin on {hold.escalated_at:%Y-%m-%d %H:%M} UTC."
    elif hold.escalate_at is not None:
        raised = f" Without a decision the case is escalated to admin on {hold.escalate_at:%Y-%m-%d %H:%M} UTC."
    return f"This case holds payouts of {named}, and of later phases of the same challenge, {until}.{raised}", "warn"


def _similar(found: Sequence[SimilarCase], names: Mapping[str, str]) -> Grid:
    rows = [
        (
            pattern_name(one.detector),
            written(one.sentence, names),
            "the same trader" if one.same_owner else "another trader",
            words(one.outcome or one.state),
            "overturned by an appeal" if one.state == "overturned" else ACTION_WORDS[one.action or "none"],
            f"{one.closed_at:%Y-%m-%d}" if one.closed_at else "",
        )
        for one in found
    ]
    columns = ("Pattern", "Alert", "Trader", "Outcome", "Action", "Decided")
    return Grid("Similar cases", columns, rows, "No similar case is decided yet.")


async def _exculpatory(session: AsyncSession, items: Sequence[Evidence]) -> list[Grid]:
    shown = await evidence.show(session, items)
    facts = [Grid("Facts", ("Fact", "Value"), shown.facts)] if shown.facts else []
    return [*facts, *shown.grids]


async def _letters(session: AsyncSession, row: CaseView) -> list[LetterPart]:
    """The message of the proposed or decided action as each trader gets it."""
    made = await case_actions.proposed(session, row.id) or await case_actions.in_force(session, row.id)
    if made is None:
        return []
    found = await case_messages.letters(session, await case_evidence.of(session, row.id), made)
    return [LetterPart(letter.trader_name, letter.subject, letter.body) for letter in found]


async def _colleagues(session: AsyncSession) -> list[tuple[str, str]]:
    rows = await session.execute(
        select(User.id, User.name).where(User.active, User.role.in_(DECIDERS["case"])).order_by(User.id)
    )
    return sorted(((user_id, name) for user_id, name in rows), key=lambda each: each[1])


async def _payouts(session: AsyncSession, blamed: Sequence[str]) -> list[OpenPayout]:
    rows = await session.execute(
        select(Payout, Account.number)
        .join(Account, Account.id == Payout.account_id)
        .where(Payout.account_id.in_(blamed), Payout.closed_at.is_(None), Payout.state != "sent")
        .order_by(Payout.id)
    )
    return [
        OpenPayout(
            payout.id,
            account_number(held),
            Money(minor=payout.trader_minor + payout.refund_minor, currency=payout.currency),
        )
        for payout, held in rows
    ]
