"""A version goes on sale with two people behind it, and not otherwise; what was proposed stays what it was."""

from collections.abc import AsyncIterator
from typing import Any, Final

import psycopg
import pytest
import yaml
from sqlalchemy import select

from domain.errors import Conflict
from domain.file_errors import ProductInvalid
from domain.products.product import Product
from firm.products import proposals
from firm.products.shelf import SHELF, load_product
from store import audit_chain, identity, products
from store.models import AuditEntry, ProductVersion, User
from tests.api_world import ApiWorld, api_world
from tests.hostile_yaml import BOMB
from tests.shelf import shipped

WHY: Final = {"reason": "A tighter day for new customers"}


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        yield made


def definition(version: int = 2, **changes: Any) -> str:
    terms = load_product(SHELF / "two-step.v1.yaml").model_dump(mode="json", exclude_none=True)
    del terms["payout"]["bands"]
    return yaml.safe_dump(terms | {"version": version} | changes, sort_keys=False)


async def propose(world: ApiWorld, who: str, text: str, *, key: str | None = None) -> Any:
    return await world.http.post(
        "/v1/products/two-step/versions",
        params=WHY,
        content=text,
        headers={
            "Authorization": f"Bearer {world.people[who].token}",
            "Idempotency-Key": key or f"propose-{who}-{hash(text)}",
            "Content-Type": "application/yaml",
        },
    )


async def proposed(world: ApiWorld, who: str = "risk", **changes: Any) -> str:
    answer = await propose(world, who, definition(**changes))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def step(world: ApiWorld, who: str, proposal: str, name: str) -> tuple[int, dict[str, Any]]:
    body = None if name == "publish" else WHY
    answer = await world.ask(who, "POST", f"/v1/product-proposals/{proposal}/{name}", body)
    return answer.status_code, answer.json()


async def on_sale(world: ApiWorld) -> int:
    return int((await world.ask("tina", "GET", "/v1/products/two-step")).json()["version"])


async def trail(world: ApiWorld, subject: str) -> list[tuple[str, str]]:
    async with world.db.transaction() as session:
        assert (await audit_chain.verify(session)).broken_at is None
        rows = await session.execute(
            select(AuditEntry.action, AuditEntry.role).where(AuditEntry.subject_id == subject).order_by(AuditEntry.seq)
        )
        return [(action, role) for action, role in rows]


async def test_a_version_is_on_sale_once_a_second_person_has_approved_it(world: ApiWorld) -> None:
    proposal = await proposed(world, fee="600")
    assert await on_sale(world) == 1
    assert (await step(world, "admin", proposal, "approve"))[1]["state"] == "approved"
    assert await on_sale(world) == 1
    assert (await step(world, "risk", proposal, "publish"))[1] == {
        "id": proposal,
        "version": "two-step@2",
        "state": "on_sale",
    }
    assert await on_sale(world) == 2
    rows = (await world.ask("auditor", "GET", "/v1/products/two-step/versions")).json()["items"]
    assert [(row["version"], row["newest"], row["accounts"], row["proposal_id"]) for row in rows] == [
        (2, True, 0, proposal),
        (1, False, 2, None),
    ]
    assert await trail(world, proposal) == [
        ("product_version.proposed", "risk"),
        ("product_version.approval_given", "admin"),
        ("product_version.version_published", "risk"),
    ]
    assert await trail(world, "two-step@2") == [("product.published", "risk")]
    assert await trail(world, "two-step@1") == [("product.published", "system")]


async def test_the_proposal_shows_what_would_change(world: ApiWorld) -> None:
    proposal = await proposed(world, fee="600", dispute_days=21)
    shown = (await world.ask("auditor", "GET", f"/v1/product-proposals/{proposal}")).json()
    changes = [(change["field"], change["was"], change["becomes"]) for change in shown["changes"]]
    assert [field for field, *_ in changes if field.startswith("payout.bands")] == [
        "payout.bands.1", "payout.bands.2", "payout.bands.3",
    ], "they are no term of a product any more"  # fmt: skip
    assert [change for change in changes if not change[0].startswith("payout.bands")] == [
        ("fee", "540.00 USD", "600.00 USD"),
        ("dispute_days", "14", "21"),
    ]
    assert (shown["base_version"], shown["reason"], shown["state"]) == (1, WHY["reason"], "proposed")


