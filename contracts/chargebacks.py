"""Activities of workflow `Chargeback`."""

from temporalio import activity

from contracts.messages import ChargebackStart, Message


class ChargebackStatus(Message):
    """`over`: the bank has decided, and nothing is left to do."""

    state: str
    over: bool


@activity.defn(name="chargebacks.follow")
async def follow(start: ChargebackStart) -> ChargebackStatus:
    """Sends the firm's answer, reads the chargeback at the acquirer, and brings books, payouts and trading in line."""
    raise NotImplementedError
