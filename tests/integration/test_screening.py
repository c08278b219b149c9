"""Payouts and sanctions: a hit holds, two people clear it, a new list is compared with every trader."""

import logging
import random
import time
from collections.abc import AsyncIterator, Sequence

import psycopg
import pytest
from sqlalchemy import func, select, text

from domain.approvals import Actor
from domain.errors import AlreadyDecided, Conflict, NotAllowed
from domain.screening.entries import Entry, ListFile
from domain.screening.index import COMPARED, THRESHOLD, UNDER_KEY, Index
from domain.screening.names import keys_of, parts_of
from domain.screening.scoring import score
from firm import identity_checks, screening
from ports.identity import IdentitySession
from store import screening as lists
from store.models import OutboxMessage, Payout, Screening, ScreeningHit, Trader
from tests.payout_world import MEDIUM, World, a_firm, ref


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def load(firm: World, *names: str, sha: str = "a") -> None:
    entries = tuple(Entry(f"Q.{name}", (name,)) for name in names)
    async with firm.db.transaction() as session:
        await lists.load(session, "un", ListFile(entries, None, sha * 64))


async def rescreened(firm: World) -> None:
    """What the relay does until nobody is left."""
    while True:
        async with firm.db.transaction() as session:
            if not await screening.rescreen(session, limit=1):
                return


async def hits(firm: World) -> Sequence[ScreeningHit]:
    async with firm.db.transaction() as session:
        return (await session.scalars(select(ScreeningHit).order_by(ScreeningHit.opened_at))).all()


async def decide(firm: World, hit: str, actor: Actor, verdict: screening.Verdict = "clear", key: str = "") -> str:
    async with firm.db.transaction() as session:
        decided = await screening.decide(
            session, hit_id=hit, verdict=verdict, actor=actor, reason="looked", key=key or actor.user_id
        )
        return decided.state


async def check(firm: World, payout_id: str) -> str:
    """The state of the payout when it is judged again."""
    return (await firm.activities.check_risk(ref(payout_id))).state


async def payout_check(firm: World, payout_id: str) -> dict[str, object]:
    async with firm.db.transaction() as session:
        return dict((await session.get_one(Payout, payout_id)).checks["sanctions"])


async def test_a_hit_holds_the_payout_until_two_people_clear_it(firm: World) -> None:
    trader, rita, rob = (
        await firm.add_trader("tina"),
        await firm.add_user("rita", "risk"),
        await firm.add_user("rob", "admin"),
    )
    fay = await firm.add_user("fay", "finance")
    await load(firm, "TINAH", "Karim Zamouri")
    payout_id = await firm.awaiting(trader, MEDIUM)
    (hit,) = await hits(firm)
    assert (hit.state, hit.ref) == ("open", "Q.TINAH")
    assert await check(firm, payout_id) == "in_review"
    assert hit.id in str((await payout_check(firm, payout_id))["words"])

    with pytest.raises(NotAllowed):
        await decide(firm, hit.id, fay)
    assert await decide(firm, hit.id, rita) == "open"
    with pytest.raises(AlreadyDecided):
        await decide(firm, hit.id, rita, key="again")
    assert await check(firm, payout_id) == "in_review", "one person is not enough"
    assert await decide(firm, hit.id, rob) == "cleared"
    with pytest.raises(Conflict):
        await decide(firm, hit.id, await firm.add_user("ron", "risk"))
    assert await check(firm, payout_id) == "awaiting_approval"
    assert (await payout_check(firm, payout_id))["ok"] is True


async def test_a_confirmed_hit_holds_every_payout(firm: World) -> None:
    trader, rita, rob = (
        await firm.add_trader("tina"),
        await firm.add_user("rita", "risk"),
        await firm.add_user("rob", "risk"),
    )
    await load(firm, "TINAH")
    payout_id = await firm.awaiting(trader, MEDIUM)
    (hit,) = await hits(firm)
    await decide(firm, hit.id, rita, "confirm")
    assert await decide(firm, hit.id, rob, "confirm") == "confirmed"
    assert await check(firm, payout_id) == "in_review"


async def test_a_new_list_is_compared_with_every_trader_and_holds_what_is_approved(firm: World) -> None:
    trader, _ = await firm.add_trader("tina"), await firm.add_trader("tomas")
    fay = await firm.add_user("fay", "finance")
    await load(firm, "Karim Zamouri")
    payout_id = await firm.awaiting(trader, MEDIUM)
    await firm.decide(payout_id, fay)
    await rescreened(firm)
    assert await hits(firm) == []
    await load(firm, "Karim Zamouri", "TINAH", sha="b")
    await rescreened(firm)
    (hit,) = await hits(firm)
    async with firm.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Screening)) == 4, "two traders, two versions"
        told = select(func.count()).select_from(OutboxMessage).where(OutboxMessage.key.contains(hit.screening_id))
        assert await session.scalar(told) == 1, "the open payout is judged again"
    await firm.activities.send_money(ref(payout_id))
    assert firm.provider.transfers == {}


async def test_a_cleared_hit_is_not_asked_again_while_entry_and_name_are_the_same(firm: World) -> None:
    await firm.add_trader("tina")
    rita, rob = await firm.add_user("rita", "risk"), await firm.add_user("rob", "risk")
    await load(firm, "TINAH")
    await rescreened(firm)
    (hit,) = await hits(firm)
    await decide(firm, hit.id, rita)
    await decide(firm, hit.id, rob)
    await load(firm, "TINAH", "Karim Zamouri", sha="b")
    await rescreened(firm)
    assert [row.state for row in await hits(firm)] == ["cleared"]


