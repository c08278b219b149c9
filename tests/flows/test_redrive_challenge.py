"""A challenge whose workflow was ended from outside goes on from wherever the record is; no effect happens twice."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import pytest
from sqlalchemy import select
from temporalio.client import WorkflowExecutionStatus

from contracts.ids import dispute_workflow
from domain.approvals import Actor
from domain.errors import Unavailable
from firm import people
from ports.platform import BalanceKind
from store.models import OutboxMessage
from tests.challenge_world import Firm, Venue, a_firm, after
from tests.convicted import convict


@dataclass
class FlakyVenue(Venue):
    """Does what it is asked, and loses the answer of what is named in `loses`."""

    loses: set[str] = field(default_factory=set)

    def _lost(self, what: str) -> None:
        if what in self.loses:
            raise Unavailable("The answer was lost.")

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        login = await super().create_account(key=key, group=group, currency=currency, leverage=leverage)
        self._lost("create_account")
        return login

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        await super().balance_operation(login, key=key, operation=operation, amount_minor=amount_minor)
        self._lost(operation)

    async def set_trading(self, login: int, *, key: str, enabled: bool) -> None:
        await super().set_trading(login, key=key, enabled=enabled)
        self._lost("set_trading")


@dataclass
class Scene:
    """A challenge of tina's, and everybody who acts in it."""

    firm: Firm
    venue: FlakyVenue
    trader: Actor
    rosa: Actor
    challenge_id: str = ""

    async def killed(self, workflow_id: str = "") -> None:
        """Its workflow is ended from outside; the next round of the sweep starts it again."""
        handle = self.firm.client.get_workflow_handle(workflow_id or f"challenge/{self.challenge_id}")
        await handle.terminate("by hand")
        self.venue.loses.clear()
        await self.firm.redrive.step()

        async def runs() -> bool:
            return (await handle.describe()).status == WorkflowExecutionStatus.RUNNING

        await self.firm.until(runs)

    async def works(self) -> None:
        """An activity of its workflow has failed and is tried again."""

        async def failing() -> bool:
            pending = (await self.firm.handle(self.challenge_id).describe()).raw_description.pending_activities
            return any(activity.attempt > 1 for activity in pending)

        await self.firm.until(failing)

    async def identity_is_checked(self) -> None:
        async with self.firm.db.transaction() as session:
            await people.decide_identity(
                session, trader_id="trd_tina", verified=True, actor=self.rosa, reason="They match.", key="k1"
            )


@pytest.fixture
async def scene(database_url: str, temporal_address: str) -> AsyncIterator[Scene]:
    venue = FlakyVenue()
    async with a_firm(database_url, temporal_address, venue) as firm:
        yield Scene(firm, venue, await firm.add_trader("tina"), await firm.add_user("rosa", "risk"))


async def _awaiting_payment(scene: Scene) -> None:
    scene.challenge_id = await scene.firm.buy(scene.trader)
    await scene.firm.quiet()


def _provisioning(lost: str) -> Callable[[Scene], Awaitable[None]]:
    async def first_phase(scene: Scene) -> None:
        scene.venue.loses.add(lost)
        await _awaiting_payment(scene)
        await scene.firm.pay(scene.challenge_id)
        await scene.firm.becomes(scene.challenge_id, "provisioning", phase_index=1)
        await scene.works()

    return first_phase


async def _active(scene: Scene) -> None:
    await _awaiting_payment(scene)
    await scene.firm.pay(scene.challenge_id)
    await scene.firm.becomes(scene.challenge_id, "active", phase_index=1)


async def _second_phase_opens(scene: Scene) -> None:
    await _active(scene)
    scene.venue.loses.add("deposit")
    await scene.firm.passes(scene.challenge_id)
    await scene.firm.becomes(scene.challenge_id, "provisioning", phase_index=2)
    await scene.works()


async def _identity_check(scene: Scene) -> None:
    await _active(scene)
    await scene.firm.passes(scene.challenge_id)
    await scene.firm.becomes(scene.challenge_id, "active", phase_index=2)
    await scene.firm.passes(scene.challenge_id)
    await scene.firm.becomes(scene.challenge_id, "identity_check")


async def _funded(scene: Scene) -> None:
    await _identity_check(scene)
    await scene.identity_is_checked()
    await scene.firm.becomes(scene.challenge_id, "funded", phase_index=3)


PLACES: Final[dict[str, Callable[[Scene], Awaitable[None]]]] = {
    "awaiting_payment": _awaiting_payment,
    "provisioning, the account is made": _provisioning("create_account"),
    "provisioning, the account is funded": _provisioning("deposit"),
    "provisioning, the account trades": _provisioning("set_trading"),
    "active": _active,
    "provisioning the second phase": _second_phase_opens,
    "identity_check": _identity_check,
    "funded": _funded,
}


