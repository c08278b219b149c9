"""A doubtful breach in front of a person: confirmed it is a breach like any other, dismissed it is none."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from domain.approvals import Actor
from domain.errors import AlreadyDecided, Conflict, NotAllowed
from domain.proofs.check import check
from firm import challenges, reviews
from store import audit_chain, crypto
from store.clock import market_now
from store.db import Database
from tests.integration.recorded_feed import record_one, silent_then_gold_falls
from tests.integration.scripted_venue import ScriptedVenue, judge, rows
from tests.integration.staff import person


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """One account whose breach of the daily limit rests on a symbol that is silent."""
    crypto.install(crypto.FieldKeys({"k1": bytes(32)}))
    record_one(database_url)
    judge(database_url, ScriptedVenue(silent_then_gold_falls().batches))
    made = Database(database_url)
    yield made
    await made.close()


class Desk:
    def __init__(self, db: Database, url: str) -> None:
        self.db, self.url = db, url
        [(self.review_id,)] = rows(url, "SELECT id FROM reviews WHERE kind = 'doubtful_breach'")

    async def decide(self, decision: reviews.Choice, actor: Actor, key: str = "key-1") -> None:
        async with self.db.transaction() as session:
            await reviews.decide(
                session,
                review_id=str(self.review_id),
                decision=decision,
                actor=actor,
                reason="Gold fell at every other venue as well.",
                key=key,
            )


async def test_a_confirmed_breach_is_one_like_any_other_and_its_sheet_says_who_confirmed(
    db: Database, database_url: str
) -> None:
    desk, rosa = Desk(db, database_url), await person(db, "rosa", "risk")
    for _ in range(2):  # the same key again changes nothing
        await desk.decide("confirm", rosa)
    assert rows(database_url, "SELECT rule_id, floor_minor, equity_minor, status FROM breaches") == [
        ("daily_loss", 9_500_000, 9_400_000, "confirmed")
    ]
    [(sheet, digest)] = rows(database_url, "SELECT body, digest FROM proofs")
    assert isinstance(sheet, dict)
    assert (check(sheet), sheet["hash"]) == ([], digest)
    confirmation = sheet["confirmation"]
    assert (confirmation["confirmed_by"], confirmation["role"]) == (rosa.user_id, "risk")
    assert [doubt["kind"] for doubt in confirmation["doubts"]] == ["stale"]
    assert rows(database_url, "SELECT status FROM accounts") == [("locked",)]
    assert rows(database_url, "SELECT topic, name FROM outbox ORDER BY topic") == [
        ("venue.lock", ""),
        ("workflow.signal", "breach_detected"),
    ]
    assert rows(database_url, "SELECT status, outcome, close_reason FROM reviews WHERE kind = 'doubtful_breach'") == [
        ("closed", "confirmed", "Gold fell at every other venue as well.")
    ]
    assert rows(database_url, "SELECT action, actor FROM audit_log WHERE subject_kind = 'review'") == [
        ("review.confirmed", rosa.user_id)
    ]
    async with db.transaction() as session:
        assert (await audit_chain.verify(session)).broken_at is None
    with pytest.raises(AlreadyDecided):
        await desk.decide("dismiss", await person(db, "ana", "admin"), key="key-2")


async def test_a_dismissed_one_is_no_breach_and_good_data_still_judge(db: Database, database_url: str) -> None:
    desk = Desk(db, database_url)
    with pytest.raises(NotAllowed):
        await desk.decide("dismiss", await person(db, "sam", "support"))
    await desk.decide("dismiss", await person(db, "rosa", "risk"))
    assert rows(database_url, "SELECT count(*) FROM breaches") == [(0,)]
    script = silent_then_gold_falls()
    script.tick("1.38000")
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert rows(database_url, "SELECT rule_id FROM breaches") == [("daily_loss",)]
    assert rows(database_url, "SELECT outcome FROM reviews WHERE kind = 'doubtful_breach'") == [("dismissed",)]


async def test_what_good_data_have_judged_can_not_be_confirmed_any_more(db: Database, database_url: str) -> None:
    desk = Desk(db, database_url)
    script = silent_then_gold_falls()
    script.tick("1.38000")
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    with pytest.raises(Conflict, match="Judged with good data"):
        await desk.decide("confirm", await person(db, "rosa", "risk"))


async def test_a_review_that_asks_for_a_decision_can_not_be_closed_without_one(db: Database, database_url: str) -> None:
    desk, rosa = Desk(db, database_url), await person(db, "rosa", "risk")
    with pytest.raises(Conflict, match="asks whether a rule was broken"):
        async with db.transaction() as session:
            await reviews.close(session, review_id=str(desk.review_id), actor=rosa, reason="Seen.")


# at the same time: the monitor commits a verdict on good data while the firm works on the same challenge


def _judge_good_data(database_url: str) -> None:
    script = silent_then_gold_falls()
    script.tick("1.38000")
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))


async def _wait_for_blocked(database_url: str, number: int) -> None:
    """Returns when this many connections wait for a lock of another one."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while await asyncio.to_thread(rows, database_url, count) != [(number,)]:
        await asyncio.sleep(0.02)


async def test_a_verdict_waits_for_whoever_holds_the_challenge_and_wants_the_account(
    db: Database, database_url: str
) -> None:
    async with db.transaction() as session:
        challenge = await challenges.lock(session, "chl_1")
        challenge.account_id = "acc_1"
        verdict = asyncio.create_task(asyncio.to_thread(_judge_good_data, database_url))
        await _wait_for_blocked(database_url, 1)
        await challenges.end_account(session, challenge, "closed", await market_now(session))
    await verdict
    assert rows(database_url, "SELECT rule_id FROM breaches") == [("daily_loss",)]
    assert rows(database_url, "SELECT status FROM accounts") == [("closed",)]


async def test_a_verdict_and_a_decision_on_the_same_account_both_finish(db: Database, database_url: str) -> None:
    desk, rosa = Desk(db, database_url), await person(db, "rosa", "risk")
    async with db.transaction() as session:  # a third one holds up the decision half-way
        await challenges.lock(session, "chl_1")
        decision = asyncio.create_task(desk.decide("confirm", rosa))
        await _wait_for_blocked(database_url, 1)
        verdict = asyncio.create_task(asyncio.to_thread(_judge_good_data, database_url))
        await _wait_for_blocked(database_url, 2)
    outcomes = await asyncio.gather(decision, verdict, return_exceptions=True)
    assert [one for one in outcomes if one is not None and not isinstance(one, Conflict)] == []
    assert rows(database_url, "SELECT rule_id FROM breaches") == [("daily_loss",)]
    assert rows(database_url, "SELECT status FROM accounts") == [("locked",)]
    assert rows(database_url, "SELECT status FROM reviews WHERE kind = 'doubtful_breach'") == [("closed",)]
