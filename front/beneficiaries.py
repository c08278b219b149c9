"""How a trader proves that a new account for payouts is their wish: by a factor, or by a link that is mailed."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from firm import beneficiaries, confirmations
from front.once import Once
from store import attempts, crypto, factors
from store.links import Account
from store.models import Beneficiary, Intent


async def give(session: AsyncSession, once: Once, trader_id: str, wanted: Account) -> Beneficiary | None:
    """Pays the trader there from now on. Returns None when nothing has changed yet: a link was mailed that does it.

    The account of before again needs no proof. Who has a factor proves every other one with a step-up; who has none
    gets the link, unless it is their first account. Raises StepUpRequired, NeedsPerson, EmailUnconfirmed,
    TooManyAttempts, NotFound.
    """
    actor, terms = once.actor, once.deps.sign_ins
    becomes = await beneficiaries.compare(session, trader_id, wanted)
    if becomes != "same" and (await factors.held(session, actor.user_id)).any:
        account = crypto.keys().digest(wanted.number)
        await once.prove(
            session, "beneficiary", trader=trader_id, account=account, rail=wanted.rail, currency=wanted.currency or ""
        )
    elif becomes == "change":
        await confirmations.check_confirmed(session, trader_id, terms)
        counter = attempts.key_of("beneficiary", trader_id)
        # in this transaction: who waits for the locked trader holds a connection, and a second one may never be free
        await attempts.count_in(session, counter, terms.mails, refusal="We sent you several mails already.")
        await beneficiaries.ask_by_mail(
            session, trader_id=trader_id, user_id=actor.user_id, wanted=wanted, site=once.deps.public_url
        )
        return None
    return await beneficiaries.add(
        session, trader_id=trader_id, account=wanted.number, rail=wanted.rail, currency=wanted.currency, actor=actor
    )


async def prove_opening(session: AsyncSession, once: Once, trader_id: str, rail: str) -> None:
    """Uses a step-up of a trader with a factor before their account at a rail is opened; once it is, none is needed.
    Raises StepUpRequired, NeedsPerson."""
    if await session.get(Intent, keys.payee(trader_id, rail)) is not None:
        return
    if (await factors.held(session, once.actor.user_id)).any:
        await once.prove(session, "beneficiary", do="open an account", trader=trader_id, rail=rail)
