"""A reconciliation break as a person sees it: both sides, its age and owner, and the ways to close it."""

from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.formats import plain_money, words
from console.present import closed
from console.present.decisions import choice, decision_rows
from console.present.refusals import may
from console.views.decision import Choice, DecisionView
from console.views.parts import Link
from domain.approvals import Actor
from domain.money import Money
from domain.reconciliation import AGAIN, NOT_MONEY, resolutions
from firm.reconciliation import deciding
from front.subjects.reconciliation_break import BREAK
from store.models import ReconciliationBreak
from store.read import reconciliation
from store.read.reconciliation import BreakView
from store.reconciliation import breaks

_CLOSES = "It closes by itself when the two agree."


async def break_view(session: AsyncSession, actor: Actor, break_id: str) -> DecisionView:
    """Raises NotFound."""
    row = await reconciliation.one(session, break_id)
    made, is_open = decision_rows(row.decisions), row.state == "open"
    stored = await session.get_one(ReconciliationBreak, break_id)
    needed = await deciding.people_needed(session, stored)
    refusal = may(actor, "breaks.decide")
    can_match = is_open and await breaks.partner(session, stored) is not None
    orders = [] if may(actor, "breaks.again") else _orders(row)
    choices = [*orders, *([] if refusal else _choices(row, can_match))]
    return DecisionView(
        kind="break",
        subject_id=row.id,
        title=row.words,
        state=row.state,
        effect=_effect(row, needed),
        account_number=row.account_number,
        facts=_facts(row),
        evidence=_links(row),
        decisions=made,
        closed="" if is_open else closed.last(made) or f"{row.close_reason}",
        choices=choices,
        refusal=refusal if is_open and not choices else "",
    )


def _choices(row: BreakView, can_match: bool) -> list[Choice]:
    if row.state == "open":
        names = [*resolutions(row.kind, can_match=can_match), "take"]
    else:
        names = ["reopen"] if row.resolution != "resolved" else []
    return [choice(BREAK.verb(name)) for name in names]


def _orders(row: BreakView) -> list[Choice]:
    again = AGAIN.get(row.kind)
    return [choice(BREAK.verb(again))] if again is not None and row.state == "open" else []


def _effect(row: BreakView, needed: int) -> str:
    if row.state != "open":
        return f"It was closed: {words(row.resolution or '')}. {row.close_reason or ''}"
    if row.kind in NOT_MONEY:
        return _CLOSES
    people = "One person closes it." if needed == 1 else "Two people must choose the same to close it."
    side = "more" if row.amount_minor >= 0 else "less"
    difference = plain_money(Money(minor=abs(row.amount_minor), currency=row.currency))
    return f"The source has {difference} {side} than the books. {people}"


def _facts(row: BreakView) -> list[tuple[str, str]]:
    if row.kind in NOT_MONEY:
        return [
            ("Platform", row.source),
            ("On our record", str(row.detail["ours"])),
            ("At the platform", str(row.detail["theirs"])),
            ("Login", row.subject or "that of the account"),
            ("Ordered again", f"{row.detail.get('times', 0)} times"),
            *_seen(row),
        ]
    shown, booked = row.detail.get("shown"), row.detail.get("booked", row.detail.get("expected"))
    currency = row.detail.get("booked_currency", row.currency)
    return [
        ("Source", row.source),
        ("Shown by the source", _money(shown, row.currency)),
        ("In the books", _money(booked, currency)),
        ("Difference", _money(row.amount_minor, row.currency)),
        ("Account of the books", row.account or "none"),
        ("Entry of the source", row.entry_id or "none"),
        ("Kind of the entry", row.detail.get("entry_kind", "none")),
        ("About", row.subject or "nothing of ours"),
        *_seen(row),
    ]


def _seen(row: BreakView) -> list[tuple[str, str]]:
    return [
        ("First seen", f"{row.first_seen_at:%Y-%m-%d %H:%M} UTC, {row.age}"),
        ("Owner", row.owner_name or "nobody"),
        ("Times opened", str(row.round)),
    ]


def _money(minor: int | None, currency: str) -> str:
    return "nothing" if minor is None else plain_money(Money(minor=minor, currency=currency))


def _links(row: BreakView) -> tuple[Link, ...]:
    kinds = {"chl": "challenge", "pay": "payout"}
    kind = kinds.get(row.subject[:3])
    return (Link(kind.capitalize(), href(kind, row.subject), ""),) if kind else ()
