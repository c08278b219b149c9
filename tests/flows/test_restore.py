"""The two databases are restored to different points, as docs/runbooks/restore.md says: every payout reaches its end,
and nothing is sent twice."""

import asyncio
import os
import re
import shlex
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from contracts.ids import payout_workflow
from domain.approvals import Actor
from relay.running import running
from tests import servers
from tests.architecture.source import ROOT
from tests.challenge_world import KEYS
from tests.command_line import propos
from tests.payout_stage import Stage, a_stage
from tests.payout_world import INITIAL, LARGE, MEDIUM, Provider, Venue

_RUNBOOK = ROOT / "docs" / "runbooks" / "restore.md"
_NAMES = ("tina", "ben", "cleo", "dora")
_AMOUNTS = {"tina": LARGE, "ben": MEDIUM, "cleo": MEDIUM, "dora": MEDIUM}


def commands() -> list[list[str]]:
    """Returns the commands of the runbook that work on a running firm, in order."""
    lines = re.findall(r"^ {4,}(propos .*)$", _RUNBOOK.read_text(), re.MULTILINE)
    return [shlex.split(line)[1:] for line in lines if line != "propos stop"]


@dataclass
class Firm:
    """Two databases that can be restored, and the outside world, which cannot."""

    admin_url: str
    database_url: str
    folder: Path
    venue: Venue = field(default_factory=Venue)
    provider: Provider = field(default_factory=Provider)
    payouts: dict[str, str] = field(default_factory=dict)
    address: str = ""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Stage]:
        """Servers, worker and relay run until the block ends."""
        with servers.temporal_server(self.folder / "temporal.db") as self.address:
            async with a_stage(self.database_url, self.address, self.venue, self.provider) as stage:
                yield stage

    @property
    def _database(self) -> str:
        return self.database_url.partition("@/")[2].partition("?")[0]

    def back_up(self) -> None:
        servers.create_database(self.admin_url, f"{self._database}_backup", self._database)
        for file in self.folder.glob("temporal.db*"):
            shutil.copy(file, self.folder / f"backup-{file.name}")

    def restore_postgres(self) -> None:
        servers.drop_database(self.admin_url, self._database)
        servers.create_database(self.admin_url, self._database, f"{self._database}_backup")

    def lose_temporal(self) -> None:
        for file in self.folder.glob("temporal.db*"):
            file.unlink()

    def restore_temporal(self) -> None:
        self.lose_temporal()
        for file in self.folder.glob("backup-*"):
            shutil.copy(file, self.folder / file.name.removeprefix("backup-"))

    async def follow_the_runbook(self) -> None:
        env = {
            **os.environ,
            "PROPOS_DATA": str(self.folder),
            "DATABASE_URL": self.database_url,
            "TEMPORAL_ADDRESS": self.address,
            "PROPOS_NAMESPACE": servers.NAMESPACE,
            "PROPOS_PAYLOAD_KEYS": KEYS,
        }
        for arguments in commands():
            done = await asyncio.to_thread(propos, *arguments, env=env)
            assert done.returncode == 0, done.stderr


@pytest.fixture
def firm(postgres_url: str, database_url: str) -> Iterator[Firm]:
    with servers.scratch_dir("restore") as folder:
        made = Firm(postgres_url, database_url, folder)
        yield made
        servers.drop_database(postgres_url, f"{made._database}_backup")


async def _until_the_backup(firm: Firm, stage: Stage) -> tuple[Actor, Actor]:
    """Four payouts: one waits for its second approval, one for its first, one is sent, one was just requested."""
    world = stage.world
    fay, gil = await world.add_user("fay", "finance"), await world.add_user("gil", "admin")
    traders = {name: await world.add_trader(name) for name in _NAMES}
    for name in ("tina", "ben", "cleo"):
        firm.payouts[name] = await world.request(traders[name], _AMOUNTS[name])
        await stage.becomes(firm.payouts[name], "awaiting_approval")
    await stage.decide(payout_workflow(firm.payouts["tina"]), "approve", fay)
    await stage.decide(payout_workflow(firm.payouts["cleo"]), "approve", fay)
    await stage.becomes(firm.payouts["cleo"], "sent")
    firm.payouts["dora"] = await world.request(traders["dora"], _AMOUNTS["dora"])
    return fay, gil


