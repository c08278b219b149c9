"""Messages that the program gave up: a person reads why, tries them again, or gives them up for good."""

import re
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import delete, select, update

from domain import keys
from domain.errors import Conflict
from domain.keys import new_id
from firm import parked
from relay.inbox import InboxDispatcher
from store import inbox, outbox
from store.models import Account, AuditEntry, Breach, InboxEvent, Offence, OutboxMessage
from tests.api_world import NOW, ApiWorld, api_world
from tests.console_world import ConsoleWorld, console_world
from tests.integration.command import Firm

ERROR = "no workflow handles events of kind 'balance.available'"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        yield made


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def _set_aside(world: ApiWorld) -> int:
    """An event of a kind that nobody handles, and the relay that gives it up."""
    async with world.db.transaction() as session:
        await inbox.receive(
            session, provider="sandbox", event_id="ev_1", kind="balance.available", object_id="ba_1", problem=None
        )
    await InboxDispatcher(world.db, world.deps.payments).step()
    async with world.db.transaction() as session:
        row = (await session.scalars(select(InboxEvent).where(InboxEvent.event_id == "ev_1"))).one()
    assert row.parked_at is not None
    return row.id


async def _listed(world: ApiWorld, who: str = "support") -> list[tuple[str, int, str]]:
    items = (await world.ask(who, "GET", "/v1/parked-messages")).json()["items"]
    return [(item["box"], item["number"], item["error"]) for item in items]


async def test_an_event_is_tried_again_then_given_up_with_a_reason(world: ApiWorld) -> None:
    number = await _set_aside(world)
    path = f"/v1/parked-messages/inbox/{number}"
    assert await _listed(world) == [("inbox", number, ERROR)]
    assert (await world.ask("support", "POST", f"{path}/retry")).status_code == 403
    assert (await world.ask("finance", "POST", f"{path}/retry")).json()["state"] == "waiting"
    assert await _listed(world) == []
    assert (await world.ask("finance", "POST", f"{path}/retry")).status_code == 409, "it waits for the relay now"
    await InboxDispatcher(world.db, world.deps.payments).step()
    assert await _listed(world) == [("inbox", number, ERROR)], "tried, and given up again"
    assert (await world.ask("finance", "POST", f"{path}/drop", {"reason": "A known kind."})).status_code == 403
    assert (await world.ask("admin", "POST", f"{path}/drop", {"reason": "  "})).status_code == 422
    unproven = await world.ask("admin", "POST", f"{path}/drop", {"reason": "A known kind."}, proves=False)
    assert (unproven.status_code, unproven.json()["step_up"]["action"]) == (403, "money")
    assert (await world.ask("admin", "POST", f"{path}/drop", {"reason": "A known kind."})).json()["state"] == "given_up"
    assert await _listed(world) == []
    assert (await world.ask("admin", "POST", f"{path}/drop", {"reason": "Again."})).status_code == 409
    assert (await world.ask("admin", "POST", "/v1/parked-messages/outbox/77/retry")).status_code == 404
    async with world.db.transaction() as session:
        entries = select(AuditEntry).where(AuditEntry.subject_kind == "message").order_by(AuditEntry.seq)
        found = [(row.action, row.role, row.subject_id) for row in await session.scalars(entries)]
    about = f"inbox/{number}"
    assert found == [("message.tried_again", "finance", about), ("message.given_up", "admin", about)]


async def test_a_signal_that_was_given_up_is_not_sent_again_with_its_workflow(world: ApiWorld) -> None:
    async with world.db.transaction() as session:
        for key in ("one", "two"):
            await outbox.signal_workflow(session, key=key, workflow_id="payout/p", name="transfer_changed", payload={})
        rows = {row.key: row for row in await session.scalars(select(OutboxMessage))}
        rows["one"].parked_at = rows["one"].recorded_at
        await parked.drop(session, "outbox", rows["one"].id, actor="usr_ana", role="admin", reason="Out of date.")
        rows["two"].dispatched_at = rows["two"].recorded_at
    async with world.db.transaction() as session:
        await outbox.start_again(session, workflow_id="payout/p", name="Payout", payload={})
    async with world.db.transaction() as session:
        sent = await session.scalars(select(OutboxMessage.key).where(OutboxMessage.dispatched_at.is_not(None)))
        assert list(sent) == ["one"]


async def test_an_old_order_is_not_tried_again_on_an_account_that_trades_again(world: ApiWorld) -> None:
    tina = world.people["tina"]
    account = tina.has("acc")
    stray, offence = keys.close_again_message(account, "d9"), keys.close_message("off_1")
    orders = {"lock/brc_1": outbox.LOCK, stray: outbox.CLOSE, offence: outbox.CLOSE}
    async with world.db.transaction() as session:
        for key, topic in orders.items():
            await outbox.enqueue(session, key=key, topic=topic, target="7", payload={"account_id": account})

    async def tried() -> set[str]:
        """The orders that the relay may try again."""
        async with world.db.transaction() as session:
            for row in (await session.scalars(select(OutboxMessage).where(OutboxMessage.key.in_(orders)))).all():
                row.parked_at = row.recorded_at
                await session.flush()
                with suppress(Conflict):
                    await parked.retry(session, "outbox", row.id, actor="usr_fay", role="finance")
            waiting = select(OutboxMessage.key).where(OutboxMessage.parked_at.is_(None))
            return set(await session.scalars(waiting)) & orders.keys()

    assert await tried() == {offence}, "its breach is overturned, and it trades again"
    await _pauses(world, 1, at=NOW - timedelta(days=1))
    assert await tried() == {offence}, "the day that paused it is over"
    async with world.db.transaction() as session:
        refused = await session.scalar(select(OutboxMessage.id).where(OutboxMessage.key == "lock/brc_1"))
    answer = await world.ask("finance", "POST", f"/v1/parked-messages/outbox/{refused}/retry")
    assert (answer.status_code, "trades again" in answer.text, "Give the message up" in answer.text) == (
        409,
        True,
        True,
    )
    await _pauses(world, 2, at=NOW)
    assert await tried() == orders.keys(), "it is paused"
    async with world.db.transaction() as session:
        await session.execute(delete(Offence))
        await session.execute(update(Breach).where(Breach.account_id == account).values(status="confirmed"))
    assert await tried() == orders.keys(), "it broke a rule, and its workflow has not acted yet"
    async with world.db.transaction() as session:
        await session.execute(update(Breach).where(Breach.account_id == account).values(status="overturned"))
        await session.execute(update(Account).where(Account.id == account).values(status="closed"))
    assert await tried() == orders.keys(), "it has ended"


