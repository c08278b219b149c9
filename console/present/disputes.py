"""A dispute as a person sees it before deciding, and as the trader who opened it sees it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.formats import plain_money, words
from console.present import closed
from console.present import compensations as vouchers
from console.present.decisions import choice, decision_rows, step_entries
from console.present.refusals import may
from console.views.decision import Choice, DecisionView
from console.views.parts import Link, SumLine
from domain.approvals import Actor
from domain.compensations import TAKEN
from domain.disputes import STANDARD_APPEAL_MESSAGE, STANDARD_MESSAGE, VERBS
from domain.money import Money
from domain.surveillance.casework import ACTION_WORDS
from front.subjects.dispute import DISPUTE
from store.read import disputes
from store.read.compensations import CompensationView
from store.read.disputes import DisputeView
from store.read.precedents import Precedent
from store.scope import scope_of

_CAUSES: Final = {
    "tick": "a price",
    "deal": "a deal",
    "rollover": "the daily reset",
    "doubtful": "doubtful data, confirmed by a person",
}


async def dispute(session: AsyncSession, actor: Actor, dispute_id: str) -> DecisionView:
    """Raises NotFound."""
    scope = scope_of(actor)
    row = await disputes.one(session, scope, dispute_id)

    def money(minor: int) -> Money:
        return Money(minor=minor, currency=row.currency)

    waits, made = row.state == "awaiting_decision", decision_rows(row.decisions)
    if not scope.staff:  # the page has the message at its place already
        made = [replace(each, message="") for each in made]
    refusal, taken = may(actor, "disputes.decide"), any(each.state in TAKEN for each in row.compensations)
    return DecisionView(
        kind="dispute",
        subject_id=row.id,
        title=f"{_about(row)}, {row.trader_name}",
        state=row.state,
        effect=_effect(row) + (_people(row) if waits else ""),
        account_number=row.account_number,
        trader_id=row.trader_id,
        trader=row.trader_name,
        lines=_verdict_lines(row, money),
        facts=_dispute_facts(row.evidence, money),
        evidence=(
            *_subject(row),
            *_pack(row),
            Link(f"Account {row.account_number}", f"/accounts/{row.account_number}", ""),
        ),
        due=row.decide_by if waits else None,
        digest=row.seen or "",
        version=(row.seen or "")[:12],
        tells=_standard(row) if waits else "",
        answer=row.message,
        appeal_until=None if scope.staff else row.appeal_until,
        precedents=[_precedent(each, money) for each in row.precedents],
        vouchers=[_voucher(each, staff=scope.staff) for each in row.compensations],
        compensate_in="" if taken or may(actor, "compensations.propose") else row.currency,
        decisions=made,
        closed=closed.others(row.state, ("opened", "awaiting_decision"), made, row.transitions),
        choices=_choices(row) if waits and not refusal else (),
        refusal=refusal if waits and scope.staff else "",
        statement=row.statement,
        timeline=step_entries(row.transitions),
    )


def _about(row: DisputeView) -> str:
    if row.action:
        return f"Appeal: {ACTION_WORDS[row.action]}"
    return f"{'Appeal' if row.instance > 1 else 'Dispute'}: {words(row.rule_id)}"


def _pack(row: DisputeView) -> list[Link]:
    """The evidence as one file; the digest is that of its manifest."""
    if not row.pack_digest:
        return []
    note = f"frozen; digest {row.pack_digest[:16]}; check it with: propos dispute check"
    return [Link("Evidence pack (zip)", f"/disputes/{row.id}/pack", "", note)]


def _standard(row: DisputeView) -> str:
    told = STANDARD_APPEAL_MESSAGE if row.action else STANDARD_MESSAGE
    return f"Upheld: {told['uphold']} Reinstated: {told['reinstate']}"


def _precedent(found: Precedent, money: Callable[[int], Money]) -> Link:
    by = "" if found.overshoot_minor is None else f", beyond the limit by {found.overshoot_minor:,} minor units"
    if found.overshoot_minor is not None and found.currency == money(0).currency:
        by = f", beyond the limit by {plain_money(money(found.overshoot_minor))}"
    cause = f", by the same kind of event ({words(found.cause)})" if found.same_cause and found.cause else ""
    note = f"{found.closed_at:%Y-%m-%d}{cause}{by}" if found.closed_at else ""
    again = " on appeal" if found.instance > 1 else ""
    return Link(f"{found.account_number}{again}", href("dispute", found.id), found.state, note)


def _voucher(found: CompensationView, *, staff: bool) -> Link:
    if staff:
        return Link(vouchers.title(found), href("compensation", found.id), found.state, found.reason)
    code = f"Code for one purchase: {found.coupon}" if found.state == "granted" else ""
    return Link(vouchers.title(found), "/buy", found.state, f"{found.message} {code}".strip())


def _people(row: DisputeView) -> str:
    """How many people it takes, and who said what until now."""
    if not row.needed:
        return ""
    many = {1: "one person", 2: "two different people"}
    text = f" Upholding needs {many[row.needed['uphold']]}; reinstating needs {many[row.needed['reinstate']]}."
    for verb in VERBS:
        count = sum(each.decision == verb for each in row.decisions)
        if count:
            text += f" {count} {'person has' if count == 1 else 'people have'} voted to {verb}."
    return text


def _subject(row: DisputeView) -> list[Link]:
    if row.proof_id:
        return [Link("Proof sheet", f"/proofs/{row.proof_id}", "", "recomputed each time it is opened")]
    return [Link("Surveillance case", href("case", row.case_id), "")] if row.case_id else []


def _choices(row: DisputeView) -> list[Choice]:
    labels = {"uphold": "Keep the action", "reinstate": "Grant the appeal"} if row.action else {}
    return [choice(verb, labels.get(verb.name, "")) for verb in DISPUTE.verbs]


def _appeal_effect(row: DisputeView) -> str:
    match row.state:
        case "upheld":
            return "The action stays as it was decided."
        case "reinstated":
            return "The appeal was granted: the action was taken back."
    what = ACTION_WORDS[row.action]
    return f"The trader appeals against the decision to {what}. Keeping changes nothing; granting takes it back."


def _effect(row: DisputeView) -> str:
    if row.action:
        return _appeal_effect(row)
    number = row.account_number
    match row.state:
        case "upheld":
            return "The breach was upheld: the account stays locked."
        case "reinstated":
            return f"The account was reinstated: {number} trades again."
        case "reinstating":
            return f"{number} is being unlocked and its floors restored."
        case "opened":
            return "The evidence is being collected."
    return (
        f"Upholding leaves {number} locked and ends the challenge when the time to appeal is over. Reinstating "
        "restores the floors and unlocks trading. If the account is at or below a limit, its simulated balance is "
        "raised to at most 1 % of its size above that limit."
    )


def _verdict_lines(row: DisputeView, money: Callable[[int], Money]) -> tuple[SumLine, ...]:
    if row.equity_minor is None:
        return ()
    equity = SumLine("Equity at the verdict", money(row.equity_minor))
    if row.floor_minor is None:  # a rule of conduct
        return (equity,)
    beyond = money(abs(row.floor_minor - row.equity_minor))
    return equity, SumLine("Limit", money(row.floor_minor)), SumLine("Beyond the limit by", beyond, total=True)


def _dispute_facts(evidence: dict[str, Any], money: Any) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if "action" in evidence:
        found += [("Rule that was broken", evidence["rule"]), ("What the trader was told", evidence["message"])]
        found += [(f"Trade {one['position']}", one["symbol"]) for one in evidence["trades"]]
    if deals := evidence.get("deals_24h"):
        found.append(
            ("Deals in the 24 hours before", f"{deals['count']}, result {plain_money(money(deals['profit_minor']))}")
        )
    around = evidence.get("equity_around") or {}
    if around.get("low_minor") is not None:
        low, high = money(around["low_minor"]), money(around["high_minor"])
        found.append(("Equity within 30 minutes", f"{plain_money(low)} to {plain_money(high)}"))
    if evidence.get("cause"):
        found.append(("Triggered by", _CAUSES.get(evidence["cause"], words(evidence["cause"]))))
    if evidence.get("spread") is not None:
        usual = evidence.get("spread_median")
        compared = f", usually {usual} ({evidence.get('spread_ratio')} times the usual spread)" if usual else ""
        found.append((f"Spread of {evidence['spread_symbol']}", f"{evidence['spread']}{compared}"))
    return found
