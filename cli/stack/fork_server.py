"""The process that processes of the firm are forked from: `python -P -m cli.stack.fork_server CHANNEL DATA`.

It has imported their code, which is most of what the start of a process takes, and does nothing else: it has one
thread, opens no connection and reads no setting, so that a fork of it is as good as a new process.

CHANNEL is the number of an open socket. An order is one line of JSON (`Order`). The answer is a line
{"order": number, "pid": number}, or {"order": number, "error": words} when nothing could be forked. When a fork has
ended, {"pid": number, "code": number} follows, with the negative number of a signal. The server ends when the channel
does; its forks then get their death signals.
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
from settings_sources import keep_compiled, replace_environment

_COMMAND: Final = "cli.main"
IMPORTED: Final = (
    *(_COMMAND, "cli.service", "cli.sandbox", "cli.run.api", "cli.run.monitor", "cli.run.relay", "worker"),
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
    gc.disable()  # nothing that is imported is garbage
    keep_compiled(data_dir)
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # no search for garbage copies these pages to a fork
    gc.enable()
    signal.signal(signal.SIGCHLD, lambda *_: _report_ended(channel))
    try:
        for line in channel.makefile("rb"):
            _carry_out(json.loads(line), channel)
    except ConnectionError:  # the firm has ended
        return


def _carry_out(order: Order, channel: socket.socket) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # no report before, or within, the answer
    server = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:  # the machine allows no further process
        _say(channel, {"order": order["order"], "error": str(error)})
    else:
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
    channel.sendall(json.dumps(words).encode() + b"\n")


def _become(order: Order, channel: socket.socket, server: int) -> NoReturn:
    """Turns this fork into `propos ARGUMENTS`, in a session of its own."""
    try:
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.close(log)
        os.close(channel.detach())
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        os.setsid()
        die_with_parent(server, order["death_signal"])
        _show_as("propos " + " ".join(order["arguments"]))
        replace_environment(order["environment"])
        sys.argv = ["propos", *order["arguments"]]
        importlib.import_module(_COMMAND).run()
    finally:  # reached only if `run` did not end the process
        traceback.print_exc()
        os._exit(70)


def _show_as(title: str) -> None:
    """Has `ps` and `top` show the command instead of this module. It is done before the environment is changed:
    setproctitle finds the command line from where the environment begins."""
    from setproctitle import setproctitle

    setproctitle(title)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]))
