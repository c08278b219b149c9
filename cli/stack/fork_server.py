"""The process that processes of the firm are forked from: `python -P -m cli.stack.fork_server CHANNEL DATA`.

It has imported their code, which is most of what the start of a process takes, and does nothing else: it has one
thread, opens no connection and reads no setting, so that a fork of it is as good as a new process.

CHANNEL is the number of an open socket. An order is one line of JSON (`Order`). The answer is a line {"order": number,
"pid": number}. When that process has ended, {"pid": number, "code": number} follows, with the negative number of a
signal. It ends when the channel does, and its forks then get their death signals.
"""

import gc
import importlib
import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any, Final, NoReturn, TypedDict

from cli.stack.launch import die_with_parent
from settings_sources import keep_compiled

IMPORTED: Final = (
    *("cli.main", "cli.service", "cli.run.api", "cli.run.monitor", "cli.run.relay", "worker"),
    "setproctitle",
)


class Order(TypedDict):
    """`arguments`: of `propos`. `environment`: the whole one. `log`: the file to which it writes. `death_signal`: what
    it gets when the firm ends."""

    order: int
    arguments: list[str]
    environment: dict[str, str]
    log: str
    death_signal: int


def main(channel: socket.socket, data_dir: Path) -> None:
    keep_compiled(data_dir)
    for name in IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # so that no search for garbage copies these pages to a fork
    signal.signal(signal.SIGCHLD, lambda *_: _report_ended(channel))
    for line in channel.makefile("rb"):
        order: Order = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # no report before, or within, the answer
        server, pid = os.getpid(), os.fork()
        if pid == 0:
            _become(order, channel, server)
        _say(channel, {"order": order["order"], "pid": pid})
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _report_ended(channel: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _say(channel, {"pid": pid, "code": os.waitstatus_to_exitcode(status)})


def _say(channel: socket.socket, words: dict[str, Any]) -> None:
    try:
        channel.sendall(json.dumps(words).encode() + b"\n")
    except BrokenPipeError:  # the firm has ended
        os._exit(0)


def _become(order: Order, channel: socket.socket, server: int) -> NoReturn:
    """Is `propos ARGUMENTS` from here on, in a session of its own."""
    try:
        _show_as("propos " + " ".join(order["arguments"]))
        os.close(channel.fileno())
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        os.setsid()
        die_with_parent(server, order["death_signal"])
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.close(log)
        os.environ.clear()
        os.environ.update(order["environment"])
        sys.argv = ["propos", *order["arguments"]]

        from cli.main import run

        run()
    finally:  # the command ends the process itself
        traceback.print_exc()
        os._exit(70)


def _show_as(title: str) -> None:
    """Has `ps` and `top` show the command instead of this module. Before the environment is changed: the words stand
    beside it."""
    from setproctitle import setproctitle

    setproctitle(title)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]))
