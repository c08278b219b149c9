"""`propos products` and `propos rules impact` as people run them, on a real PostgreSQL."""

import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import psycopg
import pytest
import yaml
from sqlalchemy import select

from activities.impact_replays import ImpactReplays
from cli.demo.opening import publish_products
from domain.approvals import Actor
from firm.products import drafts, impact
from firm.products.shelf import SHELF, load_product
from store import audit_chain, crypto, identity
from store.db import Database
from store.models import User
from store.read.drafts import ImpactView
from store.read.drafts import impacts as read_impacts
from tests.command_line import propos
from tests.hostile_yaml import BOMB
from tests.integration.recorded_feed import START, falling, record_one
from tests.integration.scripted_venue import ScriptedVenue, judge, rows

KEYS: Final = "k1:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
PASSWORD: Final = "correct horse battery"


class Firm:
    def __init__(self, database_url: str, folder: Path) -> None:
        self.url, self.folder, self.db = database_url, folder, Database(database_url, pool_size=2)
        self._env = dict(os.environ) | {"DATABASE_URL": database_url, "PROPOS_PAYLOAD_KEYS": KEYS}
        self._env |= {"PROPOS_DATA": str(folder), "COLUMNS": "200"}

    def run(self, *arguments: str, code: int = 0, password: str = PASSWORD) -> str:
        """What `propos …` prints."""
        done = propos(*arguments, env=self._env, given=f"{password}\n")
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stdout + done.stderr

    def products(self, *arguments: str, code: int = 0, password: str = PASSWORD) -> str:
        return self.run("products", *arguments, code=code, password=password)

    def file(self, name: str = "two-step.v2.yaml", **changes: Any) -> str:
        terms = load_product(SHELF / "two-step.v1.yaml").model_dump(mode="json") | {"version": 2} | changes
        del terms["payout"]["bands"]
        path = self.folder / name
        path.write_text(yaml.safe_dump(terms, sort_keys=False))
        return str(path)


@pytest.fixture
async def firm(database_url: str, tmp_path: Path) -> AsyncIterator[Firm]:
    crypto.install(crypto.FieldKeys.parse(KEYS))
    made = Firm(database_url, tmp_path)
    password = await identity.hash_password(PASSWORD)
    async with made.db.transaction() as session:
        for login, role in (("ana", "admin"), ("rosa", "risk"), ("sam", "support")):
            await _user(session, login, role, password)
    yield made
    await made.db.close()


async def _user(session: Any, login: str, role: Any, password: str) -> None:
    await identity.add_user(session, login=login, name=login, password_hash=password, role=role, person_id=login)


def named(said: str, noun: str) -> str:
    found = re.search(rf"{noun}_\w{{26}}", said)
    assert found is not None, said
    return found.group()


async def test_two_people_put_a_version_on_sale_from_the_command_line(firm: Firm) -> None:
    await publish_products(firm.db, SHELF)
    why = ("--reason", "A dearer one")
    proposal = named(firm.products("propose", firm.file(fee="600"), "--as", "rosa", *why), "ppr")
    assert "540.00 USD" in firm.products("show", proposal) and "600.00 USD" in firm.products("show", proposal)
    assert "somebody else" in firm.products("approve", proposal, "--as", "rosa", *why, code=1)
    assert "needs the role" in firm.products("approve", proposal, "--as", "sam", *why, code=1)
    assert "password is wrong" in firm.products("approve", proposal, "--as", "ana", *why, code=1, password="no")
    assert "cannot take" in firm.products("publish", proposal, "--as", "rosa", code=1)
    assert "is approved" in firm.products("approve", proposal, "--as", "ana", *why)
    assert "two-step@2 is on sale" in firm.products("publish", proposal, "--as", "rosa")
    assert "fee: '600'" in firm.products("show", "two-step@2")
    listed = firm.products("list")
    assert proposal in listed and "bootstrap" in listed and "on_sale" in listed
    await publish_products(firm.db, SHELF)  # starting the firm again changes nothing
    async with firm.db.transaction() as session:
        assert (await audit_chain.verify(session)).broken_at is None
    by = rows(firm.url, "SELECT actor FROM audit_log WHERE action = 'product.published' AND subject_id = 'two-step@1'")
    assert by == [("bootstrap",)]


async def test_what_is_wrong_is_named_with_file_line_and_field(firm: Firm) -> None:
    await publish_products(firm.db, SHELF)
    path = firm.file(leverage=0)
    line = Path(path).read_text().splitlines().index("leverage: 0") + 1
    said = firm.products("propose", path, "--as", "rosa", "--reason", "x", code=1)
    assert f"two-step.v2.yaml:{line} leverage:" in said
    said = firm.products("propose", firm.file(version=5), "--as", "rosa", "--reason", "x", code=1)
    assert "Propose it as version 2." in said
    assert "cannot be read" in firm.products("propose", "nowhere.yaml", "--as", "rosa", "--reason", "x", code=1)
    assert "Write it like two-step@1" in firm.products("show", "two-step", code=1)


