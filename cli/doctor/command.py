"""`propos doctor`: reports what is wrong and how to fix it. The first line comes before the checks are imported."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from settings import load

if TYPE_CHECKING:
    from cli.doctor.run import Check


def examine(data_dir: Path | None, *, as_json: bool) -> bool:
    """Runs every check and prints the results; returns whether none found anything wrong."""
    settings = load(data_dir=data_dir)
    if not as_json:
        typer.echo(f"Checking every part of the firm on {settings.data_dir} ...", err=True)
    from cli.doctor.run import run_checks

    checks = asyncio.run(run_checks(settings))
    healthy = all(check.status != "wrong" for check in checks)
    if as_json:
        sys.stdout.write(json.dumps({"healthy": healthy, "checks": [asdict(check) for check in checks]}) + "\n")
    else:
        Console().print(_table(checks))
    return healthy


def _table(checks: "Sequence[Check]") -> Table:
    colours = {"ok": "green", "wrong": "red", "skipped": "yellow"}
    table = Table(title="propos doctor")
    for column in ("Part", "Status", "Found", "What to do"):
        table.add_column(column, overflow="fold")
    for check in checks:
        status = f"[{colours[check.status]}]{check.status}[/]"
        table.add_row(check.name, status, escape(check.detail), escape(check.remedy))
    return table
