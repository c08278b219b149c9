"""The firm's one answer in each round of a chargeback: a person submits the evidence that our record has, or accepts
the loss."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Final, Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import chargeback_workflow
from contracts.messages import ChargebackChanged
from domain import keys
from domain.approvals import Actor
from domain.chargebacks import check_answerable
from domain.money import Money
from domain.wording import instant, name
from firm import chargebacks, messages
from firm import decide as guard
from store import chains, decisions, outbox, products, rows
from store.models import Account, Challenge, Chargeback, DealRow, Payout, ProductVersion, Transition

_LONGEST: Final = 20_000  # characters of one text
_TRADES_SHOWN: Final = 100


async def decide(
    session: AsyncSession, chargeback_id: str, *, verb: Literal["submit", "accept"], actor: Actor, reason: str, key: str
) -> Chargeback:
    """Records the answer; the chargeback's workflow sends it. The evidence is that of the record now, with the person's
    reason as the firm's own words. The same key again changes nothing.

    Raises NotFound, NotAllowed, BadInput, AlreadyDecided, ChargebackClosed.
    """
    row = await rows.locked(session, Chargeback, chargeback_id)
    made = await decisions.of(session, "chargeback", row.id)
    subject = guard.Subject(
        kind="chargeback",
        id=row.id,
        digest=_digest(row),
        evidence=_seen(row),
        once=True,
        decided_by=lambda _verb: [each.person_id for each in made if each.round == row.round],
        approvals_round=row.round,
    )

    async def still_open(_made: object) -> None:
        given = await chargebacks.answer(session, row)
        check_answerable(row.state, given.verb if given else None)

    if await guard.record(session, subject, guard.Choice(verb, actor, reason, key), still_open) is None:
        return row
    evidence = await draft(session, row) if verb == "submit" else {}
    if evidence:
        evidence["uncategorized_text"] = _cut(f"{reason}\n\n{evidence['uncategorized_text']}")
    payload = {"verb": verb, "evidence": evidence}
    answer = keys.chargeback_answer(row.id, row.round)
    await outbox.declare_intent(session, key=answer, kind=chargebacks.ANSWER_KIND, payload=payload)
    changed = ChargebackChanged(key=answer, chargeback_id=row.id)
    await messages.signal(session, chargeback_workflow(row.id), changed)
    return row


def _seen(row: Chargeback) -> dict[str, object]:
    return {"amount_minor": row.amount_minor, "currency": row.currency, "reason": row.reason, "state": row.state}


def _digest(row: Chargeback) -> str:
    """Returns a digest of what exactly is answered."""
    body = {"v": 1, "chargeback": row.id, **_seen(row)} | ({"round": row.round} if row.round > 1 else {})
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


async def draft(session: AsyncSession, row: Chargeback) -> dict[str, str]:
    """Returns the evidence that our record has, as the fields of ports.acquirer.Evidence. It names nobody: the bank
    knows its customer, and the texts are kept in plain."""
    challenge = await session.get_one(Challenge, row.challenge_id)
    product = await products.load(session, challenge.product, challenge.version)
    accounts = (
        await session.scalars(
            select(Account)
            .where(Account.challenge_id.in_(await chains.onward_from(session, [challenge.id])))
            .order_by(Account.number)
        )
    ).all()
    opened = min((account.opened_at for account in accounts if account.opened_at is not None), default=None)
    product_words = (
        f"{product.name}: access to a trading account with simulated money and its evaluation, delivered online at "
        f"once. Bought on {_at(challenge.bought_at)} as order {challenge.id}, version {challenge.version} of the "
        f"terms."
    )
    return {
        "product_description": _cut(product_words),
        "service_date": "" if opened is None else opened.astimezone(UTC).date().isoformat(),
        "access_activity_log": _cut(await _activity(session, challenge, list(accounts))),
        "uncategorized_text": _cut(await _terms(session, challenge)),
    }


async def _activity(session: AsyncSession, challenge: Challenge, accounts: list[Account]) -> str:
    """Returns the steps of the order and the trades on its accounts, oldest first."""
    steps = await session.scalars(
        select(Transition)
        .where(Transition.subject_kind == "challenge", Transition.subject_id == challenge.id)
        .order_by(Transition.id)
    )
    lines = [f"{_at(step.occurred_at)}  {name(step.trigger)}" for step in steps]
    for account in accounts:
        if account.opened_at is not None:
            lines.append(f"{_at(account.opened_at)}  account A-{account.number} opened for the customer")
        lines += await _trades(session, account)
    return "\n".join(lines)


async def _trades(session: AsyncSession, account: Account) -> list[str]:
    of_account = DealRow.account_id == account.id
    count = await session.scalar(select(func.count()).select_from(DealRow).where(of_account))
    deals = await session.scalars(select(DealRow).where(of_account).order_by(DealRow.seq).limit(_TRADES_SHOWN))
    lines = [f"{_at(deal.at)}  {deal.side} {deal.lots} {deal.symbol} at {deal.price}" for deal in deals]
    return [*lines, f"account A-{account.number}: {count or 0} trades of the customer in all"]


async def _terms(session: AsyncSession, challenge: Challenge) -> str:
    version = await session.get_one(ProductVersion, (challenge.product, challenge.version))
    paid = await session.execute(
        select(func.count(), func.coalesce(func.sum(Payout.trader_minor), 0)).where(
            Payout.challenge_id == challenge.id, Payout.state == "paid"
        )
    )
    count, minor = paid.one()
    words = (
        f"The customer accepted the terms of {challenge.product}, version {challenge.version}, with the order on "
        f"{_at(challenge.bought_at)}. SHA-256 of these terms: {version.content_hash}."
    )
    lines = [words]
    if count:
        amount = Money(minor=int(minor), currency=challenge.currency)
        lines.append(f"{count} payouts of this order were paid to the customer, together {amount}.")
    return "\n".join(lines)


def _at(at: datetime) -> str:
    return instant(at.astimezone(UTC))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
