"""What every trading platform behind the port must do. Each adapter under test brings a bench."""

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.platforms.sandbox import SandboxPlatform
from domain.errors import BadInput, Conflict, IdempotencyMismatch, NotFound, Unavailable
from ports.platform import AccountChanged, AccountState, BalanceOperation, ClockMark, Deal, GapInStream, Tick
from tests.contract.sandbox_process import TOKEN, SandboxProcess, at, free_port, running_sandbox, waves, write_recording


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    market = tmp_path / "prices"
    write_recording(market, "EURUSD", waves(30, 110_000, 300, 10, 5))
    write_recording(market, "XAUUSD", waves(30, 2_000_000, 9_000, 300, 3))
    with running_sandbox(tmp_path, market_dir=market) as process:
        yield process


@pytest.fixture
async def platform(sandbox: SandboxProcess) -> AsyncIterator[SandboxPlatform]:
    adapter = SandboxPlatform(url=sandbox.url, token=TOKEN)
    yield adapter
    await adapter.aclose()


async def _account(platform: SandboxPlatform, key: str = "chl_1/1") -> int:
    return await platform.create_account(key=key, group="two-step/1", currency="USD", leverage=100)


async def test_an_account_key_opens_one_account(platform: SandboxPlatform) -> None:
    first = await _account(platform)
    assert await _account(platform) == first
    assert await _account(platform, "chl_2/1") != first
    with pytest.raises(IdempotencyMismatch):
        await platform.create_account(key="chl_1/1", group="two-step/1", currency="EUR", leverage=100)
    new = await platform.snapshot(first)
    assert (new.balance_minor, new.trading_enabled, new.positions) == (0, False, ())


async def test_money_moves_once_per_key_and_never_below_zero(platform: SandboxPlatform) -> None:
    login = await _account(platform)
    for _ in range(3):
        await platform.balance_operation(login, key="fee", operation="deposit", amount_minor=500_00)
    with pytest.raises(IdempotencyMismatch):
        await platform.balance_operation(login, key="fee", operation="deposit", amount_minor=500_01)
    with pytest.raises(Conflict, match="only 50000"):
        await platform.balance_operation(login, key="pay_1", operation="payout_hold", amount_minor=-500_01)
    assert (await platform.snapshot(login)).balance_minor == 500_00
    for operation, amount in (("payout_hold", -200_00), ("payout_settled", 0), ("payout_release", 200_00)):
        await platform.balance_operation(login, key="pay_1", operation=operation, amount_minor=amount)  # type: ignore[arg-type]
    assert (await platform.snapshot(login)).balance_minor == 500_00


async def test_a_balance_operation_is_found_by_its_key(sandbox: SandboxProcess, platform: SandboxPlatform) -> None:
    login = await _account(platform)
    await platform.balance_operation(login, key="fee & ?", operation="deposit", amount_minor=500_00)
    with pytest.raises(Conflict):
        await platform.balance_operation(login, key="pay_1", operation="payout_hold", amount_minor=-500_01)
    await platform.balance_operation(login, key="pay_1", operation="payout_settled", amount_minor=0)
    sandbox.kill()
    sandbox.start()
    assert await platform.find_balance_operation(login, key="fee & ?", operation="deposit") == 500_00
    assert await platform.find_balance_operation(login, key="fee & ?", operation="adjustment") is None
    assert await platform.find_balance_operation(login, key="pay_1", operation="payout_hold") is None, "refused"
    assert await platform.find_balance_operation(login, key="pay_1", operation="payout_settled") == 0
    with pytest.raises(NotFound):
        await platform.find_balance_operation(77, key="fee", operation="deposit")


@pytest.mark.parametrize(("operation", "amount"), [("deposit", -1), ("payout_hold", 1), ("payout_settled", 5)])
async def test_an_amount_of_the_wrong_sign_is_refused(platform: SandboxPlatform, operation: str, amount: int) -> None:
    login = await _account(platform)
    with pytest.raises(BadInput) as refused:
        await platform.balance_operation(login, key="k", operation=operation, amount_minor=amount)  # type: ignore[arg-type]
    assert refused.value.field == "amount_minor" and refused.value.remedy


async def test_an_unknown_login_is_not_found(platform: SandboxPlatform) -> None:
    with pytest.raises(NotFound):
        await platform.snapshot(77)
    with pytest.raises(NotFound):
        await platform.deals(77)
    with pytest.raises(NotFound):
        await platform.lock(77, key="k")
    with pytest.raises(NotFound):
        await platform.balance_operation(77, key="k", operation="deposit", amount_minor=1)
    stream = platform.open_stream()
    with pytest.raises(NotFound):
        stream.lock_many([(77, "k")])
    stream.close()


