"""Payment rail on Stripe Connect (Express): one transfer to the payee's account, and one payout from there to its bank.

The transfer is the first step: it takes the money from the firm's balance. The payout is the second. Payees have no
automatic payouts, so each payout on an account is of one transfer and carries its key.
"""

from collections.abc import Awaitable
from typing import Final, Literal

from stripe.params import AccountCreateParams

from adapters.stripe import shapes
from adapters.stripe.amounts import from_stripe, to_stripe, to_stripe_payout
from adapters.stripe.client import KEY, PAGE, REFERENCE, EventSettings, known_id
from adapters.stripe.events import EventConnection
from adapters.stripe.kinds import RAIL_KINDS
from domain.errors import BadInput, IdempotencyMismatch, NotFound, OutcomeUnknown, PropOSError, Unavailable
from domain.quoting import storable_text
from ports.plugin import Plugin
from ports.rail import Beneficiary, Payee, PaymentRail, RailCapabilities, Transfer, TransferOrder

TRANSFER: Final = "propos_transfer"  # on a payout: the id of its transfer
_ARRIVED: Final = "destination_payment.balance_transaction"
_PAYOUT_TRIES: Final = 3
_NO_PAYOUT: Final = "No payout was made on the payee's account."
_Status = Literal["pending", "paid", "undelivered"]
_STATES: Final[dict[str, _Status]] = {
    "pending": "pending",
    "in_transit": "pending",
    "paid": "paid",
    "failed": "undelivered",  # the money is on the payee's account again
    "canceled": "undelivered",
}


class RailSettings(EventSettings):
    """`service_agreement`: what payees agree to with Stripe; "recipient" for payees in other countries than the
    firm's (docs.stripe.com/connect/cross-border-payouts)."""

    service_agreement: Literal["full", "recipient"] = "full"


