"""Where a trader is paid: the first account is taken as it is; a change needs a proof of the trader, a second channel
and a cooling period.

The proof is a step-up, or a link that is mailed to the trader; front/beneficiaries.py decides which. The second channel
is a person of support who reaches the trader under the contact on file and records the answer.
"""

from datetime import datetime
from typing import Final, Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput, Conflict, NotFound
from domain.keys import new_id
from domain.payouts.policy import PayoutPolicy
from firm import beneficiary_mails, people
from firm import decide as guard
from firm.payouts import signals
from store import audit, crypto, identity_facts, links, rows
from store.clock import market_now
from store.models import Beneficiary, Trader, User

KIND: Final = "beneficiary"
WAITING, CONFIRMED, REFUSED = "waiting", "confirmed", "refused"
_BECOMES: Final = {"confirm": CONFIRMED, "refuse": REFUSED}


async def of_trader(session: AsyncSession, trader_id: str) -> list[Beneficiary]:
    """Returns the trader's beneficiaries, newest first."""
    found = await session.scalars(
        select(Beneficiary)
        .where(Beneficiary.trader_id == trader_id)
        .order_by(Beneficiary.recorded_at.desc(), Beneficiary.id.desc())
    )
    return list(found)


async def add(
    session: AsyncSession, *, trader_id: str, account: str, rail: str, actor: Actor, currency: str | None = None
) -> Beneficiary:
    """A trader adds an account, which new payouts go to. The first one is confirmed at once; another one waits for the
    second channel. The newest one again changes nothing. Payouts that were requested keep theirs. `currency`: what is
    sent to it; None: the currency of each payout's account. The caller has asked the rail whether it can pay that, and
    has proven that the trader wants it. The trader is told by mail.

    Raises NotFound (also for another trader).
    """
    if actor.trader_id != trader_id:
        raise NotFound
    trader = await people.lock_trader(session, trader_id)
    before = await _newest(session, trader_id) or await adopt(session, trader, rail)
    if before is not None and _is_same(before, links.Account(account, rail, currency)):
        return before
    now = await market_now(session)
    row = _row(trader_id, account, rail, currency=currency, at=now, added_by=actor.user_id, changes=before is not None)
    session.add(row)
    trader.beneficiary = account
    await session.flush()
    await identity_facts.note(session, trader_id, "beneficiary", account, source=f"rail/{rail}")
    await audit.record(
        session,
        action="trader.beneficiary_changed",
        subject_kind="trader",
        subject_id=trader_id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        evidence={
            "old": crypto.keys().digest(before.account) if before else None,
            "new": crypto.keys().digest(account),
            "beneficiary": row.id,
            "rail": rail,
            "currency": currency,
        },
    )
    await beneficiary_mails.send_notice(session, trader, row)
    return row


async def compare(session: AsyncSession, trader_id: str, wanted: links.Account) -> Literal["same", "first", "change"]:
    """Returns what it would be to pay this trader there. The trader is locked until the transaction ends. Raises
    NotFound."""
    trader = await people.lock_trader(session, trader_id)
    before = await _newest(session, trader_id) or await adopt(session, trader, wanted.rail)
    if before is None:
        return "first"
    return "same" if _is_same(before, wanted) else "change"


async def ask_by_mail(
    session: AsyncSession, *, trader_id: str, user_id: str, wanted: links.Account, site: str, again: bool = True
) -> None:
    """Mails the trader a link that changes where they are paid; nothing changes before it is used. Earlier links end.
    `site`: the address of the console. `again`: also when an open link is for this account already. Raises NotFound,
    BadInput."""
    trader = await people.lock_trader(session, trader_id)
    if not again and await links.asked_for(session, user_id) == wanted:
        return
    token = await links.make(session, "beneficiary", user_id=user_id, account=wanted)
    await beneficiary_mails.send_link(session, trader, token, wanted, site=site)


async def confirm_link(session: AsyncSession, token: str) -> Beneficiary:
    """Pays the trader from now on at the account for which the link was mailed. Raises BadInput for a link that is no
    good, NotAllowed for a user who is no longer active."""
    link = await links.use(session, "beneficiary", token)
    user = await session.get_one(User, link.user_id)
    wanted, actor = links.account_of(link), await people.current_actor(session, user.id)
    return await add(
        session,
        trader_id=user.trader_id or "",
        account=wanted.number,
        rail=wanted.rail,
        currency=wanted.currency,
        actor=actor,
    )


async def chosen(session: AsyncSession, trader: Trader, beneficiary_id: str | None, *, rail: str) -> Beneficiary:
    """Returns the beneficiary of a new payout: the one that the request names, or the newest. Raises BadInput for one
    of another trader and for a refused one."""
    row = await named(session, trader, beneficiary_id) or await adopt(session, trader, rail)
    if row is None:
        raise BadInput(
            "There is no bank account to pay to.", field="beneficiary", remedy="Add one, then ask for the payout."
        )
    return row


