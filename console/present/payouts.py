"""A payout as a person sees it before deciding, and as the trader who requested it sees it."""

from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import plain_money, words
from console.present import closed
from console.present.decisions import choice, decision_rows, step_entries
from console.present.payout_words import trader_effect
from console.present.refusals import may
from console.views.decision import Check, Choice, DecisionView
from console.views.parts import Link, SumLine
from domain.approvals import APPROVE, RETRACT, Actor
from domain.money import Money
from domain.payouts.payout import CAME_BACK
from domain.payouts.payout import PAYOUT as MACHINE
from domain.work_queue import SOON
from firm.payouts import approving
from front.subjects.payout import BEING_SENT, DECIDABLE, PAYOUT
from store.clock import market_now
from store.models import Payout, User
from store.read import accounts
from store.read.accounts import AccountView
from store.read.payouts import PayoutView, TransferView
from store.scope import scope_of


async def payout(session: AsyncSession, actor: Actor, payout_id: str) -> DecisionView:
    """Raises NotFound."""
    scope, now = scope_of(actor), await market_now(session)
    row = await approving.viewed(session, scope, payout_id)
    account = await accounts.one(session, scope, row.account_id)
    requester = await session.scalar(
        select(User.person_id).join(Payout, Payout.requested_by == User.id).where(Payout.id == payout_id)
    )
    decidable = row.state in (*DECIDABLE, *CAME_BACK, *BEING_SENT)
    refusal = _refusal(actor, requester) if decidable and scope.staff else ""
    approved = _approves(row, actor)
    made = decision_rows(row.decisions)
    return DecisionView(
        kind="payout",
        subject_id=row.id,
        title=f"Payout {_money(row, row.sent_minor)}, {row.trader_name}",
        state=row.state,
        effect=_effect(row, account, approved=approved and not refusal) if scope.staff else trader_effect(row),
        due=row.decide_by if row.state in DECIDABLE else None,
        account_number=row.account_number,
        platform=account.platform,
        trader_id=row.trader_id,
        trader=row.trader_name,
        lines=_lines(row, staff=scope.staff),
        checks=_checks(row, now),
        facts=_facts(row, account, staff=scope.staff),
        evidence=(
            Link(f"Account {row.account_number}", f"/accounts/{row.account_number}", account.challenge_state),
            *((Link("Proof of the refusal", f"/proofs/{row.proof_id}", "", row.proof_id),) if row.proof_id else ()),
            *_books(row),
        ),
        decisions=made,
        closed=closed.payout(row.state, made, row.closed_at),
        choices=_choices(row, approved=approved, staff=scope.staff) if decidable and not refusal else (),
        refusal=refusal,
        timeline=step_entries(row.transitions),
        digest=row.seen or "",
        send_to=row.send_to,
    )


def _approves(row: PayoutView, actor: Actor) -> bool:
    """Whether the reader's last word in this round is an approval."""
    own = [one for one in row.decisions if one.user_id == actor.user_id and one.round == row.round]
    said = [one.decision for one in own if one.decision in (APPROVE, RETRACT)]
    return bool(said) and said[-1] == APPROVE


def _choices(row: PayoutView, *, approved: bool, staff: bool) -> list[Choice]:
    """A trader may withdraw before anything is sent; staff decide, and nobody approves twice."""
    if not staff:
        return [choice(PAYOUT.verb("cancel"))] if row.state in DECIDABLE else []
    ends = [choice(PAYOUT.verb(name)) for name in (*(("retract",) if approved else ()), "return_to_trader", "reject")]
    if row.state in BEING_SENT:
        return [choice(PAYOUT.verb("stop"))]
    again = choice(PAYOUT.verb("send_again"))
    if row.state in CAME_BACK:
        others = ("release", "keep") if row.state == "returned" else ("release",)
        return [again, *(choice(PAYOUT.verb(name)) for name in others)]
    if row.halted:
        return [again, *ends]
    if approved or _blocks(row):
        return ends
    return [choice(PAYOUT.verb("approve"), f"Approve {_sent(row)}"), *ends]


