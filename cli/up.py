"""`propos up` and `propos stop`: start the stack, show its parts, and stop it."""

import asyncio
import signal
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.demo.seed import history_quotes, seed
from cli.progress import progress_bar
from cli.stack import logs
from cli.stack.firm import Stack
from cli.stack.lock import holder
from cli.stack.options import Part, StackOptions
from cli.stack.processes import end_leftovers
from domain.errors import Unavailable
from settings import load

_STOP_SECONDS = 90


def up(options: StackOptions, *, demo: bool) -> None:
    """Runs the firm until Ctrl-C or SIGTERM.

    Raises Unavailable if a part that the others need does not start. Any other part that fails is restarted for as long
    as the firm runs; the others keep running.
    """
    asyncio.run(_up(options, demo))


def stop(data_dir: Path | None) -> None:
    """Stops the stack on a data folder and waits until every part has ended."""
    console = Console()
    folder = load(data_dir=data_dir).data_dir.absolute()
    running = holder(folder)
    if running is None:
        ended = end_leftovers(folder / "run")
        console.print(f"nothing runs on {folder}" if not ended else f"stopped leftover processes: {', '.join(ended)}")
        return
    running.signal(signal.SIGTERM)
    if not running.wait(_STOP_SECONDS):
        raise Unavailable(
            f"Process {running.pid} did not stop within {_STOP_SECONDS} seconds.",
            remedy=f"See {folder / 'logs' / 'up.log'};"
            f" as a last resort: kill -9 {running.pid}, then `propos stop` again.",
        )
    console.print("stopped")


async def _up(options: StackOptions, demo: bool) -> None:
    console = Console()
    work = asyncio.create_task(_serve(options, demo, console))
    loop = asyncio.get_running_loop()

    def ask_to_stop() -> None:
        if not work.cancelling():  # a second Ctrl-C must not interrupt the orderly shutdown
            console.print("stopping ...")
            work.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ask_to_stop)
    try:
        await work
    except asyncio.CancelledError:
        console.print("stopped")


async def _serve(options: StackOptions, demo: bool, console: Console) -> None:
    def report(part: Part) -> None:
        console.print(f"{_health(part)} {part.name:<9} {part.seconds:5.1f} s  {part.address}", highlight=False)
        if part.problem:
            console.print(escape(part.problem), highlight=False)

    if demo and options.quotes.directory is None:
        folder = load(data_dir=options.data_dir).data_dir
        options = replace(options, quotes=history_quotes(folder, options.seed))
    stack = Stack(replace(options, tolerant=True), report)
    stack.claim()
    logs.configure("up", load().log_level, _open_log(stack.data_dir))
    async with stack:
        console.print(_addresses(stack))
        failing = [part.name for part in stack.parts if part.problem]
        if failing:
            console.print(f"Failing: {', '.join(failing)}. The other parts run; see `propos doctor`.", highlight=False)
        elif demo:
            console.print(await _seeded(stack, options.seed))
        console.print(f"Ready: [bold]{stack.api_url}[/]  Press Ctrl-C to stop; nothing is lost.", highlight=False)
        await asyncio.Event().wait()  # until cancelled; the supervisor keeps every part running


def _open_log(data_dir: Path) -> TextIO:
    folder = data_dir / "logs"
    folder.mkdir(mode=0o700, exist_ok=True)
    return (folder / "up.log").open("a", buffering=1)


def _addresses(stack: Stack) -> Table:
    table = Table(title="The firm is running")
    for column in ("Part", "Health", "Address", "Process"):
        table.add_column(column)
    for part in stack.parts:
        table.add_row(part.name, _health(part), part.address, str(stack.pid(part.name) or ""))
    return table


def _health(part: Part) -> str:
    return "[red]failing[/]" if part.problem else "[green]healthy[/]"


async def _seeded(stack: Stack, number: int) -> Table:
    table = Table(title="Sign in as")
    for column in ("Role", "Login", "Password"):
        table.add_column(column)
    with progress_bar() as report:
        logins = await seed(stack, number, report)
    for role, login, password in logins:
        table.add_row(role, login, password)
    return table
