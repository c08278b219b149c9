"""`propos up`: starts the stack, shows its parts, and seeds the demo firm."""

import asyncio
import logging
import signal
from dataclasses import replace

import httpx
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError
from temporalio.service import RPCError

from cli.demo.seed import DemoFirm, history_quotes, small_bands
from cli.first_steps import say_first_steps
from cli.progress import progress_bar
from cli.stack import logs
from cli.stack.firm import Stack
from cli.stack.options import Part, StackOptions
from cli.stack.room import say_shortage
from domain.errors import PropOSError
from settings import load


def up(options: StackOptions, *, demo: bool) -> None:
    """Runs the firm until Ctrl-C or SIGTERM.

    Raises Unavailable if a part that the others need does not start. Any other part that fails is restarted for as long
    as the firm runs; the others keep running.
    """
    asyncio.run(_up(options, demo))


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
        options = replace(options, quotes=history_quotes(folder, options.seed), policy=small_bands(folder))

    def say(sentence: str) -> None:
        console.print(escape(sentence), highlight=False, soft_wrap=True)  # a command in it can be copied

    stack = Stack(replace(options, tolerant=True), report, say)
    stack.claim()
    say_shortage(say)
    logs.configure("up", load().log_level, logs.kept("up", stack.data_dir))
    async with stack:
        console.print(_addresses(stack))
        failing = [part.name for part in stack.parts if part.problem]
        if failing:
            console.print(f"Failing: {', '.join(failing)}. The other parts run; see `propos doctor`.", highlight=False)
        firm = await DemoFirm.opened(stack, options.seed) if demo and not failing else None
        if firm is not None:
            console.print(_logins(firm))
        console.print(f"Ready: [bold]{stack.api_url}[/]  Press Ctrl-C to stop; nothing is lost.", highlight=False)
        if firm is not None:
            await _fill(firm, console)
        elif not demo:
            await say_first_steps(stack.settings, options.data_dir, say)
        await asyncio.Event().wait()  # until cancelled; the supervisor keeps every part running


def _addresses(stack: Stack) -> Table:
    table = Table(title="The firm is running")
    for column in ("Part", "Health", "Address", "Process"):
        table.add_column(column)
    for part in stack.parts:
        table.add_row(part.name, _health(part), part.address, str(stack.pid(part.name) or ""))
    return table


def _health(part: Part) -> str:
    return "[red]failing[/]" if part.problem else "[green]healthy[/]"


def _logins(firm: DemoFirm) -> Table:
    table = Table(title="Sign in as")
    for column in ("Role", "Login", "Password"):
        table.add_column(column)
    for member in firm.staff.members:
        table.add_row(member.role, member.login, firm.staff.password)
    return table


async def _fill(firm: DemoFirm, console: Console) -> None:
    """Plays the history of the demo firm while people already use the console. The firm goes on if that fails."""
    if not await firm.is_begun():
        console.print("Traders buy and trade a week of history now. You can watch it in the console.", highlight=False)
    try:
        with progress_bar() as report:
            trader = await firm.filled(report)
    except (PropOSError, OSError, httpx.TransportError, SQLAlchemyError, RPCError) as error:
        why = error.message if isinstance(error, PropOSError) else f"{type(error).__name__}: {error}"
        logging.getLogger("up").warning("the history was not played to its end", exc_info=error)
        console.print(escape(f"The history stopped: {why}"), highlight=False)
    else:
        if not firm.is_cut_short():
            console.print(f"The demo firm is complete. Sign in as a trader: {trader}, same password.", highlight=False)
            return
    console.print(
        "Its history is not complete. The firm runs all the same; for a complete one, start with a new --data.",
        highlight=False,
    )
