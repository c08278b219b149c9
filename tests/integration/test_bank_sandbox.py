"""Payouts over the bank rail against the simulated bank, over days, under each of its faults and through kills."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from adapters.bank.link import BankLink
from adapters.bank.rail import BankRail
from adapters.bank.statements import BankStatements
from domain.errors import Conflict, NotFound
from domain.file_errors import (
    BankFileMisaddressed,
    BankFileOutOfOrder,
    BankFileRefused,
    BankFileRepeated,
    BankFileUnreadable,
)
from sandbox.bank.faults import BankFaults
from tests.bank_world import BankWorld, Died, DyingConnection, bank_settings, dying, order
from tests.contract.sandbox_process import at, running_sandbox, write_recording


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[BankWorld]:
    made = BankWorld(tmp_path)
    yield made
    await made.close()


async def statuses(world: BankWorld, count: int) -> Counter[str]:
    return Counter([(await world.rail.fetch_transfer(order(n).key)).status for n in range(count)])


async def assert_every_cent_is_told(world: BankWorld) -> None:
    """The entries sum to the balances, and each transfer was booked as often as the bank made it."""
    entries = await world.statements.entries(None)
    sums: Counter[str] = Counter()
    for entry in entries:
        sums[entry.currency] += entry.amount_minor
    assert {each.currency: each.amount_minor for each in await world.statements.balances()} == dict(sums)
    told = [(entry.reference, -entry.amount_minor) for entry in entries if entry.kind == "transfer"]
    assert sorted(set(told)) == sorted(world.booked())


async def test_payouts_in_three_currencies_arrive_and_some_come_back_days_later(world: BankWorld) -> None:
    for number in range(36):
        await world.rail.create_transfer(order(number, currency=("EUR", "JPY", "KWD")[number % 3]))
    await world.advance(1)
    assert await statuses(world, 36) == {"paid": 36}, "a return comes after the arrival"
    await world.advance(3)
    after = await statuses(world, 36)
    assert after["paid"] + after["returned"] == 36
    assert 1 <= after["returned"] <= 12
    back = [entry for entry in await world.statements.entries(None) if entry.kind == "transfer_return"]
    assert len(back) == after["returned"]
    fees = [entry for entry in await world.statements.entries(None) if entry.kind == "fee"]
    assert {entry.currency: entry.amount_minor for entry in fees} == dict.fromkeys(("EUR", "JPY", "KWD"), -12 * 15)
    assert await world.problems() == []
    await assert_every_cent_is_told(world)


async def test_a_payment_after_the_cut_off_or_before_a_weekend_is_booked_on_the_next_business_day(
    world: BankWorld,
) -> None:
    world.tick(5)  # 15:00 in Berlin
    await world.rail.create_transfer(order(1))
    await world.advance(2)
    [entry] = [entry for entry in await world.statements.entries(None) if entry.kind == "transfer"]
    assert entry.at.isoformat() == "2026-03-03T17:00:00+00:00"


async def test_a_settlement_of_an_acquirer_comes_in(world: BankWorld) -> None:
    world.bank.credit("EUR", 912_34, reference="po_123", debtor="STRIPE PAYMENTS EUROPE")
    await world.advance(1)
    assert await world.moved() == [("settlement", "po_123", 912_34)]


async def test_the_payees_bank_sends_a_payment_back_that_has_arrived(world: BankWorld) -> None:
    with pytest.raises(NotFound):
        world.bank.send_back(order(1).key)
    await world.rail.create_transfer(order(1))
    await world.advance(4)
    assert (await world.rail.fetch_transfer(order(1).key)).status == "paid"
    world.crash(after_journal=True)
    world.bank.send_back(order(1).key)
    with pytest.raises(Conflict):
        world.bank.send_back(order(1).key)
    world.tick()
    world.crash(after_journal=True)
    await world.advance(4)
    assert (await world.rail.fetch_transfer(order(1).key)).status == "returned"
    with pytest.raises(Conflict):
        world.bank.send_back(order(1).key)
    assert [(kind, amount) for kind, _, amount in await world.moved()] == [
        ("transfer", -order(1).amount_minor),
        ("transfer_return", order(1).amount_minor),
    ]
    await assert_every_cent_is_told(world)


async def test_a_return_minus_charges_is_the_whole_return_and_a_fee(world: BankWorld) -> None:
    await world.rail.create_transfer(order(1, name="closed-account"))
    world.bank.faults.return_charges = 1
    await world.advance(6)
    assert world.bank.faults.uses["return_charges"] == 1
    assert (await world.rail.fetch_transfer(order(1).key)).status == "returned"
    found = [each for each in await world.statements.entries(None) if each.reference == order(1).key]
    assert [(each.kind, each.amount_minor) for each in found] == [
        ("transfer", -order(1).amount_minor),
        ("transfer_return", order(1).amount_minor),
        ("fee", -12),
    ]
    assert await world.problems() == []
    await assert_every_cent_is_told(world)


async def test_orders_wait_for_others_and_can_be_cancelled_until_then(tmp_path: Path) -> None:
    world = BankWorld(tmp_path, collect_minutes="90")
    for number in range(3):
        await world.rail.create_transfer(order(number))
    await world.rail.events(None)
    assert world.names("out") == []
    assert (await world.rail.cancel_transfer(order(0).key)).status == "cancelled"
    world.tick(2)
    await world.rail.events(None)
    assert len(world.names("out")) == 1, "one file for all"
    assert (await world.rail.cancel_transfer(order(1).key)).status == "pending", "its file has left"
    await world.advance(1)
    assert sorted(key for key, _ in world.booked()) == [order(1).key, order(2).key]
    await world.close()


async def test_orders_leave_before_the_cut_off_even_if_they_have_not_waited(tmp_path: Path) -> None:
    world = BankWorld(tmp_path, collect_minutes="90")
    world.tick(4)  # 14:00 in Berlin, the cut-off is at 15:00
    await world.rail.create_transfer(order(0))
    await world.rail.events(None)
    assert len(world.names("out")) == 1
    await world.close()


# fault -> the refusals that a person sees
FAULTS: Final[dict[str, list[type[BankFileRefused]]]] = {
    "late_statement": [],
    "lose": [BankFileOutOfOrder],
    "reorder": [BankFileOutOfOrder],
    "duplicate_statement": [BankFileRepeated],
    "truncate": [BankFileUnreadable],
    "other_account": [BankFileMisaddressed],
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_a_statement_is_seen_and_heals(world: BankWorld, fault: str) -> None:
    world.bank.faults = BankFaults.model_validate({fault: 1})
    for number in range(3):  # a payment a day, so that statements follow the faulty one
        await world.rail.create_transfer(order(number))
        await world.advance(1)
    await world.advance(4)
    assert [kind for kind, _ in await world.problems()] == [error.type for error in FAULTS[fault]]
    assert await statuses(world, 3) == {"paid": 3}
    assert len(await world.moved()) == 3
    assert world.names("in") == []
    await assert_every_cent_is_told(world)


async def test_a_rejected_file_leaves_no_payment_behind(world: BankWorld) -> None:
    world.bank.faults = BankFaults(reject_batch=1)
    for number in range(3):
        await world.rail.create_transfer(order(number))
    await world.advance(2)
    assert await statuses(world, 3) == {"refused": 3}
    assert (world.booked(), await world.moved()) == ([], [])


async def test_a_second_booking_is_shown_to_a_person_and_so_is_its_end(world: BankWorld) -> None:
    world.bank.faults = BankFaults(double_booking=1)
    await world.rail.create_transfer(order(0))
    await world.advance(3)
    transfers = [entry for entry in await world.statements.entries(None) if entry.kind != "fee"]
    assert [(entry.amount_minor, bool(entry.problem)) for entry in transfers] == [
        (-order(0).amount_minor, False), (-order(0).amount_minor, True), (order(0).amount_minor, True),
    ]  # fmt: skip
    assert await statuses(world, 1) == {"paid": 1}
    await assert_every_cent_is_told(world)


@pytest.mark.parametrize("after_journal", [False, True])
async def test_the_bank_goes_on_where_it_was_killed(world: BankWorld, after_journal: bool) -> None:
    """Killed at each hour: what its journal has is all that counts."""
    for number in range(8):
        await world.rail.create_transfer(order(number))
    for _ in range(4 * 24):
        await world.rail.events(None)
        world.crash(after_journal)
        world.tick(1)
    after = await statuses(world, 8)
    assert after["paid"] + after["returned"] == 8
    assert await world.problems() == []
    await assert_every_cent_is_told(world)


async def _story(world: BankWorld) -> None:
    """Two payments, one of them refused, until the bank's statement is read."""
    await world.rail.create_transfer(order(1))
    await world.rail.create_transfer(order(2, name="Mister unknown-account"))
    await world.rail.events(None)
    for _ in range(12):
        world.tick(1)
        await world.rail.events(None)


