"""`propos up` as its user meets it: refusals in one line, restarts after `kill -9`, nothing left behind."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from cli.stack.embedded import postgres
from cli.stack.forks import NAME
from cli.stack.lock import DataLock, holder
from cli.stack.probes import answers_at, free_ports, serves
from cli.stack.processes import Recorded, end_leftovers, read_record, record, running, start_mark
from cli.stack.supervisor import FAILING, STARTS_ALLOWED, Child, Program, Supervisor, back_off_seconds, failing
from domain.errors import Unavailable
from tests.command_line import propos
from tests.free_ports import free_port_environment
from tests.integration.earlier_database import upgrade_to, with_rows
from tests.servers import scratch_dir

pytestmark = pytest.mark.timeout(1800)  # a whole firm starts and stops, also on a busy machine
PROPOS = [sys.executable, "-P", "-m", "cli.main"]
PARTS = ("postgres", "temporal", "sandbox", "worker", "monitor", "relay", "api")
OPEN_PARENTS = os.environ.get("PROPOS_OPEN_PARENTS") == "1"


def processes_on(folder: Path) -> list[str]:
    """The command lines of all live processes that name the folder, were given it, or work inside it."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            given = (entry / "environ").read_bytes()
            inside = os.readlink(entry / "cwd").startswith(str(folder))
        except OSError:
            continue
        if inside or str(folder).encode() in command or f"PROPOS_DATA={folder}".encode() in given:
            found.append(command.replace(b"\0", b" ").decode())
    return found


