"""Messages to the traders that a case blames: made of a template, checked, shown before they are sent, and sent."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.approvals import Actor
from domain.surveillance import trader_messages
from domain.surveillance.casework import ProposedAction
from domain.surveillance.evidence import CopiedDeals
from firm import tickets
from store.case_evidence import Evidence
from store.models import Account, Case, CaseAction, DealRow, DeductedTrade, Trader
from store.read.pages import account_number

_MOST_TRADES = 10
_SUBJECTS = {
    "warn": "A warning about your trading",
    "deduct": "Profit that does not count for payouts",
    "deny": "Your payout is not made",
    "close": "Your account is closed",
}


@dataclass(frozen=True, slots=True)
class Letter:
    """The message as one trader gets it."""

    trader_id: str
    trader_name: str
    account: Account
    subject: str
    body: str


async def checked(
    session: AsyncSession,
    case: Case,
    known: Evidence,
    *,
    action: ProposedAction,
    rule: str,
    message: str,
) -> str:
    """Returns the message that is proposed: the given one, or the template of the family. Raises BadInput."""
    text = message.strip() or trader_messages.template(case.family, action, rule)
    people = await _people(session, known)
    readers = {account.trader_id for account, _ in people if account.id in known.blamed}
    told_apart = people if len(readers) > 1 else [each for each in people if each[0].trader_id not in readers]
    trader_messages.check(
        f"{text}\n{rule}",
        others={name for _, name in told_apart},
        numbers={account_number(account.number) for account, _ in told_apart},
        scores={alert.score for alert in known.alerts},
    )
    return text


async def letters(session: AsyncSession, known: Evidence, made: CaseAction) -> list[Letter]:
    """Returns the message of a proposed or decided action as each blamed trader gets it."""
    of_trader = dict[str, list[tuple[Account, str]]]()
    for account, name in await _people(session, known):
        if account.id in known.blamed:
            of_trader.setdefault(account.trader_id, []).append((account, name))
    found = []
    for trader_id, accounts in sorted(of_trader.items()):
        own = [account for account, _ in accounts]
        body = trader_messages.filled(
            made.message,
            accounts=[account_number(account.number) for account in own],
            trades=await _trades(session, known, made, [account.id for account in own]),
        )
        found.append(Letter(trader_id, accounts[0][1], own[0], _SUBJECTS[made.action], body))
    return found


async def send(session: AsyncSession, case: Case, known: Evidence, made: CaseAction, actor: Actor) -> None:
    """Sends every blamed trader the message of the decided action."""
    for letter in await letters(session, known, made):
        await tickets.tell(
            session,
            ticket_id=keys.case_ticket(case.id, letter.trader_id),
            account=letter.account,
            user_id=actor.user_id,
            role=actor.role,
            subject=letter.subject,
            body=letter.body,
        )


async def _people(session: AsyncSession, known: Evidence) -> list[tuple[Account, str]]:
    """Returns every account that the case names, with the name of its trader, by number."""
    named = {involved.account_id for finding in known.findings for involved in finding.accounts}
    rows = await session.execute(
        select(Account, Trader.name)
        .join(Trader, Trader.id == Account.trader_id)
        .where(Account.id.in_(named))
        .order_by(Account.number)
    )
    return [(account, name) for account, name in rows]


async def _trades(session: AsyncSession, known: Evidence, made: CaseAction, own: Sequence[str]) -> list[str]:
    """Returns a line for each trade of these accounts that is deducted or in the evidence, the oldest first."""
    if made.action == "deduct":
        rows = await session.execute(
            select(DeductedTrade)
            .where(DeductedTrade.action_id == made.id, DeductedTrade.account_id.in_(own))
            .order_by(DeductedTrade.closed_seq)
        )
        return [f"{row.position_id}, {row.symbol}, closed {_at(row.closed_at)}" for row in rows.scalars()]
    numbers, names = set[int](), set[str]()
    for finding in known.findings:
        names.update(finding.deals)
        for item in finding.evidence:
            if isinstance(item, CopiedDeals):
                numbers.update(pair.follower_deal for pair in item.pairs)
    deals = await session.scalars(
        select(DealRow)
        .where(
            DealRow.account_id.in_(own),
            or_(DealRow.id.in_(numbers), DealRow.deal_id.in_(names), DealRow.position_id.in_(names)),
        )
        .order_by(DealRow.at, DealRow.id)
    )
    found = [f"{row.symbol} {row.side} {row.lots.normalize():f} lots, {_at(row.at)}" for row in deals]
    left = len(found) - _MOST_TRADES
    return found[:_MOST_TRADES] + ([f"and {left} more"] if left > 0 else [])


def _at(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
