"""docs/production.md: its commands of `propos` are run, in their order, as processes on servers of their own."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx
import pytest

from cli.build import build_of
from cli.stack.embedded import temporal
from cli.stack.probes import free_ports
from settings import load
from tests import servers
from tests.architecture.source import ROOT
from tests.command_line import propos
from tests.contract.sandbox_process import TOKEN, running_sandbox

_GUIDE: Final = (ROOT / "docs/production.md").read_text()
_NAMESPACE: Final = ["operator", "namespace", "create", "-n", "guide", "--retention", "30d"]  # as the guide has it
_OLD: Final = "0.1.0-1f0c2a9b7d3e"  # the build before, as the guide has it
_STAYS: Final = ("worker", "monitor", "relay", "api")
_PATIENCE: Final = 600  # seconds, on a slow machine
_PROPOS: Final = [sys.executable, "-P", "-m", "cli.main"]

pytestmark = pytest.mark.timeout(1800)


def _commands() -> Iterator[list[str]]:
    """The arguments of every `propos` command in the guide's blocks of shell, in order."""
    for block in re.findall(r"^```sh\n(.*?)^```", _GUIDE, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("propos "):
                yield shlex.split(line)[1:]


def _exported() -> set[str]:
    return set(re.findall(r"^export (\w+)=", _GUIDE, re.MULTILINE))


def _run(arguments: list[str], env: dict[str, str], folder: Path) -> str:
    done = propos(*arguments, env=env, cwd=folder)
    wrong = [line for line in done.stdout.splitlines() if "wrong" in line]  # what the doctor found
    assert done.returncode == 0, f"propos {shlex.join(arguments)}\n{wrong}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def _wait_until_ready(url: str, running: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not _is_ready(url):
        assert all(process.poll() is None for process in running), "a process ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.5)


def _wait_until_well(env: dict[str, str], folder: Path) -> None:
    """On a slow machine the first prices are judged long after the firm answers."""
    deadline = time.monotonic() + _PATIENCE
    while propos("doctor", "--json", env=env, cwd=folder).returncode:
        if time.monotonic() > deadline:
            return  # the command itself says what is wrong
        time.sleep(0.5)


def test_the_commands_of_the_guide_lead_to_a_firm_that_is_ready(temporal_address: str, tmp_path: Path) -> None:
    commands = list(_commands())
    started = ["worker", "release", "monitor", "relay", "api"]
    upgraded = ["worker", "release", "release", "release", "release", "doctor"]
    assert [each[0] for each in commands] == ["init", "migrate", "user", *started, "doctor", "backup", *upgraded]
    api, worker, monitor, relay, other = free_ports(5)
    with ExitStack() as stack:
        cluster = stack.enter_context(servers.postgres_server())
        venue = stack.enter_context(running_sandbox(tmp_path / "venue", bank_dir=tmp_path / "bank"))
        servers.create_database(cluster.url("postgres"), "propos")
        installed = tmp_path / "installed"
        installed.mkdir()
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("PROPOS_", "DATABASE_"))}
        plain["PYTHONPATH"] = str(ROOT)
        namespace = [str(temporal.binary()), *_NAMESPACE, "--address", temporal_address]
        subprocess.run(namespace, capture_output=True, check=True)
        said = _run(commands[0], plain, installed)
        assert "adapters.env" in said
        secrets = installed / "secrets"
        for name, url in (("DATABASE_URL", cluster.app_url()), ("PROPOS_OWNER_DATABASE_URL", cluster.url())):
            (secrets / name).chmod(0o600)
            (secrets / name).write_text(url)
        env = plain | {
            "PROPOS_SECRETS_DIR": str(secrets),
            "PROPOS_PUBLIC_URL": f"http://127.0.0.1:{api}",
            "TEMPORAL_ADDRESS": temporal_address,
            "PROPOS_WORKER_VERSIONS": "true",
        }
        assert _exported() == env.keys() - plain.keys()
        env |= {  # a platform and providers, as adapters.env would have them, and ports of this test's own
            "PROPOS_SANDBOX_URL": venue.url,
            "PROPOS_SANDBOX_TOKEN": TOKEN,
            "PROPOS_WEBHOOK_SECRET": "s",
            "PROPOS_SANDBOX_STRIPE_SECRETS": "of-the-firm,of-payees,of-thin-events",
            "PROPOS_SANDBOX_BANK_DIR": str(tmp_path / "bank"),
            "PROPOS_API_PORT": str(api),
            "PROPOS_WORKER_METRICS_PORT": str(worker),
            "PROPOS_MONITOR_METRICS_PORT": str(monitor),
            "PROPOS_RELAY_METRICS_PORT": str(relay),
            "PROPOS_NAMESPACE": _NAMESPACE[-3],
            "PROPOS_DATA": str(tmp_path / "data"),
        }
        (tmp_path / "data").mkdir()
        running: list[subprocess.Popen[bytes]] = []
        for arguments in commands[1:]:
            if arguments[0] in _STAYS:
                process = subprocess.Popen([*_PROPOS, *arguments], env=env, cwd=installed)
                stack.callback(process.wait, 120)
                stack.callback(process.send_signal, signal.SIGTERM)
                running.append(process)
                continue
            if arguments[0] == "doctor":
                _wait_until_ready(env["PROPOS_PUBLIC_URL"], running)
                _wait_until_well(env, installed)
            own = {"/var/backups/propos": str(tmp_path / "propos"), _OLD: build_of(load())}
            said = _run([own.get(each, each) for each in arguments], env, installed)
            if arguments[0] == "user":
                password = said.split()[-1]
            if arguments[0] == "backup":
                assert "The secrets are NOT in it. Keep secrets/ and adapters.env" in said
                env |= {"PROPOS_BUILD": "next", "PROPOS_WORKER_METRICS_PORT": str(other)}  # another release
        assert json.loads(_run(["release", "show", "--json"], env, installed))["current"] == "next"
        form = {"login": "ana", "password": password, "next": "/"}
        with httpx.Client(base_url=env["PROPOS_PUBLIC_URL"], timeout=60) as browser:
            assert browser.post("/sign-in", data=form).status_code == 303
            assert browser.get("/").status_code == 200


def test_nothing_starts_without_a_platform_and_the_variable_is_named(tmp_path: Path) -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PROPOS_", "DATABASE_"))}
    env = plain | {"PROPOS_DATA": str(tmp_path), "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    env |= {"TEMPORAL_ADDRESS": "127.0.0.1:1", "PROPOS_PAYLOAD_KEYS": "k1:" + "A" * 43 + "="}
    for name in _STAYS:
        done = propos(name, env=env)
        assert done.returncode == 1, name
        assert re.search(r"^  Set PROPOS_(PLATFORMS|ACQUIRERS)__", done.stderr, re.MULTILINE), done.stderr
        assert "Traceback" not in done.stderr


def test_secrets_are_never_written_over(tmp_path: Path) -> None:
    arguments = ("init", "--public-url", "https://desk.example.com", "--out", str(tmp_path))
    assert propos(*arguments).returncode == 0
    before = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    again = propos(*arguments)
    assert again.returncode == 1
    assert "Nothing was changed" in again.stderr
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == before
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def test_nothing_is_half_done_beside_settings_of_an_earlier_version(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PROPOS_PAYLOAD_KEYS=k1:old\n")
    refused = propos("init", "--public-url", "https://desk.example.com", "--out", str(tmp_path))
    assert (refused.returncode, "Nothing was changed" in refused.stderr) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == [".env"]
