"""The embedded Temporal has each transaction on the disk before it acknowledges it, so that a power loss takes none."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cli.stack.embedded import temporal
from cli.stack.probes import free_ports
from tests import servers

_STARTS = 5


def _syncs(trace: Path) -> int:
    return trace.read_text().count("sync(") if trace.exists() else 0


def _start(address: str, number: int) -> bool:
    command = [str(temporal.binary()), "workflow", "start", "--address", address, "-n", servers.NAMESPACE]
    command += ["--type", "Nothing", "--task-queue", "nobody", "--workflow-id", f"w{number}"]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


def test_each_start_of_a_workflow_is_synced() -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    with servers.scratch_dir("synced") as folder:
        trace = folder / "trace"
        server = temporal.server_argv(
            port=port, ui_port=None, database=folder / "temporal.db", namespace=servers.NAMESPACE
        )
        process = subprocess.Popen(
            [strace, "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", str(trace), *server],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + 120
            while not _start(address, 0):
                if time.monotonic() > deadline and process.poll() is not None:
                    pytest.skip("strace may not trace here")
                assert time.monotonic() < deadline
                time.sleep(0.5)
            for number in range(1, _STARTS + 1):
                before = _syncs(trace)
                assert _start(address, number)
                assert _syncs(trace) > before, "the workflow was acknowledged before it was on the disk"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(60)