WRONG_ORDERS: list[tuple[dict[str, object], int, str | None]] = [
    ({"symbol": "NOSUCH", "side": "buy", "lots": "1"}, 422, "symbol"),
    ({"symbol": "EURUSD", "side": "buy", "lots": "-1"}, 422, "lots"),
    ({"symbol": "EURUSD", "side": "buy", "lots": "0"}, 422, "lots"),
    ({"symbol": "EURUSD", "side": "buy", "lots": "0.001"}, 422, "lots"),
    ({"symbol": "EURUSD", "side": "buy", "lots": "NaN"}, 422, "lots"),
    ({"symbol": "EURUSD", "side": "buy", "lots": 0.1}, 422, "lots"),
    ({"symbol": "EURUSD", "side": "hold", "lots": "1"}, 422, "side"),
    ({"symbol": "EURUSD", "side": "buy", "lots": "1", "stop_loss": "2"}, 422, "stop_loss"),
    ({"symbol": "EURUSD", "side": "buy", "lots": "300"}, 409, None),  # no margin for it
    ({"symbol": "EURUSD", "side": "sell", "lots": "1", "position_id": "none"}, 404, None),
]


def test_a_wrong_order_is_refused(sandbox: SandboxProcess) -> None:
    login = sandbox.funded("chl_1")
    sandbox.advance(at(0, 1))
    for order, status, field in WRONG_ORDERS:
        answer = sandbox.order(login, "o1", **order)
        assert (answer.status_code, answer.json()["field"]) == (status, field), order
        assert answer.headers["content-type"] == "application/problem+json"
    assert sandbox.http.get(f"/venue/accounts/{login}/deals").json() == []


async def test_fills_profit_and_equity_are_exact(sandbox: SandboxProcess, platform: SandboxPlatform) -> None:
    login = sandbox.funded("chl_1")
    sandbox.advance(at(0, 1))  # bid 1.10059
    for _ in range(2):
        bought = sandbox.order(login, "o1", symbol="EURUSD", side="buy", lots="1.5")
        assert bought.status_code == 200
    sandbox.advance(at(0, 3))  # bid 1.10179
    quotes = sandbox.market()["last_quotes"]["EURUSD"]
    snapshot = await platform.snapshot(login)
    (position,) = snapshot.positions
    floating = (Decimal(quotes["bid"]) - position.open_price) * Decimal("1.5") * 100_000
    assert snapshot.balance_minor == 10_000_000 - 750  # commission of 5.00 a lot
    assert snapshot.equity_minor == snapshot.balance_minor + int(floating * 100)
    states = [e for e in sandbox.all_events() if isinstance(e, AccountState)]
    assert states[-1].equity_minor == snapshot.equity_minor
    close = {"symbol": "EURUSD", "side": "sell", "lots": "1.5", "position_id": position.position_id}
    assert sandbox.order(login, "o2", **close).status_code == 200
    opened, closed = await platform.deals(login)
    assert (opened.entry, opened.reason, closed.entry) == ("in", "client", "out")
    assert closed.profit_minor == int(floating * 100)
    assert (await platform.snapshot(login)).balance_minor == closed.balance_minor == snapshot.equity_minor


async def test_a_lock_disables_and_flattens_once(sandbox: SandboxProcess, platform: SandboxPlatform) -> None:
    logins = [sandbox.funded(f"chl_{n}") for n in (1, 2, 3)]
    sandbox.advance(at(0, 1))
    for login in logins:
        for symbol in ("EURUSD", "XAUUSD"):
            assert sandbox.order(login, symbol, symbol=symbol, side="sell", lots="2").status_code == 200
    stream = platform.open_stream()
    stream.lock(logins[2], "breach-3")
    stream.lock_many([(logins[1], "breach-2"), (logins[0], "breach-1")])
    await platform.lock(logins[0], key="breach-1")
    for login in logins:
        locked = stream.snapshot(login)
        assert (locked.trading_enabled, locked.positions) == (False, ())
        assert sandbox.order(login, "again", symbol="EURUSD", side="buy", lots="1").status_code == 409
    stream.close()
    sandbox.advance(at(0, 2))
    events = sandbox.all_events()
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    fills = [e for e in events if isinstance(e, Deal) and e.reason == "dealer"]
    assert sorted((e.login, e.symbol) for e in fills) == [(n, s) for n in logins for s in ("EURUSD", "XAUUSD")]
    disabled = [e.login for e in events if isinstance(e, AccountChanged) and e.change == "disabled"]
    assert sorted(disabled) == logins

    await platform.set_trading(logins[0], key="pardon", enabled=True)
    await platform.lock(logins[0], key="breach-1")
    assert (await platform.snapshot(logins[0])).trading_enabled


