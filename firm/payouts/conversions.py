"""The exchange of a payout in another currency than its account's, at the firm's newest rate."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput, NoUsableRate
from domain.exchange import Conversion, Rate, convert, rate_between
from domain.money import Money
from domain.payouts.policy import PayoutPolicy
from firm.payouts import policies
from store import rates
from store.clock import market_now
from store.models import Payout, PayoutTransfer


def of(row: Payout | PayoutTransfer) -> Conversion | None:
    """Returns the exchange of a payout, or of an attempt to send it; None when it is sent in the account's currency."""
    return None if row.conversion is None else Conversion.model_validate(row.conversion)


async def of_amount(session: AsyncSession, amount: Money, currency: str | None) -> Conversion | None:
    """Returns `amount` in the currency of a bank account, at the newest rate; None when none is exchanged.

    Raises NoUsableRate; BadInput for an amount below the smallest unit of that currency.
    """
    if currency is None or currency == amount.currency:
        return None
    found = convert(amount, await _rate(session, amount.currency, currency))
    if found.bought.minor <= 0 < amount.minor:
        raise BadInput(
            f"{amount} is less than the smallest amount in {currency}.",
            field="amount",
            remedy=f"Ask for more, or name a bank account in {amount.currency}.",
        )
    return found


async def _rate(session: AsyncSession, sold: str, bought: str) -> Rate:
    now, valid = await market_now(session), (await policies.in_force(session)).rate_valid
    found = rate_between(await rates.quoted(session, (sold, bought), now, valid), sold, bought)
    if found is None:
        newest = await rates.newest_at(session, now)
        last = "none is on the record" if newest is None else f"the newest rate on the record is of {_written(newest)}"
        raise NoUsableRate(
            f"There is no rate from {sold} to {bought} of the last {_hours(valid.total_seconds())}; {last}."
            " A newer one is needed.",
            field="beneficiary",
            remedy=f"Import newer rates (propos rates import), or pay to a bank account in {sold}.",
        )
    return found


def why_waits(conversion: Conversion, policy: PayoutPolicy, now: datetime) -> str:
    """Returns why nothing is sent at this rate, as a clause; empty when it may be used."""
    if now <= expires_at(conversion, policy):
        return ""
    hours = _hours(policy.rate_valid.total_seconds())
    return (
        f"the rate from {conversion.rate.sold} to {conversion.rate.bought} is older than {hours}; it is renewed when"
        " newer rates are imported (propos rates import)"
    )


def expires_at(conversion: Conversion, policy: PayoutPolicy) -> datetime:
    """Returns the market time until which the rate may be used."""
    return conversion.rate.at + policy.rate_valid


def sentence(conversion: Conversion) -> str:
    """Returns what is exchanged, for people."""
    rate = conversion.rate
    return f"{conversion.sold} is paid as {conversion.bought}, at {rate.price:f} ({rate.source}, {_written(rate.at)})."


def _written(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _hours(seconds: float) -> str:
    return f"{int(seconds // 3600)} hours"


def stored(conversion: Conversion | None) -> dict[str, Any] | None:
    return None if conversion is None else conversion.model_dump(mode="json")
