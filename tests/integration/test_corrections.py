"""A venue that takes back what a verdict rests on: a case with both computations, and no verdict flips by itself."""

from decimal import Decimal

import psycopg
import pytest
from sqlalchemy import update

from console.present import cases as present
from firm import cases, corrections
from ports.platform import Correction
from store import crypto
from store.db import Database
from store.models import Case, Trader
from tests.integration.recorded_feed import Script, falling, record_one
from tests.integration.scripted_venue import ScriptedVenue, judge, rows
from tests.integration.staff import person

BREACH_SEQ = 8


async def told(database_url: str, db: Database, **said: object) -> tuple[Script, int]:
    """The breach of `falling`, then a correction of its deciding tick, as far as surveillance."""
    crypto.install(crypto.FieldKeys({"k1": bytes(32)}))
    record_one(database_url)
    script = falling()
    taken = {"seq": script.next(), "at": script.at, "corrects_seq": BREACH_SEQ, **said}
    script.events.append(Correction.model_validate(taken))
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    opened = 0
    for _ in range(2):  # looked at once
        async with db.transaction() as session:
            opened += await corrections.open_cases(session)
    return script, opened


@pytest.mark.parametrize(
    ("said", "stands", "equity", "score"),
    [
        ({"bid": Decimal("1.37501"), "ask": Decimal("1.37501")}, False, 9_501_000, Decimal("1.0000")),
        ({"bid": Decimal("1.37400"), "ask": Decimal("1.37400")}, True, 9_400_000, Decimal("0.0000")),
        ({}, None, 9_499_000, Decimal("0.5000")),  # cancelled: the quote before it is not in the sheet
    ],
)
async def test_the_case_holds_the_verdict_as_it_was_and_as_it_would_be(
    database_url: str, said: dict[str, Decimal], stands: bool | None, equity: int, score: Decimal
) -> None:
    db = Database(database_url)
    _, opened = await told(database_url, db, **said)
    await db.close()
    assert opened == 1
    [(found, stored)] = rows(database_url, "SELECT score, evidence FROM alerts WHERE detector = 'correction'")
    assert found == score
    assert isinstance(stored, dict)
    [evidence] = stored["evidence"]
    assert evidence["verdict"] == {
        "kind": "breach", "sentence": "breached: worth 9499000 < floor 9500000", "equity_minor": 9_499_000,
        "level_minor": 9_500_000,
    }  # fmt: skip
    assert (evidence["corrected"]["stands"], evidence["corrected"]["equity_minor"]) == (stands, equity)
    assert bool(evidence["corrected"]["unknown"]) is (stands is None)
    assert rows(database_url, "SELECT status FROM breaches") == [("confirmed",)]
    assert rows(database_url, "SELECT status FROM accounts") == [("locked",)]
    assert rows(database_url, "SELECT state, account_id FROM cases JOIN case_accounts ON case_id = id") == [
        ("open", "acc_1")
    ]


async def test_people_see_the_verdict_as_it_was_and_as_it_would_be_and_what_confirming_does(database_url: str) -> None:
    db = Database(database_url)
    await told(database_url, db, bid=Decimal("1.37501"), ask=Decimal("1.37501"))
    rosa = await person(db, "rosa", "risk")
    [(case_id,)] = rows(database_url, "SELECT id FROM cases")
    async with db.transaction() as session:
        await session.execute(update(Trader).values(name="Ada"))
        view = await present.case(session, rosa, str(case_id))
    await db.close()
    assert [(line.label, line.amount.minor) for line in view.lines] == [
        ("Equity in the original verdict", 9_499_000),
        ("Limit", 9_500_000),
        ("Equity with the corrected data", 9_501_000),
    ]
    assert view.lines[-1].note == "the breach is not confirmed"
    assert view.facts[0] == ("Correction by the venue", "the correct prices of event 8 are bid 1.37501, ask 1.37501")
    assert "Dispute the verdict: a dispute is opened for the trader" in view.effect
    assert [choice.label for choice in view.choices] == ["Keep the verdict", "Dispute the verdict"]
    assert view.evidence[0].label == "Proof sheet"


async def test_a_verdict_that_falls_goes_the_way_of_a_dispute(database_url: str) -> None:
    db = Database(database_url)
    await told(database_url, db, bid=Decimal("1.38"), ask=Decimal("1.38"))
    rosa = await person(db, "rosa", "risk")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE challenges SET account_id = 'acc_1'")
    [(case_id,)] = rows(database_url, "SELECT id FROM cases")
    async with db.transaction() as session:
        case = await session.get_one(Case, case_id)
        await cases.decide(session, case, decision="confirm", actor=rosa, reason="A wrong print.", key="key-1")
    await db.close()
    assert rows(database_url, "SELECT state FROM disputes") == [("opened",)]
    assert rows(database_url, "SELECT status FROM breaches") == [("confirmed",)]  # until the dispute is decided


async def test_a_correction_that_no_verdict_rests_on_opens_nothing(database_url: str) -> None:
    db = Database(database_url)
    _, opened = await told(database_url, db, corrects_seq=1)
    await db.close()
    assert opened == 0
    assert rows(database_url, "SELECT count(*) FROM corrections WHERE handled_at IS NOT NULL") == [(1,)]