def test_locks_that_arrive_in_any_order_are_told_in_order_of_login(
    sandbox: SandboxProcess, platform: SandboxPlatform
) -> None:
    logins = [sandbox.funded(f"chl_{n}") for n in range(4)]
    sandbox.advance(at(0, 1))
    stream = platform.open_stream()
    for login in reversed(logins):
        stream.lock(login, "k")
    stream.close()
    sandbox.advance(at(0, 2))
    changes = [e for e in sandbox.all_events() if isinstance(e, AccountChanged) and e.change == "disabled"]
    assert [e.login for e in changes] == logins


def test_the_stream_resumes_and_reports_a_gap(sandbox: SandboxProcess, platform: SandboxPlatform) -> None:
    done = sandbox.advance(at(0, 2))
    last = done["batch"]
    assert (done["ticks"], done["market_time"]) == (242, "2024-01-05T00:02:00.000000Z")
    batches = sandbox.all_batches()
    assert [b.number for b in batches] == list(range(1, last + 1))
    assert all(isinstance(b.events[-1], ClockMark) for b in batches)
    flushed = [b.number for b in batches if isinstance(b.events[-1], ClockMark) and b.events[-1].flush]
    assert flushed == [last]
    stream = platform.open_stream()
    resumed = next(b for b in stream.batches(last - 3) if b is not None)
    assert resumed == batches[last - 3]
    stream.acknowledge(last, last - 2)
    with pytest.raises(GapInStream) as gap:
        next(stream.batches(0))
    assert gap.value.first == last - 1
    assert next(stream.batches(last)) is None  # nothing new: a heartbeat
    with pytest.raises(BadInput):
        stream.acknowledge(last + 1, 0)
    with pytest.raises(Conflict):
        next(stream.batches(last + 5))
    stream.close()


async def test_api_effects_head_the_next_batch_in_order(sandbox: SandboxProcess, platform: SandboxPlatform) -> None:
    sandbox.advance(at(0, 1))
    last = sandbox.market()["batch"]
    login = sandbox.funded("chl_1")
    snapshot = await platform.snapshot(login)
    sandbox.advance(at(0, 1, 5))
    head = sandbox.all_batches()[last].events[:4]
    assert [type(e) for e in head] == [AccountChanged, BalanceOperation, AccountChanged, Tick]
    assert head[2].seq == snapshot.seq < head[3].seq
    assert {e.at for e in head[:3]} == {at(0, 1)}


async def test_after_the_recording_time_moves_on_alone(sandbox: SandboxProcess) -> None:
    assert sandbox.market()["feed_ends_at"] == "2024-01-05T00:29:59.000000Z"
    sandbox.advance(at(0, 30))
    before = sandbox.market()["batch"]
    assert sandbox.advance(at(23, 15))["ticks"] == 0
    after = sandbox.market()
    assert (after["market_time"], after["batch"] - before) == ("2024-01-05T23:15:00.000000Z", 23)
    backwards = sandbox.post("/market/advance", {"until": at(1).isoformat()})
    assert (backwards.status_code, backwards.json()["field"]) == (422, "until")


async def test_symbols_say_their_contract(platform: SandboxPlatform) -> None:
    specs = {spec.symbol: spec for spec in await platform.symbols()}
    assert (specs["XAUUSD"].contract_size, specs["EURUSD"].quote_currency) == (Decimal(100), "USD")
    assert "lockstep" in await platform.healthy()


async def test_a_venue_out_of_reach_is_unavailable(sandbox: SandboxProcess) -> None:
    stranger = SandboxPlatform(url=sandbox.url, token="wrong")
    with pytest.raises(Unavailable, match="token"):
        await stranger.healthy()
    await stranger.aclose()
    nobody = SandboxPlatform(url=f"http://127.0.0.1:{free_port()}", token=TOKEN)
    with pytest.raises(Unavailable) as down:
        await _account(nobody)
    assert down.value.type == "unavailable"  # the call never left, so nothing is unknown
    stream = nobody.open_stream()
    with pytest.raises(Unavailable):
        next(stream.batches(0))
    stream.close()
    await nobody.aclose()
