"""A trader's account at a rail that keeps accounts of its own: opened once, paid once the trader has completed it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from adapters.stripe.rail import RailSettings, StripeRail
from domain.errors import NotFound
from firm import payees
from front.payees import PayeeView, open_payee
from ports.payments import Payments
from ports.rail import Rails
from relay.inbox import InboxDispatcher
from store import inbox
from store.models import Beneficiary, InboxEvent, OutgoingMailRow
from tests.api_world import ApiWorld, api_world
from tests.contract.fake_stripe import KEY, Shop, open_shop
from tests.mailed import token_of


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder: Path = tmp_path_factory.mktemp("stripe")
    with open_shop(folder) as opened:
        yield opened


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        yield made


@pytest.fixture
async def rail(shop: Shop) -> AsyncIterator[StripeRail]:
    given = {"key": KEY, "url": f"{shop.sandbox.url}/stripe", "webhook_secrets": "whsec_12345678"}
    made = StripeRail("stripe", RailSettings.model_validate(given))
    yield made
    await made.aclose()


@pytest.fixture
def payments(world: ApiWorld, rail: StripeRail) -> Payments:
    known = world.deps.payments
    rails = Rails({**known.rails.by_name, "stripe": rail}, "sandbox", {})
    return Payments(known.acquirers, rails, known.statements, known.identity)


async def _open(world: ApiWorld, payments: Payments, who: str = "tina") -> PayeeView:
    return await open_payee(world.db, payments, world.people[who].trader_id, "stripe", site="http://firm.test")


async def _told(world: ApiWorld, payments: Payments, event_id: str, payee_id: str) -> InboxEvent:
    async with world.db.transaction() as session:
        await inbox.receive(
            session, provider="stripe", event_id=event_id, kind="payee.changed", object_id=payee_id, problem=None
        )
    await InboxDispatcher(world.db, payments).step()
    async with world.db.transaction() as session:
        return (await session.scalars(select(InboxEvent).where(InboxEvent.event_id == event_id))).one()


async def _accounts(world: ApiWorld, who: str = "tina") -> list[str]:
    """The trader's accounts at the rail."""
    query = select(Beneficiary).where(
        Beneficiary.trader_id == world.people[who].trader_id, Beneficiary.rail == "stripe"
    )
    async with world.db.transaction() as session:
        return [row.account for row in await session.scalars(query)]


async def test_payouts_go_to_the_account_once_the_trader_has_completed_it(
    world: ApiWorld, payments: Payments, shop: Shop
) -> None:
    opened = await _open(world, payments)
    assert not opened.ready
    assert opened.needs
    assert (await _told(world, payments, "evt_early", opened.id)).handled_at is not None
    assert await _accounts(world) == []
    shop.submit(opened.url, outcome="complete")
    for event_id in ("evt_1", "evt_2"):
        assert (await _told(world, payments, event_id, opened.id)).handled_at is not None
    assert await _accounts(world) == [], "it replaces another account: the trader confirms it by mail"
    asked = await _open(world, payments)
    assert (asked.id, asked.ready, asked.confirm_by_mail) == (opened.id, True, True)
    async with world.db.transaction() as session:
        mailed = await session.scalars(select(OutgoingMailRow).where(OutgoingMailRow.kind == "beneficiary_link"))
        assert [row.recipient for row in mailed] == ["tina@example.org"], "one mail for one account"
    token = await token_of(world.db, "tina@example.org", "beneficiary_link")
    assert (await world.ask(None, "PUT", "/v1/beneficiary-confirmation", {"token": token})).status_code == 204
    assert await _accounts(world) == [opened.id]
    again = await _open(world, payments)
    assert (again.id, again.ready, again.url, again.confirm_by_mail) == (opened.id, True, "", False)
    assert await _accounts(world) == [opened.id]


async def test_the_account_is_found_after_a_lost_answer(
    world: ApiWorld, payments: Payments, rail: StripeRail, shop: Shop
) -> None:
    trader_id = world.people["eve"].trader_id
    async with world.db.transaction() as session:
        asked = await payees.ask(session, trader_id, "stripe")
    lost = await rail.create_payee(key=asked.key, reference=trader_id, email=asked.email, country=asked.country)
    shop.faults(forget_keys=True)
    try:
        assert (await _open(world, payments, "eve")).id == lost.payee_id
    finally:
        shop.faults()


async def test_an_account_that_was_not_opened_here_is_paid_to_nobody(
    world: ApiWorld, payments: Payments, rail: StripeRail
) -> None:
    trader_id = world.people["tina"].trader_id
    stranger = await rail.create_payee(key="elsewhere", reference=trader_id, email="x@example.org", country="DE")
    async with world.db.transaction() as session:
        with pytest.raises(NotFound):
            await payees.changed(session, "stripe", stranger.model_copy(update={"ready": True}), usual="bank")
    assert await _accounts(world) == []


async def test_a_rail_without_accounts_says_so(world: ApiWorld) -> None:
    path = f"/v1/traders/{world.people['tina'].trader_id}/payees"
    for rail in ("sandbox", "unknown"):
        answer = await world.ask("tina", "POST", path, {"rail": rail})
        assert (answer.status_code, answer.json()["field"]) == (422, "rail")
    assert (await world.ask("eve", "POST", path, {"rail": "sandbox"})).status_code == 404
    assert (await world.ask("finance", "POST", path, {"rail": "sandbox"})).status_code == 403
