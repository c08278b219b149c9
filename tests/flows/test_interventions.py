"""Accounts that the firm closes or gives anew by hand: two people agree, and the workflow does it."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from domain.approvals import Actor
from domain.errors import Conflict, NotAllowed, SelfApproval
from domain.interventions import Kind
from firm import interventions
from store.models import Intervention, OutboxMessage
from tests.challenge_world import Firm, a_firm, after


@pytest.fixture
async def firm(database_url: str, temporal_address: str) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address) as found:
        yield found


async def _proposed(firm: Firm, challenge_id: str, kind: Kind, actor: Actor) -> str:
    account = await firm.account(challenge_id)
    async with firm.db.transaction() as session:
        made = await interventions.propose(
            session,
            account.id,
            kind,
            change=None,
            moves_balances=True,
            actor=actor,
            reason="The trader asked for it.",
            message="As you wished.",
        )
        return made.id


async def _approved(firm: Firm, made_id: str, actor: Actor) -> str:
    async with firm.db.transaction() as session:
        made = await interventions.decide(
            session, made_id, verb="approve", moves_balances=True, actor=actor, reason="Agreed.", key=f"k/{made_id}"
        )
        return made.state


async def _becomes(firm: Firm, made_id: str, state: str) -> None:
    async def there() -> bool:
        async with firm.db.transaction() as session:
            return (await session.get_one(Intervention, made_id)).state == state

    await firm.until(there)


async def test_a_closing_takes_two_people_and_ends_the_challenge(firm: Firm) -> None:
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    sam, ria = await firm.add_user("sam", "support"), await firm.add_user("ria", "risk")
    made_id = await _proposed(firm, challenge_id, "close", sam)
    with pytest.raises(Conflict, match="waiting for approval"):
        await _proposed(firm, challenge_id, "reset", ria)
    with pytest.raises(NotAllowed):
        await _approved(firm, made_id, sam)
    await firm.quiet()
    assert (await firm.challenge(challenge_id)).state == "active", "a proposal alone closes nothing"
    for _ in range(2):  # the same request again changes nothing
        assert await _approved(firm, made_id, ria) in ("approved", "done")
    await firm.ends(challenge_id, "closed")
    await _becomes(firm, made_id, "done")
    assert not firm.venue.seats[(await firm.account(challenge_id)).login or 0].enabled


async def test_a_closing_that_found_no_workflow_is_done_once_that_is_started_again(firm: Firm) -> None:
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    sam, ria = await firm.add_user("sam", "support"), await firm.add_user("ria", "risk")
    await firm.handle(challenge_id).terminate("a drain")
    made_id = await _proposed(firm, challenge_id, "close", sam)
    await _approved(firm, made_id, ria)

    async def parked() -> bool:
        async with firm.db.transaction() as session:
            found = select(OutboxMessage.id).where(OutboxMessage.parked_at.is_not(None))
            return await session.scalar(found) is not None

    await firm.until(parked)
    await _becomes(firm, made_id, "approved")
    await firm.redrive.step()
    await _becomes(firm, made_id, "done")
    assert (await firm.challenge(challenge_id)).state == "closed"


async def test_a_free_reset_opens_the_phase_anew_and_nobody_approves_their_own(firm: Firm) -> None:
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    ria, fay = await firm.add_user("ria", "risk"), await firm.add_user("fay", "finance")
    first, before = await firm.account(challenge_id), await firm.books()
    made_id = await _proposed(firm, challenge_id, "reset", ria)
    with pytest.raises(SelfApproval):
        await _approved(firm, made_id, ria)
    await _approved(firm, made_id, fay)
    await _becomes(firm, made_id, "done")
    await firm.becomes(challenge_id, "active", phase_index=1)
    second = await firm.account(challenge_id)
    assert (second.attempt, second.phase_index, second.initial_minor) == (2, first.phase_index, first.initial_minor)
    assert not firm.venue.seats[first.login or 0].enabled and firm.venue.seats[second.login or 0].enabled
    assert await firm.books() == before, "nothing was paid"


async def test_a_free_reset_opens_a_challenge_that_had_ended(firm: Firm) -> None:
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    ria, fay = await firm.add_user("ria", "risk"), await firm.add_user("fay", "finance")
    await firm.breach(challenge_id)
    await firm.becomes(challenge_id, "breached")
    await firm.market_time(after(days=60))
    await firm.ends(challenge_id, "failed")
    broken = await firm.account(challenge_id)
    await _approved(firm, await _proposed(firm, challenge_id, "reset", ria), fay)
    await firm.becomes(challenge_id, "active", phase_index=1)
    fresh = await firm.account(challenge_id)
    assert fresh.id != broken.id and fresh.attempt == 2
    await firm.quiet()
    assert (await firm.challenge(challenge_id)).state == "active", "the breach of the first account ends nothing now"
    await firm.breach(challenge_id)
    await firm.becomes(challenge_id, "breached")