async def test_nobody_approves_what_they_proposed_even_under_another_login(world: ApiWorld) -> None:
    proposal = await proposed(world)
    status, problem = await step(world, "risk", proposal, "approve")
    assert (status, problem["type"]) == (403, "self-approval")
    async with world.db.transaction() as session:
        twin = await session.get_one(User, world.people["admin"].actor.user_id)
        twin.person_id = world.people["risk"].actor.person_id
    assert (await step(world, "admin", proposal, "approve"))[1]["type"] == "self-approval"
    status, problem = await step(world, "risk", proposal, "publish")
    assert (status, problem["type"], await on_sale(world)) == (409, "illegal-transition", 1)


async def test_an_approval_of_somebody_who_lost_the_role_puts_nothing_on_sale(world: ApiWorld) -> None:
    proposal = await proposed(world)
    assert (await step(world, "admin", proposal, "approve"))[0] == 200
    async with world.db.transaction() as session:
        await identity.change_role(session, login="admin", role="support", by="test")
    status, problem = await step(world, "risk", proposal, "publish")
    assert (status, await on_sale(world)) == (409, 1)
    assert problem["detail"] == "No second person has approved this."


async def test_a_state_alone_puts_nothing_on_sale(world: ApiWorld) -> None:
    """The code that publishes reads the approvals again: a row set to `approved` by hand is not enough."""
    proposal = await proposed(world)
    async with world.db.transaction() as session:
        (await proposals.locked(session, proposal)).state = "approved"
    with pytest.raises(Conflict, match="No second person"):
        async with world.db.transaction() as session:
            await proposals.publish(session, proposal, actor=world.people["risk"].actor)
    assert await on_sale(world) == 1


async def test_what_was_proposed_cannot_be_changed(world: ApiWorld, database_url: str) -> None:
    proposal = await proposed(world)
    refused = psycopg.errors.RestrictViolation, psycopg.errors.InsufficientPrivilege
    with psycopg.connect(database_url) as connection, pytest.raises(refused):
        connection.execute('UPDATE product_proposals SET terms = terms || \'{"fee": "1"}\' WHERE id = %s', (proposal,))
    with psycopg.connect(database_url) as connection, pytest.raises(refused):
        connection.execute("DELETE FROM product_proposals WHERE id = %s", (proposal,))


async def test_a_rejected_or_withdrawn_proposal_is_over_and_may_be_made_anew(world: ApiWorld) -> None:
    first = await proposed(world)
    again = await propose(world, "admin", definition(fee="700"))
    assert (again.status_code, again.json()["type"]) == (409, "conflict")
    assert (await step(world, "admin", first, "withdraw"))[0] == 403
    assert (await step(world, "risk", first, "withdraw"))[1]["state"] == "withdrawn"
    second = await proposed(world, fee="700")
    assert (await step(world, "admin", second, "reject"))[1]["state"] == "rejected"
    assert (await step(world, "admin", second, "approve"))[0] == 409
    assert (await step(world, "risk", second, "publish"))[0] == 409
    assert await on_sale(world) == 1


