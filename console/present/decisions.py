"""What a person sees before deciding: the effect of each choice in words, the arithmetic, the checks, the evidence."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import plain_money, words
from console.present import closed
from console.present.payout_words import trader_effect
from console.present.refusals import may
from console.views import Check, Choice, DecisionRow, DecisionView, Entry, Link, SumLine, href
from domain.approvals import Actor
from domain.money import Money
from domain.payouts.payout import PAYOUT
from domain.work_queue import SOON
from store.models import Payout, User
from store.read import accounts, disputes, payouts, people
from store.read.disputes import DisputeView
from store.read.history import DecisionView as Decided
from store.read.history import TransitionView
from store.read.pages import FIRM, Scope
from store.read.payouts import PayoutView

_DECIDABLE: Final = ("awaiting_approval", "in_review")


def said_decisions(rows: tuple[Decided, ...]) -> list[DecisionRow]:
    return [DecisionRow(row.decision, row.name or row.role, row.role, row.reason, row.occurred_at) for row in rows]


def said_steps(rows: tuple[TransitionView, ...]) -> list[Entry]:
    return [
        Entry(at=row.occurred_at, kind=words(row.to_state), text=words(row.trigger).capitalize())
        for row in reversed(rows)
    ]


async def payout(session: AsyncSession, scope: Scope, actor: Actor, payout_id: str, now: datetime) -> DecisionView:
    """Raises NotFound."""
    row = await payouts.one(session, scope, payout_id)
    account = await accounts.one(session, scope, row.account_id)
    requester = await session.scalar(
        select(User.person_id).join(Payout, Payout.requested_by == User.id).where(Payout.id == payout_id)
    )

    def money(minor: int) -> Money:
        return Money(minor=minor, currency=row.currency)

    refusal, made = _payout_refusal(row, actor, requester), said_decisions(row.decisions)
    approved = any(one.user_id == actor.user_id and one.decision == "approve" for one in row.decisions)
    open_to_people = row.state in _DECIDABLE and not refusal
    room = None if account.tightest_room_minor is None else money(account.tightest_room_minor)
    return DecisionView(
        kind="payout",
        subject_id=row.id,
        title=f"Payout {plain_money(money(row.sent_minor))}, {row.trader_name}",
        state=row.state,
        effect=_payout_effect(row, room, approved=approved and open_to_people) if scope.staff else trader_effect(row),
        due=row.decide_by if row.state in _DECIDABLE else None,
        account_number=row.account_number,
        trader_id=row.trader_id,
        trader=row.trader_name,
        lines=_payout_lines(row),
        checks=_payout_checks(row, now),
        facts=(
            ("Beneficiary", row.beneficiary or "none"),
            ("Requested", f"{row.requested_at:%Y-%m-%d %H:%M} UTC"),
            ("Terms", f"{account.product_name} v{account.version}, {account.phase_name}"),
            *((("Payout cycle", row.cycle),) if row.cycle else ()),
            *((("Reason", row.reason),) if row.reason and scope.staff else ()),
            *((("Told the trader", row.told),) if row.told and scope.staff else ()),
            *((("Transfer", row.transfer_id),) if row.transfer_id else ()),
        ),
        evidence=(
            Link(f"Account {row.account_number}", f"/accounts/{row.account_number}", account.challenge_state),
            *((Link("Proof of the refusal", f"/proofs/{row.proof_id}", "", row.proof_id),) if row.proof_id else ()),
            *_books(row),
        ),
        decisions=made,
        closed=closed.payout(row.state, made, row.closed_at),
        choices=(
            *(() if approved else (Choice("approve", f"Approve {plain_money(money(row.sent_minor))}", "primary"),)),
            Choice("return_to_trader", "Return to trader"),
            Choice("reject", "Reject", "danger"),
        )
        if open_to_people
        else (Choice("cancel", "Withdraw this request"),)
        if row.state in _DECIDABLE and not scope.staff
        else (),
        refusal=refusal if row.state in _DECIDABLE else "",
        timeline=said_steps(row.transitions),
    )


def _payout_lines(row: PayoutView) -> list[SumLine]:
    """The amount, line by line. Shares are rounded, and may go by tiers: what they come to is said, not the terms."""

    def money(minor: int) -> Money:
        return Money(minor=minor, currency=row.currency)

    def share(minor: int) -> str:
        pct = (Decimal(100 * minor) / row.gross_minor).quantize(Decimal("0.01"))
        return f"{pct.normalize():f} %"

    lines = [
        SumLine("Requested", money(row.gross_minor), "held out of the account"),
        SumLine("Stays with the firm", money(-row.firm_minor), share(row.firm_minor)),
    ]
    if row.refund_minor:
        lines.append(SumLine("The trader's share", money(row.trader_minor), share(row.trader_minor), total=True))
        lines.append(SumLine("Fee that comes back", money(row.refund_minor), "with the first payout"))
        lines.append(SumLine("To the trader", money(row.sent_minor), "", total=True))
    else:
        lines.append(SumLine("To the trader", money(row.trader_minor), share(row.trader_minor), total=True))
    if row.forfeited_minor:
        lines.append(SumLine("Beyond the cap", money(row.forfeited_minor), "leaves the account, paid to nobody"))
    return lines


def _payout_refusal(row: PayoutView, actor: Actor, requester: str | None) -> str:
    refusal = may(actor, "payouts.decide")
    if not refusal and actor.person_id == requester:
        return "You asked for this payout; somebody else must decide it."
    return refusal


def _payout_effect(row: PayoutView, room: Money | None, *, approved: bool) -> str:
    """`approved`: the reader approved it already."""
    trader = plain_money(Money(minor=row.sent_minor, currency=row.currency))
    firm = plain_money(Money(minor=row.firm_minor, currency=row.currency))
    if row.state in PAYOUT.terminal:
        ended = f" It ended on {row.closed_at:%Y-%m-%d %H:%M} UTC." if row.closed_at else ""
        return f"This payout is {words(row.state)}.{ended}"
    if row.state == "releasing":
        return "This payout has ended; what was held goes back to the account."
    if row.state not in _DECIDABLE:
        return f"This payout is {words(row.state)}; {trader} is on its way to {row.beneficiary}."
    missing = row.approvers_needed - row.approvals
    sends = f"sends {trader} to {row.beneficiary}; {firm} stays with the firm"
    if row.forfeited_minor:
        sends += (
            f"; {plain_money(Money(minor=row.forfeited_minor, currency=row.currency))} beyond the cap is paid to nobody"
        )
    left = f"; room afterwards {plain_money(room)}" if room is not None else ""
    if any(step.trigger == "transfer_refused" for step in row.transitions):
        back = plain_money(Money(minor=row.gross_minor, currency=row.currency))
        return f"The provider refused the transfer, so nothing can be sent. Ending this payout puts {back} back on the account."
    if row.state == "in_review":
        return f"On hold: something stands in its way. Once clear and approved it {sends}{left}."
    if approved:
        return f"You approved it; the next approval must come from somebody else. The last one {sends}{left}. Until then you can return or reject it."
    if missing > 1:
        return f"Approving is the first of {missing} approvals that are missing: nothing leaves yet. The last one {sends}{left}."
    return f"Approving {sends}{left}."


def _payout_checks(row: PayoutView, now: datetime) -> list[Check]:
    found = []
    if row.state in _DECIDABLE and row.decide_by is not None:
        left = row.decide_by - now
        tone = "bad" if left < timedelta(0) else "warn" if left < SOON else "ok"
        found.append(Check("deadline", tone, f"Decide by {row.decide_by:%Y-%m-%d %H:%M} UTC, or it is released."))
    if row.approvers_needed:
        tone = "ok" if row.approvals >= row.approvers_needed else "warn"
        people_words = "person" if row.approvers_needed == 1 else "different people"
        found.append(Check("approvals", tone, f"{row.approvals} of {row.approvers_needed} {people_words} approved."))
    else:
        found.append(Check("approvals", "ok", "This amount needs no person by policy."))
    for name, check in row.checks.items():
        tone = "warn" if check.get("warns") else "ok" if check["ok"] else "bad"
        found.append(Check(name.replace("room:", "room under "), tone, str(check["words"])))
    if row.was_held:
        found.append(Check("surveillance", "warn", "A case held this payout at some time."))
    return found


def _books(row: PayoutView) -> list[Link]:
    return [
        Link(
            f"{words(line.kind).capitalize()}: {line.account}",
            f"/audit?subject={row.id}",
            "",
            plain_money(Money(minor=line.amount_minor, currency=line.currency)),
        )
        for line in row.ledger
    ]


async def dispute(session: AsyncSession, scope: Scope, actor: Actor, dispute_id: str) -> DecisionView:
    """Raises NotFound."""
    row = await disputes.one(session, scope, dispute_id)

    def money(minor: int) -> Money:
        return Money(minor=minor, currency=row.currency)

    waits, made = row.state == "awaiting_decision", said_decisions(row.decisions)
    refusal = may(actor, "disputes.decide")
    decided = {
        "upheld": "The breach was upheld: the account stays locked.",
        "reinstated": f"The account was reinstated: {row.account_number} trades again.",
        "reinstating": f"{row.account_number} is being unlocked and its floors restored.",
        "opened": "The evidence is being assembled.",
    }
    effect = decided.get(
        row.state,
        f"Upholding leaves {row.account_number} locked and ends the challenge when its dispute window is over. "
        "Reinstating restores the floors, takes today's anchor anew and unlocks trading.",
    )
    return DecisionView(
        kind="dispute",
        subject_id=row.id,
        title=f"Dispute: {words(row.rule_id)}, {row.trader_name}",
        state=row.state,
        effect=effect,
        account_number=row.account_number,
        trader_id=row.trader_id,
        trader=row.trader_name,
        lines=_verdict_lines(row, money),
        facts=_dispute_facts(row.evidence, money),
        evidence=(
            Link("Proof sheet", f"/proofs/{row.proof_id}", "", "recomputed whenever it is opened"),
            Link(f"Account {row.account_number}", f"/accounts/{row.account_number}", ""),
        ),
        decisions=made,
        closed=closed.others(row.state, ("opened", "awaiting_decision"), made, row.transitions),
        choices=(Choice("uphold", "Uphold the breach"), Choice("reinstate", "Reinstate the account", "primary"))
        if waits and not refusal
        else (),
        refusal=refusal if waits and scope.staff else "",
        statement=row.statement,
        timeline=said_steps(row.transitions),
    )


def _verdict_lines(row: DisputeView, money: Callable[[int], Money]) -> tuple[SumLine, ...]:
    equity = SumLine("Equity at the verdict", money(row.equity_minor))
    if row.floor_minor is None:  # a rule of conduct
        return (equity,)
    beyond = money(abs(row.floor_minor - row.equity_minor))
    return equity, SumLine("Limit", money(row.floor_minor)), SumLine("Beyond the limit by", beyond, total=True)


def _dispute_facts(evidence: dict[str, Any], money: Any) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if deals := evidence.get("deals_24h"):
        found.append(
            ("Deals in 24 h before", f"{deals['count']}, together {plain_money(money(deals['profit_minor']))}")
        )
    around = evidence.get("equity_around") or {}
    if around.get("low_minor") is not None:
        low, high = money(around["low_minor"]), money(around["high_minor"])
        found.append(("Equity within 30 min", f"{plain_money(low)} to {plain_money(high)}, {around['bars']} minutes"))
    if evidence.get("spread") is not None:
        usual = evidence.get("spread_median")
        compared = f", usually {usual} (times {evidence.get('spread_ratio')})" if usual else ""
        found.append((f"Spread of {evidence['spread_symbol']}", f"{evidence['spread']}{compared}"))
    return found


async def identity(session: AsyncSession, actor: Actor, trader_id: str) -> DecisionView:
    """The identity check of a trader; raises NotFound."""
    trader = await people.one(session, FIRM, trader_id)
    refusal = may(actor, "traders.decide_identity")
    undecided = trader.identity == "unverified"
    made = said_decisions(await people.identity_decisions(session, FIRM, trader_id))
    return DecisionView(
        kind="identity",
        subject_id=trader.id,
        title=f"Identity check, {trader.name}",
        state=trader.identity if not undecided else "identity_check",
        effect="Verifying opens the funded account of every challenge that waits for it and frees held payouts. "
        "Refusing closes those challenges."
        if undecided
        else f"The identity of this trader is {trader.identity}.",
        trader_id=trader.id,
        trader=trader.name,
        facts=(
            ("Name", trader.name),
            ("E-mail", trader.email),
            ("Country", trader.country),
            ("Bank account", trader.beneficiary or "none yet"),
            ("Since", f"{trader.created_at:%Y-%m-%d}"),
        ),
        evidence=(Link("Trader", href("trader", trader.id), trader.identity),),
        decisions=made,
        closed=closed.others(trader.identity, ("unverified",), made, ()),
        choices=(Choice("verify", "Verify identity", "primary"), Choice("refuse", "Refuse", "danger"))
        if undecided and not refusal
        else (),
        refusal=refusal if undecided else "",
    )