@pytest.mark.parametrize("after", [False, True])
async def test_a_process_that_is_killed_at_any_commit_sends_once_and_reads_once(tmp_path: Path, after: bool) -> None:
    number, died = 0, True
    while died:
        number += 1
        world = BankWorld(tmp_path / str(number), dying)
        DyingConnection.left, DyingConnection.after, died = number, after, False
        try:
            await _story(world)
        except Died:
            died = True
            world.tick()  # the bank takes what is out before the firm is back
            await world.restart_firm()
            await _story(world)
        finally:
            DyingConnection.left = 0
        assert world.booked() == [(order(1).key, order(1).amount_minor)], number
        assert (await world.rail.fetch_transfer(order(1).key)).status == "paid", number
        assert (await world.rail.fetch_transfer(order(2).key)).status == "refused", number
        assert await world.moved() == [("transfer", order(1).key, -order(1).amount_minor)], number
        assert await world.problems() == [], number
        assert len(world.given_out) == len(set(world.given_out)), "no file leaves twice"
        assert (world.names("in"), world.names("out"), world.names("staged"), world.names("refused")) == (
            [],
            [],
            [],
            [],
        )
        await world.close()
    assert number > 10, "the story has so many commits"


_FIRM: Final = """
import asyncio, sys
from pathlib import Path
from adapters.bank.link import BankLink
from adapters.bank.rail import BankRail
from tests.bank_world import bank_settings, order

async def firm(folder: Path, count: int) -> None:
    rail = BankRail("bank", BankLink(bank_settings(folder)))
    for number in range(count):
        if await rail.find_transfer(order(number).key) is None:
            await rail.create_transfer(order(number))
        await rail.events(None)
    while True:
        await rail.events(None)

asyncio.run(firm(Path(sys.argv[1]), int(sys.argv[2])))
"""


