"""Fees over the real Stripe adapters and the fake Stripe: every cent of its statement has its entry in the books."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from adapters.stripe.acquirer import StripeAcquirer
from adapters.stripe.client import EventSettings
from adapters.stripe.statements import StatementSettings, StripeStatements
from firm import refunds
from store.ledger_check import check
from store.models import Chargeback, ReconciliationBreak, RefundRow, StatementBalanceRow
from store.reconciliation import breaks
from tests import servers
from tests.challenge_world import START, Firm, a_firm
from tests.contract.fake_stripe import KEY, Shop, open_shop

FEE = 54_000


class Stripe:
    """The acquirer and the statement source of one account at Stripe."""

    name = "stripe"

    def __init__(self, url: str) -> None:
        settings = {"key": KEY, "url": f"{url}/stripe"}
        self._acquirer = StripeAcquirer(
            "stripe", EventSettings.model_validate({**settings, "webhook_secrets": "whsec_books"})
        )
        self._statements = StripeStatements("stripe", StatementSettings.model_validate(settings))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._statements if name in ("entries", "balances") else self._acquirer, name)

    async def aclose(self) -> None:
        await self._acquirer.aclose()
        await self._statements.aclose()


@pytest.fixture
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("stripe")) as opened:
        yield opened


@pytest.fixture
def temporal_address() -> Iterator[str]:
    """A server for each test: every shop numbers its disputes anew, and workflows are named after them."""
    with servers.temporal_server() as address:
        yield address


@pytest.fixture
async def firm(database_url: str, temporal_address: str, shop: Shop) -> AsyncIterator[Firm]:
    provider = Stripe(shop.sandbox.url)
    async with a_firm(database_url, temporal_address, provider=provider) as found:
        yield found
    await provider.aclose()


async def _bought(firm: Firm, shop: Shop, trader: str) -> tuple[str, str]:
    """Returns a challenge that was paid by card, and its checkout."""
    challenge_id = await firm.buy(await firm.add_trader(trader))
    checkout = await firm.provider.fetch_checkout(str((await firm.challenge(challenge_id)).checkout_id))
    assert shop.submit(checkout.url, outcome="card").status_code == 303
    await firm.news()
    await firm.becomes(challenge_id, "active")
    return challenge_id, checkout.checkout_id


async def _all_read(firm: Firm) -> bool:
    """Both chargebacks are decided on the record, and the refund has failed."""
    async with firm.db.transaction() as session:
        states = set(await session.scalars(select(Chargeback.state)))
        return states == {"won", "lost"} and list(await session.scalars(select(RefundRow.state))) == ["failed"]


async def _agrees(firm: Firm) -> None:
    """The books are whole, nothing is left to reconcile, also not days later, and the cash is what Stripe has."""
    for days in (0, 0, 2, 9, 9):
        await firm.market_time(START + timedelta(days=days))
        await firm.reconcile()
        await firm.news()
    await firm.reconcile()
    [balance] = await firm.provider.balances()
    async with firm.db.transaction() as session:
        assert [each for each in await check(session, is_copy=True) if each.faults] == []
    async with firm.db.transaction() as session:
        seen = await session.scalars(select(ReconciliationBreak).where(ReconciliationBreak.resolution.is_(None)))
        assert [(each.kind, each.amount_minor) for each in seen] == []
        assert await breaks.open_ends(session) == 0
        kept = (await session.scalars(select(StatementBalanceRow))).one()
        assert (kept.amount_minor, kept.expected_minor) == (balance.amount_minor, balance.amount_minor)
    assert await firm.balance("provider:stripe") == balance.amount_minor


async def test_a_paid_fee_agrees_with_the_statement_and_the_balance(firm: Firm, shop: Shop) -> None:
    challenge_id, _ = await _bought(firm, shop, "ada")
    await _agrees(firm)
    assert await firm.balance("provider-fees") > 0
    async with firm.db.transaction() as session:
        left = await refunds.left_minor(session, await firm.challenge(challenge_id))
    assert left == FEE, "the acquirer's fee is the firm's: all of the payment can go back to the buyer"


@pytest.mark.parametrize("reads", ["every step", "the end only"])
async def test_chargebacks_and_refunds_that_fail_agree_however_late_they_are_read(
    firm: Firm, shop: Shop, reads: str
) -> None:
    """Money that was taken and given back between two reads is on the statement, so it is in the books too."""
    names = ("won", "lost", "refund")
    checkouts = {name: (await _bought(firm, shop, name))[1] for name in names}
    disputes = {name: shop.desk("disputes", payment=checkouts[name])["id"] for name in ("won", "lost")}
    shop.faults(refunds_fail=1)
    shop.desk("refunds", payment=checkouts["refund"], amount=10_000)
    if reads == "every step":
        await firm.news()
    for outcome, dispute in disputes.items():
        shop.desk(f"disputes/{dispute}/decide", outcome=outcome)
    if reads == "every step":
        await firm.news()
    shop.later(days=4)
    await firm.news()
    await firm.until(lambda: _all_read(firm))
    await _agrees(firm)
    books = {name: await firm.balance(name) for name in ("fees", "disputed", "chargebacks")}
    assert books == {"fees": -3 * FEE, "disputed": 0, "chargebacks": FEE}
