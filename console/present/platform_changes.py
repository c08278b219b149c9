"""A change of platform as a person sees it before deciding."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import counted, words
from console.present import closed
from console.present.decisions import choice, decision_rows, step_entries
from console.present.refusals import may
from console.views.decision import Choice, DecisionView
from console.views.parts import Link
from domain.approvals import Actor
from domain.money import Money
from domain.platform_changes import MAY_BE_ABANDONED
from firm import platform_changes
from front.subjects.platform_change import PLATFORM_CHANGE
from store.models import PlatformChange
from store.read import places
from store.read.places import PlatformChangeView

_EFFECT: Final = (
    "Trading stops at {start}, and everything up to its last event there is judged. Then the same account continues at "
    "{end}, with this balance, these levels, and the same days. The trading day is that of the firm's clock at both. "
    "Until the record switches, the account can be given back as it was."
)


async def platform_change(session: AsyncSession, actor: Actor, change_id: str) -> DecisionView:
    """Raises NotFound."""
    change = await session.get(PlatformChange, change_id)
    seen = await platform_changes.seen(session, change) if change is not None else ""
    row = await places.one(session, change_id, seen)
    refusal = _refusal(row, actor)
    return DecisionView(
        kind="platform_change",
        subject_id=row.id,
        title=f"{row.account_number} from {row.from_platform} to {row.to_platform}",
        state=row.state,
        effect=_EFFECT.format(start=row.from_platform, end=row.to_platform),
        account_number=row.account_number,
        trader_id=row.trader_id,
        trader=row.trader_name,
        facts=_facts(row),
        evidence=_evidence(row),
        decisions=decision_rows(row.decisions),
        closed=_closed(row),
        choices=_choices(row, actor, refusal),
        refusal=refusal if row.state == "proposed" else "",
        timeline=step_entries(row.transitions),
        digest=row.seen,
    )


def _facts(row: PlatformChangeView) -> list[tuple[str, str]]:
    def money(minor: int | None) -> str:
        return "not known yet" if minor is None else str(Money(minor=minor, currency=row.currency))

    days = counted(row.trading_days, "trading day")
    then = "are closed at market" if row.close_positions else "cancel the change"
    held = f"{row.open_positions} now; those open when trading stops {then}"
    ends = "not opened yet" if row.to_login is None else f"login {row.to_login}"
    return [
        ("Proposed by", row.proposed_by_name),
        ("Why", row.reason),
        ("From", f"{row.from_platform}, login {row.from_login}"),
        ("To", f"{row.to_platform}, {ends}"),
        ("Balance", money(row.live_balance_minor)),
        ("Equity", money(row.live_equity_minor)),
        *((f"{words(key).capitalize()} at", money(floor)) for key, floor in row.floors.items()),
        ("Days", days if row.last_trading_day is None else f"{days}, the last one {row.last_trading_day}"),
        ("Open positions", held),
        *([("Abandoned because", row.why)] if row.why else []),
    ]


def _evidence(row: PlatformChangeView) -> list[Link]:
    account = Link(f"Account {row.account_number}", f"/accounts/{row.account_number}", "")
    if row.proof_id is None:
        return [account]
    return [account, Link("Proof of the departure", f"/proofs/{row.proof_id}", "")]


def _choices(row: PlatformChangeView, actor: Actor, refusal: str) -> list[Choice]:
    if may(actor, "platform_changes.decide"):
        return []
    if row.state in MAY_BE_ABANDONED:
        return [choice(PLATFORM_CHANGE.verb("abandon"))]
    if row.state != "proposed":
        return []
    if refusal:
        return [choice(PLATFORM_CHANGE.verb("withdraw"))] if row.proposed_by == actor.user_id else []
    return [choice(PLATFORM_CHANGE.verb(name)) for name in ("approve", "reject")]


def _closed(row: PlatformChangeView) -> str:
    if row.state == "proposed" or row.state in MAY_BE_ABANDONED:
        return ""
    last = row.transitions[-1]
    return f"{words(row.state).capitalize()}, {closed.moment(last.occurred_at)}."


def _refusal(row: PlatformChangeView, actor: Actor) -> str:
    refusal = may(actor, "platform_changes.decide")
    if not refusal and actor.person_id == row.proposer_person:
        return "You proposed this; somebody else must decide it."
    return refusal