def _kill_processes(world: BankWorld, count: int, chance: random.Random) -> None:
    """Two processes of the firm share the record and the folder; one after the other is killed."""
    command = [sys.executable, "-c", _FIRM, str(world.folder), str(count)]
    running = [subprocess.Popen(command) for _ in range(2)]
    try:
        for _ in range(10):
            before = len(world.names("done"))
            deadline = time.monotonic() + 60
            while len(world.names("done")) == before and time.monotonic() < deadline:
                time.sleep(chance.random() * 0.05)
                world.tick()
            victim = running.pop(0)
            os.kill(victim.pid, signal.SIGKILL)
            victim.wait()
            running.append(subprocess.Popen(command))
    finally:
        for process in running:
            process.kill()
            process.wait()


async def test_processes_that_are_killed_at_any_moment_send_each_payment_once(world: BankWorld) -> None:
    count, seed = 60, 7
    _kill_processes(world, count, random.Random(seed))
    for number in range(count):
        await world.rail.create_transfer(order(number))
    await world.advance(4)
    after = await statuses(world, count)
    assert after["paid"] + after["returned"] == count, seed
    assert Counter(key for key, _ in world.booked()) == Counter(order(number).key for number in range(count)), seed
    assert await world.problems() == []
    await assert_every_cent_is_told(world)


async def test_the_bank_runs_in_the_sandbox_on_its_market_clock_and_survives_a_kill(tmp_path: Path) -> None:
    lines = [f"{(13 * 3600 + 50 * 60 + second) * 1000},1.10000,1.10005" for second in range(60)]
    write_recording(tmp_path / "prices", "EURUSD", lines)
    settings = {"market_dir": tmp_path / "prices", "symbols": ("EURUSD",), "start": at(13, 50)}
    bank = {"bank_dir": tmp_path / "bank", "bank_currencies": ("EUR", "JPY", "KWD")}
    with running_sandbox(tmp_path, **settings, **bank) as sandbox:
        sandbox.advance(at(13, 52))
        rail = BankRail("bank", BankLink(bank_settings(tmp_path / "bank")))
        statements = BankStatements("bank", BankLink(bank_settings(tmp_path / "bank")))
        await rail.create_transfer(order(1))
        await rail.events(None)
        body = {"currency": "EUR", "amount_minor": 55, "reference": "po_1", "debtor": "STRIPE"}
        sandbox.post("/bank/credits", body).raise_for_status()
        sandbox.http.put("/bank/faults", json={"duplicate_statement": 1}).raise_for_status()
        sandbox.advance(at(13, 53))
        sandbox.kill()
        sandbox.start()
        sandbox.advance(at(17, 5))
        events = await rail.events(None)
        assert (await rail.fetch_transfer(order(1).key)).status == "paid"
        assert [event.kind for event in events] == ["transfer.changed", BankFileRepeated.type]
        kinds = [(entry.kind, entry.reference) for entry in await statements.entries(None)]
        assert kinds == [("transfer", order(1).key), ("fee", "Fee for payments"), ("settlement", "po_1")]
        await rail.aclose()
        await statements.aclose()
