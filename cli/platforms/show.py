"""Shows what `propos platform check` and `propos platform symbols` found, in words or as JSON."""

import asyncio
import json

from rich.table import Table

from cli.adapters import build_one_platform
from cli.platforms.check import check_platform
from cli.platforms.world import Terms
from cli.tables import show_table
from gateway.symbols import Described, describe, unconverted
from settings import Settings


def show_check(settings: Settings, name: str, terms: Terms, *, as_json: bool) -> bool:
    """Prints the result of every check; returns whether none failed."""
    report = asyncio.run(check_platform(settings, name, terms))
    counts = {outcome: len(report.of(outcome)) for outcome in ("pass", "fail", "skipped")}
    if as_json:
        results = [each._asdict() for each in report.results]
        print(json.dumps({"platform": name, "ok": report.ok, "counts": counts, "results": results}, indent=2))
        return report.ok
    for each in report.results:
        print(f"{each.outcome:<8} {each.check:<16} {each.sentence}")
        if each.remedy:
            print(f"{'':<25} {each.remedy}")
    print(f"{name}: {counts['pass']} passed, {counts['fail']} failed, {counts['skipped']} skipped")
    return report.ok


def show_symbols(settings: Settings, name: str, currency: str, *, as_json: bool) -> bool:
    """Prints the symbols; returns whether nothing is missing."""
    described = asyncio.run(_described(settings, name))
    without = unconverted(described, currency)
    ok = bool(described) and not without and not any(each.missing for each in described)
    if as_json:
        listed = [_row(each) for each in described]
        print(json.dumps({"platform": name, "ok": ok, "not_converted": without, "symbols": listed}, indent=2))
        return ok
    table = Table("symbol", "at the venue", "contract size", "currency", "digits", "missing", box=None)
    for each in described:
        row = _row(each)
        table.add_row(*(", ".join(value) if isinstance(value, list) else str(value) for value in row.values()))
    show_table(table)
    for each_currency in without:
        print(f"No symbol converts {each_currency} into {currency}.")
    print(f"{name}: {len(described)} symbols, {sum(bool(each.missing) for each in described)} not complete")
    return ok


async def _described(settings: Settings, name: str) -> list[Described]:
    one = build_one_platform(settings, name)
    try:
        return describe(await (one.raw_feed or one.platform).symbols(), one.symbols)
    finally:
        await one.aclose()


def _row(each: Described) -> dict[str, str | int | list[str]]:
    return {
        "symbol": each.spec.symbol,
        "venue": list(each.venue),
        "contract_size": str(each.spec.contract_size),
        "quote_currency": each.spec.quote_currency,
        "digits": each.spec.digits,
        "missing": list(each.missing),
    }
