"""A payment provider that answers oddly: what it said is kept for a person, and the sweep goes on."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from activities.deps import Deps
from activities.reconciliation import ReconciliationActivities
from adapters.payments.sandbox import SandboxPayments
from contracts.messages import ReconciliationStart
from contracts.operations import ReconciliationReport
from domain.errors import PropOSError, Unavailable
from front.subjects.parked_message import INBOX
from front.subjects.subject import kinds
from relay.inbox import EventSweep, InboxDispatcher
from store import crypto
from store.db import Database
from store.models import InboxEvent, ProviderEntryRow
from store.read import queue
from store.read.pages import Window
from tests.adapters import platforms, providers
from tests.challenge_world import KEYS
from tests.odd_provider import Answer, OddProvider, an_event, odd_provider, told
from tests.payout_world import Venue


class Desk:
    def __init__(self, db: Database, provider: OddProvider) -> None:
        self.db, self.provider = db, provider
        self.payments = SandboxPayments(url=provider.url, token="t", webhook_secret="s")
        self.sweep = EventSweep(db, self.payments)

    async def swept(self, *answers: Answer) -> int:
        self.provider.answers = list(answers)
        return await self.sweep.step()

    async def rows(self) -> dict[str, InboxEvent]:
        async with self.db.transaction() as session:
            rows = await session.scalars(select(InboxEvent).order_by(InboxEvent.id))
            return {row.event_id: row for row in rows}

    async def set_aside(self) -> list[str]:
        """What a person sees in the queue."""
        async with self.db.transaction() as session:
            page = await queue.page(session, Window(limit=50), kinds([INBOX]))
        return [item.words for item in page.items]


@pytest.fixture
def provider() -> Iterator[OddProvider]:
    with odd_provider() as made:
        yield made


@pytest.fixture
async def desk(database_url: str, provider: OddProvider) -> AsyncIterator[Desk]:
    crypto.install(crypto.FieldKeys.parse(KEYS))
    db = Database(database_url, pool_size=4)
    made = Desk(db, provider)
    yield made
    await made.payments.aclose()
    await db.close()


async def test_an_event_of_an_unknown_kind_waits_for_a_person_and_the_others_are_read(desk: Desk) -> None:
    odd = an_event("ev_1", "balance.available", "ba_1")
    assert await desk.swept(told(odd, an_event("ev_2"))) == 2
    await InboxDispatcher(desk.db, providers(desk.payments)).step()
    rows = await desk.rows()
    assert rows["ev_1"].error == "no workflow handles events of kind 'balance.available'"
    assert rows["ev_2"].parked_at is None
    assert await desk.set_aside() == ["Payment event (balance.available) that could not be handled"]


ODD: dict[str, Any] = {
    "nothing": None,
    "a word": "checkout.paid",
    "a list": [1, 2],
    "no fields": {},
    "no id": an_event(None),
    "an id that is a number": an_event(7),
    "an id without an end": an_event("e" * 5_000),
    "an id that no database keeps": an_event("ev\u0000"),
    "half a character": an_event("ev_\ud800"),
    "no kind": an_event("ev_1", None),
    "a kind without an end": an_event("ev_1", "k" * 5_000),
    "no object": an_event("ev_1", object_id={"id": "co_1"}),
    "no such time": an_event("ev_1", created_at="yesterday"),
    "nested": an_event("ev_1", kind=json.loads("[" * 300 + "]" * 300)),
}


@pytest.mark.parametrize("what", ODD)
async def test_an_event_that_cannot_be_read_is_kept_once_and_the_others_are_read(desk: Desk, what: str) -> None:
    for _ in range(3):
        await desk.swept(told(ODD[what], an_event("ev_9")), told())
    rows = await desk.rows()
    assert len(rows) == 2 and rows["ev_9"].parked_at is None
    (odd,) = (row for row in rows.values() if row.event_id != "ev_9")
    assert odd.parked_at is not None and odd.error
    assert len(await desk.set_aside()) == 1
    assert desk.provider.asked == [None, "ev_9", "ev_9"]


async def test_a_sweep_goes_on_behind_the_last_event_that_the_provider_knows(desk: Desk) -> None:
    await desk.swept(told(an_event("ev_1"), None))
    await desk.swept(told())
    assert desk.provider.asked == [None, "ev_1"]


async def test_fields_that_we_do_not_know_are_left_out(desk: Desk) -> None:
    await desk.swept(told(an_event("ev_1", api_version="2030-01-01", livemode=True)))
    assert (await desk.rows())["ev_1"].parked_at is None


@pytest.mark.parametrize("status", [400, 404, 409, 410, 422])
async def test_a_forgotten_cursor_begins_again_and_stores_nothing_twice(desk: Desk, status: int) -> None:
    assert await desk.swept(told(an_event("ev_1"))) == 1
    assert await desk.swept((status, b"{}"), told(an_event("ev_1"), an_event("ev_2"))) == 1
    assert await desk.swept(told(an_event("ev_3"))) == 1
    assert desk.provider.asked == [None, "ev_1", None, "ev_2"]
    assert list(await desk.rows()) == ["ev_1", "ev_2", "ev_3"]


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<html>Under maintenance</html>"),
        (200, b""),
        (200, b"{}"),
        (200, b"null"),
        (200, b"[" * 100_000),
        (200, b"\xff\xfe"),
        (200, b'{"events": []}'),
        (302, b""),
        (418, b'"tea"'),
        (500, b"[]"),
        (503, b'{"detail": {"text": "later"}, "remedy": 7}'),
    ],
)
async def test_an_answer_that_is_no_list_is_refused_and_the_next_one_is_read(desk: Desk, answer: Answer) -> None:
    await desk.swept(told(an_event("ev_1")))
    with pytest.raises(PropOSError):
        await desk.swept(answer)
    assert await desk.swept(told(an_event("ev_2"))) == 1
    assert desk.provider.asked == [None, "ev_1", "ev_1"]


# the provider's list of movements


def an_entry(entry_id: Any = "en_1", **changes: Any) -> dict[str, Any]:
    entry = {"entry_id": entry_id, "object_id": "co_1", "reference": "chl_1", "kind": "charge", "amount_minor": 54_000}
    return entry | {"currency": "USD", "at": "2014-05-02T21:00:00Z"} | changes


@pytest.fixture
def second() -> Iterator[OddProvider]:
    with odd_provider() as made:
        yield made


async def reconcile(desk: Desk, *more: SandboxPayments) -> ReconciliationReport:
    deps = Deps(db=desk.db, platforms=platforms(Venue()), payments=providers(desk.payments, *more))
    return await ReconciliationActivities(deps).reconcile(ReconciliationStart())


async def entries(desk: Desk) -> list[tuple[str, str]]:
    async with desk.db.transaction() as session:
        rows = await session.scalars(select(ProviderEntryRow).order_by(ProviderEntryRow.position))
        return [(row.provider, row.entry_id) for row in rows]


ODD_ENTRIES: dict[str, Any] = {
    "nothing": None,
    "a word": "charge",
    "no fields": {},
    "no id": an_entry(None),
    "an id without an end": an_entry("e" * 500),
    "no amount": an_entry(amount_minor=None),
    "an amount that no database keeps": an_entry(amount_minor=10**30),
    "half a cent": an_entry(amount_minor=0.5),
    "a currency without an end": an_entry(currency="US dollars"),
    "a time without a zone": an_entry(at="2014-05-02T21:00:00"),
    "a reference without an end": an_entry(reference="r" * 500),
}


@pytest.mark.parametrize("what", ODD_ENTRIES)
async def test_a_movement_that_cannot_be_read_is_shown_once_and_the_others_are_stored(desk: Desk, what: str) -> None:
    desk.provider.answers = [told(ODD_ENTRIES[what], an_entry("en_9"))]
    for _ in range(2):
        await reconcile(desk)
    assert await entries(desk) == [("sandbox", "en_9")]
    (row,) = (await desk.rows()).values()
    assert row.parked_at is not None and row.error
    assert len(await desk.set_aside()) == 1


async def test_a_movement_of_an_unknown_kind_is_stored_counted_and_shown(desk: Desk) -> None:
    desk.provider.answers = [told(an_entry(kind="adjustment", livemode=True), an_entry("en_2"))]
    assert (await reconcile(desk)).unreconciled == 2
    assert await entries(desk) == [("sandbox", "en_1"), ("sandbox", "en_2")]
    assert await desk.set_aside() == ["Payment event (adjustment) that could not be handled"]


@pytest.mark.parametrize("answer", [(200, b"{}"), (200, b"<html>"), (404, b"{}"), (422, b"{}"), (503, b"{}")])
async def test_a_provider_that_fails_keeps_no_other_from_its_reconciliation(
    desk: Desk, second: OddProvider, answer: Answer
) -> None:
    desk.provider.answers, second.answers = [answer], [told(an_entry())]
    other = SandboxPayments(url=second.url, token="t", webhook_secret="s", name="other")
    with pytest.raises(PropOSError):
        await reconcile(desk, other)
    assert await entries(desk) == [("other", "en_1")]
    desk.provider.answers = [told(an_entry())]
    await reconcile(desk, other)
    assert await entries(desk) == [("other", "en_1"), ("sandbox", "en_1")]
    await other.aclose()


async def test_an_answer_about_one_object_that_cannot_be_read_is_asked_for_again(desk: Desk) -> None:
    desk.provider.answers = [(200, b'{"status": "settled"}')]
    for asked in (
        desk.payments.fetch_checkout("co_1"),
        desk.payments.fetch_transfer("tr_1"),
        desk.payments.find_transfer("pay_1/transfer"),
    ):
        with pytest.raises(Unavailable):
            await asked