class StripeRail(EventConnection):
    """A PaymentRail with PayeeAccounts. A beneficiary's account is the id of a payee."""

    def __init__(self, name: str, settings: RailSettings) -> None:
        super().__init__(name, settings, RAIL_KINDS)
        self._agreement = settings.service_agreement

    def check_beneficiary(self, beneficiary: Beneficiary, currency: str) -> None:
        try:
            known_id(beneficiary.account, "acct")
            to_stripe(0, currency)
        except (NotFound, BadInput) as exc:
            raise BadInput(
                f"Stripe cannot pay this account in {currency}.",
                field="beneficiary",
                remedy="Use the id of a payee (acct_...) and a currency that Stripe takes.",
            ) from exc

    async def create_transfer(self, order: TransferOrder) -> Transfer:
        """A transfer that was made before under this key gets its payout, if it has none: Stripe may have forgotten
        the key. A refused payout leaves the transfer `undelivered`."""
        self.check_beneficiary(order.beneficiary, order.currency)
        to_stripe_payout(order.amount_minor, order.currency)
        transfer = await self._find(order.key)
        if transfer is None:
            transfer, payout = await self._send(order), None
        elif _is_of(transfer, order):
            payout = await self._payout_of(transfer)
        else:
            raise IdempotencyMismatch(order.key)
        if payout is not None or transfer.reversed:
            return _transfer(transfer, payout)
        try:
            return _transfer(transfer, await self._pay_out(transfer))
        except Unavailable:
            raise
        except PropOSError as exc:
            return _transfer(transfer, None, exc.message)

    async def fetch_transfer(self, transfer_id: str) -> Transfer:
        return await self._state(await self._fetch(transfer_id))

    async def find_transfer(self, key: str) -> Transfer | None:
        """A transfer without a payout is `undelivered`: its money waits at Stripe."""
        transfer = await self._find(key)
        return None if transfer is None else await self._state(transfer)

    async def cancel_transfer(self, transfer_id: str) -> Transfer:
        """Stops the payout if the bank does not have it yet, then takes the transfer back."""
        transfer = await self._fetch(transfer_id)
        payout = await self._payout_of(transfer)
        state = _transfer(transfer, payout)
        if state.status in ("paid", "returned") or (payout is not None and payout.status == "in_transit"):
            return state
        # Both calls can take effect only once, so they need no key of ours: under one, Stripe would repeat a refusal
        # for a day.
        if payout is not None and payout.status == "pending":
            call = self._v1.payouts.cancel_async(payout.id, None, {"stripe_account": transfer.destination})
            if not await self._is_done(shapes.Payout, transfer, call):
                return await self.fetch_transfer(transfer_id)
        marks = {KEY: transfer.metadata[KEY], REFERENCE: transfer.metadata[REFERENCE]}
        reversal = self._v1.transfers.reversals.create_async(transfer.id, {"metadata": marks})
        await self._is_done(shapes.Reversal, transfer, reversal)
        return await self.fetch_transfer(transfer_id)

    async def create_payee(self, *, key: str, reference: str, email: str, country: str) -> Payee:
        params: AccountCreateParams = {
            "type": "express",
            "country": country,
            "email": email,
            "business_type": "individual",
            "capabilities": {"transfers": {"requested": True}},
            "settings": {"payouts": {"schedule": {"interval": "manual"}}},
            "metadata": {KEY: key, REFERENCE: reference},
        }
        if self._agreement == "recipient":
            params["tos_acceptance"] = {"service_agreement": "recipient"}
        call = self._v1.accounts.create_async(params, {"idempotency_key": key})
        return _payee(await self._api.write(shapes.Account, key, call))

    async def find_payee(self, key: str) -> Payee | None:
        """Reads the list of all payees, newest first: Stripe has no filter for it. Only a lost answer asks this."""
        async for account in self._api.rows(shapes.Account, self._v1.accounts.list_async({"limit": PAGE})):
            if account.metadata.get(KEY) == key:
                return _payee(account)
        return None

    async def fetch_payee(self, payee_id: str) -> Payee:
        call = self._v1.accounts.retrieve_async(known_id(payee_id, "acct"))
        return _payee(await self._api.read(shapes.Account, call))

    async def onboarding_link(self, payee_id: str, *, return_url: str) -> str:
        call = self._v1.account_links.create_async(
            {
                "account": known_id(payee_id, "acct"),
                "type": "account_onboarding",
                "refresh_url": return_url,
                "return_url": return_url,
            }
        )
        return (await self._api.read(shapes.Link, call)).url  # it moves nothing, and each call makes a new one

    async def _send(self, order: TransferOrder) -> shapes.Transfer:
        call = self._v1.transfers.create_async(
            {
                "amount": to_stripe(order.amount_minor, order.currency),
                "currency": order.currency.lower(),
                "destination": order.beneficiary.account,
                "transfer_group": order.key,
                "metadata": {KEY: order.key, REFERENCE: order.reference},
                "expand": [_ARRIVED],
            },
            {"idempotency_key": order.key},
        )
        return await self._api.write(shapes.Transfer, order.key, call)

    async def _pay_out(self, transfer: shapes.Transfer) -> shapes.Payout:
        """Pays what arrived on the payee's account out to its bank, in the currency that it has there."""
        arrived = transfer.destination_payment
        found = arrived.balance_transaction if isinstance(arrived, shapes.DestinationPayment) else None
        amount, currency = (
            (found.net, found.currency) if isinstance(found, shapes.Arrived) else (transfer.amount, transfer.currency)
        )
        key = f"{transfer.metadata[KEY]}/pay"
        for _ in range(_PAYOUT_TRIES):
            call = self._v1.payouts.create_async(
                {
                    "amount": amount,
                    "currency": currency.lower(),
                    "metadata": {
                        KEY: transfer.metadata[KEY],
                        REFERENCE: transfer.metadata[REFERENCE],
                        TRANSFER: transfer.id,
                    },
                },
                {"idempotency_key": key, "stripe_account": transfer.destination},
            )
            try:
                return await self._api.write(shapes.Payout, key, call)
            except Unavailable:
                continue
        raise OutcomeUnknown(
            "Stripe holds the money on the payee's account, and did not confirm its payout.",
            remedy="Look the transfer up by its key, then repeat it with its key.",
        )

    async def _is_done(self, shape: type[shapes.Shape], transfer: shapes.Transfer, call: Awaitable[object]) -> bool:
        """Returns False if Stripe refuses the call: it came too late, or an earlier one has done it."""
        try:
            await self._api.write(shape, transfer.metadata[KEY], call)
        except Unavailable:
            raise
        except PropOSError:
            return False
        return True

    async def _fetch(self, transfer_id: str) -> shapes.Transfer:
        call = self._v1.transfers.retrieve_async(known_id(transfer_id, "tr"), {"expand": [_ARRIVED]})
        transfer = await self._api.read(shapes.Transfer, call)
        if KEY not in transfer.metadata or REFERENCE not in transfer.metadata:
            raise NotFound("This transfer was not made here.")
        return transfer

    async def _find(self, key: str) -> shapes.Transfer | None:
        call = self._v1.transfers.list_async({"transfer_group": key, "limit": PAGE})
        async for transfer in self._api.rows(shapes.Transfer, call):
            if transfer.metadata.get(KEY) == key:
                return await self._fetch(transfer.id)
        return None

    async def _payout_of(self, transfer: shapes.Transfer) -> shapes.Payout | None:
        call = self._v1.payouts.list_async(
            {"limit": PAGE, "created": {"gte": transfer.created}}, {"stripe_account": transfer.destination}
        )
        async for payout in self._api.rows(shapes.Payout, call):
            if payout.metadata.get(TRANSFER) == transfer.id:
                return payout
        return None

    async def _state(self, transfer: shapes.Transfer) -> Transfer:
        return _transfer(transfer, await self._payout_of(transfer))


