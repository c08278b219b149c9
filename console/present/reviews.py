"""A review as a person sees it: a doubtful breach with its facts, its doubts and what each choice does; any other
review with its details."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import detail, plain_money, words
from console.present import closed
from console.present.decisions import choice, decision_rows
from console.present.refusals import may
from console.views.decision import Check, DecisionView
from console.views.parts import Link, SumLine
from domain.approvals import Actor
from domain.money import Money
from firm.reviews import DOUBTFUL_BREACH
from front.subjects.review import REVIEW
from store.read import accounts, history, reviews
from store.read.reviews import Alike, ReviewView
from store.scope import FIRM

_ENDED: Final = {
    "confirmed": "The breach was confirmed. It counts like any other breach, "
    "and its proof sheet says who confirmed it.",
    "dismissed": "The review was dismissed: no breach.",
    "settled": "The account has since been judged on good data. Nothing is left to decide.",
}


async def review(session: AsyncSession, actor: Actor, review_id: str) -> DecisionView:
    """Raises NotFound."""
    row = await reviews.one(session, review_id)
    if row.kind != DOUBTFUL_BREACH or row.account_id is None:
        return _other(row, actor, await reviews.alike(session, row.id))
    account = await accounts.one(session, FIRM, row.account_id)
    is_open, made = row.status == "open", decision_rows(await history.decisions(session, FIRM, "review", row.id))
    refusal = may(actor, "reviews.decide")
    return DecisionView(
        kind="review",
        subject_id=row.id,
        title=f"Doubtful breach: {words(row.detail['rule_id'])}, {row.account_number}",
        state=row.outcome or row.status,
        effect=_effect(account.number) if is_open else _ENDED.get(row.outcome or "", str(row.close_reason)),
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
        choices=[choice(REVIEW.verb(name)) for name in (("dismiss", "confirm") if is_open and not refusal else ())],
        refusal=refusal if is_open else "",
        decisions=made,
        closed="" if is_open else closed.last(made) or _end(row),
    )


def _other(row: ReviewView, actor: Actor, alike: Alike) -> DecisionView:
    """A review that is closed once a person has looked at it, together with those that say the same."""
    refusal, is_open, count = may(actor, "reviews.close"), row.status == "open", len(alike.ids)
    about = f", {row.account_number}" if row.account_number else ""
    close, several = REVIEW.verb("close"), count > 1
    return DecisionView(
        kind="review",
        subject_id=row.id,
        title=f"{words(row.kind).capitalize()}{about}" + (f" ({count} times)" if several else ""),
        state=row.status,
        effect=_closing(count) if is_open else "This review is closed.",
        digest=alike.digest if several else "",
        version=str(count) if several else "",
        account_number=row.account_number,
        facts=[("Opened", _time(row.occurred_at.isoformat())), *detail(row.detail)],
        evidence=(Link(f"Account {row.account_number}", f"/accounts/{row.account_number}", ""),)
        if row.account_number
        else (),
        choices=[choice(close, f"Close all {count}" if several else "")] if is_open and not refusal else (),
        refusal=refusal if is_open else "",
        closed="" if is_open else _end(row),
    )


def _closing(count: int) -> str:
    if count < 2:
        return "Check the details, then close the review. Payouts that it holds are then checked again."
    return (
        f"{count} open reviews say the same, and this is the oldest. Closing it closes all {count}. Payouts that they "
        "hold are then checked again."
    )


def _end(row: ReviewView) -> str:
    return f"Closed: {row.close_reason}"


def _time(at: str) -> str:
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M:%S} UTC"


def _effect(number: str) -> str:
    return (
        f"{number} continues to trade and is judged on good data. Confirming records the breach now, locks the "
        "account and ends the phase. Dismissing leaves the account as it is."
    )


def _lines(detail: dict[str, Any], currency: str) -> list[SumLine]:
    """The floor step by step, and the estimated equity."""

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
        found.append(("Later good data", f"did not confirm it: equity {plain_money(equity)} at {_time(good['at'])}"))
    return found


def _positions(sheet: dict[str, Any]) -> str:
    parts = [
        f"{p['symbol']} {p['side']} {p['lots']} at {p['close_price']} (sequence {p['quote']['seq']:,})"
        for p in sheet["positions"]
    ]
    return "; ".join(parts) or "none"
