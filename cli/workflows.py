"""`propos workflows`: starts the running workflows again from the record. docs/runbooks/restore.md, rotate-keys.md."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Data

if TYPE_CHECKING:  # only annotations need it; importing it would slow down `--help`
    from settings import Settings

app = typer.Typer(help="Start the running workflows again from the record.", no_args_is_help=True)


@app.command()
def restart(
    reason: Annotated[str, typer.Option("--reason", help="Reason, which Temporal keeps with each workflow.")],
    key: Annotated[
        str | None, typer.Option("--key", help="Only workflows with a history that needs this payload key.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """End every running workflow. The relay starts that of each open subject again, within about a minute, from where
    the record is, and sends its signals again. No effect happens twice."""
    from settings import load

    ended = asyncio.run(end_running(load(data_dir=data), reason, key))
    typer.echo(json.dumps({"ended": ended}) if as_json else f"Ended {ended} workflows; the relay starts them again.")


async def end_running(settings: "Settings", reason: str, key: str | None = None) -> int:
    """Ends every running workflow, or those that need a key. Returns how many. Raises Unavailable."""
    from cli.compose import temporal
    from relay.running import end_to_restart, payload_keys, running

    client = await temporal(settings)
    handles = [handle async for handle in running(client)]
    if key is not None:
        handles = [handle for handle in handles if key in await payload_keys(handle)]
    return sum([await end_to_restart(handle, reason) for handle in handles])