async def test_the_same_key_proposes_and_approves_once(world: ApiWorld) -> None:
    answers = [await propose(world, "risk", definition(), key="the-same-key") for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    path = f"/v1/product-proposals/{answers[0].json()['id']}/approve"
    approved = [await world.ask("admin", "POST", path, WHY, key="approve-once") for _ in range(2)]
    assert [answer.status_code for answer in approved] == [200, 200]
    assert len(await trail(world, answers[0].json()["id"])) == 2


async def test_a_wrong_definition_is_refused_with_line_and_field(world: ApiWorld) -> None:
    text = definition(version=2).replace("leverage: 100", "leverage: 0")
    line = text.splitlines().index("leverage: 0") + 1
    problem = (await propose(world, "risk", text)).json()
    assert problem["type"] == "product-invalid" and problem["field"] == "leverage"
    assert problem["detail"].startswith(f"definition:{line} leverage:")
    problem = (await propose(world, "risk", definition(version=4))).json()
    assert (problem["field"], problem["remedy"]) == ("version", "Propose it as version 2.")
    problem = (await propose(world, "risk", definition(product="instant-two"))).json()
    assert problem["field"] == "product"
    for text in ("", "[1", "{", "- a", "\tx: 1", "a: b: c"):
        answer = await propose(world, "risk", text)
        assert (answer.status_code, answer.json()["type"]) == (422, "product-invalid"), text
    assert (await world.ask("risk", "GET", "/v1/product-proposals")).json()["items"] == []


async def test_json_is_a_definition_too(world: ApiWorld) -> None:
    body = Product.model_validate(yaml.safe_load(definition())).model_dump_json()
    answer = await propose(world, "risk", body)
    assert (answer.status_code, answer.json()["version"]) == (201, "two-step@2")


async def test_who_bought_before_keeps_the_version_they_bought(world: ApiWorld) -> None:
    proposal = await proposed(world, fee="600")
    await step(world, "admin", proposal, "approve")
    await step(world, "admin", proposal, "publish")
    before = (await world.ask("tina", "GET", f"/v1/challenges/{world.people['tina'].has('chl')}")).json()
    assert before["version"] == 1
    bought = (await world.ask("tina", "POST", "/v1/challenges", {"product": "two-step"})).json()
    assert (bought["version"], bought["fee_minor"]) == (2, 60_000)
    async with world.db.transaction() as session:
        kept = await session.get_one(ProductVersion, ("two-step", 2))
        assert kept.content_hash == (await products.load(session, "two-step", 2)).content_hash


async def test_half_a_kilobyte_of_nested_aliases_is_refused_at_once(world: ApiWorld) -> None:
    answer = await propose(world, "risk", BOMB)
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"].endswith("product-invalid")
    assert "once its aliases (*) are written out" in answer.json()["detail"]
    assert len(answer.content) < 2_000


GOODWILL: Final = "50"


async def test_what_is_not_applied_cannot_be_put_on_sale(world: ApiWorld) -> None:
    terms = yaml.safe_load(definition())
    terms["payout"]["goodwill_pct"] = GOODWILL
    answer = await propose(world, "risk", yaml.safe_dump(terms, sort_keys=False))
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (422, "product-invalid")
    assert answer.json()["field"] == "payout.goodwill_pct"
    assert "nothing is paid after a soft breach yet, so that it cannot be promised; remove it" in answer.text
    with pytest.raises(ProductInvalid, match=r"payout\.goodwill_pct: nothing is paid"):
        async with world.db.transaction() as session:
            product = Product.model_validate(terms)
            await proposals.propose(
                session, product, source="a test", actor=world.people["risk"].actor, reason=WHY["reason"]
            )


async def test_a_version_sold_before_with_what_is_not_applied_still_loads(world: ApiWorld) -> None:
    """A data folder may hold one: its accounts live on under it, and the newest version is sold without."""
    (three_step,) = [product for product in shipped() if product.product == "three-step"]
    old = three_step.model_dump(mode="json") | {"version": 1}
    old["payout"]["goodwill_pct"] = GOODWILL
    async with world.db.transaction() as session:
        await products.publish(session, Product.model_validate(old))
        await products.publish(session, three_step)
    async with world.db.transaction() as session:
        found = await products.load(session, "three-step", 1)
        assert found.payout.goodwill_pct is not None
        assert (await products.newest(session, "three-step")).payout.goodwill_pct is None