def _is_of(transfer: shapes.Transfer, order: TransferOrder) -> bool:
    return (transfer.amount, transfer.currency, transfer.destination, transfer.metadata.get(REFERENCE)) == (
        to_stripe(order.amount_minor, order.currency),
        order.currency,
        order.beneficiary.account,
        order.reference,
    )


def _transfer(transfer: shapes.Transfer, payout: shapes.Payout | None, why: str = _NO_PAYOUT) -> Transfer:
    """`returned` for every transfer that was taken back: its money had left the firm's balance. `why` there is no
    payout."""
    failure = why if payout is None else payout.failure_code
    if payout is not None and payout.status not in _STATES:
        raise Unavailable("Stripe names a status of a payout that is not known here.")
    status: Literal["pending", "paid", "undelivered", "returned"]
    status = "undelivered" if payout is None else _STATES[payout.status]
    if transfer.reversed:
        status = "returned"
    return Transfer(
        transfer_id=transfer.id,
        key=transfer.metadata[KEY],
        reference=transfer.metadata[REFERENCE],
        status=status,
        amount_minor=from_stripe(transfer.amount, transfer.currency),
        currency=transfer.currency,
        failure=storable_text(failure) if failure else None,
    )


def _payee(account: shapes.Account) -> Payee:
    """Raises NotFound for an account that this firm's system did not open."""
    if REFERENCE not in account.metadata:
        raise NotFound("This account is not one of our payees.")
    asked = account.requirements or shapes.Requirements()
    needs = [*(asked.past_due or ()), *(asked.currently_due or ()), *filter(None, [asked.disabled_reason])]
    may_receive = (account.capabilities or {}).get("transfers") == "active"
    return Payee(
        payee_id=account.id,
        reference=account.metadata[REFERENCE],
        ready=account.payouts_enabled and may_receive,
        needs=tuple(dict.fromkeys(storable_text(need, 120) for need in needs)),
    )


def _build(name: str, settings: RailSettings) -> PaymentRail:
    return StripeRail(name, settings)


# A payout that Stripe reports as paid may still fail within five business days.
PLUGIN: Final = Plugin(
    RailSettings, RailCapabilities(currencies=(), has_payees=True, returns_after_arrival_days=7), _build
)
