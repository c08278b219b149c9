"""No personal data outside encrypted fields: names, addresses and free text of one life, searched for in every byte."""

import mmap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.e2e.firm import DAY, minutes, open_for_business

# flat, then a fall of 120 USD: two lots lose 24,000 on the way
_FALLING = minutes([(m, "2650.000") for m in range(10)] + [(m, f"{2650 - (m - 10) * 4}.000") for m in range(10, 40)])


def _files(data_dir: Path) -> Iterator[Path]:
    """PostgreSQL with its write-ahead log, Temporal's database, and every log; not the outside world's journal."""
    for root in ("postgres", "logs"):
        yield from (path for path in (data_dir / root).rglob("*") if path.is_file())
    yield from data_dir.glob("temporal.db*")


def _holding(data_dir: Path, needle: str) -> list[str]:
    found = []
    for path in _files(data_dir):
        if path.stat().st_size == 0:
            continue
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.find(needle.encode()) >= 0:
                found.append(str(path.relative_to(data_dir)))
    return found


@pytest.mark.timeout(900)
async def test_personal_data_rests_encrypted_and_never_reaches_a_log(data_dir: Path) -> None:
    statement = "My grandmother saw the canary spread with her own eyes."
    async with open_for_business(data_dir, _FALLING) as firm:
        await firm.advance(DAY + timedelta(minutes=1))
        trader = await firm.trader(4711, "two-step")
        account = await firm.account(trader)
        await firm.order(account["login"], "open", "buy", "2")
        await firm.advance(DAY + timedelta(minutes=45))
        breaches = await trader.api.items(f"/v1/accounts/{account['id']}/breaches")
        assert [breach["rule_id"] for breach in breaches] == ["daily_loss"]
        await trader.api.post(f"/v1/breaches/{breaches[0]['id']}/disputes", {"statement": statement})
        await firm.settle()
        rosa = await firm.operator("rosa")
        dispute = (await rosa.items("/v1/disputes"))[0]
        seen = (await rosa.get(f"/v1/disputes/{dispute['id']}"))["seen"]
        upheld = {"reason": "Prices and deals agree.", "seen": seen}
        await rosa.post(f"/v1/disputes/{dispute['id']}/uphold", upheld)
        await trader.api.post(
            "/v1/tickets", {"account_id": account["id"], "subject": "canary subject line", "body": "canary body text"}
        )
        await firm.settle(f"dispute/{dispute['id']}")
        challenge_id = trader.challenge_id
    # the search itself works: an id that may be stored in the clear is found in both databases
    assert any(name.startswith("postgres") for name in _holding(data_dir, challenge_id))
    assert any(name.startswith("temporal.db") for name in _holding(data_dir, challenge_id))
    persona = trader.persona
    for secret in (persona.name, persona.email, persona.iban, statement, "canary subject line", "canary body text"):
        assert _holding(data_dir, secret) == [], secret
