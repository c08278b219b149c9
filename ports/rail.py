"""Port of a payment rail: sends payouts to traders and follows each until it has arrived or is back.

ports/money.py says how each call may end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from domain.errors import BadInput, NotConfigured
from domain.money import Money
from domain.payouts.transfer import RailStatus, RailWord
from ports.money import Data, EventSource, Word


class Beneficiary(Data):
    """Who is paid. `account`: where, in the rail's own form (an IBAN, the id of a payee). `name`: of the holder."""

    account: str
    name: str


class TransferOrder(Data):
    """One attempt to send a payout. `reference`: our payout id. The amount is in minor units of `currency`.

    `key`: at most 35 characters that a bank file can carry (letters, digits, `/-?:().,'+`). Transfers of an earlier
    version have longer ones; a rail that cannot carry a key refuses it with BadInput.
    """

    key: Word
    reference: str
    amount_minor: int
    currency: str
    beneficiary: Beneficiary


class Transfer(Data):
    """An attempt at the rail.

    `status`:
    pending      accepted; it may still be refused, cancelled or fail
    paid         it has arrived, as far as the rail knows; it can still be `returned` days later
    refused      the rail refused it after accepting the order; no money left
    undelivered  it did not arrive, and the money waits at the rail until `cancel_transfer` takes it back
    returned     the money left and is back with the firm
    cancelled    `cancel_transfer` stopped it; no money left
    `failure`: why, in the rail's words.
    """

    transfer_id: str
    key: str
    reference: str
    status: RailStatus
    amount_minor: int
    currency: str
    failure: str | None = None

    @property
    def word(self) -> RailWord:
        moved = Money(minor=self.amount_minor, currency=self.currency)
        return RailWord(self.transfer_id, self.status, moved, self.failure or "")


class Payee(Data):
    """A trader's account at a rail that keeps accounts of payees. `ready`: payouts can be sent to it. `needs`: what the
    rail still asks for, in its words."""

    payee_id: str
    reference: str
    ready: bool
    needs: tuple[str, ...] = ()


class PaymentRail(EventSource, Protocol):
    """`name`: the name in the firm's settings, and of its cash account in the books."""

    def check_beneficiary(self, beneficiary: Beneficiary, currency: str) -> None:
        """Raises BadInput with field `beneficiary` for an account that cannot exist (wrong check digits, wrong form) or
        that the rail cannot pay in `currency`. Asks nobody."""
        ...

    async def create_transfer(self, order: TransferOrder) -> Transfer:
        """Sends money to a beneficiary. The same key returns the first transfer; the same key with another amount or
        beneficiary raises IdempotencyMismatch. Raises RefusedForGood, InProgress, OutcomeUnknown."""
        ...

    async def fetch_transfer(self, transfer_id: str) -> Transfer: ...

    async def find_transfer(self, key: str) -> Transfer | None:
        """Returns the transfer made under `key`; None if there is none yet. A call under way may still make one."""
        ...

    async def cancel_transfer(self, transfer_id: str) -> Transfer:
        """Stops a transfer that has not left, or takes the money of an undelivered one back. Repeating it is harmless.
        A transfer that can no longer be stopped is returned unchanged."""
        ...

    async def healthy(self) -> str: ...

    async def aclose(self) -> None: ...


async def taken_back(rail: PaymentRail, transfer: Transfer) -> Transfer:
    """Returns the transfer after the money of an undelivered one was taken back; any other one unchanged."""
    return await rail.cancel_transfer(transfer.transfer_id) if transfer.status == "undelivered" else transfer


@runtime_checkable
class PayeeAccounts(Protocol):
    """A rail that pays into accounts of its own, which each trader opens once."""

    async def create_payee(self, *, key: str, reference: str, email: str, country: str) -> Payee: ...

    async def find_payee(self, key: str) -> Payee | None: ...

    async def fetch_payee(self, payee_id: str) -> Payee: ...

    async def onboarding_link(self, payee_id: str, *, return_url: str) -> str:
        """Returns a page of the rail where the trader completes the account. It expires soon: never store it."""
        ...


class RailCapabilities(Data):
    """The features of a rail. `currencies`: what it sends; empty: any. `has_payees`: it is also a PayeeAccounts.
    `returns_after_arrival_days`: how long a transfer that has arrived may still come back."""

    currencies: tuple[str, ...]
    has_payees: bool
    returns_after_arrival_days: int


@dataclass(frozen=True)
class Rails:
    """The configured payment rails by name. `default`: sends new payouts. `capabilities` by the same names."""

    by_name: Mapping[str, PaymentRail]
    default: str
    capabilities: Mapping[str, RailCapabilities]

    def of(self, name: str) -> PaymentRail:
        """Returns the rail for a transfer's column `rail`. Raises NotConfigured."""
        if name not in self.by_name:
            raise NotConfigured("payment rail", name, "PROPOS_RAILS")
        return self.by_name[name]

    def check(self, name: str, account: str, holder: str, currency: str) -> None:
        """Raises BadInput when the rail `name` cannot pay `account` of `holder` in `currency`: no such rail is
        configured, it does not send that currency, or the account cannot exist."""
        try:
            rail = self.of(name)
        except NotConfigured as error:
            raise BadInput(error.message, field="rail", remedy=error.remedy) from error
        sent = self.capabilities[name].currencies
        if sent and currency not in sent:
            raise BadInput(
                f"The rail {name} does not send {currency}.",
                field="beneficiary",
                remedy=f"Pay in one of {', '.join(sent)}, or over another rail.",
            )
        rail.check_beneficiary(Beneficiary(account=account, name=holder), currency)

    def for_currency(self, account: str, holder: str, currency: str | None) -> str:
        """Returns the rail that pays `account` in `currency`: the default one if it can, else the first one that can
        and keeps no payees of its own. `currency` None: that of each payout's account, which the
        request checks. Raises BadInput with field `currency` when none can."""
        if currency is None:
            return self.default
        others = [each for each in self.by_name if each != self.default and not self.capabilities[each].has_payees]
        refused: list[BadInput] = []
        for name in (self.default, *others):
            try:
                self.check(name, account, holder, currency)
            except BadInput as error:
                refused.append(error)
            else:
                return name
        raise BadInput(
            f"No rail of the firm can pay this account in {currency}: {refused[0].message}",
            field="currency",
            remedy=refused[0].remedy,
        )