async def _after_the_backup(firm: Firm, stage: Stage, fay: Actor, gil: Actor) -> None:
    """The first is sent, the second is paid, the third arrives, the fourth is held."""
    tina, ben, cleo, dora = (firm.payouts[name] for name in _NAMES)
    await stage.decide(payout_workflow(tina), "approve", gil)
    await stage.becomes(tina, "sent")
    await stage.decide(payout_workflow(ben), "approve", gil)
    await stage.becomes(ben, "sent")
    for payout_id in (ben, cleo):
        await _arrives(firm, stage, payout_id)
        await stage.becomes(payout_id, "paid")
    await stage.becomes(dora, "awaiting_approval")


async def _arrives(firm: Firm, stage: Stage, payout_id: str) -> None:
    firm.provider.becomes(payout_id, "paid")
    await stage.transfer_changed(payout_id, f"{payout_id}/paid")


async def _to_the_end(firm: Firm, stage: Stage, fay: Actor, gil: Actor) -> None:
    """The relay and everybody do what is asked of them until every payout is paid."""
    async with asyncio.timeout(400):
        while True:
            while await stage.redrive.step():
                """The next batch."""
            states = {name: (await stage.world.payout(firm.payouts[name])).state for name in _NAMES}
            if set(states.values()) == {"paid"}:
                return
            for name, state in states.items():
                payout_id = firm.payouts[name]
                if state == "awaiting_approval" and await _runs(stage, payout_id):
                    await _approve(stage, payout_id, fay)
                    await _approve(stage, payout_id, gil)
                if state == "sent":
                    await _arrives(firm, stage, payout_id)
            await stage.relay.step()
            await asyncio.sleep(0.1)


async def _approve(stage: Stage, payout_id: str, actor: Actor) -> None:
    """Somebody approves; whoever has approved already is told so."""
    with suppress(WorkflowUpdateFailedError):
        await stage.decide(payout_workflow(payout_id), "approve", actor)


async def _runs(stage: Stage, payout_id: str) -> bool:
    try:
        found = await stage.client.get_workflow_handle(payout_workflow(payout_id)).describe()
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return False
    return found.status == WorkflowExecutionStatus.RUNNING


async def _all_is_well(firm: Firm, stage: Stage) -> None:
    assert sorted(transfer.reference for transfer in firm.provider.transfers.values()) == sorted(firm.payouts.values())
    sent = sum(transfer.amount_minor for transfer in firm.provider.transfers.values())
    assert await stage.world.books() == (0, -sent, 0)
    profit = {INITIAL + 400_000 - amount for amount in _AMOUNTS.values()}
    assert set(firm.venue.balances.values()) == profit, "every amount was taken from its account once"

    async def none_runs() -> bool:
        left = {handle.id async for handle in running(stage.client)}
        return not left & {payout_workflow(payout_id) for payout_id in firm.payouts.values()}

    await stage.until(none_runs)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", ["postgres is older", "temporal is older", "temporal is lost"])
async def test_every_payout_reaches_its_end_and_nothing_is_sent_twice(firm: Firm, case: str) -> None:
    async with firm.open() as stage:
        fay, gil = await _until_the_backup(firm, stage)
    firm.back_up()
    async with firm.open() as stage:
        await _after_the_backup(firm, stage, fay, gil)
    match case:
        case "postgres is older":
            firm.restore_postgres()
        case "temporal is older":
            firm.restore_temporal()
        case _:
            firm.lose_temporal()
    async with firm.open() as stage:
        if case != "temporal is lost":
            await firm.follow_the_runbook()
        await _to_the_end(firm, stage, fay, gil)
        await _all_is_well(firm, stage)
