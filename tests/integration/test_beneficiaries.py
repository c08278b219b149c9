"""A changed bank account: a second channel, a cooling period, and the old and the new one as digests in the audit."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
from sqlalchemy import event, select
from sqlalchemy.pool import QueuePool

from contracts.ids import payout_workflow
from domain.approvals import Actor
from domain.errors import AlreadyDecided, BadInput, NotAllowed, NotFound, SelfApproval
from domain.money import Money
from firm import beneficiaries
from firm.payouts import requests
from store import crypto
from store.db import Database
from store.models import AuditEntry, Beneficiary, OutgoingMailRow, Trader, Wakeup
from store.read.pages import mask_iban
from tests.api_world import IBAN, ApiWorld, api_world
from tests.mailed import token_of
from tests.payout_world import SMALL, START, World, a_firm, ref

OTHER, THIRD = "GB82WEST12345698765432", "FR1420041010050500013M02606"


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def add(firm: World, actor: Actor, account: str, *, trader_id: str = "trd_tina") -> Beneficiary:
    async with firm.db.transaction() as session:
        return await beneficiaries.add(session, trader_id=trader_id, account=account, rail="fakepay", actor=actor)


async def decide(firm: World, row: Beneficiary, actor: Actor, verb: str = "confirm", key: str = "") -> Beneficiary:
    async with firm.db.transaction() as session:
        return await beneficiaries.decide(
            session, row.id, verb=verb, actor=actor, reason="Called the number on file.", key=key or f"{verb}-{actor}"
        )


async def judged(firm: World, payout_id: str) -> tuple[str, str | None]:
    await firm.activities.check_risk(ref(payout_id))
    payout = await firm.payout(payout_id)
    return payout.state, payout.reason


async def test_payouts_to_a_changed_account_wait_for_the_second_channel_and_the_cooling_period(firm: World) -> None:
    tina, sam = await firm.add_trader("tina"), await firm.add_user("sam", "support")
    row = await add(firm, tina, OTHER)
    payout_id = await firm.awaiting(tina, SMALL)
    waits = "the new bank account is not confirmed over a second channel"
    assert await judged(firm, payout_id) == ("in_review", waits)
    assert (await firm.payout(payout_id)).beneficiary == OTHER
    await decide(firm, row, sam)
    state, reason = await judged(firm, payout_id)
    assert state == "in_review" and "wait until 2014-05-24" in str(reason)
    assert "wait until 2014-05-24" in str((await firm.payout(payout_id)).checks["beneficiary"]["words"])
    await firm.market_time(START + timedelta(days=20, hours=47))
    assert (await judged(firm, payout_id))[0] == "in_review"
    await firm.market_time(START + timedelta(days=20, hours=48))
    assert (await judged(firm, payout_id))[0] == "approved"


async def test_a_cooling_account_wakes_its_payout(firm: World) -> None:
    tina, sam = await firm.add_trader("tina"), await firm.add_user("sam", "support")
    await firm.policy(escalate_after_hours=100)
    await decide(firm, await add(firm, tina, OTHER), sam)
    payout_id = await firm.awaiting(tina, SMALL)
    async with firm.db.transaction() as session:
        wakeup = await session.get_one(Wakeup, payout_workflow(payout_id))
    assert wakeup.due_at == START + timedelta(days=20, hours=48)


async def test_the_audit_has_both_accounts_as_digests_and_neither_as_text(firm: World) -> None:
    tina = await firm.add_trader("tina")
    async with firm.db.transaction() as session:
        old = str((await session.get_one(Trader, "trd_tina")).beneficiary)
    await add(firm, tina, OTHER)
    async with firm.db.transaction() as session:
        changed = select(AuditEntry).where(AuditEntry.action == "trader.beneficiary_changed")
        evidence = (await session.scalars(changed)).one().evidence
    assert (evidence["old"], evidence["new"]) == (crypto.keys().digest(old), crypto.keys().digest(OTHER))
    assert old not in str(evidence) and OTHER not in str(evidence)


async def test_the_first_account_is_taken_as_it_is_and_the_same_again_changes_nothing(firm: World) -> None:
    tina = await firm.add_trader("tina")
    async with firm.db.transaction() as session:
        (await session.get_one(Trader, "trd_tina")).beneficiary = None
    first = await add(firm, tina, OTHER)
    assert (first.state, first.changes) == ("confirmed", False)
    assert (await add(firm, tina, OTHER)).id == first.id
    payout_id = await firm.awaiting(tina, SMALL)
    assert (await firm.payout(payout_id)).state == "approved"
    assert (await firm.payout(payout_id)).beneficiary_id == first.id


async def test_a_request_names_one_of_the_traders_own(firm: World) -> None:
    tina, leo = await firm.add_trader("tina"), await firm.add_trader("leo")
    first = await add(firm, tina, IBAN)  # the account of before becomes a row of its own
    await add(firm, tina, OTHER)
    foreign = await add(firm, leo, OTHER, trader_id="trd_leo")

    async def ask(beneficiary_id: str) -> str:
        async with firm.db.transaction() as session:
            payout = await requests.request_payout(
                session,
                account_id="acc_tina",
                actor=tina,
                gross=Money(minor=SMALL, currency="USD"),
                rail="fakepay",
                payable=firm.deps.payments.rails.check,
                beneficiary_id=beneficiary_id,
            )
            return payout.beneficiary

    for unknown in (foreign.id, "ben_unknown"):
        with pytest.raises(BadInput):
            await ask(unknown)
    assert await ask(first.id) == IBAN
    with pytest.raises(NotFound):
        await add(firm, leo, OTHER)


async def test_what_the_trader_denies_is_never_paid_and_the_account_of_before_is_back(firm: World) -> None:
    tina, sam = await firm.add_trader("tina"), await firm.add_user("sam", "support")
    row = await add(firm, tina, OTHER)
    payout_id = await firm.awaiting(tina, SMALL)
    await decide(firm, row, sam, "refuse")
    await firm.market_time(START + timedelta(days=21))
    assert (await judged(firm, payout_id))[0] == "in_review"
    fay = await firm.add_user("fay", "finance")
    assert await firm.decide(payout_id, fay, "reject") == "releasing"
    await firm.activities.release_hold(ref(payout_id))
    again = await firm.awaiting(tina, SMALL)
    assert (await firm.payout(again)).state == "approved"
    assert (await firm.payout(again)).beneficiary != OTHER


async def test_support_confirms_once_and_nobody_their_own(firm: World) -> None:
    tina, sam = await firm.add_trader("tina"), await firm.add_user("sam", "support")
    fay, ana = await firm.add_user("fay", "finance"), await firm.add_user("ana", "admin")
    hat = await firm.add_user("tina2", "support", person=tina.person_id)
    row = await add(firm, tina, OTHER)
    with pytest.raises(NotAllowed):
        await decide(firm, row, fay)
    with pytest.raises(SelfApproval):
        await decide(firm, row, hat)
    await decide(firm, row, sam, key="one")
    assert (await decide(firm, row, sam, key="one")).state == "confirmed", "the same request again"
    with pytest.raises(AlreadyDecided, match=r"confirm by Sam \(usr_sam\)"):
        await decide(firm, row, ana, "refuse")


@contextmanager
def connections_at_once(db: Database) -> Iterator[list[int]]:
    """How many connections of the pool are in use, each time one more is taken from it."""
    pool, used = db.engine.pool, list[int]()
    assert isinstance(pool, QueuePool)

    def taken(*_: Any) -> None:
        used.append(pool.checkedout())

    event.listen(pool, "checkout", taken)
    try:
        yield used
    finally:
        event.remove(pool, "checkout", taken)


async def test_by_the_api_a_trader_changes_it_and_support_confirms(database_url: str) -> None:
    async with api_world(database_url) as world:
        await _by_the_api(world)


async def _by_the_api(world: ApiWorld) -> None:
    tina = world.people["tina"]
    path = f"/v1/traders/{tina.trader_id}"
    known = (await world.ask("tina", "GET", f"{path}/beneficiaries")).json()
    first = await world.ask("tina", "PUT", f"{path}/beneficiary", {"iban": IBAN})
    with connections_at_once(world.deps.db) as used:
        asked = (await world.ask("tina", "PUT", f"{path}/beneficiary", {"iban": OTHER})).json()
    assert max(used) == 1, "who holds the trader's row must not wait for a connection of those who wait for the row"
    assert first.status_code == 200 and known == []
    assert (asked["state"], asked["id"], asked["beneficiary"]) == ("mailed", None, mask_iban(OTHER))
    before = (await world.ask("tina", "GET", f"{path}/beneficiaries")).json()
    assert [row["account"] for row in before] == [mask_iban(IBAN)], "nothing has changed before the link is used"
    await world.ask("tina", "PUT", f"{path}/beneficiary", {"iban": OTHER})
    token = await token_of(world.db, "tina@example.org", "beneficiary_link")
    async with world.db.transaction() as session:
        older = await session.scalars(
            select(OutgoingMailRow).where(OutgoingMailRow.kind == "beneficiary_link").order_by(OutgoingMailRow.id)
        )
        replaced = older.all()[0].body.split("token=")[1].split()[0]
    for link, status in ((replaced, 422), ("x" * 43, 422), (token, 204), (token, 422)):
        answer = await world.ask(None, "PUT", "/v1/beneficiary-confirmation", {"token": link})
        assert answer.status_code == status, "the newest link works, once"
    listed = (await world.ask("tina", "GET", f"{path}/beneficiaries")).json()
    changed = listed[0]
    assert (changed["account"], changed["state"]) == (mask_iban(OTHER), "waiting")
    assert [row["account"] for row in listed] == [mask_iban(OTHER), mask_iban(IBAN)], "the old one stays on the record"
    notices = await _notices(world)
    assert len(notices) == 1 and str(mask_iban(OTHER)) in notices[0] and OTHER not in notices[0]
    assert (await world.ask("eve", "GET", f"{path}/beneficiaries")).status_code == 404
    confirm = f"/v1/beneficiaries/{changed['id']}/confirm"
    assert (await world.ask("finance", "POST", confirm, {"reason": "called"})).status_code == 403
    answer = await world.ask("support", "POST", confirm, {"reason": "Called the number on file."})
    assert (answer.status_code, answer.json()["state"]) == (200, "confirmed")
    await _by_a_factor(world, path)
    await _unconfirmed(world)


async def _notices(world: ApiWorld) -> list[str]:
    async with world.db.transaction() as session:
        rows = await session.scalars(
            select(OutgoingMailRow).where(OutgoingMailRow.kind == "beneficiary").order_by(OutgoingMailRow.id)
        )
        return [row.body for row in rows]


async def _by_a_factor(world: ApiWorld, path: str) -> None:
    """Who has a factor proves exactly this account with it; a password and another proof do not count."""
    made = (await world.ask("tina", "POST", "/v1/factors/authenticator")).json()
    app = pyotp.TOTP(made["secret"])
    await world.ask("tina", "POST", "/v1/factors/authenticator/confirm", {"code": app.now()})
    refused = await world.ask("tina", "PUT", f"{path}/beneficiary", {"iban": THIRD}, proves=False)
    assert (refused.status_code, refused.json()["type"]) == (403, "step-up-required"), refused.text
    asked = refused.json()["step_up"]
    assert asked["action"] == "beneficiary" and "password" not in asked["methods"]
    later = datetime.now(UTC) + timedelta(seconds=30)  # the code of now made the app count
    proof = {"action": "beneficiary", "digest": asked["digest"], "method": "totp", "text": app.at(later)}
    assert (await world.ask("tina", "POST", "/v1/step-ups", proof, proves=False)).status_code == 201
    other = await world.ask("tina", "PUT", f"{path}/beneficiary", {"iban": IBAN}, proves=False)
    assert other.status_code == 403, "the proof is for one account"
    done = await world.ask("tina", "PUT", f"{path}/beneficiary", {"iban": THIRD}, proves=False)
    assert (done.status_code, done.json()["state"]) == (200, "waiting")
    again = await world.ask("tina", "PUT", f"{path}/beneficiary", {"iban": THIRD}, proves=False)
    assert (again.status_code, again.json()["id"]) == (200, done.json()["id"]), "the same again needs no proof"
    assert str(mask_iban(THIRD)) in (await _notices(world))[-1] and len(await _notices(world)) == 2
    opening = await world.ask("tina", "POST", f"{path}/payees", {"rail": "sandbox"}, proves=False)
    assert (opening.status_code, opening.json()["type"]) == (403, "step-up-required")


async def _unconfirmed(world: ApiWorld) -> None:
    """No link goes to an address that is not confirmed, and links are not mailed without end."""
    path = f"/v1/traders/{world.people['eve'].trader_id}/beneficiary"
    statuses = [(await world.ask("eve", "PUT", path, {"iban": OTHER})).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    async with world.db.transaction() as session:
        (await session.get_one(Trader, world.people["eve"].trader_id)).email_confirmed_at = None
    refused = await world.ask("eve", "PUT", path, {"iban": OTHER})
    assert (refused.status_code, refused.json()["type"]) == (403, "email-unconfirmed")
