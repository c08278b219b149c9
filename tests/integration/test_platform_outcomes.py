"""What an activity makes of each outcome at the platform: an answer that is lost is looked up, a refusal for good is
shown to a person. The platform here forgets its keys: asked twice, it does a thing twice."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, cast

import pytest
from sqlalchemy import select

from activities.challenges import ChallengeActivities
from activities.deps import Deps
from activities.payouts import PayoutActivities
from contracts.challenges import ChallengeFact, PhaseStep
from domain import keys
from domain.errors import OutcomeUnknown, RefusedForGood, WaitsForPerson
from firm import challenges, reviews
from ports.acquirer import Checkout, CheckoutOrder
from ports.platform import BalanceKind
from store import crypto, products
from store.db import Database
from store.models import Review
from tests import challenge_world, payout_world
from tests.adapters import platforms, providers
from tests.challenge_world import KEYS, Firm, Provider, after
from tests.payout_world import INITIAL, MEDIUM, World, ref
from tests.shelf import publish_shelf

Cut = Literal["before", "after"]


@dataclass
class ForgetfulVenue(challenge_world.Venue):
    """`cuts`: the calls that get no answer, once, and when. `refuses`: the calls that are refused under every key."""

    cuts: dict[str, Cut] = field(default_factory=dict)
    refuses: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def _goes(self, call: str, key: str, effect: Callable[[], Awaitable[Any]]) -> Any:
        self.asked.append((call, key))
        if call in self.refuses:
            raise RefusedForGood(key, "The group is closed.")
        cut = self.cuts.pop(call, None)
        if cut == "before":
            raise OutcomeUnknown("no answer")
        answer = await effect()
        if cut == "after":
            raise OutcomeUnknown("no answer")
        return answer

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        async def make() -> int:
            self.keys.pop(f"account:{key}", None)
            return await super(ForgetfulVenue, self).create_account(
                key=key, group=group, currency=currency, leverage=leverage
            )

        return int(await self._goes("create_account", key, make))

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        async def move() -> None:
            self.keys.pop(f"{operation}:{login}:{key}", None)
            await super(ForgetfulVenue, self).balance_operation(
                login, key=key, operation=operation, amount_minor=amount_minor
            )

        await self._goes(operation, key, move)

    async def set_trading(self, login: int, *, key: str, enabled: bool) -> None:
        await self._goes("set_trading", key, partial(super().set_trading, login, key=key, enabled=enabled))

    async def lock(self, login: int, *, key: str) -> None:
        await self._goes("lock", key, partial(super().lock, login, key=key))


@dataclass
class Bench:
    firm: Firm
    venue: ForgetfulVenue
    activities: ChallengeActivities

    async def bought(self) -> str:
        actor = await self.firm.add_trader("tina")
        async with self.firm.db.transaction() as session:
            product = await products.newest(session, "two-step")
            row = await challenges.buy(
                session,
                trader_id="trd_tina",
                product=product,
                return_url="https://firm.example/",
                provider=self.firm.provider.name,
                actor=actor,
            )
        return row.id

    async def paid(self) -> str:
        challenge_id = await self.bought()
        await self.activities.open_checkout(ChallengeFact(challenge_id=challenge_id, key="c"))
        self.firm.provider.becomes(f"co_{challenge_id}/checkout", "paid")
        await self.activities.check_payment(ChallengeFact(challenge_id=challenge_id, key="p"))
        return challenge_id

    async def active(self) -> str:
        challenge_id = await self.paid()
        await self.activities.open_account(first(challenge_id))
        assert (await self.activities.start_phase(first(challenge_id))).state == "active"
        return challenge_id

    async def review(self) -> Review:
        (review,) = [each for each in await self.firm.reviews("platform_refused") if each.status == "open"]
        return review

    async def closed(self, review: Review) -> None:
        rosa = await self.firm.add_user("rosa", "risk")
        async with self.firm.db.transaction() as session:
            await reviews.close(session, review_id=review.id, actor=rosa, reason="The group is open again.")


def first(challenge_id: str) -> PhaseStep:
    return PhaseStep(challenge_id=challenge_id, phase_index=1)


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    crypto.install(crypto.FieldKeys.parse(KEYS))
    db = Database(database_url, pool_size=5)
    async with db.transaction() as session:
        await publish_shelf(session)
    venue, provider = ForgetfulVenue(), Provider()
    firm = Firm(db, cast("Any", None), venue, provider, cast("Any", None), cast("Any", None))
    await firm.market_time(after())
    yield Bench(firm, venue, ChallengeActivities(Deps(db=db, platforms=platforms(venue), payments=providers(provider))))
    await db.close()


@pytest.mark.parametrize("cut", ["before", "after"])
@pytest.mark.parametrize("call", ["create_account", "deposit", "set_trading"])
async def test_an_account_whose_answer_is_lost_is_opened_and_funded_once(bench: Bench, call: str, cut: Cut) -> None:
    challenge_id = await bench.paid()
    bench.venue.cuts[call] = cut
    with pytest.raises(OutcomeUnknown):
        await bench.activities.open_account(first(challenge_id))
    await bench.activities.open_account(first(challenge_id))
    await bench.activities.open_account(first(challenge_id))
    (seat,) = bench.venue.seats.values()
    assert (seat.balance_minor, seat.enabled) == (10_000_000, True)
    assert (await bench.firm.account(challenge_id)).login == seat.login


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_pass_whose_lock_gets_no_answer_locks_the_account(bench: Bench, cut: Cut) -> None:
    challenge_id = await bench.active()
    passed = await _passes(bench, challenge_id)
    bench.venue.cuts["lock"] = cut
    with pytest.raises(OutcomeUnknown):
        await bench.activities.record_pass(passed)
    assert (await bench.activities.record_pass(passed)).state == "provisioning"
    (seat,) = bench.venue.seats.values()
    assert not seat.enabled


async def test_an_account_that_the_platform_refuses_waits_for_a_person(bench: Bench) -> None:
    challenge_id = await bench.paid()
    bench.venue.refuses.add("create_account")
    for _ in range(3):
        assert (await bench.activities.open_account(first(challenge_id))).state == "provisioning"
        assert (await bench.activities.start_phase(first(challenge_id))).state == "provisioning"
    assert bench.venue.asked == [("create_account", f"{challenge_id}/1")], "a refused key is not tried again"
    review = await bench.review()
    assert review.detail["challenge_id"] == challenge_id
    assert review.detail["why"] == "The group is closed."
    bench.venue.refuses.clear()
    await bench.closed(review)
    await bench.activities.open_account(first(challenge_id))
    assert (await bench.activities.start_phase(first(challenge_id))).state == "active"
    assert bench.venue.asked[1] == ("create_account", f"{challenge_id}/1/try/2")
    assert [seat.balance_minor for seat in bench.venue.seats.values()] == [10_000_000]


async def test_a_refused_lock_that_a_person_did_by_hand_is_seen(bench: Bench) -> None:
    challenge_id = await bench.active()
    passed = await _passes(bench, challenge_id)
    bench.venue.refuses.add("lock")
    for _ in range(3):
        with pytest.raises(WaitsForPerson):
            await bench.activities.record_pass(passed)
    locks = [key for call, key in bench.venue.asked if call == "lock"]
    assert len(locks) == 1
    (seat,) = bench.venue.seats.values()
    seat.enabled = False
    await bench.closed(await bench.review())
    assert (await bench.activities.record_pass(passed)).state == "provisioning"
    assert [key for call, key in bench.venue.asked if call == "lock"] == locks


async def _passes(bench: Bench, challenge_id: str) -> ChallengeFact:
    await bench.firm.passes(challenge_id)
    account = await bench.firm.account(challenge_id)
    return ChallengeFact(challenge_id=challenge_id, key="pass", subject_id=keys.derived_id("psg", account.id, 1))


# payouts


@dataclass
class ForgetfulPayoutVenue(payout_world.Venue):
    cuts: dict[BalanceKind, Cut] = field(default_factory=dict)
    refuses: set[BalanceKind] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        self.asked.append(key)
        if operation in self.refuses:
            raise RefusedForGood(key, "The account is archived.")
        cut = self.cuts.pop(operation, None)
        if cut == "before":
            raise OutcomeUnknown("no answer")
        self.done.pop(key, None)
        await super().balance_operation(login, key=key, operation=operation, amount_minor=amount_minor)
        if cut == "after":
            raise OutcomeUnknown("no answer")


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with payout_world.a_firm(database_url) as world:
        world.venue = ForgetfulPayoutVenue()
        world.activities = PayoutActivities(world.deps)
        yield world


def venue_of(firm: World) -> ForgetfulPayoutVenue:
    assert isinstance(firm.venue, ForgetfulPayoutVenue)
    return firm.venue


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_hold_whose_answer_is_lost_is_taken_once(firm: World, cut: Cut) -> None:
    payout_id = await firm.request(await firm.add_trader("tina"), MEDIUM)
    venue_of(firm).cuts["payout_hold"] = cut
    with pytest.raises(OutcomeUnknown):
        await firm.activities.place_hold(ref(payout_id))
    assert (await firm.activities.place_hold(ref(payout_id))).state == "reserved"
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000 - MEDIUM}


async def _rejected(firm: World) -> str:
    payout_id = await firm.awaiting(await firm.add_trader("tina"), MEDIUM)
    await firm.decide(payout_id, await firm.add_user("gil", "finance"), "reject")
    return payout_id


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_release_whose_answer_is_lost_comes_back_once(firm: World, cut: Cut) -> None:
    payout_id = await _rejected(firm)
    venue_of(firm).cuts["payout_release"] = cut
    with pytest.raises(OutcomeUnknown):
        await firm.activities.release_hold(ref(payout_id))
    assert (await firm.activities.release_hold(ref(payout_id))).state == "rejected"
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000}


async def test_a_refused_hold_refuses_the_request(firm: World) -> None:
    payout_id = await firm.request(await firm.add_trader("tina"), MEDIUM)
    venue_of(firm).refuses.add("payout_hold")
    assert (await firm.activities.place_hold(ref(payout_id))).state == "refused"
    assert (await firm.activities.place_hold(ref(payout_id))).state == "refused"
    assert venue_of(firm).asked == [f"{payout_id}/hold"]
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000}


async def test_a_refused_release_waits_for_a_person_and_comes_back_once(firm: World) -> None:
    payout_id = await _rejected(firm)
    venue_of(firm).refuses.add("payout_release")
    for _ in range(3):
        with pytest.raises(WaitsForPerson):
            await firm.activities.release_hold(ref(payout_id))
    assert [key for key in venue_of(firm).asked if "release" in key] == [f"{payout_id}/release"]
    venue_of(firm).refuses.clear()
    rosa = await firm.add_user("rosa", "risk")
    async with firm.db.transaction() as session:
        (review,) = (await session.scalars(select(Review).where(Review.kind == "platform_refused"))).all()
        await reviews.close(session, review_id=review.id, actor=rosa, reason="It is open again.")
    assert (await firm.activities.release_hold(ref(payout_id))).state == "rejected"
    assert (await firm.activities.release_hold(ref(payout_id))).state == "rejected"
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000}


# the acquirer


@dataclass
class LosingProvider(Provider):
    cut: Cut | None = None
    calls: int = 0

    async def create_checkout(self, order: CheckoutOrder, *, key: str) -> Checkout:
        self.calls += 1
        cut, self.cut = self.cut, None
        if cut == "before":
            raise OutcomeUnknown("no answer")
        made = await super().create_checkout(order, key=key)
        if cut == "after":
            raise OutcomeUnknown("no answer")
        return made


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_checkout_whose_answer_is_lost_is_made_once(bench: Bench, cut: Cut) -> None:
    challenge_id = await bench.bought()
    bench.firm.provider = provider = LosingProvider(cut=cut)
    deps = Deps(db=bench.firm.db, platforms=platforms(bench.venue), payments=providers(provider))
    for _ in range(3):
        with suppress(OutcomeUnknown):
            await ChallengeActivities(deps).open_checkout(ChallengeFact(challenge_id=challenge_id, key="c"))
    assert provider.calls == (2 if cut == "before" else 1)
    assert (await bench.firm.challenge(challenge_id)).checkout_id == f"co_{challenge_id}/checkout"
