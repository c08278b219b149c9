"""The firm's own processes are forked from one that has imported their code."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cli.secret_file import ensure_secrets
from cli.stack.fork_server import IMPORTED
from cli.stack.forks import FORKS, NAME, Forked, Forks
from cli.stack.probes import free_ports, serves
from cli.stack.processes import read_record, start_mark
from cli.stack.supervisor import Child, Own, Supervisor
from domain.errors import Unavailable
from tests.servers import scratch_dir

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not FORKS, reason="processes are forked on Linux only"),
    pytest.mark.timeout(600),
]


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("run", "logs", "firm"):
            (folder / name).mkdir()
        ensure_secrets(folder / "firm")
        self.forks = Forks(folder, os.environ)

    async def start(self, *arguments: str, **more: str) -> Forked:
        environment = {**os.environ, "PROPOS_DATA": str(self.folder / "firm"), **more}
        return await self.forks.start(arguments, environment=environment, log=self.log, death_signal=signal.SIGTERM)

    @property
    def log(self) -> Path:
        return self.folder / "logs" / "some.log"

    def server(self) -> int:
        found = read_record(self.folder / "run" / f"{NAME}.pid")
        assert found is not None and found.alive()
        return found.pid


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place() -> AsyncIterator[Place]:
    with scratch_dir("forks") as folder:
        made = Place(folder)
        yield made
        server = made.server()
        await made.forks.close()
        assert start_mark(server) is None


async def serving(place: Place) -> Forked:
    """A process that works until it is told to stop: the simulated platform."""
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    process = await place.start("sandbox", PROPOS_SANDBOX_URL=url)
    async with asyncio.timeout(240):
        while not await serves(f"{url}/health"):
            assert process.returncode is None, place.log.read_text()
            await asyncio.sleep(0.05)
    return process


async def test_a_command_runs_in_a_process_of_its_own_and_tells_its_end(place: Place) -> None:
    right, wrong = await place.start("version"), await place.start("no-such-command")
    assert len({right.pid, wrong.pid, os.getpid(), place.server()}) == 4
    assert (await right.wait(), await wrong.wait()) == (0, 2)
    said = place.log.read_text()
    assert "propos " in said and "No such command 'no-such-command'" in said
    assert place.log.stat().st_mode & 0o777 == 0o600


async def test_it_has_its_own_environment_title_and_session_and_heeds_signals(place: Place) -> None:
    process = await serving(place)
    assert Path(f"/proc/{process.pid}/cmdline").read_text().rstrip("\0") == "propos sandbox"
    assert os.getsid(process.pid) == process.pid
    assert (place.folder / "firm" / "sandbox").is_dir(), "its folder is that of its environment"
    process.send_signal(signal.SIGTERM)
    assert (await process.wait(), process.returncode) == (-signal.SIGTERM, -signal.SIGTERM)
    killed = await serving(place)
    killed.kill()
    assert await killed.wait() == -signal.SIGKILL
    killed.kill()  # it is gone: nobody else is killed


async def test_what_it_is_forked_from_has_one_thread_and_has_imported_what_processes_run(place: Place) -> None:
    """Python code that is forked beside another thread can wait for a lock that nobody releases."""
    await (await place.start("version")).wait()
    assert len(list(Path(f"/proc/{place.server()}/task").iterdir())) == 1
    assert {"worker", "cli.run.api", "cli.run.monitor", "cli.run.relay"} <= set(IMPORTED)


async def test_forks_end_with_what_they_are_forked_from_and_the_next_one_has_another(place: Place) -> None:
    process, server = await serving(place), place.server()
    os.kill(server, signal.SIGKILL)
    assert await process.wait() == -signal.SIGTERM
    assert start_mark(process.pid) is None
    assert await (await place.start("version")).wait() == 0
    assert place.server() != server


async def test_a_server_that_hangs_keeps_nobody_waiting(place: Place) -> None:
    process, server = await serving(place), place.server()
    os.kill(server, signal.SIGSTOP)
    process.kill()
    assert await process.wait() < 0, "nobody says how, but it has ended"
    starting = asyncio.create_task(place.start("version"))
    await asyncio.sleep(0)
    place.forks.refuse()
    with pytest.raises(Unavailable, match="the firm stops"):
        await starting
    await place.forks.close()
    assert start_mark(server) is None
    assert await (await place.start("version")).wait() == 0


async def test_what_cannot_be_forked_is_started_as_a_program(place: Place) -> None:
    folder = place.folder / "broken"
    folder.mkdir()
    (folder / "worker.py").write_text("raise RuntimeError('no worker here')")
    broken = Forks(folder, {**os.environ, "PYTHONPATH": str(folder)})
    supervisor = Supervisor(folder, forks=broken)
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    environment = {**os.environ, "PROPOS_DATA": str(place.folder / "firm"), "PROPOS_SANDBOX_URL": url}
    try:
        with pytest.raises(Unavailable, match="it ended with 1") as refused:
            await broken.start(["version"], environment={}, log=folder / "log", death_signal=signal.SIGTERM)
        log = folder / "logs" / f"{NAME}.log"
        assert refused.value.remedy == f"See {log}." and "no worker here" in log.read_text()
        await supervisor.start(
            Child("sandbox", lambda: Own(("sandbox",)), lambda: serves(f"{url}/health"), env=environment)
        )
        pid = supervisor.pid("sandbox")
        assert b"cli.main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    finally:
        await supervisor.stop()
    assert list((folder / "run").iterdir()) == []