def _blocks(row: PayoutView) -> list[str]:
    """Why an approval would be refused now, in sentences; empty when it would not."""
    if row.state not in DECIDABLE or (row.state != "in_review" and all(check["ok"] for check in row.checks.values())):
        return []
    wrong = [_sentence(str(check["words"])) for check in row.checks.values() if not check["ok"]]
    if row.reason and not any(row.reason.rstrip(".") in each for each in wrong):
        wrong.insert(0, _sentence(row.reason))
    return wrong or ["A check has not finished yet."]


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def _facts(row: PayoutView, account: AccountView, *, staff: bool) -> list[tuple[str, str]]:
    found = [
        ("Beneficiary", _beneficiary(row)),
        ("Requested", f"{row.requested_at:%Y-%m-%d %H:%M} UTC"),
        ("Terms", f"{account.product_name} v{account.version}, {account.phase_name}"),
    ]
    optional = (
        ("Payout cycle", row.cycle),
        ("Reason", row.reason if staff else None),
        ("Message to the trader", row.told if staff else None),
        *((f"Transfer {one.number}", _attempt(one)) for one in row.transfers),
    )
    return found + [(name, value) for name, value in optional if value]


def _beneficiary(row: PayoutView) -> str:
    """The account as people of the firm name it: masked, and its digest."""
    account = row.beneficiary or "none"
    return f"{account} ({row.beneficiary_digest})" if row.beneficiary_digest else account


def _attempt(one: TransferView) -> str:
    """ "sent over bank, tr_1", the rate of an exchange, and why it did not arrive."""
    said = f"{words(one.state)} over {one.rail}, {one.transfer_id or 'not taken by the rail'}"
    if one.conversion is not None:
        amount = plain_money(Money(minor=one.amount_minor, currency=one.currency))
        said += f", {amount} at {one.conversion.price} ({one.conversion.source}, {one.conversion.at})"
    return f"{said}: {one.why}" if one.why else said


def _money(row: PayoutView, minor: int) -> str:
    return plain_money(Money(minor=minor, currency=row.currency))


def _sent(row: PayoutView) -> str:
    """What the trader gets, and what the bank account gets when that is in another currency."""
    sent = _money(row, row.sent_minor)
    if row.conversion is None:
        return sent
    return f"{sent} as {plain_money(Money(minor=row.paid_minor, currency=row.paid_currency))}"


def _lines(row: PayoutView, *, staff: bool) -> list[SumLine]:
    """The amount, line by line. Shares are rounded and may have tiers, so the lines show the result, not the terms."""

    def money(minor: int) -> Money:
        return Money(minor=minor, currency=row.currency)

    def share(minor: int) -> str:
        pct = (Decimal(100 * minor) / row.gross_minor).quantize(Decimal("0.01"))
        return f"{pct.normalize():f} %"

    receiver = "To the trader" if staff else "To you"
    lines = [
        SumLine("Requested", money(row.gross_minor), "held out of the account"),
        SumLine("Stays with the firm", money(-row.firm_minor), share(row.firm_minor)),
    ]
    if row.refund_minor:
        lines.append(
            SumLine(
                "The trader's share" if staff else "Your share",
                money(row.trader_minor),
                share(row.trader_minor),
                total=True,
            )
        )
        lines.append(SumLine("Fee refund", money(row.refund_minor), "paid with the first payout"))
        lines.append(SumLine(receiver, money(row.sent_minor), "", total=True))
    else:
        lines.append(SumLine(receiver, money(row.trader_minor), share(row.trader_minor), total=True))
    if row.conversion is not None:
        exchange = row.conversion
        paid = Money(minor=row.paid_minor, currency=row.paid_currency)
        lines.append(SumLine("Paid as", paid, f"at {exchange.price} ({exchange.source}, {exchange.at})", total=True))
    if row.forfeited_minor:
        lines.append(SumLine("Above the cap", money(row.forfeited_minor), "leaves the account and is forfeited"))
    return lines


