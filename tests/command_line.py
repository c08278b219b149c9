"""The `propos` command as a person runs it: a process with its own environment, folder, input and end.

It is forked from a process that has imported the libraries and most of the code already, since imports are most of what
a short command costs. What a command imports, and that it starts from nothing, tests/unit/test_import_budget.py and the
processes that `propos up` starts show.
"""

import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, NoReturn

ROOT: Final = Path(__file__).parents[1]
_IMPORTED: Final = (
    "cli.main", "cli.adapters", "cli.backup.make", "cli.backup.restore", "cli.doctor.run",
    "firm.products.shelf", "settings", "store.audit_chain", "store.identity", "store.migrate", "store.models",
    "temporalio.client", "temporalio.worker",
)  # fmt: skip
_STREAMS: Final = (("in", os.O_RDONLY), ("out", os.O_WRONLY), ("err", os.O_WRONLY))


def propos(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path = ROOT, given: str = "", timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """Runs `propos …` to its end. `env`: the whole environment, else that of this process. `given`: what it reads.
    TimeoutExpired: it was killed after `timeout` seconds."""
    folder = Path(tempfile.mkdtemp(prefix="propos-command-", dir="/tmp"))
    try:
        (folder / "in").write_text(given)
        (folder / "out").touch()
        (folder / "err").touch()
        code = _run(
            {
                "arguments": arguments,
                "env": dict(os.environ if env is None else env),
                "cwd": str(cwd),
                "folder": str(folder),
            },
            timeout,
        )
        return subprocess.CompletedProcess(
            ["propos", *arguments], code, (folder / "out").read_text(), (folder / "err").read_text()
        )
    finally:
        shutil.rmtree(folder)


def _run(order: dict[str, Any], timeout: float) -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(_address())
        connection.sendall(json.dumps(order).encode() + b"\n")
        answers = connection.makefile()
        process = int(answers.readline())
        connection.settimeout(timeout)
        try:
            return int(answers.readline())
        except TimeoutError:
            os.kill(process, signal.SIGKILL)
            raise subprocess.TimeoutExpired(["propos", *order["arguments"]], timeout) from None


_STARTING: Final = threading.Lock()


def _address() -> str:
    with _STARTING:
        _, address = _started()
        return address


@cache
def _started() -> tuple["subprocess.Popen[bytes]", str]:
    """Starts the process that is forked. It ends when this one does. Returns it and its socket."""
    folder = tempfile.mkdtemp(prefix="propos-forks-", dir="/tmp")
    code = f"from tests.command_line import serve; serve({folder!r})"
    server = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin is not None and server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return server, f"{folder}/socket"


def serve(folder: str) -> None:
    """Answers each connection from a fork of its own: an order as `_run` sends it with the id of the process, and then
    with its exit code, a line each. Ends when its input does."""
    sys.path[0] = str(ROOT)  # in place of the current folder, which each command may change
    for name in _IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/socket")
        listening.listen(64)
        os.write(1, b"ready\n")
        heard: list[Any] = [listening, 0]
        while True:
            ready, _, _ = select.select(heard, [], [])
            if 0 in ready:
                shutil.rmtree(folder, ignore_errors=True)
                return
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _answer(connection)
            connection.close()


def _answer(connection: socket.socket) -> NoReturn:
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        order = json.loads(connection.makefile().readline())
        process = os.fork()
        if process == 0:
            connection.close()
            _become(order)
        connection.sendall(f"{process}\n".encode())
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        with suppress(OSError):  # the one who asked waits no longer
            connection.sendall(f"{code}\n".encode())
    finally:
        os._exit(0)


def _become(order: dict[str, Any]) -> NoReturn:
    """Is the command from here on."""
    try:
        for number, (name, flags) in enumerate(_STREAMS):
            os.dup2(os.open(f"{order['folder']}/{name}", flags), number)
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
        os.chdir(order["cwd"])
        os.environ.clear()
        os.environ.update(order["env"])
        sys.path[1:1] = list(filter(None, order["env"].get("PYTHONPATH", "").split(os.pathsep)))
        sys.argv = ["propos", *order["arguments"]]
        from cli.main import run

        run()
    finally:  # the command ends the process itself
        traceback.print_exc()
        os._exit(70)
