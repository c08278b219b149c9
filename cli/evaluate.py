"""`propos evaluate`: judges a broker's statement under the rules of a product."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from adapters.market.contracts import find_instruments
from adapters.market.recorded import PriceFolder
from adapters.statements.csv_mapping import Mapping
from adapters.statements.csv_reader import Assumed
from adapters.statements.read import read_statement
from cli.progress import Progress, progress_bar
from cli.reports.evaluation import as_json as found_as_json
from cli.reports.evaluation import sheets_of, show
from cli.shelf import product_named
from domain.errors import BadInput
from domain.file_errors import YamlInvalid
from domain.histories.statement_events import MarketData
from domain.histories.statements import Statement
from domain.histories.what_if import WhatIf, judge
from domain.money import to_minor
from domain.products.product import Product
from domain.quoting import cut
from domain.rules.base import VenueCalendar
from domain.rules.events import Event
from firm.products.yaml_text import read_text, read_yaml

DEFAULT_ZONE = "UTC"
_MAX_ROWS = 50  # of one error


def evaluate(
    product: str,
    statement: Path,
    *,
    mapping: Path | None = None,
    preset: str | None = None,
    market: Path | None = None,
    zone: str = DEFAULT_ZONE,
    phase: int = 1,
    proofs: Path | None = None,
    as_json: bool = False,
) -> None:
    """Judges the history in `statement` and prints the result. `proofs`: a folder for the proof sheets, one file each.

    Raises BadInput for a file that cannot be read.
    """
    sold = product_named(product)
    terms = read_mapping(mapping) if mapping else None
    with progress_bar() as report:
        report("reading the statement", 0.0)
        account = Assumed(sold.currency, sold.initial_minor)
        read = read_statement(statement, zone, terms, preset=preset, assumed=account)
        quotes = market_for(read, market, terms) if market else None
        found = _judged(read, sold, phase, terms, quotes, report)
    if proofs is not None:
        proofs.mkdir(parents=True, exist_ok=True)
        for sheet in sheets_of(found):
            (proofs / f"{sheet['proof_id']}.json").write_text(json.dumps(sheet, indent=2), encoding="utf-8")
    if as_json:
        print(json.dumps(found_as_json(found), indent=2))
    else:
        show(found, Console())


def _judged(
    read: Statement, sold: Product, phase: int, terms: Mapping | None, quotes: MarketData | None, report: Progress
) -> WhatIf:
    trades = (*read.closed, *read.open_positions)
    first = min((trade.opened_at for trade in trades), default=None)
    last = max((trade.closed_at or read.printed_at or trade.opened_at for trade in trades), default=None)

    def with_progress(events: Iterator[Event]) -> Iterator[Event]:
        for number, event in enumerate(events):
            if number % 500 == 0 and first and last and last > first:
                report("judging", min(1.0, max(0.0, (event.at - first) / (last - first))))
            yield event

    initial = None
    if terms is not None and terms.initial_balance is not None:
        initial = to_minor(terms.initial_balance, read.currency)
    return judge(
        read, sold, phase, initial=initial, market=quotes, calendars=calendars_of(sold, phase), wrap=with_progress
    )


def calendars_of(product: Product, phase: int) -> dict[str, VenueCalendar]:
    """Returns the venue calendars that the rules of a phase name."""
    named = (getattr(rule, "calendar", None) for rule in product.phase(phase).rules)
    names = {name for name in named if isinstance(name, str)}
    if not names:
        return {}
    from adapters.calendars.exchange import ExchangeCalendars  # imports pandas, which most products do not need

    known = ExchangeCalendars()
    return {name: known[name] for name in names if name in known}


def read_mapping(path: Path) -> Mapping:
    """Reads a mapping file. Raises BadInput with one line per wrong field."""
    remedy = "docs/statements.md shows what a mapping may say."
    try:
        _, data = read_yaml(read_text(path), path.name)
    except YamlInvalid as exc:
        raise BadInput(f"{path} cannot be read as YAML: {exc.message}", field="mapping", remedy=remedy) from exc
    try:
        return Mapping.model_validate(data)
    except ValidationError as exc:
        rows = [
            f"{path.name} {'.'.join(cut(str(step)) for step in error['loc'])}: {cut(error['msg'], 200)}"
            for error in exc.errors()[:_MAX_ROWS]
        ]
        raise BadInput("\n".join(rows), field="mapping", remedy=remedy) from exc


def market_for(statement: Statement, folder: Path, mapping: Mapping | None) -> MarketData:
    """Returns quotes and contracts of the statement's symbols. Raises BadInput with everything that is missing."""
    trades = (*statement.closed, *statement.open_positions)
    if not trades:
        return MarketData()
    prices = PriceFolder(folder)
    contracts = mapping.symbols if mapping else {}
    symbols = {trade.symbol for trade in trades}
    instruments, names, needed = find_instruments(symbols, contracts, prices.symbols, statement.currency)
    first = min(trade.opened_at for trade in trades).date()
    ends = [trade.closed_at or trade.opened_at for trade in trades]
    last = max([*ends, *([statement.printed_at] if statement.printed_at else [])]).date()
    # one day earlier: the last quote before the first position opened
    return MarketData(prices.quotes(needed, first - timedelta(1), last), instruments, names)
