"""A trader's account at a rail that keeps accounts of its own: opened once, and paid once it is ready."""

from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.errors import NotFound
from firm import beneficiaries, people
from store import crypto, outbox
from store.links import Account
from store.models import Beneficiary, Intent, Trader, User

KIND: Final = "payments.payee"


class Payee(Protocol):
    """As ports/rail.py has it."""

    @property
    def payee_id(self) -> str: ...
    @property
    def reference(self) -> str: ...
    @property
    def ready(self) -> bool: ...


@dataclass(frozen=True)
class Asked:
    """What the rail is asked for. `payee_id`: once it has answered. `again`: it was asked before."""

    key: str
    email: str
    country: str
    payee_id: str | None
    again: bool


async def ask(session: AsyncSession, trader_id: str, rail: str) -> Asked:
    """Commits to open the trader's account at `rail`, once. Commit it before the rail is called. Raises NotFound."""
    trader = await people.lock_trader(session, trader_id)
    key = keys.payee(trader_id, rail)
    known = await session.get(Intent, key)
    result = await outbox.declare_intent(session, key=key, kind=KIND, payload={"rail": rail})
    payee_id = None if result is None else str(result["payee_id"])
    return Asked(key, trader.email, trader.country, payee_id, again=known is not None)


async def opened(session: AsyncSession, key: str, payee_id: str, *, site: str) -> None:
    """Records the id of the account, and the address of the console for the mail about it. The first ones stay."""
    await outbox.fulfil_intent(session, key=key, result={"payee_id": payee_id, "site": site})


async def changed(session: AsyncSession, rail: str, payee: Payee, *, usual: str, site: str = "") -> bool:
    """Pays the trader at this account from now on, once it is ready. Payouts that were requested keep theirs. Hearing
    it again changes nothing. `usual`: the rail of an account that the trader gave before accounts had one. `site`: the
    address of the console; empty: the one of when the account was opened.

    Where it replaces another account, the trader gets a link by mail instead, and nothing changes before it is used:
    then this returns True.

    Raises NotFound for an account that was not opened for a trader of ours, and until its id is on the record.
    """
    intent = await session.get(Intent, keys.payee(payee.reference, rail), populate_existing=True)
    if intent is None or intent.result is None or intent.result["payee_id"] != payee.payee_id:
        raise NotFound
    trader = await people.lock_trader(session, payee.reference)
    if not payee.ready or await _known(session, trader, rail, payee.payee_id):
        return False
    user_id = await session.scalar(select(User.id).where(User.trader_id == trader.id).limit(1))
    actor = await people.current_actor(session, user_id or "")
    await beneficiaries.adopt(session, trader, usual)
    wanted, site = Account(payee.payee_id, rail, None), site or str(intent.result.get("site", ""))
    if await beneficiaries.compare(session, trader.id, wanted) == "change":
        if site:  # unknown for an account of before the mails, until the trader asks for it again
            await beneficiaries.ask_by_mail(
                session, trader_id=trader.id, user_id=actor.user_id, wanted=wanted, site=site, again=False
            )
        return True
    await beneficiaries.add(session, trader_id=trader.id, account=payee.payee_id, rail=rail, actor=actor)
    return False


async def _known(session: AsyncSession, trader: Trader, rail: str, payee_id: str) -> bool:
    indexes = crypto.keys().blind_indexes(payee_id)
    found = select(Beneficiary.id).where(
        Beneficiary.trader_id == trader.id, Beneficiary.rail == rail, Beneficiary.account_index.in_(indexes)
    )
    return await session.scalar(found.limit(1)) is not None
