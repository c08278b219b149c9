"""Which account a payout is paid to when it is sent again."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput, StaleDecision
from firm.payouts import conversions
from store import crypto
from store.models import Beneficiary, Payout
from store.read.pages import mask_iban
from store.read.payouts import SendTo


class PaidTo(NamedTuple):
    """`currency`: what is sent to it; None: that of the payout's account. `id`: None for an account without a row."""

    account: str
    id: str | None
    currency: str | None


async def of(session: AsyncSession, payout: Payout, rail: str) -> PaidTo:
    """Returns who is paid when a payout is sent again over `rail`: the trader's newest account for that rail that was
    not refused, else the one that the payout names."""
    found: Beneficiary | None = await session.scalar(
        select(Beneficiary)
        .where(Beneficiary.trader_id == payout.trader_id, Beneficiary.rail == rail, Beneficiary.state != "refused")
        .order_by(Beneficiary.recorded_at.desc(), Beneficiary.id.desc())
        .limit(1)
    )
    if found is not None:
        return PaidTo(found.account, found.id, found.currency)
    conversion = conversions.of(payout)
    return PaidTo(payout.beneficiary, payout.beneficiary_id, None if conversion is None else conversion.bought.currency)


def digest(account: str) -> str:
    """Returns the digest by which people name an account: 16 hex digits, as in `seen` of the payout."""
    return crypto.keys().digest(account)[:16]


def check_seen(account: str, seen: str) -> None:
    """Refuses to send to an account that is not the one which the person read. Raises BadInput without `seen`,
    StaleDecision."""
    if not seen:
        raise BadInput(
            "Sending again names the account that was seen.",
            field="beneficiary",
            remedy="Send the `beneficiary` of one entry of `send_to` of GET /v1/payouts/{id}, with its `rail`.",
        )
    if seen != digest(account):
        raise StaleDecision("payout", ["the beneficiary"], field="beneficiary")


async def targets(session: AsyncSession, payout: Payout) -> tuple[SendTo, ...]:
    """Returns where the payout can be sent again: over its own rail first, then over each other rail for which the
    trader has a confirmed account."""
    others: Sequence[str] = (
        await session.scalars(
            select(Beneficiary.rail)
            .where(Beneficiary.trader_id == payout.trader_id, Beneficiary.state == "confirmed")
            .order_by(Beneficiary.rail)
        )
    ).all()
    found = []
    for rail in dict.fromkeys([payout.rail, *others]):
        account = (await of(session, payout, rail)).account
        found.append(SendTo(rail=rail, account=mask_iban(account), beneficiary=digest(account)))
    return tuple(found)