async def named(session: AsyncSession, trader: Trader, beneficiary_id: str | None) -> Beneficiary | None:
    """Returns the beneficiary of this id, or the newest of the trader; None when there is no row yet. Raises BadInput
    for one of another trader and for a refused one."""
    if beneficiary_id is None:
        return await _newest(session, trader.id)
    row = await session.get(Beneficiary, beneficiary_id)
    if row is None or row.trader_id != trader.id or row.state == REFUSED:
        raise BadInput(
            "This is not a bank account of yours that can be paid.",
            field="beneficiary",
            remedy="Use one of GET /v1/traders/{id}/beneficiaries.",
        )
    return row


async def decide(
    session: AsyncSession, beneficiary_id: str, *, verb: str, actor: Actor, reason: str, key: str
) -> Beneficiary:
    """Record what the trader said over the second channel. The same key again changes nothing.

    Raises NotFound, NotAllowed, SelfApproval, AlreadyDecided, BadInput.
    """
    trader = await people.lock_trader(session, (await _found(session, beneficiary_id)).trader_id)
    row = await rows.locked(session, Beneficiary, beneficiary_id)
    digest = crypto.keys().digest(row.account)
    evidence = {"account": digest, "rail": row.rail, "currency": row.currency}
    person = await people.person_of(session, row.trader_id)
    subject = guard.Subject(kind=KIND, id=row.id, digest=digest, evidence=evidence, asked_by=person, once=True)

    async def still_open(_made: object) -> None:
        if row.state != WAITING:
            raise Conflict("Nothing is to be confirmed here: it was the trader's first bank account.")

    now = await guard.record(session, subject, guard.Choice(verb, actor, reason, key), still_open)
    if now is None:
        return row
    row.state, row.decided_at = _BECOMES[verb], now
    newest = await _newest(session, row.trader_id)
    trader.beneficiary = newest.account if newest else None
    await signals.send_risk_changed(session, cause=f"{KIND}/{row.id}/{verb}", trader_ids=[row.trader_id])
    await audit.record(
        session,
        action=f"beneficiary.{row.state}",
        subject_kind=KIND,
        subject_id=row.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence=evidence,
    )
    return row


def why_waits(row: Beneficiary, policy: PayoutPolicy, now: datetime) -> str:
    """Returns why payouts to this beneficiary wait in review, as a clause; empty when they do not."""
    if row.state == REFUSED:
        return "the trader said that this bank account is not theirs"
    if row.state == WAITING:
        return "the new bank account is not confirmed over a second channel"
    until = usable_at(row, policy)
    if until is not None and now < until:
        return f"the bank account was changed; payouts to it wait until {until:%Y-%m-%d %H:%M} UTC"
    return ""


def usable_at(row: Beneficiary, policy: PayoutPolicy) -> datetime | None:
    """Returns the end of the cooling period of a confirmed beneficiary; None where there is none, or it waits for more
    than time."""
    return row.added_at + policy.beneficiary_cooling if row.changes and row.state == CONFIRMED else None


async def _found(session: AsyncSession, beneficiary_id: str) -> Beneficiary:
    row = await session.get(Beneficiary, beneficiary_id)
    if row is None:
        raise NotFound
    return row


async def _newest(session: AsyncSession, trader_id: str) -> Beneficiary | None:
    return next((row for row in await of_trader(session, trader_id) if row.state != REFUSED), None)


def _is_same(row: Beneficiary, wanted: links.Account) -> bool:
    same_way = (row.rail, row.currency) == (wanted.rail, wanted.currency)
    return same_way and row.account_index in crypto.keys().blind_indexes(wanted.number)


async def adopt(session: AsyncSession, trader: Trader, rail: str) -> Beneficiary | None:
    """Returns the row of an account that a trader had before beneficiaries were rows; None when there was none."""
    if trader.beneficiary is None or await of_trader(session, trader.id):
        return None
    row = _row(trader.id, trader.beneficiary, rail, at=trader.created_at, added_by=None, changes=False)
    session.add(row)
    await session.flush()
    return row


def _row(
    trader_id: str,
    account: str,
    rail: str,
    *,
    at: datetime,
    added_by: str | None,
    changes: bool,
    currency: str | None = None,
) -> Beneficiary:
    return Beneficiary(
        id=new_id("ben"),
        trader_id=trader_id,
        rail=rail,
        account=account,
        account_index=crypto.keys().blind_index(account),
        currency=currency,
        state=WAITING if changes else CONFIRMED,
        changes=changes,
        added_by=added_by,
        added_at=at,
    )