async def _to_funded(scene: Scene) -> None:
    """Whatever is missing to a funded account happens."""
    firm, challenge_id = scene.firm, scene.challenge_id
    if (await firm.challenge(challenge_id)).state == "awaiting_payment":
        await firm.pay(challenge_id)
    for phase in (1, 2):
        if not await _is_past(firm, challenge_id, phase):
            await firm.becomes(challenge_id, "active", phase_index=phase)
            await firm.passes(challenge_id)
            await firm.until(partial(_is_past, firm, challenge_id, phase))
    if (await firm.challenge(challenge_id)).state == "identity_check":
        await scene.identity_is_checked()
    await firm.becomes(challenge_id, "funded", phase_index=3)


async def _is_past(firm: Firm, challenge_id: str, phase: int) -> bool:
    row = await firm.challenge(challenge_id)
    return row.phase_index > phase or row.state == "identity_check"


@pytest.mark.parametrize("where", PLACES)
async def test_a_terminated_challenge_goes_on_from_the_record_and_nothing_happens_twice(
    scene: Scene, where: str
) -> None:
    await PLACES[where](scene)
    await scene.killed()
    await _to_funded(scene)
    case_id = await convict(scene.firm, scene.challenge_id)
    await scene.firm.signal(scene.challenge_id, "closed_by_firm", {"key": scene.challenge_id, "case_id": case_id})
    await scene.firm.ends(scene.challenge_id, "closed")
    assert [seat.balance_minor for seat in scene.venue.seats.values()] == [10_000_000] * 3
    assert await scene.firm.steps("challenge", scene.challenge_id) == [
        "payment_settled",
        "phase_started",
        "phase_passed",
        "phase_started",
        "evaluation_passed",
        "identity_verified",
        "funding_started",
        "closed_by_firm",
    ]
    fee = (await scene.firm.challenge(scene.challenge_id)).fee_minor
    assert (await scene.firm.books())["fees"] == -fee


async def test_what_it_was_told_while_it_was_down_is_heard_by_the_next_run(scene: Scene) -> None:
    await _active(scene)
    handle = scene.firm.handle(scene.challenge_id)
    await handle.terminate("by hand")
    await scene.firm.breach(scene.challenge_id)

    async def parked() -> bool:
        async with scene.firm.db.transaction() as session:
            return (
                await session.scalar(select(OutboxMessage.id).where(OutboxMessage.parked_at.is_not(None))) is not None
            )

    await scene.firm.until(parked)
    await scene.firm.redrive.step()
    await scene.firm.becomes(scene.challenge_id, "breached")


async def test_what_it_was_told_and_did_not_come_to_act_on_is_heard_again(scene: Scene) -> None:
    scene.venue.loses.add("set_trading")
    await _awaiting_payment(scene)
    await scene.firm.pay(scene.challenge_id)
    await scene.firm.becomes(scene.challenge_id, "provisioning", phase_index=1)
    await scene.works()
    await scene.firm.breach(scene.challenge_id)  # of an account that trades already; its turn does not come
    await scene.firm.quiet()
    await scene.killed()
    await scene.firm.becomes(scene.challenge_id, "breached")
    assert len(scene.venue.seats) == 1


async def test_a_breached_challenge_and_its_dispute_end_properly(scene: Scene) -> None:
    await _active(scene)
    breach_id = await scene.firm.breach(scene.challenge_id)
    await scene.firm.becomes(scene.challenge_id, "breached")
    await scene.killed()
    dispute_id = await scene.firm.dispute(breach_id, scene.trader)
    await scene.killed(dispute_workflow(dispute_id))
    await scene.firm.decide(dispute_id, "reinstate", scene.rosa)
    await scene.firm.dispute_becomes(dispute_id, "reinstated")
    await scene.firm.becomes(scene.challenge_id, "active")
    await scene.killed()
    await scene.firm.breach(scene.challenge_id, offence=2)
    await scene.firm.becomes(scene.challenge_id, "breached")
    await scene.killed()
    await scene.firm.market_time(after(days=40))
    await scene.firm.ends(scene.challenge_id, "failed")
    adjustments = [key for key in scene.venue.keys if key.startswith("adjustment:")]
    assert len(adjustments) == 1


async def test_a_date_that_passed_while_it_was_down_is_acted_on(scene: Scene) -> None:
    scene.challenge_id = await scene.firm.buy(scene.trader)
    await scene.firm.quiet()
    await scene.firm.handle(scene.challenge_id).terminate("by hand")
    await scene.firm.market_time(after(hours=25))
    await scene.firm.quiet()
    await scene.firm.redrive.step()
    await scene.firm.ends(scene.challenge_id, "cancelled")
