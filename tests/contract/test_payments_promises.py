"""What every payment provider promises of keys, unknown ids and cursors: the sandbox and the providers of the tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.payments.sandbox import SandboxPayments
from domain.errors import CursorForgotten, IdempotencyMismatch, NotFound
from ports.acquirer import CheckoutOrder
from ports.rail import Beneficiary, TransferOrder
from tests import challenge_world, payout_world
from tests.adapters import PaymentProvider
from tests.contract.sandbox_process import SECRET, TOKEN, running_sandbox, waves, write_recording

CHECKOUT = CheckoutOrder(
    reference="chl_1", amount_minor=49_900, currency="USD", description="Two-step", return_url="http://a/b"
)
HOLDER = Beneficiary(account="IBAN-A", name="Ada Lovelace")
TRANSFER = TransferOrder(key="pay_1", reference="pay_1", amount_minor=80_000, currency="USD", beneficiary=HOLDER)


@pytest.fixture(params=["sandbox", "challenge_world", "payout_world"])
async def provider(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PaymentProvider]:
    if request.param == "challenge_world":
        yield challenge_world.Provider()
    elif request.param == "payout_world":
        yield payout_world.Provider()
    else:
        write_recording(tmp_path / "prices", "EURUSD", waves(1, 110_000, 300, 10, 5))
        with running_sandbox(tmp_path, market_dir=tmp_path / "prices", symbols=("EURUSD",)) as process:
            adapter = SandboxPayments(url=process.url, token=TOKEN, webhook_secret=SECRET)
            yield adapter
            await adapter.aclose()


async def test_a_key_makes_one_transfer_and_is_for_that_one_alone(provider: PaymentProvider) -> None:
    assert await provider.find_transfer("pay_1") is None
    made = await provider.create_transfer(TRANSFER)
    assert await provider.create_transfer(TRANSFER) == made
    assert await provider.find_transfer("pay_1") == made == await provider.fetch_transfer(made.transfer_id)
    for change in ({"amount_minor": 80_001}, {"beneficiary": Beneficiary(account="IBAN-B", name="Ada Lovelace")}):
        with pytest.raises(IdempotencyMismatch):
            await provider.create_transfer(TRANSFER.model_copy(update=change))


async def test_what_it_does_not_know_is_not_found(provider: PaymentProvider) -> None:
    with pytest.raises(NotFound):
        await provider.fetch_transfer("tr_unheard_of")
    with pytest.raises(CursorForgotten):
        await provider.entries("en_unheard_of")


@pytest.mark.parametrize("provider", ["sandbox", "challenge_world"], indirect=True)  # the other world has no fees
async def test_a_key_opens_one_checkout_and_is_for_that_one_alone(provider: PaymentProvider) -> None:
    made = await provider.create_checkout(CHECKOUT, key="fee-1")
    assert await provider.create_checkout(CHECKOUT, key="fee-1") == made
    assert await provider.fetch_checkout(made.checkout_id) == made
    with pytest.raises(IdempotencyMismatch):
        await provider.create_checkout(CHECKOUT.model_copy(update={"amount_minor": 1}), key="fee-1")
    closed = await provider.expire_checkout(made.checkout_id, key="e")
    assert (closed.status, await provider.expire_checkout(made.checkout_id, key="e")) == ("expired", closed)
    for call in (provider.fetch_checkout("cs_none"), provider.refund("cs_none", key="r")):
        with pytest.raises(NotFound):
            await call
    with pytest.raises(CursorForgotten):
        await provider.events("ev_unheard_of")
