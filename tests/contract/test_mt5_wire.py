"""What is particular to the MT5 WebAPI: signing in on both sides, rights, the dealer's desk, logins, TLS."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.mt5.accounts import logins_of
from adapters.mt5.platform import Mt5Platform
from domain.errors import Conflict, IdempotencyMismatch, InProgress, NotFound, Unavailable
from sandbox.mt5 import values
from sandbox.mt5.faults import Fault
from sandbox.mt5.wire import Reply, Request
from tests.contract.fake_mt5 import PASSWORD, RunningFake, running_fake
from tests.contract.sandbox_process import free_port

INVESTOR, PUSH = 0x8, 0x8000


@pytest.fixture
def fake() -> Iterator[RunningFake]:
    with running_fake() as running:
        yield running


@pytest.fixture
def fake_process() -> Iterator[str]:
    """Address of a fake in a process of its own."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    arguments = ["--port", str(port), "--password", PASSWORD, "--group", "propos\\two-step-1-USD=USD"]
    with subprocess.Popen([sys.executable, "-m", "sandbox.mt5.server", *arguments]) as process:
        deadline = time.monotonic() + 120
        while True:
            try:
                httpx.get(f"{url}/control/state", trust_env=False)
                break
            except httpx.TransportError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
        yield url
        process.terminate()


@asynccontextmanager
async def platform(fake: RunningFake, **given: str) -> AsyncIterator[Mt5Platform]:
    made = Mt5Platform("mt5", fake.settings(**given))
    try:
        yield made
    finally:
        await made.aclose()


async def open_account(made: Mt5Platform, key: str, group: str = "two-step/1", currency: str = "USD") -> int:
    return await made.create_account(key=key, group=group, currency=currency, leverage=100)


def record_of(fake: RunningFake, login: int) -> dict[str, Any]:
    return fake.run(lambda it: dict(it.state.users[login].record))


# signing in


async def test_a_server_that_does_not_know_the_password_is_not_trusted(fake: RunningFake) -> None:
    """It may let everybody in, to read what is sent to it."""
    finish = fake.fake.api._finish

    def impostor(request: Request, session: Any) -> Reply:
        answer = json.loads(finish(request, session).body)
        return Reply(200, json.dumps(answer | {"cli_rand_answer": "0" * 32}).encode())

    fake.fake.api._finish = impostor  # type: ignore[method-assign]
    async with platform(fake) as made:
        with pytest.raises(Unavailable, match="not the server"):
            await open_account(made, "chl_1/1")
    assert fake.fake.state.users == {}


async def test_a_wrong_password_is_said_and_the_right_one_never_travels(fake: RunningFake) -> None:
    seen: list[str] = []
    answer = fake.fake.api.answer

    async def listen(request: Request, session: Any) -> Reply:
        seen.append(f"{request} {request.body.decode()}")
        return await answer(request, session)

    fake.fake.api.answer = listen  # type: ignore[method-assign]
    async with platform(fake, password="wrong") as made:
        with pytest.raises(Unavailable) as refused:
            await made.healthy()
    assert refused.value.remedy == "Check manager and password."
    async with platform(fake) as made:
        assert "signed in" in await made.healthy()
    assert seen and not any(PASSWORD in each or PASSWORD.encode("utf-16-le").hex() in each for each in seen)


async def test_a_lost_session_signs_in_again_and_the_call_has_its_effect_once(fake: RunningFake) -> None:
    login = fake.account()
    async with platform(fake) as made:
        with fake.faults(Fault("expired", "/api/trade/balance")):
            await made.balance_operation(login, key="k", operation="deposit", amount_minor=5_00)
        assert await made.find_balance_operation(login, key="k", operation="deposit") == 5_00
        assert (await made.snapshot(login)).balance_minor == 1005_00
        with fake.faults(Fault("expired", "/api/trade/balance", times=None)), pytest.raises(Unavailable):
            await made.balance_operation(login, key="l", operation="deposit", amount_minor=5_00)


async def test_many_lost_connections_make_the_adapter_wait(fake: RunningFake) -> None:
    async with platform(fake) as made:
        for _ in range(2):  # an answer in between ends the count
            with fake.faults(Fault("cut_before", "", times=None)):
                for _ in range(4):
                    with pytest.raises(Unavailable):
                        await made.snapshot(77)
            assert await made.healthy()
        with fake.faults(Fault("cut_before", "", times=None)):
            said = ""
            while "asked again" not in said:
                with pytest.raises(Unavailable) as refused:
                    await made.snapshot(77)
                said = refused.value.message


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "server.pem"
    file.write_bytes(_self_signed())
    with running_fake(certificate=str(file)) as fake:
        url = fake.url.replace("http://127.0.0.1", "https://localhost")
        async with platform(fake, url=url) as made:
            with pytest.raises(Unavailable):
                await made.healthy()
        async with platform(fake, url=url, ca_file=str(file)) as made:
            assert "signed in" in await made.healthy()


