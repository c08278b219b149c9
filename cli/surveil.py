"""`propos surveil`: looks for abuse in files of trades and accounts, without a database."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console
from rich.table import Table

from cli.progress import Progress, progress_bar
from domain.surveillance.findings import Finding
from firm.products.yaml_text import read_text, read_yaml
from surveillance.book import Book
from surveillance.files.problems import Problems
from surveillance.files.read import Files, read_book
from surveillance.limits import patterns_with, product_section
from surveillance.pattern import Pattern
from surveillance.registry import default_patterns
from surveillance.run import Result, run

_READING: Final = 0.2  # of the progress bar
_SHOWN_ACCOUNTS: Final = 4
LINE: Final = Decimal("0.5")  # of a score; what is below is on the record only


def surveil(files: Files, product: Path | None, *, workers: int, as_json: bool) -> bool:
    """Returns whether every pattern could be run; one that failed is named in the output.

    Raises SurveillanceFileInvalid, PriceFileInvalid, YamlInvalid, ThresholdsInvalid.
    """
    began = time.perf_counter()
    patterns = default_patterns() if product is None else _patterns(product)
    with _progress() as progress:
        book, problems = read_book(files, lambda step: progress(step, 0.0))
        read = time.perf_counter()
        result = run(
            book,
            list(patterns.values()),
            workers,
            lambda step, done: progress(step, _READING + (1 - _READING) * done),
        )
    seconds = {
        "reading": round(read - began, 2),
        **{name: round(each, 2) for name, each in result.seconds.items()},
    }
    answer = as_data(book, result, problems) | {
        "seconds": round(time.perf_counter() - began, 2),
        "seconds_of": seconds,
    }
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        _show(answer, result)
    return not result.failed


def as_data(book: Book, result: Result, problems: Problems) -> dict[str, Any]:
    """Returns the answer as JSON data, but for the time it took. `notes`: findings below the line of a score, such as
    copying between accounts of one owner where the product allows it."""
    alerts, notes = _by_line(result)
    return {
        "alerts": [alert(finding) for finding in alerts],
        "notes": [alert(finding) for finding in notes],
        "cannot_judge": dict(result.cannot_judge),
        "failed": dict(result.failed),
        "input": problems.as_json(),
        "counts": {
            "accounts": len(book.accounts),
            "owners": len(book.accounts.owners),
            "trades": len(book.trades),
            "positions": len(book.trades.positions),
            "alerts": {name: sum(each.detector == name for each in alerts) for name in result.counts},
            "notes": len(notes),
        },
    }


def _by_line(result: Result) -> tuple[list[Finding], list[Finding]]:
    alerts = [finding for finding in result.alerts if finding.score >= LINE]
    return alerts, [finding for finding in result.alerts if finding.score < LINE]


def alert(finding: Finding) -> dict[str, Any]:
    """Returns a finding as an alert of the output."""
    roles: dict[str, str] = {}
    for each in finding.accounts:
        known = roles.get(each.account_id)
        roles[each.account_id] = each.role if known is None else f"{known}, {each.role}"
    return {
        "pattern": finding.detector,
        "accounts": list(roles),
        "roles": roles,
        "deals": list(finding.deals),
        "score": float(finding.score),
        "reason": finding.sentence,
        "relation": finding.relation,
        "severity": finding.severity,
        "at": finding.at.isoformat(),
        "chance": finding.chance,
        "ruled_out": list(finding.ruled_out),
        "blamed": list(finding.blamed),
        "link_strength": float(finding.link_strength),
        "evidence": [item.model_dump(mode="json") for item in finding.evidence],
        "exculpatory": [item.model_dump(mode="json") for item in finding.exculpatory],
        "key": finding.key,
        "version": finding.detector_version,
        "thresholds": finding.thresholds_version,
    }


def _patterns(path: Path) -> Mapping[str, Pattern[Any]]:
    _, told = read_yaml(read_text(path), path.name)
    return patterns_with(product_section(told, path.name), path.name)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Shows a bar on a terminal, a line per step elsewhere."""
    if sys.stderr.isatty():
        with progress_bar() as progress:
            yield progress
        return
    said = [""]

    def say(step: str, _done: float) -> None:
        if step != said[0]:
            said[0] = step
            typer.echo(step, err=True)

    yield say


def _show(answer: Mapping[str, Any], result: Result) -> None:
    console = Console()
    counts = answer["counts"]
    console.print(f"{counts['trades']:,} trades of {counts['accounts']:,} accounts of {counts['owners']:,} owners.")
    table = Table("pattern", "score", "severity", "relation", "accounts", "deals", "reason")
    alerts, notes = _by_line(result)
    for finding in alerts:
        names = [f"{each.account_id} ({each.role})" for each in finding.accounts[:_SHOWN_ACCOUNTS]]
        more = len(finding.accounts) - len(names)
        table.add_row(
            finding.detector,
            f"{finding.score:.2f}",
            finding.severity,
            finding.relation.replace("_", " "),
            "\n".join(names + ([f"and {more} more"] if more > 0 else [])),
            str(len(finding.deals)),
            finding.sentence,
        )
    if alerts:
        console.print(table)
    else:
        console.print("Nothing conspicuous was found.")
    for finding in notes:
        console.print(f"Noted: {finding.detector}: {finding.sentence}", markup=False)
    for title, reasons in (("Cannot be judged", result.cannot_judge), ("Failed", result.failed)):
        for pattern, why in reasons.items():
            console.print(f"{title}: {pattern}: {why}", markup=False)
    for kind, each in answer["input"]["problems"].items():
        first = each["examples"][0] if each["examples"] else None
        where = f" First: {first['file']}, row {first['row']}, {first['field']}." if first else ""
        console.print(f"{each['count']:,} x {kind.replace('_', ' ')}: {each['handled']}.{where}", markup=False)
