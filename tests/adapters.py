"""Fakes as the composition root hands them out: by name, the first one for what is new."""

from collections.abc import Mapping
from datetime import datetime
from typing import NoReturn, Protocol

from adapters.identity.manual import ManualChecker
from ports.acquirer import Acquirer, Acquirers, Chargeback, Checkout, CheckoutOrder, Evidence, Refund
from ports.identity import IdentityChecker, IdentityCheckers
from ports.money import WebhookEvent
from ports.payments import Payments
from ports.platform import Platforms, TradingPlatform
from ports.rail import Beneficiary, PaymentRail, RailCapabilities, Rails, Transfer, TransferOrder
from ports.statements import StatementBalance, StatementEntry, StatementSource, StatementSources


class PaymentProvider(Acquirer, PaymentRail, StatementSource, Protocol):
    """One company that takes fees, sends payouts and tells what moved."""


def platforms(*them: TradingPlatform) -> Platforms:
    return Platforms({one.name: one for one in them}, them[0].name)


def providers(*them: PaymentProvider, checker: IdentityChecker | None = None) -> Payments:
    """`checker`: of identities; staff decide without one."""
    checks = checker or ManualChecker()
    names = {one.name: one for one in them}
    able = RailCapabilities(currencies=(), has_payees=False, returns_after_arrival_days=0)
    return Payments(
        Acquirers(dict(names), them[0].name),
        Rails(dict(names), them[0].name, dict.fromkeys(names, able)),
        StatementSources(dict(names)),
        IdentityCheckers({checks.name: checks}, checks.name),
    )


def beneficiary(account: str, name: str = "Ada Lovelace") -> Beneficiary:
    return Beneficiary(account=account, name=name)


class UnusedProvider:
    """A provider that no call of the test reaches. Fakes override what their tests need."""

    name = "fakepay"

    async def create_checkout(self, order: CheckoutOrder, *, key: str) -> Checkout:
        _unused()

    async def fetch_checkout(self, object_id: str) -> Checkout:
        _unused()

    async def find_checkout(self, key: str) -> Checkout | None:
        _unused()

    async def expire_checkout(self, checkout_id: str, *, key: str) -> Checkout:
        _unused()

    async def refund(self, checkout_id: str, *, key: str, amount_minor: int | None = None) -> Refund:
        _unused()

    async def refunds(self, checkout_id: str) -> list[Refund]:
        _unused()

    async def find_refund(self, checkout_id: str, key: str) -> Refund | None:
        _unused()

    async def fetch_chargeback(self, chargeback_id: str) -> Chargeback:
        _unused()

    async def submit_evidence(self, chargeback_id: str, evidence: Evidence, *, key: str) -> Chargeback:
        _unused()

    async def accept_chargeback(self, chargeback_id: str, *, key: str) -> Chargeback:
        _unused()

    def check_beneficiary(self, beneficiary: Beneficiary, currency: str) -> None:
        """Takes every text."""

    async def create_transfer(self, order: TransferOrder) -> Transfer:
        _unused()

    async def fetch_transfer(self, transfer_id: str) -> Transfer:
        _unused()

    async def find_transfer(self, key: str) -> Transfer | None:
        _unused()

    async def cancel_transfer(self, transfer_id: str) -> Transfer:
        return await self.fetch_transfer(transfer_id)

    async def entries(self, after: str | None, limit: int = 1000) -> list[StatementEntry]:
        _unused()

    async def balances(self) -> list[StatementBalance]:
        return []

    async def events(self, after: str | None) -> list[WebhookEvent]:
        _unused()

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookEvent | None:
        _unused()

    async def healthy(self) -> str:
        return "fake"

    async def aclose(self) -> None:
        return None


def _unused() -> NoReturn:
    raise AssertionError("this test has no use for that call")
