"""`propos demo`: runs the demo and prints its summary as a table or as JSON."""

import asyncio
import datetime
import json
import shlex
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from cli.demo.report import faults, show
from cli.demo.run import DemoOptions, run
from cli.options import DEFAULT_SEED
from cli.progress import progress_bar
from cli.stack import logs
from cli.stack.venues import SANDBOX, check_venues
from domain.errors import BadInput
from sandbox.synthetic import write_day


def demo(
    *,
    market: Path | None,
    symbols: tuple[str, ...],
    date: str,
    accounts: int,
    seed: int,
    data: Path | None,
    venues: tuple[str, ...],
    as_json: bool,
) -> bool:
    """Runs the demo on an empty folder. Progress goes to standard error, the summary to standard output. Returns
    whether the books balance, everything is reconciled and nothing is held for a payout that has ended."""
    others = check_venues(venues, symbols)
    folder = data or _temporary_folder()
    if folder.exists() and any(folder.iterdir()):
        raise BadInput(f"{folder} is not empty.", field="--data", remedy="Choose an empty folder for the demo.")
    logs.configure("demo", "warning", logs.kept("demo", folder))
    own_market = market is None
    if market is None:
        market = folder / "market"
        write_day(market, symbols, _day(date), seed)
    options = DemoOptions(
        market=market, symbols=symbols, date=date, accounts=accounts, seed=seed, data_dir=folder, venues=others
    )
    with progress_bar() as report:
        summary = asyncio.run(run(options, report))
    arguments = reopening(options, own_market=own_market)
    if as_json:
        sys.stdout.write(json.dumps(summary | {"open_with": arguments}) + "\n")
    else:
        show(summary, Console())
        print(f"The data of this run is in {folder}, its proof sheets are in {folder / 'proofs'}.")
        print(f"Open this firm in the console: ./propos {shlex.join(arguments)}")
    return not faults(summary)


def reopening(options: DemoOptions, *, own_market: bool) -> list[str]:
    """Returns the arguments of `propos` that run this very firm. `own_market`: the prices were made up for it, so that
    they are in its folder."""
    arguments = ["up", "--demo", "--data", str(options.data_dir)]
    if not own_market:
        market = ["--market", str(options.market), "--symbols", ",".join(options.symbols), "--date", options.date]
        arguments += market
    if options.seed != DEFAULT_SEED:
        arguments += ["--seed", str(options.seed)]
    if options.venues:
        arguments += ["--venues", ",".join((SANDBOX, *options.venues))]
    return arguments


def _temporary_folder() -> Path:
    parent = Path(tempfile.mkdtemp(prefix="propos-demo-"))
    parent.chmod(0o711)  # the user that PostgreSQL runs as must be able to pass through
    return parent / "data"


def _day(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{text!r} is not a date.", field="--date", remedy="Write it like 2026-03-06.") from error