async def test_accounts_move_with_two_people_and_the_rest_is_refused(firm: Firm) -> None:
    record_one(firm.url)
    why = ("--reason", "Clearer terms")
    proposal = named(firm.products("propose", firm.file(), "--as", "rosa", *why), "ppr")
    firm.products("approve", proposal, "--as", "ana", *why)
    firm.products("publish", proposal, "--as", "ana")
    ends = ("--from", "two-step@1", "--to", "two-step@2", "--as", "rosa", *why)
    assert "no such account" in firm.products("move", "--accounts", "A-99999", *ends, code=1)
    assert "--accounts A-10001,A-10002 or --all" in firm.products("move", *ends, code=1)
    back = ("--from", "two-step@2", "--to", "two-step@1", "--as", "rosa", *why)
    assert "No account of two-step@2 can move" in firm.products("move", "--all", *back, code=1)
    move = named(firm.products("move", "--accounts", "A-10001", *ends), "mov")
    assert "waits for another move" in firm.products("move", "--accounts", "a-10001", *ends, code=1)
    assert "somebody else" in firm.products("approve", move, "--as", "rosa", *why, code=1)
    assert "next daily reset" in firm.products("approve", move, "--as", "ana", *why)
    assert "1 waiting, 0 moved" in firm.products("show", move)
    assert rows(firm.url, "SELECT version FROM accounts") == [(1,)], "it moves at its reset"


async def test_the_impact_of_a_proposed_version_on_recorded_accounts(firm: Firm) -> None:
    record_one(firm.url)
    judge(firm.url, ScriptedVenue(falling().batches))  # broke 5 % of the day: 94,990.00 and then 90,000.00
    with psycopg.connect(firm.url) as connection:  # as the lifecycle does when the account is enabled
        connection.execute("UPDATE accounts SET opened_at = %s", (START,))
    wider = load_product(SHELF / "two-step.v1.yaml").model_dump(mode="json")
    for phase in wider["phases"]:
        phase["rules"][0]["allowance"]["value"] = "11"
        phase["rules"][1]["allowance"]["value"] = "12"
    path, plot = firm.file(phases=wider["phases"], fee="600"), firm.folder / "impact.svg"
    said = firm.run("rules", "impact", "--product", "two-step@1", "--against", path, "--json", "--plot", str(plot))
    found = json.loads(said)
    assert (found["challenges"], found["changed"]) == (1, 1)
    assert (found["under"]["two-step@1"]["failed"], found["under"]["two-step@2"]["failed"]) == (1, 0)
    assert found["each"][0]["a"]["rule_id"] == "daily_loss" and found["each"][0]["differs_from_live"] == []
    assert found["money_effect_minor"] == 6_000
    words = "".join(ElementTree.parse(plot).getroot().itertext())
    assert "two-step@1: 0" in words and "two-step@2: 1" in words, "who survives"
    to_png = ("--against", path, "--plot", str(plot.with_suffix(".png")))
    assert "End it with .svg" in firm.run("rules", "impact", "--product", "two-step@1", *to_png, code=1)
    kept = await _impact_of_a_draft(firm, Path(path).read_text())
    assert kept.current and kept.result is not None and kept.result.money_effect_minor == 6_000
    for place, ref in (("before", "two-step@1"), ("after", "two-step@2")):
        counted = {row.fate: getattr(row, place) for row in kept.result.fates}
        sums = {row.name: getattr(row, f"{place}_minor") for row in kept.result.money}
        said_there = found["under"][ref]
        assert counted == {fate: said_there[fate] for fate in counted}, "as the command says"
        assert sums["fees less payouts"] == said_there["net_minor"]
    table = firm.run("rules", "impact", "--product", "two-step@1", "--against", path)
    assert "1 challenge ends differently" in table and "failed in Challenge by daily loss" in table
    other = firm.file("other.yaml", currency="EUR")
    said = firm.run("rules", "impact", "--product", "two-step@1", "--against", other, code=1)
    assert "currency is USD and EUR" in said


async def _impact_of_a_draft(firm: Firm, text: str) -> ImpactView:
    """Asks for the replay of a draft with this text, has it done, and reads what is kept of it."""
    async with firm.db.transaction() as session:
        user = (await session.scalars(select(User).where(User.role == "risk"))).one()
        rosa = Actor(user_id=user.id, person_id=user.person_id, role="risk")
        draft = await drafts.next_version(session, "two-step", actor=rosa)
        draft = await drafts.save(session, draft.id, text, seen=draft.digest, actor=rosa)
        terms = await drafts.terms_of(session, draft, None)
        await impact.ask(session, draft, terms, version=1, actor=rosa)
        draft_id = draft.id
    assert await ImpactReplays(firm.db).step()
    async with firm.db.transaction() as session:
        (kept,) = await read_impacts(session, draft_id)
        return kept


def test_half_a_kilobyte_of_nested_aliases_is_refused_at_once(firm: Firm) -> None:
    path = firm.folder / "two-step.v2.yaml"
    path.write_text(BOMB)
    said = firm.products("propose", str(path), "--as", "rosa", "--reason", "x", code=1)
    assert "two-step.v2.yaml:5 is not YAML" in said
    assert len(said) < 2_000
