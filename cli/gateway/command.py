"""`propos gateway`: run the gateway of a venue, ask how it is, run a recorded day again."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson

app = typer.Typer(
    help="Read a trading venue: run its gateway, ask how it is, run a recording again.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="Name of the platform in the settings.")]


@app.command()
def run(name: Name) -> None:
    """Run the gateway of one platform until stopped."""
    from cli.gateway.process import run_gateway
    from cli.service import run_service
    from settings import load

    settings = load()
    run_service(f"gateway-{name}", settings, lambda stop: run_gateway(settings, name, stop))


@app.command()
def status(name: Name, as_json: AsJson = False) -> None:
    """Show how the gateway of a platform is."""
    from cli.gateway.status import show
    from settings import load

    show(load(), name, as_json=as_json)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A recording raw-<date>.jsonl of a gateway.")],
    platform: Annotated[str, typer.Option("--platform", help="Name of the platform in the settings.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write the batches to this file, one a line.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a recorded day of raw messages again, and show what it says."""
    from cli.gateway.replay import replay_file
    from settings import load

    replay_file(load(), file, platform, out, as_json=as_json)
