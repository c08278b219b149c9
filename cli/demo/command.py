"""`propos demo`: runs the demo and prints its summary as a table or as JSON."""

import asyncio
import datetime
import json
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from cli.demo.report import faults, show
from cli.demo.run import DemoOptions, run
from cli.progress import progress_bar
from cli.stack import logs
from cli.stack.venues import check_venues
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
    logs.configure("demo", "warning")
    if market is None:
        market = folder / "market"
        write_day(market, symbols, _day(date), seed)
    options = DemoOptions(
        market=market, symbols=symbols, date=date, accounts=accounts, seed=seed, data_dir=folder, venues=others
    )
    with progress_bar() as report:
        summary = asyncio.run(run(options, report))
    if as_json:
        sys.stdout.write(json.dumps(summary) + "\n")
    else:
        console = Console()
        show(summary, console)
        words = f"The data of this run is in {folder}, its proof sheets are in {folder / 'proofs'}."
        console.print(words, highlight=False)
    return not faults(summary)


def _temporary_folder() -> Path:
    parent = Path(tempfile.mkdtemp(prefix="propos-demo-"))
    parent.chmod(0o711)  # the user that PostgreSQL runs as must be able to pass through
    return parent / "data"


def _day(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{text!r} is not a date.", field="--date", remedy="Write it like 2026-03-06.") from error