def _self_signed() -> bytes:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + made.public_bytes(pem)


# rights and records


async def test_only_the_bit_for_trading_changes_and_nothing_else_of_the_record_is_lost(fake: RunningFake) -> None:
    login = fake.account()
    fake.control("rights", login=login, set=INVESTOR | PUSH)
    cells = [{"AppID": "5", "ID": "1", "ValueUInt": "42"}]
    fake.run(lambda it: it.state.users[login].record.update(ApiData=list(cells)))
    before = record_of(fake, login)
    async with platform(fake) as made:
        await made.set_trading(login, key="on", enabled=True)
        on = record_of(fake, login)
        await made.set_trading(login, key="off", enabled=False)
    off = record_of(fake, login)
    assert int(on["Rights"]) == int(before["Rights"]) & ~values.TRADE_DISABLED
    assert int(off["Rights"]) == int(before["Rights"])
    assert {**off, "ApiData": None} == {**before, "ApiData": None}
    assert off["ApiData"][:1] == cells, "cells of another application stay"
    assert off["Country"] == "Malta"


async def test_a_late_repeat_of_a_step_does_not_undo_a_later_one(fake: RunningFake) -> None:
    login = fake.account()
    async with platform(fake) as made:
        await made.set_trading(login, key="first", enabled=True)
        await made.set_trading(login, key="second", enabled=False)
        await made.set_trading(login, key="first", enabled=True)
        assert not (await made.snapshot(login)).trading_enabled


async def test_a_late_repeat_of_a_lock_leaves_what_was_opened_since(fake: RunningFake) -> None:
    login = fake.account(enabled=True)
    async with platform(fake) as made:
        await made.lock(login, key="breach")
        await made.set_trading(login, key="reinstated", enabled=True)
        fake.control("order", login=login, symbol="EURUSD", side="buy", lots="0.01")
        await made.lock(login, key="breach")
        now = await made.snapshot(login)
        assert (now.trading_enabled, len(now.positions)) == (True, 1)
        await made.lock(login, key="another breach")
        now = await made.snapshot(login)
    assert (now.trading_enabled, now.positions) == (False, ())


async def test_a_full_record_is_said(fake: RunningFake) -> None:
    login = fake.account()
    cells = [{"AppID": "5", "ID": str(number), "ValueUInt": "1"} for number in range(16)]
    fake.run(lambda it: it.state.users[login].record.update(ApiData=cells))
    async with platform(fake) as made:
        with pytest.raises(Unavailable, match="every cell"):
            await made.set_trading(login, key="on", enabled=True)


# logins


async def test_two_keys_with_the_same_first_login_get_two_accounts(fake: RunningFake) -> None:
    settings = fake.settings()
    first = next(logins_of("chl_1/1", settings))
    small = {"first_login": "5000000", "last_login": "5000999"}
    wanted = next(logins_of("chl_1/1", fake.settings(**small)))
    other = next(f"chl_{n}/1" for n in count(2) if next(logins_of(f"chl_{n}/1", fake.settings(**small))) == wanted)
    async with platform(fake, **small) as made:
        assert await open_account(made, "chl_1/1") == wanted
        assert await open_account(made, other) != wanted
        assert await made.find_account("chl_1/1") == wanted
        assert await made.find_account(other) == await open_account(made, other)
    assert first in range(5_000_000, 6_000_000)


async def test_processes_that_open_the_same_account_at_once_open_one(fake: RunningFake) -> None:
    async with platform(fake) as one, platform(fake) as two:
        logins = await asyncio.gather(*(open_account(each, "chl_1/1") for each in (one, two, one, two)))
    assert len(set(logins)) == 1
    assert len(fake.fake.state.users) == 1


async def test_a_record_that_somebody_changed_is_no_reason_for_a_second_account(fake: RunningFake) -> None:
    async with platform(fake) as made:
        login = await open_account(made, "chl_1/1")
        fake.run(lambda it: it.state.users[login].record.update(Comment="VIP"))
        with pytest.raises(Unavailable, match="comment"):
            await open_account(made, "chl_1/1")
    assert len(fake.fake.state.users) == 1


