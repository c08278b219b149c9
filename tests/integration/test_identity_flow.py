"""A trader is checked at the fake Stripe: started here, finished there, recorded from its event."""

from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import select

from adapters.stripe.client import EventSettings
from adapters.stripe.identity import StripeIdentity
from console.present.identity import identity as page_of
from domain.approvals import Actor
from domain.errors import Conflict, OutcomeUnknown
from front.deps import ApiDeps
from front.identity import start_check
from front.subjects.identity import IDENTITY
from ports.identity import IdentitySession
from relay.inbox import EventSweep, InboxDispatcher
from store.models import IdentityCheck, InboxEvent, Trader
from tests.adapters import UnusedProvider, providers
from tests.api_world import FakeTemporal
from tests.contract.fake_stripe import KEY, Shop, open_shop
from tests.payout_world import World, a_firm

RITA = Actor(user_id="usr_rita", person_id="rita", role="risk", trader_id=None)


class Checker(StripeIdentity):
    """Stripe; `lost`: it starts the check, and the answer does not come back."""

    lost = False
    starts = 0

    async def start(self, *, key: str, reference: str, return_url: str) -> IdentitySession:
        self.starts += 1
        made = await super().start(key=key, reference=reference, return_url=return_url)
        if self.lost:
            raise OutcomeUnknown("The connection was cut.")
        return made


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("stripe")) as opened:
        yield opened


@pytest.fixture
async def checker(shop: Shop) -> AsyncIterator[Checker]:
    values = {"key": KEY, "url": f"{shop.sandbox.url}/stripe", "webhook_secrets": "whsec_account_1"}
    adapter = Checker("stripe", EventSettings.model_validate(values))
    yield adapter
    await adapter.aclose()


class Desk:
    def __init__(self, firm: World, shop: Shop, checker: Checker) -> None:
        self.firm, self.shop, self.checker = firm, shop, checker
        self.payments = providers(UnusedProvider(), checker=checker)
        self.deps = ApiDeps(
            db=firm.db, temporal=FakeTemporal().connect, payments=self.payments, public_url="https://firm.example"
        )

    async def finish(self, url: str, outcome: str = "complete", **form: str) -> None:
        """The trader hands in a document; Stripe decides; the relay hears of it."""
        self.shop.submit(url, outcome=outcome, **form)
        self.shop.later(hours=1)
        await EventSweep(self.firm.db, self.checker).step()
        await InboxDispatcher(self.firm.db, self.payments).step()

    async def record(self) -> tuple[str, list[str]]:
        """(the identity of the trader, the states of their checks)"""
        async with self.firm.db.transaction() as session:
            trader = await session.get_one(Trader, "trd_tina")
            checks = await session.scalars(select(IdentityCheck).order_by(IdentityCheck.recorded_at))
            return trader.identity, [check.status for check in checks]

    async def waiting(self) -> list[str]:
        async with self.firm.db.transaction() as session:
            return [row.subject_id for row in await session.execute(IDENTITY.waiting.rows())]


@pytest.fixture
async def desk(database_url: str, shop: Shop, checker: Checker) -> AsyncIterator[Desk]:
    async with a_firm(database_url) as firm:
        await firm.add_trader("tina")
        async with firm.db.transaction() as session:
            (await session.get_one(Trader, "trd_tina")).identity = "unverified"
        yield Desk(firm, shop, checker)


async def test_a_check_that_agrees_verifies_the_trader(desk: Desk) -> None:
    started = await start_check(desk.deps, "trd_tina")
    assert (started.status, bool(started.url)) == ("pending", True)
    assert (await start_check(desk.deps, "trd_tina")).url == started.url, "the open check is continued"
    assert desk.checker.starts == 1
    await desk.finish(started.url, name="Tina")
    assert await desk.record() == ("verified", ["verified"])
    async with desk.firm.db.transaction() as session:
        check = (await session.scalars(select(IdentityCheck))).one()
        events = (await session.scalars(select(InboxEvent).where(InboxEvent.object_id == check.session_id))).all()
        assert [event.handled_at is not None for event in events] == [True]
    with pytest.raises(Conflict):
        await start_check(desk.deps, "trd_tina")


async def test_a_failed_check_may_be_tried_again(desk: Desk) -> None:
    await desk.finish((await start_check(desk.deps, "trd_tina")).url, outcome="fail")
    assert await desk.record() == ("unverified", ["failed"])
    await desk.finish((await start_check(desk.deps, "trd_tina")).url, name="Tina")
    assert await desk.record() == ("verified", ["failed", "verified"])


async def test_documents_of_somebody_else_go_to_a_person_who_sees_both_names(desk: Desk) -> None:
    await desk.firm.add_user("rita", "risk")
    await desk.finish((await start_check(desk.deps, "trd_tina")).url, name="Olga Petrova")
    assert await desk.record() == ("unverified", ["name_differs"])
    assert await desk.waiting() == ["trd_tina"]
    async with desk.firm.db.transaction() as session:
        shown = dict((await page_of(session, RITA, "trd_tina")).facts)
    assert (shown["Checked by"], shown["Verified name"]) == ("stripe", "Olga Petrova")


async def test_a_start_without_an_answer_is_found_by_its_key(desk: Desk) -> None:
    desk.checker.lost = True
    started = await start_check(desk.deps, "trd_tina")
    assert (started.status, bool(started.url)) == ("pending", True)
    assert desk.checker.starts == 1
    await desk.finish(started.url, name="Tina")
    assert (await desk.record())[0] == "verified"