def _refusal(actor: Actor, requester: str | None) -> str:
    refusal = may(actor, "payouts.decide")
    if not refusal and actor.person_id == requester:
        return "You requested this payout; somebody else must decide it."
    return refusal


def _effect(row: PayoutView, account: AccountView, *, approved: bool) -> str:
    """What a decision does, for staff. `approved`: the reader approved it already."""
    if row.state in MACHINE.terminal:
        ended = f" It ended on {row.closed_at:%Y-%m-%d %H:%M} UTC." if row.closed_at else ""
        return f"This payout is {words(row.state)}.{ended}"
    if row.state == "releasing":
        return "This payout has ended; the amount that was held is going back to the account."
    if row.state in CAME_BACK:
        return (
            f"{_money(row, row.sent_minor)} came back and is still owed to the trader. Send it again, put"
            f" {_money(row, row.gross_minor)} back on the account, or keep it as a claim."
        )
    if row.state not in DECIDABLE:
        return f"This payout is {words(row.state)}; {_sent(row)} is on its way to {row.beneficiary}."
    if row.halted:
        back = _money(row, row.gross_minor)
        return (
            f"{row.halted} Nothing is sent until a person decides. Ending this payout puts {back} back on the account."
        )
    sends = _sends(row, account)
    if blocks := _blocks(row):
        return f"On hold, so it cannot be approved yet. {' '.join(blocks)} Once that is clear, approving it {sends}."
    if approved:
        return (
            "You approved it; the next approval must come from somebody else. "
            f"The last one {sends}. Until then you can take your approval back, return the payout or reject it."
        )
    missing = row.approvers_needed - row.approvals
    if missing > 1:
        still = f"Approving is the first of {missing} approvals that are still needed: nothing leaves yet."
        return f"{still} The last one {sends}."
    return f"Approving {sends}."


def _sends(row: PayoutView, account: AccountView) -> str:
    sends = f"sends {_sent(row)} to {row.beneficiary}; {_money(row, row.firm_minor)} stays with the firm"
    if row.forfeited_minor:
        sends += f"; {_money(row, row.forfeited_minor)} above the cap is forfeited"
    room = account.tightest_room_minor
    return sends if room is None else f"{sends}; room afterwards {_money(row, room)}"


def _checks(row: PayoutView, now: datetime) -> list[Check]:
    found = []
    if row.state in DECIDABLE and row.decide_by is not None:
        left = row.decide_by - now
        tone = "bad" if left < timedelta(0) else "warn" if left < SOON else "ok"
        found.append(
            Check(
                "deadline",
                tone,
                f"Decide by {row.decide_by:%Y-%m-%d %H:%M} UTC; after that the payout ends and the amount is released.",
            )
        )
    if row.escalated_at is not None:
        found.append(
            Check(
                "escalation",
                "warn",
                f"Escalated to admin on {row.escalated_at:%Y-%m-%d %H:%M} UTC: nobody decided.",
            )
        )
    if row.round > 1:
        found.append(Check("round", "warn", "A transfer was refused or came back, so the approvals start again."))
    if row.approvers_needed:
        tone = "ok" if row.approvals >= row.approvers_needed else "warn"
        people_words = "person" if row.approvers_needed == 1 else "different people"
        found.append(Check("approvals", tone, f"{row.approvals} of {row.approvers_needed} {people_words} approved."))
    else:
        found.append(Check("approvals", "ok", "The policy needs no approval for this amount."))
    for name, check in row.checks.items():
        tone = "warn" if check.get("warns") else "ok" if check["ok"] else "bad"
        found.append(Check(name.replace("room:", "room under ").replace("gate:", "rule "), tone, str(check["words"])))
    if row.was_held:
        found.append(Check("surveillance", "warn", "A case has held this payout before."))
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