async def test_a_group_that_is_missing_or_in_another_currency_is_said(fake: RunningFake) -> None:
    fake.run(lambda it: it.state.groups.update({"propos\\two-step-2-EUR": "USD"}))
    async with platform(fake) as made:
        with pytest.raises(Unavailable, match="does not exist"):
            await open_account(made, "chl_1/1", group="three-step/1")
        with pytest.raises(Unavailable, match="keeps accounts in USD"):
            await open_account(made, "chl_1/1", group="two-step/2", currency="EUR")
        await open_account(made, "chl_1/1")
        with pytest.raises(IdempotencyMismatch):
            await open_account(made, "chl_1/1", group="two-step/2")


# the dealer's desk


async def test_a_lock_switches_off_first_then_cancels_and_closes_everything(fake: RunningFake) -> None:
    login = fake.account(positions=130, enabled=True)
    for price in ("1.0", "1.2"):
        fake.control("pending", login=login, symbol="EURUSD", type=2, lots="0.01", price=price)
    async with platform(fake) as made:
        await made.lock(login, key="breach")
        now = await made.snapshot(login)
    assert (now.trading_enabled, now.positions) == (False, ())
    assert fake.fake.state.orders == {}
    requests = [request["Action"] for request in fake.fake.dealer.sent]
    assert requests == ["204"] * 2 + ["200"] * 130


async def test_what_the_dealer_has_not_done_is_in_progress(fake: RunningFake) -> None:
    login = fake.account(enabled=True)
    fake.control("hold_dealer", held=True)
    async with platform(fake, dealer_seconds="0.2") as made:
        with pytest.raises(InProgress):
            await made.lock(login, key="breach")
        assert not (await made.snapshot(login)).trading_enabled, "nothing new can be opened meanwhile"
        fake.control("hold_dealer", held=False)
        await made.lock(login, key="breach")
        assert (await made.snapshot(login)).positions == ()
    closed = [deal for deal in fake.fake.state.deals.values() if deal.reason == values.BY_DEALER]
    assert len(closed) == 2


async def test_a_closed_market_is_tried_again_later(fake: RunningFake) -> None:
    login = fake.account(enabled=True)
    fake.control("market", closed=["EURUSD"])
    async with platform(fake) as made:
        with pytest.raises(Unavailable, match="10018") as refused:
            await made.lock(login, key="breach")
        assert not isinstance(refused.value, InProgress)
        fake.control("market", closed=[])
        await made.lock(login, key="breach")
        assert (await made.snapshot(login)).positions == ()


async def test_results_that_went_with_the_connection_are_read_off_the_positions(fake: RunningFake) -> None:
    login = fake.account(enabled=True)
    async with platform(fake) as made:
        with fake.faults(Fault("cut_before", "/api/dealer/get_request_result", times=2)):
            await made.lock(login, key="breach")
        assert (await made.snapshot(login)).positions == ()


async def test_closing_leaves_other_positions_and_trading_alone(fake: RunningFake) -> None:
    login = fake.account(positions=3, enabled=True)
    async with platform(fake) as made:
        first, *others = (await made.snapshot(login)).positions
        for _ in range(2):
            await made.close_positions(login, key="close", position_ids=[first.position_id, "999999"])
        now = await made.snapshot(login)
    assert (now.positions, now.trading_enabled) == (tuple(others), True)


# money and history


async def test_the_history_reads_back_with_balances(fake: RunningFake) -> None:
    login = fake.account(positions=0, enabled=True)
    position = fake.control("order", login=login, symbol="EURUSD", side="buy", lots="1")["position"]
    fake.control("quote", quotes={"EURUSD": ["1.10250", "1.10260"]})
    fake.control("close", position=position)
    async with platform(fake) as made:
        opened, closed = await made.deals(login)
    assert (opened.entry, closed.entry, closed.profit_minor) == ("in", "out", 250_00)
    assert (opened.balance_minor, closed.balance_minor) == (995_00, 1245_00)
    assert abs(opened.at - datetime.now(UTC)) < timedelta(minutes=10), "server time became UTC"


async def test_too_much_money_is_refused_and_an_unknown_login_not_found(fake: RunningFake) -> None:
    login = fake.account()
    async with platform(fake) as made:
        with pytest.raises(Conflict):
            await made.balance_operation(login, key="k", operation="deposit", amount_minor=10**12)
        with pytest.raises(NotFound):
            await made.deals(77)


async def test_the_fake_runs_as_a_process_of_its_own(fake: RunningFake, fake_process: str) -> None:
    async with platform(fake, url=fake_process) as made:
        login = await open_account(made, "chl_1/1")
    async with httpx.AsyncClient(base_url=fake_process, trust_env=False) as client:
        shown = await client.get("/control/state", headers={"Authorization": "Bearer fake"})
        assert [user["Login"] for user in shown.json()["users"]] == [str(login)]
        assert (await client.post("/control/quote", json={})).status_code == 401
