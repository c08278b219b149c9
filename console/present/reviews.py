"""A doubtful breach as a person decides it: what is known, what is doubtful about it, what each choice leads to."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import plain_money, words
from console.present import closed
from console.present.decisions import said_decisions
from console.present.refusals import may
from console.views import Check, Choice, DecisionView, Link, SumLine
from domain.approvals import Actor
from domain.errors import NotFound
from domain.money import Money
from firm.reviews import DOUBTFUL_BREACH
from store.read import accounts, history, reviews
from store.read.pages import FIRM
from store.read.reviews import ReviewView

_ENDED: Final = {
    "confirmed": "The breach was confirmed: it is one like any other, and its proof sheet says who confirmed it.",
    "dismissed": "The review was dismissed: no breach.",
    "settled": "Good data have judged this account meanwhile; nothing is left to decide.",
}


async def review(session: AsyncSession, actor: Actor, review_id: str) -> DecisionView:
    """Raises NotFound, also for a review that asks for no decision."""
    row = await reviews.one(session, review_id)
    if row.kind != DOUBTFUL_BREACH or row.account_id is None:
        raise NotFound
    account = await accounts.one(session, FIRM, row.account_id)
    is_open, made = row.status == "open", said_decisions(await history.decisions(session, FIRM, "review", row.id))
    refusal = may(actor, "reviews.decide")
    return DecisionView(
        kind="review",
        subject_id=row.id,
        title=f"Doubtful breach: {words(row.detail['rule_id'])}, {row.account_number}",
        state=row.outcome or row.status,
        effect=_effect(row, account.number) if is_open else _ENDED.get(row.outcome or "", str(row.close_reason)),
        account_number=row.account_number,
        trader_id=account.trader_id,
        trader=account.trader_name,
        lines=_lines(row.detail, account.currency),
        checks=[
            Check(
                f"{words(doubt['kind'])}",
                "warn",
                f"{doubt['words']} (sequence {doubt['seq']:,}, {_time(doubt['at'])}).",
            )
            for doubt in row.detail["doubts"]
        ],
        facts=_facts(row, account.currency),
        evidence=(Link(f"Account {account.number}", f"/accounts/{account.number}", account.status),),
        choices=(Choice("dismiss", "Dismiss: no breach"), Choice("confirm", "Confirm the breach", "danger"))
        if is_open and not refusal
        else (),
        refusal=refusal if is_open else "",
        decisions=made,
        closed="" if is_open else closed.last(made) or f"Closed without a decision of a person: {row.close_reason}",
    )


def _time(at: str) -> str:
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M:%S} UTC"


def _effect(row: ReviewView, number: str) -> str:
    return (
        f"{number} is watched on and trades; good data will judge it. Confirming records the breach now, locks the "
        "account and ends the phase. Dismissing leaves the account as it is."
    )


def _lines(detail: dict[str, Any], currency: str) -> list[SumLine]:
    """The floor step by step, and the worth as it was estimated."""

    def money(minor: int) -> Money:
        return Money(minor=minor, currency=currency)

    rule = detail["sheet"]["rule"]
    steps = [SumLine(step["name"].capitalize(), money(step["minor"])) for step in rule["floor"]["steps"]]
    below = detail["floor_minor"] - detail["equity_minor"]
    return [
        *steps,
        SumLine("Equity as estimated", money(detail["equity_minor"])),
        SumLine("Beyond the level by", money(abs(below)), detail["operator"], total=True),
    ]


def _facts(row: ReviewView, currency: str) -> list[tuple[str, str]]:
    sheet, good = row.detail["sheet"], row.detail.get("good_data")
    event, clock = sheet["event"], sheet["clock"]
    found = [
        ("Event", f"{event['kind']} {event['symbol'] or ''} with sequence {event['seq']:,}"),
        ("At", f"{row.occurred_at:%Y-%m-%d %H:%M:%S} UTC, {clock['local_time'][11:19]} {clock['zone']}"),
        ("Positions", _positions(sheet)),
        ("Terms", f"{sheet['product']['ref']}, {sheet['account']['phase_name']}"),
    ]
    if good:
        equity = Money(minor=good["equity_minor"], currency=currency)
        found.append(("Good data since", f"did not confirm it: equity {plain_money(equity)} at {_time(good['at'])}"))
    return found


def _positions(sheet: dict[str, Any]) -> str:
    parts = [
        f"{p['symbol']} {p['side']} {p['lots']} at {p['close_price']} (sequence {p['quote']['seq']:,})"
        for p in sheet["positions"]
    ]
    return "; ".join(parts) or "none"