async def test_without_a_list_the_check_says_so_and_the_policy_may_hold(firm: World) -> None:
    trader = await firm.add_trader("tina")
    payout_id = await firm.awaiting(trader, MEDIUM)
    assert await payout_check(firm, payout_id) == {
        "ok": True, "warns": True, "words": "No sanctions list is loaded; the name was not screened.",
    }  # fmt: skip
    async with firm.db.transaction() as session:
        await screening.set_policy(session, screening.Policy(without_list="hold"), "usr_ada")
    assert await check(firm, payout_id) == "in_review"


async def test_a_blocked_country_holds_the_payout(firm: World) -> None:
    trader = await firm.add_trader("tina")
    async with firm.db.transaction() as session:
        await screening.set_policy(session, screening.Policy(blocked=("DE",)), "usr_ada")
    payout_id = await firm.awaiting(trader, MEDIUM)
    assert await check(firm, payout_id) == "in_review"


async def test_a_person_may_change_their_vote_until_a_second_one_agrees(firm: World) -> None:
    await firm.add_trader("tina")
    rita, rob = await firm.add_user("rita", "risk"), await firm.add_user("rob", "risk")
    await load(firm, "TINAH")
    await rescreened(firm)
    (hit,) = await hits(firm)
    assert await decide(firm, hit.id, rita, "clear") == "open"
    assert await decide(firm, hit.id, rita, "confirm", key="thought again") == "open"
    assert await decide(firm, hit.id, rob, "clear") == "open", "the first vote of rita does not count any more"
    assert await decide(firm, hit.id, rita, "clear", key="and again") == "cleared"
    with pytest.raises(Conflict):
        await decide(firm, hit.id, rob, "confirm", key="late")


async def test_a_verified_name_is_screened_with_its_date_of_birth(firm: World) -> None:
    await firm.add_trader("tina")
    await load(firm, "Viktor Semyonovich Draganov")
    await rescreened(firm)
    assert await hits(firm) == []
    async with firm.db.transaction() as session:
        (await session.get_one(Trader, "trd_tina")).identity = "unverified"
        check = await identity_checks.ask(session, "trd_tina", "stripe")
        await identity_checks.answered(
            session, check.id,
            IdentitySession(
                session_id="vs_1", key=check.id, reference="trd_tina", url="", status="verified",
                full_name="Viktor Draganov", born="1970-01-31",
            ),
        )  # fmt: skip
    (hit,) = await hits(firm)
    assert '"name": "Viktor Draganov"' in hit.evidence


async def test_a_list_of_an_earlier_release_gets_new_keys(firm: World, owner_url: str) -> None:
    """The keys as the release before made them find nobody."""
    await firm.add_trader("tina")
    await load(firm, "TINAH", "Karim Zamouri")
    with psycopg.connect(owner_url) as owner:
        owner.execute("UPDATE sanctions_versions SET method = 1, common = '{}'")
        owner.execute("UPDATE sanctions_keys SET key = 'old ' || key")
    await rescreened(firm)
    assert [hit.ref for hit in await hits(firm)] == ["Q.TINAH"]


async def test_postgres_finds_the_same_names_as_the_list_in_memory(firm: World) -> None:
    """Most of these names share keys with more than are compared, so that the order of equal ones counts too."""
    rng, letters = random.Random("same"), ("ka", "ri", "mo", "sha", "ul", "ben")
    names = list(
        dict.fromkeys(
            " ".join("".join(rng.choices(letters, k=2)) for _ in range(rng.randrange(1, 4))) for _ in range(600)
        )
    )
    await load(firm, *names)
    index = Index([Entry(f"Q.{name}", (name,)) for name in names])
    asked = [*names[::20], *(f"{rng.choice(letters)}{rng.choice(letters)} shamo" for _ in range(20)), "Zyx", ""]
    full = 0
    async with firm.db.transaction() as session:
        (version,) = await lists.current(session)
        for name in asked:
            parts = parts_of(name)
            near = await lists.candidates(session, version, keys_of(parts))
            assert [row.name for row in near] == [names[number] for number in index.near(parts)], name
            full += len(near) == COMPARED
    assert full > 20


async def test_a_name_is_compared_with_20000_entries_in_few_reads(firm: World) -> None:
    """Logs the time; what holds on any machine is how many listed names are read."""
    rng, letters = random.Random("list"), ("ka", "ri", "mo", "sha", "ul", "ben", "ta", "vor", "ine", "dze", "qu", "al")
    names = [" ".join("".join(rng.choices(letters, k=rng.randrange(2, 5))) for _ in range(3)) for _ in range(20_000)]
    await load(firm, *dict.fromkeys([*names, "Viktor Semyonovich Draganov"]))
    asked = [*names[:49], "Victor Draganof"]
    async with firm.db.transaction() as session:
        (version,) = await lists.current(session)
        started = time.perf_counter()
        for name in asked:
            parts = parts_of(name)
            near = await lists.candidates(session, version, keys_of(parts))
            best = max(score(parts, parts_of(row.name)).value for row in near)
            assert len(near) <= COMPARED and best >= THRESHOLD
        took = 1000 * (time.perf_counter() - started) / len(asked)
        logging.getLogger(__name__).warning("%.1f ms per name", took)  # shown with -o log_cli=true
        values = {
            "version": version.id,
            "keys": ["draganuf"],
            "names": version.names,
            "most": COMPARED,
            "each": UNDER_KEY,
        }
        plan = await session.execute(text("EXPLAIN " + str(lists.CANDIDATES)), values)
        lines = "\n".join(row[0] for row in plan)
        assert "Seq Scan on sanctions_keys" not in lines
        assert "Hash Join" not in lines and "Merge Join" not in lines, "a new list is not read from end to end"
