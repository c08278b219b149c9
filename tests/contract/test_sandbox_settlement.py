"""What the simulated Stripe pays out to the firm arrives at the simulated bank, and is on both statements."""

from pathlib import Path

import pytest

from adapters.bank.link import BankLink
from adapters.bank.statements import BankStatements
from adapters.stripe.statements import StatementSettings, StripeStatements
from sandbox.bank.ibans import BIC, firm_iban
from sandbox.config import SETTLED_BY
from tests.bank_world import bank_settings
from tests.contract.fake_stripe import KEY, open_shop

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # inside the SDK


async def test_a_settlement_leaves_stripe_and_reaches_the_bank(tmp_path: Path) -> None:
    folder = tmp_path / "bank"
    with open_shop(tmp_path / "sandbox", bank_dir=str(folder), bank_currencies=["USD"]) as shop:
        shop.desk("topups", amount=90_000, currency="usd")
        made = await shop.client().v1.payouts.create_async({"amount": 50_000, "currency": "usd"})
        await shop.aclose()
        shop.later(days=4)  # a weekend may lie between
        accounts = f"USD:{firm_iban('USD')}:{BIC}"
        settings = bank_settings(folder, settlements_from=SETTLED_BY, accounts=accounts)
        bank = BankStatements("bank", BankLink(settings))
        given = {"key": KEY, "url": f"{shop.sandbox.url}/stripe"}
        stripe = StripeStatements("stripe", StatementSettings.model_validate(given))
        told = [(one.kind, one.amount_minor, one.currency) for one in await bank.entries(None)]
        left = [(one.kind, one.amount_minor, one.object_id) for one in await stripe.entries(None)]
        await stripe.aclose()
        await bank.aclose()
    assert told == [("settlement", 50_000, "USD")]
    assert ("settlement", -50_000, made.id) in left
