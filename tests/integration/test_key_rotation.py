"""The rows move from one key to another while the firm works; approvals, logins and uniqueness come through."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError

from domain.errors import BadInput
from firm import beneficiaries
from store import crypto, key_rotation
from store.clock import market_now
from store.crypto import BlindIndex, Encrypted, FieldKeys, digest_key_of
from store.identity import add_user, hash_password, sign_in, sign_up_trader
from store.models import Beneficiary, CaseNote, Payout, Trader, User, every_table
from store.name_words import index_some
from store.read.search import search
from store.scope import FIRM
from tests.payout_world import LARGE, World, a_firm

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
BEFORE = FieldKeys({"k1": OLD})
DURING = FieldKeys({"k2": NEW, "k1": OLD})
AFTER = FieldKeys({"k2": NEW}, digest_key_of(OLD))
PASSWORD = "correct horse battery"


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        crypto.install(BEFORE)
        yield world


async def signed_up(firm: World, email: str) -> None:
    hashed = await hash_password(PASSWORD)
    async with firm.db.transaction() as session:
        await sign_up_trader(session, name="Ada", email=email, password_hash=hashed, country="SE")


async def move_all(firm: World) -> key_rotation.Step:
    seen, changed, bad = 0, 0, list[str]()
    for table in key_rotation.tables():
        after: tuple[Any, ...] | None = None
        while True:
            async with firm.db.transaction() as session:
                done = await key_rotation.step(session, table, after)
            seen, changed, after = seen + done.seen, changed + done.changed, done.last
            bad += done.unreadable
            if after is None:
                break
    return key_rotation.Step(seen, changed, None, tuple(bad))


async def needed(firm: World, key_id: str) -> list[str]:
    async with firm.db.transaction() as session:
        return key_rotation.needs(await key_rotation.usage(session), key_id)


async def test_an_approval_given_before_counts_after_it(firm: World) -> None:
    trader = await firm.add_trader("tina")
    fay, gil = await firm.add_user("fay", "finance"), await firm.add_user("gil", "admin")
    payout_id = await firm.awaiting(trader, LARGE)
    assert await firm.decide(payout_id, fay) == "awaiting_approval"
    crypto.install(DURING)
    await move_all(firm)
    assert await needed(firm, "k1") == []
    crypto.install(AFTER)
    assert await firm.decide(payout_id, gil) == "approved", "two approvals count: one before, one after"


async def test_people_sign_in_and_are_found_at_every_moment_of_it(firm: World) -> None:
    await signed_up(firm, "ada@example.org")

    async def works() -> None:
        await sign_in(firm.db, login="Ada@example.org", password=PASSWORD)
        async with firm.db.transaction() as session:
            for text in ("ada@EXAMPLE.org", "ADA"):
                assert [hit.label for hit in (await search(session, FIRM, text, {})).items] == ["Ada"]

    await works()
    crypto.install(DURING)
    await works()  # the row has the index of the old key
    await move_all(firm)
    await works()  # of the new one
    crypto.install(AFTER)
    await works()
    crypto.install(BEFORE)  # the old key alone cannot
    async with firm.db.transaction() as session:
        assert (await search(session, FIRM, "ada@example.org", {})).items == ()
        assert (await search(session, FIRM, "ada", {})).items == ()


@pytest.mark.parametrize("unnamed", [False, True])
async def test_a_login_is_taken_under_whichever_key_its_row_is(firm: World, unnamed: bool) -> None:
    await signed_up(firm, "ada@example.org")
    if unnamed:  # as rows were written before an index named its key
        async with firm.db.transaction() as session:
            for table, column in (("users", "login_index"), ("traders", "email_index")):
                await session.execute(text(f"UPDATE {table} SET {column} = split_part({column}, ':', 2)"))
    for keys in (BEFORE, DURING):
        crypto.install(keys)
        with pytest.raises(BadInput, match="registered"):
            await signed_up(firm, " ADA@example.org")
        with pytest.raises(BadInput, match="taken"):
            async with firm.db.transaction() as session:
                await add_user(
                    session, login="ada@example.org", name="A", password_hash="x", role="support", person_id="usr_a"
                )
    await move_all(firm)
    with pytest.raises(BadInput, match="registered"):
        await signed_up(firm, "ada@example.org")
    assert await needed(firm, "k1") == []


async def test_two_processes_with_different_rings_add_one_login_once(firm: World) -> None:
    """One still encrypts with the old key, one with the new: their indexes differ, so the unique column cannot see
    it."""
    hashed = await hash_password(PASSWORD)
    crypto.install(FieldKeys({"k1": OLD, "k2": NEW}, digest_key_of(OLD)))
    async with firm.db.transaction() as session:
        await sign_up_trader(session, name="Ada", email="ada@example.org", password_hash=hashed, country="SE")
        crypto.install(DURING)
        second = asyncio.create_task(signed_up(firm, "ada@example.org"))
        for _ in range(500):
            async with firm.db.transaction() as other:
                if await other.scalar(
                    text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
                ):
                    break
            await asyncio.sleep(0.01)
        assert not second.done()
    with pytest.raises(BadInput, match="registered"):
        await second
    async with firm.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Trader)) == 1


async def test_a_beneficiary_that_is_added_again_stays_the_same_one(firm: World) -> None:
    trader = await firm.add_trader("tina")
    account = "DE89370400440532013000"
    async with firm.db.transaction() as session:
        first = await beneficiaries.add(
            session, trader_id=trader.trader_id or "", account=account, rail="fakepay", actor=trader
        )
    crypto.install(DURING)
    await move_all(firm)
    async with firm.db.transaction() as session:
        again = await beneficiaries.add(
            session, trader_id=trader.trader_id or "", account=account, rail="fakepay", actor=trader
        )
    assert again.id == first.id


async def test_every_encrypted_column_and_index_is_moved_and_what_needs_a_key_is_named(firm: World) -> None:
    await signed_up(firm, "ada@example.org")
    tina = await firm.add_trader("tina")
    await firm.request(tina, LARGE)
    crypto.install(DURING)
    wanted = await needed(firm, "k1")
    assert "1 rows of payouts.beneficiary" in wanted and any("users.login_index" in words for words in wanted)
    done = await move_all(firm)
    assert done.seen == done.changed > 0 and done.unreadable == ()
    assert await needed(firm, "k1") == []
    assert (await move_all(firm)).seen == 0, "a second run has nothing to do"
    crypto.install(AFTER)
    async with firm.db.transaction() as session:
        for table in key_rotation.tables():
            await session.execute(select(table))  # every value can be read with the new key alone
        payout = (await session.scalars(select(Payout))).one()
        account = (await session.scalars(select(Beneficiary.account))).first()
        user = (await session.scalars(select(User).where(User.trader_id.is_not(None)).limit(1))).one()
    assert payout.beneficiary == account
    assert user.login_index == AFTER.blind_index(user.login)


async def test_a_value_that_cannot_be_read_is_named_and_the_others_move(firm: World) -> None:
    await signed_up(firm, "ada@example.org")
    await signed_up(firm, "bea@example.org")
    async with firm.db.transaction() as session:
        victim = (await session.scalars(select(Trader.id).order_by(Trader.id).limit(1))).one()
        await session.execute(
            text("UPDATE traders SET name = set_byte(name, 20, get_byte(name, 20) # 1) WHERE id = :id"), {"id": victim}
        )
    crypto.install(DURING)
    done = await move_all(firm)
    assert done.unreadable == (f"traders.name of {victim}",)
    assert await needed(firm, "k1") == ["1 rows of traders.name", "1 rows of traders.name_words"]


async def test_a_change_made_meanwhile_is_not_undone(firm: World) -> None:
    """A row that somebody is changing is left for the next pass."""
    await signed_up(firm, "ada@example.org")
    crypto.install(DURING)
    async with firm.db.transaction() as session:
        trader = (await session.scalars(select(Trader).with_for_update())).one()
        trader.name = "Ada Lovelace"
        await session.flush()
        await move_all(firm)  # does not wait
        assert "1 rows of traders.email" in await needed(firm, "k1")
    await move_all(firm)
    async with firm.db.transaction() as session:
        assert (await session.scalars(select(Trader.name))).one() == "Ada Lovelace"
    assert await needed(firm, "k1") == []


async def test_the_other_processes_rings_are_seen(firm: World, database_url: str) -> None:
    from store.db import Database

    other = Database(database_url, name=key_rotation.connection_name(FieldKeys({"k1": OLD, "k2": NEW})))
    async with other.transaction() as session:
        await session.execute(select(1))
    async with firm.db.transaction() as session:
        assert await key_rotation.rings_in_use(session) == [("k1", "k2")]
    await other.close()


def test_every_index_is_of_an_encrypted_column_of_its_table() -> None:
    for table in every_table().sorted_tables:
        for column in table.columns:
            if isinstance(column.type, BlindIndex):
                assert isinstance(table.columns[column.type.of].type, Encrypted)


async def test_a_note_of_a_case_comes_under_another_key_and_changes_in_nothing_else(firm: World) -> None:
    await firm.add_trader("leo")
    fay = await firm.add_user("fay", "risk")
    await firm.add_case("one", "acc_leo")
    async with firm.db.transaction() as session:
        now = await market_now(session)
        session.add(CaseNote(id="not_1", case_id="cas_one", author_id=fay.user_id, body="Seen.", occurred_at=now))
    for change in ("UPDATE case_notes SET occurred_at = now()", "DELETE FROM case_notes"):
        with pytest.raises(DBAPIError):
            async with firm.db.transaction() as session:
                await session.execute(text(change))
    crypto.install(DURING)
    await move_all(firm)
    crypto.install(AFTER)
    async with firm.db.transaction() as session:
        note = await session.get_one(CaseNote, "not_1")
        assert (note.body, note.occurred_at) == ("Seen.", now)


async def test_names_that_are_older_than_their_index_are_found_after_an_upgrade(firm: World) -> None:
    for number in range(3):
        await signed_up(firm, f"ada.{number}@example.org")
    async with firm.db.transaction() as session:
        await session.execute(update(Trader).values(name_words=None))
        last = (await session.scalars(select(func.max(Trader.id)))).one()
        await session.execute(text("UPDATE traders SET name = '\\x00' WHERE id = :id"), {"id": last})
    async with firm.db.transaction() as session:
        assert (await search(session, FIRM, "ada", {})).items == ()
        assert await index_some(session) == 3, "one that cannot be read keeps nobody from the others"
        assert await index_some(session) == 0
    async with firm.db.transaction() as session:
        words = dict((await session.execute(select(Trader.id, Trader.name_words))).tuples().all())
        assert words.pop(last) == [] and all(words.values())
