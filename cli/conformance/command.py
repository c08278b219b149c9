"""`propos conformance FILE`: checks firms' worked examples against the engine that judges live accounts."""

import json
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import track

from cli.conformance.case import read_cases
from cli.conformance.run import run
from domain.file_errors import CaseUnreadable


def conformance(file: Path, *, as_json: bool) -> None:
    """Prints the result of every case of a file; exits with code 1 if one does not pass."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise CaseUnreadable(f"{file} is not UTF-8: {exc}", field=str(file)) from exc
    cases = read_cases(text, file.name)
    progress = track(cases, "cases", console=Console(stderr=True), transient=True, disable=len(cases) < 1000)
    results = [run(case) for case in progress]
    failed = [result for result in results if result.status != "passed"]
    if as_json:
        rows = [{"id": r.id, "kind": r.kind, "status": r.status, "got": r.got, "expected": r.expected} for r in results]
        typer.echo(json.dumps(rows, indent=1, default=str))
    else:
        for result in failed:
            typer.echo(f"{result.status}: {result.line}")
        typer.echo(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    if failed:
        raise typer.Exit(1)
