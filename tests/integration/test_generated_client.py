"""A Python client made from the OpenAPI document by somebody else's generator works: pages, a payout, a refusal."""

import importlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.json_api import create_json_api
from tests.api_description import document
from tests.api_world import ApiWorld, api_world

# What a generator for JSON leaves out: two files, and a definition that is sent as YAML too.
_FILES = ("/v1/products/{product}/versions", "/v1/disputes/{dispute_id}/pack", "/v1/mail-attachments/{file_id}")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of the package that was made, which can be imported."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "openapi.json").write_text(json.dumps(document()))
    (folder / "settings.yml").write_text("post_hooks: []\n")
    made = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"),
            *("--path", str(folder / "openapi.json"), "--config", str(folder / "settings.yml")),
            *("--output-path", str(folder / "propos_client")),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    said = made.stdout + made.stderr
    assert "Unable to process" not in said
    warned = [line for line in said.splitlines() if line.startswith("WARNING")]
    assert [line for line in warned if not any(path in line for path in _FILES)] == []
    assert all(path.suffix == ".py" for path in Path(folder / "propos_client").rglob("*") if path.is_file())
    sys.path.insert(0, str(folder))
    return "propos_client"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        yield made


def _client(package: str, world: ApiWorld, who: str) -> Any:
    client = importlib.import_module(f"{package}.client").AuthenticatedClient("http://firm.test", "unused")
    headers = {"Authorization": f"Bearer {world.people[who].token}"}
    transport = httpx.ASGITransport(app=create_json_api(world.deps))
    return client.set_async_httpx_client(
        httpx.AsyncClient(transport=transport, base_url="http://firm.test", headers=headers)
    )


async def test_a_generated_client_reads_pages_asks_for_a_payout_and_understands_a_refusal(
    package: str, world: ApiWorld
) -> None:
    def call(chapter: str, name: str) -> Any:
        return importlib.import_module(f"{package}.api.{chapter}.{name}").asyncio

    models = importlib.import_module(f"{package}.models")
    staff, tina, eve = (_client(package, world, who) for who in ("support", "tina", "eve"))
    first = await call("accounts", "list_accounts")(client=staff, limit=1, sort=models.ListAccountsSort.NUMBER)
    second = await call("accounts", "list_accounts")(
        client=staff, limit=1, sort=models.ListAccountsSort.NUMBER, cursor=first.next_cursor
    )
    [one], [other] = first.items, second.items
    assert (type(one).__name__, one.currency, second.next_cursor) == ("AccountRow", "USD", None)
    assert {one.id, other.id} == {world.people[name].has("acc") for name in ("tina", "eve")}

    account = world.people["tina"].has("acc")
    body = models.PayoutBody(amount="500.00")
    payouts = call("payouts", "request_payout")
    asked, again = [await payouts(account, client=tina, body=body, idempotency_key="payout-one") for _ in "ab"]
    assert (type(asked).__name__, asked.gross_minor) == ("PayoutAsked", 50_000)
    assert again == asked

    second = await payouts(account, client=tina, body=body, idempotency_key="payout-two")
    assert (type(second).__name__, second.type_) == ("ConflictProblem", "payout-open")
    much, hers = models.PayoutBody(amount="9000000.00"), world.people["eve"].has("acc")
    refused = await payouts(hers, client=eve, body=much, idempotency_key="payout-three")
    assert (type(refused).__name__, refused.type_) == ("InvalidInputProblem", "payout-refused")
    assert "more_than_available" in [each.code for each in refused.refusals]
    unknown = await call("accounts", "get_account")("acc_nobody", client=tina)
    assert (type(unknown).__name__, unknown.type_, unknown.status) == ("NotFoundProblem", "not-found", 404)
    for client in (staff, tina, eve):
        await client.get_async_httpx_client().aclose()
