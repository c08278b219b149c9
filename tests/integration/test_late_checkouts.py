"""A checkout that the acquirer makes while its order is cancelled: nobody gets it, and it is closed there."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, update

from activities.deps import Deps
from activities.fees import open_checkout
from domain.errors import Unavailable
from ports.acquirer import Checkout, CheckoutOrder
from store.models import Challenge
from tests.adapters import platforms, providers
from tests.api_world import ApiWorld, FakePayments, api_world
from tests.payout_world import Venue

BUY = {"product": "instant"}


class Slow(FakePayments):
    """Until it answers, the time to pay is over."""

    def __init__(self, world: ApiWorld) -> None:
        super().__init__()
        self._world = world
        self.closed: list[str] = []

    async def create_checkout(self, order: CheckoutOrder, *, key: str) -> Checkout:
        made = await super().create_checkout(order, key=key)
        async with self._world.db.transaction() as session:
            cancelled = update(Challenge).where(Challenge.id == order.reference).values(state="cancelled")
            await session.execute(cancelled)
        return made

    async def expire_checkout(self, checkout_id: str, *, key: str) -> Checkout:
        self.closed.append(checkout_id)
        return next(each for each in self.checkouts.values() if each.checkout_id == checkout_id)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        yield made


async def _kept(world: ApiWorld, challenge_id: str) -> tuple[str | None, str | None]:
    async with world.db.transaction() as session:
        row = await session.get_one(Challenge, challenge_id)
        return row.checkout_id, row.checkout_url


async def test_a_buyer_gets_no_checkout_of_a_cancelled_order(world: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(world)
    for call in ("create_checkout", "expire_checkout"):
        monkeypatch.setattr(world.payments, call, getattr(slow, call))
    bought = await world.ask("tina", "POST", "/v1/challenges", BUY)
    assert (bought.status_code, bought.json()["checkout_url"], slow.closed) == (201, "", ["co_1"])
    assert await _kept(world, bought.json()["id"]) == ("co_1", None), "events about it are still understood"


async def test_the_workflow_keeps_no_checkout_of_a_cancelled_order(world: ApiWorld) -> None:
    world.payments.fails.append(Unavailable("The acquirer is away."))
    assert (await world.ask("tina", "POST", "/v1/challenges", BUY)).status_code == 503
    async with world.db.transaction() as session:
        challenge_id = (await session.scalars(select(Challenge.id).where(Challenge.product == "instant"))).one()
    slow = Slow(world)
    deps = Deps(db=world.db, platforms=platforms(Venue()), payments=providers(slow))
    assert (await open_checkout(deps, challenge_id)).state == "cancelled"
    assert (slow.closed, await _kept(world, challenge_id)) == (["co_1"], ("co_1", None))