async def test_a_reset_that_was_given_up_stays_work_until_it_is_tried_again(world: ApiWorld) -> None:
    tina = world.people["tina"]
    async with world.db.transaction() as session:
        about = {"account_id": tina.has("acc")}
        await outbox.enqueue(session, key="reset/off_1", topic=outbox.RESET, target="7", payload=about)
        row = (await session.scalars(select(OutboxMessage).where(OutboxMessage.key == "reset/off_1"))).one()
        row.parked_at, row.error = row.recorded_at, "The venue refused it."
    path = f"/v1/parked-messages/outbox/{row.id}"

    async def shown() -> tuple[list[bool], list[str]]:
        """Of the reset: whether it was given up, and its lines in the queue."""
        parked = (await world.ask("support", "GET", "/v1/parked-messages")).json()["items"]
        queue = (await world.ask("support", "GET", "/v1/queue?kind=outbox")).json()["items"]
        assert {item["account_id"] for item in queue} <= {None, tina.has("acc")}
        return [item["given_up"] for item in parked], [item["words"] for item in queue]

    assert (await shown())[0] == [False]
    given_up = await world.ask("admin", "POST", f"{path}/drop", {"reason": "The venue cannot do it today."})
    assert given_up.json()["state"] == "given_up"
    listed, (words,) = await shown()
    assert listed == [True] and words.startswith("Reset of the balance of login 7 that was given up"), words
    assert (await world.ask("admin", "POST", f"{path}/drop", {"reason": "Again."})).status_code == 409
    assert (await world.ask("finance", "POST", f"{path}/retry")).json()["state"] == "waiting"
    assert await shown() == ([], [])


async def _pauses(world: ApiWorld, offence: int, *, at: datetime) -> None:
    """An offence at this time pauses the account until the next reset."""
    tina = world.people["tina"]
    async with world.db.transaction() as session:
        session.add(
            Offence(
                id=new_id("off"), account_id=tina.has("acc"), challenge_id=tina.has("chl"), phase_index=3,
                rule_id="daily_loss", offence=offence, consequence="pause_until_reset", sentence="Too much was lost.",
                deducted_minor=0, proof_id=tina.has("prf"), seq=offence, occurred_at=at, epoch=1,
            )
        )  # fmt: skip


async def test_the_page_shows_the_error_and_the_command_does_the_same(
    console: ConsoleWorld, database_url: str, tmp_path: Path
) -> None:
    async with console.db.transaction() as session:
        for key in ("one", "two"):
            await outbox.enqueue(session, key=key, topic=outbox.LOCK, target=f"login-{key}")
        for row in await session.scalars(select(OutboxMessage).where(OutboxMessage.topic == outbox.LOCK)):
            row.parked_at, row.error, row.attempts = row.recorded_at, f"The venue refused {row.key} <b>", 7
    firm = Firm(database_url, tmp_path)
    listed = firm.run("messages", "list")
    (first, second) = re.findall(r"^(outbox/\d+)  since .* login-(?:one|two)  The venue refused", listed, re.MULTILINE)
    assert "is tried again" in firm.run("messages", "retry", first)
    assert "does not wait for a person" in firm.run("messages", "retry", first, code=1)
    assert "is no message" in firm.run("messages", "drop", "elsewhere/1", "--reason", "x", code=1)
    async with console.browser("ana@firm.example") as browser:
        page = (await browser.get("/messages")).text
        assert "The venue refused two &lt;b&gt;" in page and "The venue refused one" not in page
        assert "Try again" in page and "Give up for good" in page
        unproven = {"csrf": await browser.csrf(), "key": uuid4().hex, "reason": "Locked by hand."}
        asked = await browser.http.post(f"/messages/{second}/drop", data=unproven)
        assert (asked.status_code, "Confirm that it is you" in asked.text) == (403, True)
        done = await browser.post(f"/messages/{second}/drop", reason="Locked by hand.")
        assert (done.status_code, "No messages wait" in (await browser.get("/messages")).text) == (303, True)
    async with console.browser("sam@firm.example") as browser:
        assert (await browser.post(f"/messages/{second}/retry")).status_code == 403
    async with console.db.transaction() as session:
        entries = select(AuditEntry).where(AuditEntry.subject_kind == "message").order_by(AuditEntry.seq)
        found = [(row.action, row.role) for row in await session.scalars(entries)]
    assert found == [("message.tried_again", "command-line"), ("message.given_up", "admin")]