def eventually(question: Callable[[], bool], seconds: float = 120) -> bool:
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def start_up(data_dir: Path, env: dict[str, str], *more: str) -> "subprocess.Popen[str]":
    """Starts `propos up` and returns it once it is ready."""
    process = subprocess.Popen(
        [*PROPOS, "up", "--data", str(data_dir), *more],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if line.startswith("Ready:"):
            return process
    process.wait()
    process.stdout.close()
    raise AssertionError(f"`propos up` ended early:\n{seen}")


def end(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    process.send_signal(signal.SIGTERM)
    process.wait(300)
    process.stdout.close()


@contextmanager
def running_up(data_dir: Path, env: dict[str, str], *more: str) -> Iterator["subprocess.Popen[str]"]:
    process = start_up(data_dir, env, *more)
    try:
        yield process
    finally:
        end(process)


class Firm:
    """The firm of several tests, on the folder of an earlier version. Each finds it running, or starts it again."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir, self.env = data_dir, free_port_environment()
        self.app_url = ""
        self._process: subprocess.Popen[str] | None = None

    def up(self) -> "subprocess.Popen[str]":
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = start_up(self.data_dir, self.env)
        return self._process

    def close(self) -> None:
        if self._process is not None:
            end(self._process)


@pytest.fixture(scope="module")
def firm() -> Iterator[Firm]:
    with scratch_dir("data") as folder:
        made = Firm(folder / "d")
        cluster = postgres.prepare(made.data_dir / "postgres", open_parents=OPEN_PARENTS)
        answers = partial(postgres.answers, cluster.url("postgres"))
        with running(cluster.argv, answers, made.data_dir / "log", user=cluster.user, stop=signal.SIGINT):
            postgres.ensure_database(cluster)
            upgrade_to(cluster.url(), "0014")
            with_rows(cluster.url())
            made.app_url = cluster.app_url()
        yield made
        made.close()


def healthy(data_dir: Path, env: dict[str, str]) -> bool:
    answer = propos("doctor", "--data", str(data_dir), "--json", env=env)
    return bool(json.loads(answer.stdout)["healthy"]) and answer.returncode == 0


def test_a_folder_of_an_earlier_version_is_upgraded_and_its_parts_own_nothing(firm: Firm) -> None:
    data_dir, env = firm.data_dir, firm.env
    firm.up()
    assert eventually(lambda: healthy(data_dir, env), seconds=300)
    addresses = json.loads((data_dir / "run" / "addresses.json").read_text())
    assert addresses["database_url"] == firm.app_url
    assert "owner_database_url" not in addresses
    server = read_record(data_dir / "run" / f"{NAME}.pid")
    assert server is not None
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    assert len(children) == len(PARTS) - 2, "all but the two servers"
    given = [Path(f"/proc/{process}/environ").read_bytes() for process in (server.pid, *children)]
    assert all(f"PROPOS_DATA={data_dir}".encode() in values for values in given)
    assert not [values for values in given if b"PROPOS_OWNER_DATABASE_URL" in values], "nor has what it is forked from"
    books = propos("ledger", "check", "--data", str(data_dir), "--json", env=env)
    assert (books.returncode, json.loads(books.stdout)["faults"]) == (0, 0), books.stderr


def test_the_demo_firm_is_open_for_people_while_its_history_is_played(data_dir: Path) -> None:
    env = free_port_environment()
    console = f"http://127.0.0.1:{env['PROPOS_API_PORT']}"
    with running_up(data_dir, env, "--demo") as up:
        assert up.stdout is not None
        password = json.loads((data_dir / "demo-login.json").read_text())["password"]
        with httpx.Client(base_url=console, timeout=120) as staff:
            form = {"login": "ana", "password": password, "next": "/"}
            assert staff.post("/sign-in", data=form).status_code == 303
            assert "Firm" in staff.get("/").text
            words = ""
            while "The demo firm is complete." not in words:
                line = up.stdout.readline()
                assert line, words
                words += line
            assert " left" in words, "progress has an estimate"
            shown = staff.get("/queue").text
            waiting = staff.get("/v1/payouts?state=awaiting_approval").json()["items"]
            assert {each["approvers_needed"] for each in waiting if each["gross_minor"] > 250_000} <= {2}
        trader = words.partition("Sign in as a trader: ")[2].split(",")[0]
        assert "No work" not in shown
        with httpx.Client(base_url=console, timeout=120) as phone:
            assert phone.post("/sign-in", data={"login": trader, "password": password, "next": "/"}).status_code == 303
            assert "Your accounts" in phone.get("/", follow_redirects=True).text
        up.send_signal(signal.SIGINT)
        assert up.wait(300) == 0
    assert processes_on(data_dir) == []


def test_a_second_up_on_a_locked_folder_names_the_process_that_has_it(data_dir: Path) -> None:
    with DataLock(data_dir):
        answer = propos("up", "--data", str(data_dir), env=free_port_environment())
    assert answer.returncode == 1
    assert f"process {os.getpid()}" in answer.stderr
    assert "propos stop" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert holder(data_dir) is None


def test_a_busy_port_is_one_clear_line_and_nothing_is_started(data_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = propos("up", "--data", str(data_dir), "--port", str(port), env=free_port_environment())
    assert answer.returncode == 1
    first, second = answer.stderr.splitlines()
    assert first == f"propos: Port {port} on 127.0.0.1, for the API and console, is in use."
    assert "--port" in second
    assert not (data_dir / "postgres").exists()
    assert processes_on(data_dir) == []


def test_a_wrong_variable_is_named(data_dir: Path) -> None:
    answer = propos("up", "--data", str(data_dir), env=dict(os.environ) | {"DATABASE_URL": "mysql://somewhere"})
    assert answer.returncode == 1
    assert answer.stderr.startswith("propos: DATABASE_URL: ")


def test_stop_on_a_folder_where_nothing_runs_says_so(data_dir: Path) -> None:
    answer = propos("stop", "--data", str(data_dir))
    assert answer.returncode == 0
    assert "nothing runs on" in answer.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands PostgreSQL to another user")
def test_root_does_not_open_a_private_folder_unless_told_to(data_dir: Path) -> None:
    private = data_dir / "private"
    private.mkdir(parents=True)
    private.chmod(0o700)
    with pytest.raises(Unavailable, match="may not pass through") as refused:
        postgres.prepare(private / "postgres", open_parents=False)
    assert "PROPOS_OPEN_PARENTS=1" in str(refused.value.remedy)
    assert private.stat().st_mode & 0o777 == 0o700
    data_dir.chmod(0o711)
    assert postgres.prepare(private / "postgres", open_parents=True).user is not None
    assert private.stat().st_mode & 0o777 == 0o701


async def test_postgres_comes_back_after_a_kill_with_what_was_committed(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o711)
    cluster = await asyncio.to_thread(postgres.prepare, data_dir / "postgres", open_parents=OPEN_PARENTS)

    def program() -> Program:
        again = postgres.prepare(data_dir / "postgres", open_parents=OPEN_PARENTS)
        return Program(again.argv, again.user)

    async def ready() -> bool:
        return await asyncio.to_thread(postgres.answers, cluster.url("postgres"))

    supervisor = Supervisor(data_dir)
    try:
        await supervisor.start(Child("postgres", program, ready, stop_signal=signal.SIGINT))
        await asyncio.to_thread(postgres.ensure_database, cluster)
        killed = supervisor.pid("postgres")
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(120):  # it reads its log again before it answers
            while not (supervisor.restarts("postgres") and await ready()):
                await asyncio.sleep(0.1)
        assert supervisor.pid("postgres") not in (None, killed)
        assert await asyncio.to_thread(postgres.answers, cluster.url())
    finally:
        await supervisor.stop()
    assert processes_on(data_dir) == []


async def test_a_child_that_fails_five_times_before_it_is_ready_is_reported_with_its_last_words(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o711)
    supervisor = Supervisor(data_dir)
    words = "import sys; sys.exit('no such platform')"

    async def never() -> bool:
        return False

    try:
        with pytest.raises(Unavailable, match=r"broken failed 5 times .* no such platform") as caught:
            await supervisor.start(Child("broken", lambda: Program([sys.executable, "-c", words]), never))
    finally:
        await supervisor.stop()
    assert str(data_dir / "logs" / "broken.log") in str(caught.value.remedy)


def python(code: str) -> Program:
    return Program([sys.executable, "-c", code])


async def always() -> bool:
    return True


async def until(question: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not question():
            await asyncio.sleep(0.05)


async def test_a_child_that_crashes_for_ever_is_shown_and_ends_no_other(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o711)
    supervisor = Supervisor(data_dir)
    try:
        await supervisor.start(Child("steady", lambda: python("import time; time.sleep(600)"), always))
        await supervisor.start(Child("broken", lambda: python("import sys; sys.exit('no such platform')"), always))
        await until(lambda: supervisor.pid("steady") is not None)
        steady = supervisor.pid("steady")
        await until(lambda: supervisor.restarts("broken") >= STARTS_ALLOWED)  # it is started once more than that
        with pytest.raises(Unavailable, match="broken failed 5 times in a row"):
            await supervisor.failure()
        (found,) = failing(data_dir)
        assert (found.name, found.why, found.last_lines[-1]) == ("broken", "exit code 1", "no such platform")
        assert found.failures >= STARTS_ALLOWED
        assert supervisor.pid("steady") == steady
    finally:
        await supervisor.stop()
    assert failing(data_dir) == []
    assert processes_on(data_dir) == []


async def test_a_frozen_child_is_killed_and_started_again(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o711)
    supervisor = Supervisor(data_dir)
    (port,) = free_ports(1)
    argv = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    ready = partial(answers_at, f"http://127.0.0.1:{port}/")
    seen: list[bool] = []  # what the supervisor saw when it looked whether the child is alive

    async def alive() -> bool:
        seen.append(await ready())
        return seen[-1]

    child = Child("steady", lambda: Program(argv), ready, alive, frozen_seconds=2)
    try:
        await supervisor.start(child)
        first = supervisor.pid("steady")
        assert first is not None
        await until(lambda: seen.count(True) >= 5)  # which takes longer than a frozen one may live
        assert supervisor.pid("steady") == first
        os.kill(first, signal.SIGSTOP)
        await until(lambda: supervisor.pid("steady") not in (None, first))
        async with asyncio.timeout(120):
            while not await ready():
                await asyncio.sleep(0.1)
        assert supervisor.restarts("steady") == 1
    finally:
        await supervisor.stop()
    assert processes_on(data_dir) == []


async def test_a_child_is_kept_while_the_supervisor_cannot_write_its_files(data_dir: Path) -> None:
    """A folder under the name of a file refuses writing and removing, as a full or broken disk does."""
    data_dir.mkdir(mode=0o711)
    fixed, stays = data_dir / "fixed", data_dir / "stays"
    code = f"import os, pathlib, time; fixed, stays = pathlib.Path({str(fixed)!r}), pathlib.Path({str(stays)!r})\n"
    code += "if fixed.exists(): stays.write_text(str(os.getpid())); time.sleep(600)"
    supervisor = Supervisor(data_dir)
    for suffix in ("pid", "failing"):
        (data_dir / "run" / f"broken.{suffix}").mkdir()
    try:
        await supervisor.start(Child("broken", lambda: python(code), always, steady_seconds=1))
        await until(lambda: supervisor.restarts("broken") >= FAILING)
        fixed.touch()
        await until(lambda: str(supervisor.pid("broken")) == (stays.read_text() if stays.exists() else ""))
        running = supervisor.pid("broken") or 0
        await asyncio.sleep(2)  # it counts as recovered meanwhile
        os.kill(running, signal.SIGKILL)
        await until(lambda: supervisor.pid("broken") not in (None, running))
    finally:
        await supervisor.stop()
    assert processes_on(data_dir) == []


async def test_a_child_that_runs_again_is_failing_no_more(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o711)
    fixed = data_dir / "fixed"
    code = f"import pathlib, time; time.sleep(600 if pathlib.Path({str(fixed)!r}).exists() else 0)"
    supervisor = Supervisor(data_dir)
    try:
        await supervisor.start(Child("broken", lambda: python(code), always, steady_seconds=5))
        await until(lambda: bool(failing(data_dir)))
        fixed.touch()
        await until(lambda: not failing(data_dir))
    finally:
        await supervisor.stop()


async def test_a_child_whose_program_cannot_be_found_now_is_tried_again(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o711)
    asked: list[int] = []

    def program() -> Program:
        asked.append(1)
        if len(asked) == 2:
            raise Unavailable("The disk is full.")
        return python("import time; time.sleep(600)")

    supervisor = Supervisor(data_dir)
    try:
        await supervisor.start(Child("postgres", program, always))
        await until(lambda: supervisor.pid("postgres") is not None)
        os.kill(supervisor.pid("postgres") or 0, signal.SIGKILL)
        await until(lambda: len(asked) == 3 and supervisor.pid("postgres") is not None)
    finally:
        await supervisor.stop()


async def test_a_child_that_ran_well_is_started_again_at_once_and_one_that_crashes_after_a_pause(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir.mkdir(mode=0o711)
    pauses: list[float] = []

    async def note(seconds: float, stop: asyncio.Event) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("cli.stack.supervisor._pause", note)
    supervisor = Supervisor(data_dir)
    try:
        steady = Child("steady", lambda: python("import time; time.sleep(600)"), always, steady_seconds=1)
        await supervisor.start(steady)
        await until(lambda: supervisor.pid("steady") is not None)
        await asyncio.sleep(2)
        # its next run is a short one, however long this test takes to end it
        object.__setattr__(steady, "steady_seconds", 600)
        os.kill(supervisor.pid("steady") or 0, signal.SIGKILL)
        await until(lambda: supervisor.restarts("steady") == 1)
        assert pauses == []
        await until(lambda: supervisor.pid("steady") is not None)
        os.kill(supervisor.pid("steady") or 0, signal.SIGKILL)
        await until(lambda: supervisor.restarts("steady") == 2)
        assert pauses == [back_off_seconds(2)]
    finally:
        await supervisor.stop()


def test_pauses_between_crashes_grow_and_are_bounded() -> None:
    pauses = [back_off_seconds(failures) for failures in range(1, 2000)]
    assert pauses[:4] == [0.5, 1, 2, 4]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 60


def test_children_die_with_a_supervisor_that_was_killed(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o711)
    script = f"""
import asyncio, sys
from pathlib import Path
from cli.stack import logs
from cli.stack.supervisor import Child, Program, Supervisor

logs.configure("owner")

async def main():
    supervisor = Supervisor(Path({str(data_dir)!r}))
    async def ready(): return True
    sleeper = Program([sys.executable, "-c", "import time; time.sleep(600)"])
    await supervisor.start(Child("sleeper", lambda: sleeper, ready))
    while supervisor.pid("sleeper") is None:
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    print("up", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        child = read_record(data_dir / "run" / "sleeper.pid")
        assert child is not None
        assert child.alive()
        owner.kill()
    assert child.wait(60)


def test_leftovers_are_ended_but_a_stranger_with_their_pid_is_not(data_dir: Path) -> None:
    (data_dir / "run").mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as left:
        record(data_dir / "run" / "relay.pid", left.pid)
        (data_dir / "run" / "worker.pid").write_text(f"{os.getpid()} 1\n")
        assert end_leftovers(data_dir / "run", patience=2) == ["relay"]
        assert left.wait(60) == -signal.SIGTERM
    assert list((data_dir / "run").iterdir()) == []
    assert Recorded(os.getpid(), start_mark(os.getpid()) or "").alive()


def test_an_api_that_crashes_for_ever_does_not_stop_the_firm(firm: Firm) -> None:
    data_dir, env, process = firm.data_dir, firm.env, firm.up()
    monitor = read_record(data_dir / "run" / "monitor.pid")
    assert monitor is not None
    with socket.socket() as taken:  # somebody else has the API's port from now on
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        assert eventually(lambda: _takes_the_port_of_the_api(data_dir, env, taken), seconds=120)
        assert eventually(lambda: any(f.failures >= STARTS_ALLOWED + 1 for f in failing(data_dir)), seconds=300)
        answer = propos("doctor", "--data", str(data_dir), "--json", env=env)
        (check,) = (row for row in json.loads(answer.stdout)["checks"] if row["name"] == "processes")
        assert check["status"] == "wrong" and check["detail"].startswith("api ended ")
        assert "address already in use" in check["detail"]
        assert process.poll() is None and monitor.alive()
    assert eventually(lambda: answers(env), seconds=120)
    assert process.poll() is None and monitor.alive()


def _takes_the_port_of_the_api(data_dir: Path, env: dict[str, str], taken: socket.socket) -> bool:
    """Kill the API and listen on its port. False when the supervisor was faster to start it again."""
    api = read_record(data_dir / "run" / "api.pid")
    if api is not None:
        api.signal(signal.SIGKILL)
        api.wait(60)
    try:
        taken.bind(("127.0.0.1", int(env["PROPOS_API_PORT"])))
    except OSError:
        return False
    taken.listen()
    return True


def answers(env: dict[str, str]) -> bool:
    return asyncio.run(serves(f"http://127.0.0.1:{env['PROPOS_API_PORT']}/readyz"))


def test_up_goes_on_where_it_was_after_it_was_killed_itself(firm: Firm) -> None:
    process = firm.up()
    process.kill()
    process.wait()
    firm.up()
    assert eventually(lambda: healthy(firm.data_dir, firm.env), seconds=300)


def test_up_survives_the_kill_of_every_part_and_stops_without_a_trace(firm: Firm) -> None:
    data_dir, env, process = firm.data_dir, firm.env, firm.up()
    assert eventually(lambda: healthy(data_dir, env), seconds=300)
    for name in PARTS:
        before = read_record(data_dir / "run" / f"{name}.pid")
        assert before is not None
        before.signal(signal.SIGKILL)
        assert before.wait(60)
        assert eventually(partial(_is_another, data_dir, name, before)), f"{name} was not restarted"
    assert eventually(lambda: healthy(data_dir, env), seconds=300)
    records = {name: read_record(data_dir / "run" / f"{name}.pid") for name in PARTS}
    server = read_record(data_dir / "run" / f"{NAME}.pid")
    assert server is not None
    server.signal(signal.SIGKILL)  # what was forked from it ends with it
    for name in ("sandbox", "worker", "monitor", "relay", "api"):
        former = records[name]
        assert former is not None
        assert eventually(partial(_is_another, data_dir, name, former), seconds=120), f"{name} was not restarted"
    assert eventually(lambda: healthy(data_dir, env), seconds=300)
    answer = propos("stop", "--data", str(data_dir), env=env)
    assert answer.returncode == 0
    assert process.wait(300) == 0
    assert process.stdout is not None
    said = process.stdout.read()
    for name in PARTS:
        assert f"{name} ended (signal 9). It starts again." in said
    assert "api is ready again after " in said
    assert processes_on(data_dir) == []


def _is_another(data_dir: Path, name: str, before: Recorded) -> bool:
    now = read_record(data_dir / "run" / f"{name}.pid")
    return now is not None and now != before and now.alive()


def test_a_platform_that_is_read_through_a_gateway_has_one_that_is_started_again(data_dir: Path) -> None:
    """The venue is away: the gateway says so, and is there. The firm is new: it is said what it needs first."""
    nobody, gateway = free_ports(2)
    url = f"http://127.0.0.1:{gateway}"
    toy = {
        "ADAPTER": "toy-venue",
        "SERVER": "127.0.0.1",
        "PORT": str(nobody),
        "GATEWAY": url,
        "GATEWAY_TOKEN": "word",
        "PASSWORD": "word",
    }
    env = free_port_environment() | {f"PROPOS_PLATFORMS__TOY__{name}": value for name, value in toy.items()}
    env |= {"PROPOS_PLATFORMS__SANDBOX__ADAPTER": "sandbox", "PROPOS_DEFAULT_PLATFORM": "sandbox"}
    env |= {"PYTHONPATH": str(Path(__file__).parent.parent / "third_party")}

    def status() -> dict[str, object]:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
                found: dict[str, object] = json.load(answer)
                return found
        except OSError:
            return {}

    told: dict[str, object] = {}

    def is_in_trouble() -> bool:
        told.clear()
        told.update(status())
        return bool(told.get("trouble"))

    with running_up(data_dir, env) as up:
        assert eventually(is_in_trouble)
        assert (told["platform"], told["connected"]) == ("toy", False)
        first = read_record(data_dir / "run" / "gateway-toy.pid")
        assert first is not None
        first.signal(signal.SIGKILL)
        assert eventually(lambda: not first.alive() and bool(status()), 120)
        assert up.stdout is not None
        assert propos("stop", "--data", str(data_dir), env=env).returncode == 0
        said = up.stdout.read()
    assert f'propos user add --role admin --login ana --name "Ana Kovač" --data {data_dir}' in said
    assert "Nothing is on sale yet." in said
