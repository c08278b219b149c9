"""`propos release`: versions of the workers. docs/production.md, docs/decisions/0051."""

import asyncio
import dataclasses
import json
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from cli.options import AsJson, Data

if TYPE_CHECKING:  # only annotations need them; importing them would slow down `--help`
    from temporalio.client import Client

    from cli.versions import Fleet, Version
    from firm.releases import Step
    from settings import Settings

app = typer.Typer(
    help="Show which versions of the worker run, and let workflows go from one to the next.", no_args_is_help=True
)

_POLL_SECONDS: Final = 0.5
_THIS: Final = "this"  # the build of this installation
T = TypeVar("T")

Reason = Annotated[str, typer.Option("--reason", help="Reason, for the audit log.")]
Build = Annotated[
    str,
    typer.Argument(help="Build, as `propos release show` has it; `this`: the build of this installation."),
]


@app.command()
def show(data: Data = None, as_json: AsJson = False) -> None:
    """List the versions, the newest first: their workers, and the workflows that only they go on with."""
    from cli.build import build_of
    from cli.versions import fleet
    from settings import load

    settings = load(data_dir=data)
    found = _with_temporal(settings, fleet)
    own = build_of(settings)
    if as_json:
        typer.echo(json.dumps({"this": own, **dataclasses.asdict(found)}))
        return
    _print(found, own)


@app.command()
def use(
    reason: Reason,
    build: Build = _THIS,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for a worker of the build.")] = 300,
    data: Data = None,
) -> None:
    """Make a version current: new workflows begin on it, and the long ones go on with it. `unversioned`: workers that
    have no version are current again. An earlier build: the way back."""
    from cli.versions import make_current
    from settings import load

    settings = load(data_dir=data)
    name = _named(settings, build)

    _with_temporal(settings, lambda client: _until_it_works(client, name, wait))
    _change(settings, "made_current", name, reason, lambda client: make_current(client, name))
    typer.echo(f"{name} is the current version.")


@app.command()
def ramp(
    percent: Annotated[float, typer.Option("--percent", min=0, max=100, help="Share of workflows; 0 ends the ramp.")],
    reason: Reason,
    build: Build = _THIS,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for a worker of the build.")] = 300,
    data: Data = None,
) -> None:
    """Give a share of the new and the long workflows to a version, before it is made current for all."""
    from cli import versions
    from settings import load

    settings = load(data_dir=data)
    name = _named(settings, build)

    if percent:
        _with_temporal(settings, lambda client: _until_it_works(client, name, wait))
    _change(settings, "ramped", name, reason, lambda client: versions.ramp(client, name, percent), percent=percent)
    typer.echo(f"{name} gets {percent:g} % of the workflows.")


@app.command()
def drain(
    build: Build,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until it has no workflows left.")] = 0,
    restart: Annotated[
        bool, typer.Option("--restart", help="End the workflows that are left; each starts again from the record.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", help="Reason, for the audit log; with --restart.")] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say whether the workers of a version can be stopped. Exit code 1 while workflows need them, or while it is the
    current version."""
    from settings import load

    settings = load(data_dir=data)
    name = _named(settings, build)
    if restart:
        _restart(settings, name, reason)
    left = _with_temporal(settings, lambda client: _left(client, name, wait))
    if as_json:
        typer.echo(json.dumps({"build": name, "pinned": left}))
    elif left:
        typer.echo(f"{left} workflows go on with {name} only: do not stop its workers.")
        typer.echo('  Wait, or let them start again on the current version: --restart --reason "..."')
    else:
        typer.echo(f"No workflow needs {name}: its workers can be stopped.")
    if left:
        raise typer.Exit(1)


def _restart(settings: "Settings", name: str, reason: str) -> None:
    from cli import versions
    from relay.running import end_to_restart

    async def work(client: "Client") -> None:
        _check_not_in_use(await versions.fleet(client), name)
        for handle in await versions.handles(client, name):
            await end_to_restart(handle, reason)

    _change(settings, "drained", name, reason, work)


async def _left(client: "Client", name: str, wait: float) -> int:
    from cli.versions import fleet, pinned

    found = await fleet(client)
    found.of(name)
    _check_not_in_use(found, name)
    deadline = time.monotonic() + wait
    while True:
        left = await pinned(client, name)
        if not left or time.monotonic() >= deadline:
            return left
        await asyncio.sleep(_POLL_SECONDS)


def _check_not_in_use(found: "Fleet", name: str) -> None:
    """Raises Conflict for a version that gets new workflows."""
    from domain.errors import Conflict

    if found.current == name or found.of(name).status == "ramping":
        raise Conflict(
            f"{name} is the {'current' if found.current == name else 'ramping'} version: its workers are needed.",
            remedy="Make another version current first: propos release use BUILD.",
        )


async def _until_it_works(client: "Client", name: str, wait: float) -> None:
    """Waits for a worker of the version. Raises Unavailable."""
    from cli.versions import fleet
    from contracts.ids import UNVERSIONED
    from domain.errors import Unavailable

    deadline = time.monotonic() + wait
    while True:
        found = await fleet(client)
        known = next((each for each in found.versions if each.build == name), None)
        if name == UNVERSIONED or (known is not None and known.workers):
            return
        if time.monotonic() >= deadline:
            raise Unavailable(
                f"No worker of {name} runs.",
                remedy="Start one with PROPOS_WORKER_VERSIONS=true: propos worker. `propos release show` lists builds.",
            )
        await asyncio.sleep(_POLL_SECONDS)


def _named(settings: "Settings", build: str) -> str:
    from cli.build import build_of

    return build_of(settings) if build == _THIS else build


def _with_temporal(settings: "Settings", work: "Callable[[Client], Awaitable[T]]") -> T:
    from cli.compose import temporal

    async def run() -> T:
        return await work(await temporal(settings))

    return asyncio.run(run())


def _change(
    settings: "Settings",
    step: "Step",
    name: str,
    reason: str,
    work: "Callable[[Client], Awaitable[None]]",
    **evidence: object,
) -> None:
    """Does `work` and notes it: it is not noted if it fails, and not begun if it cannot be noted."""
    from cli.compose import build_database, temporal
    from firm import releases

    async def run() -> None:
        client, db = await temporal(settings), build_database(settings, pool_size=1)
        try:
            async with db.transaction() as session:
                await releases.note(session, step, name, reason, **evidence)
                await work(client)
        finally:
            await db.close()

    asyncio.run(run())


def _print(found: "Fleet", own: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("Version", "Status", "Workers", "Workflows that only it goes on with")
    for each in found.versions:
        table.add_row(each.build, _status(each), str(each.workers), str(each.pinned))
    if found.unversioned or found.current == "unversioned":
        status = "current" if found.current == "unversioned" else "not in use"
        table.add_row("unversioned", status, str(found.unversioned), "-")
    Console().print(table)
    typer.echo(f"This installation is {own}.")


def _status(version: "Version") -> str:
    return f"{version.status}, {version.percent:g} %" if version.status == "ramping" else version.status
