"""`propos proof`: show a stored proof sheet, and recompute one from its file alone."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from domain.errors import BadInput
from domain.money import Money
from domain.rules.check import Difference
from domain.rules.check import check as recompute
from domain.rules.proof import PositionPart, Sheet
from settings import Settings
from store.live import proof_body

_LARGEST = 5_000_000  # bytes; a sheet of an account with thousands of positions stays far below


def show(proof_id: str, settings: Settings, *, as_json: bool = False) -> None:
    """Print a stored sheet: for people, or as the JSON that `check` reads. Raises NotFound."""
    body = proof_body(settings.required("database_url"), proof_id)
    if as_json:
        print(json.dumps(body, indent=2, sort_keys=True))
        return
    console = Console()
    for part in _parts(Sheet.model_validate({k: v for k, v in body.items() if k != "hash"}), str(body["hash"])):
        console.print(part)
    _report(console, recompute(body))


def check(file: Path) -> bool:
    """Recompute the sheet in `file` and print where it differs; True when it holds. Raises BadInput for a file that is
    no JSON object."""
    console = Console()
    differences = recompute(_read(file))
    _report(console, differences)
    return not differences


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _LARGEST:
            raise BadInput(f"{file} is too large to be a proof sheet.", field="file")
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise BadInput(
            f"{file} cannot be read as JSON: {exc}",
            field="file",
            remedy="Write one with `propos proof show ID --json`.",
        ) from exc
    if not isinstance(data, dict):
        raise BadInput(
            f"{file} holds no proof sheet.", field="file", remedy="Write one with `propos proof show ID --json`."
        )
    return data


def _report(console: Console, differences: list[Difference]) -> None:
    if not differences:
        console.print("[green]The sheet holds: everything in it follows from its own figures.[/]")
        return
    table = Table(
        "field", "the sheet says", "recomputed", title=f"{len(differences)} differences", title_style="bold red"
    )
    for d in differences:
        table.add_row(escape(d.field), escape(d.stated), escape(d.recomputed))
    console.print(table)


def _parts(sheet: Sheet, digest: str) -> list[Table]:
    currency = sheet.account.currency
    parts = [_head(sheet, digest), _money(sheet)]
    if sheet.positions:
        parts.append(_positions(sheet.positions, currency))
    if sheet.rule is not None:
        table = _grid("Floor, step by step")
        for step in sheet.rule.floor.steps:
            table.add_row(step.name, _amount(step.minor, currency))
        basis = sheet.rule.floor.basis
        table.add_row("set by event", f"{basis.set_seq} at {_time(basis.set_at)}" if basis.set_at else "the start")
        parts.append(table)
    if sheet.target is not None:
        table = _grid("Target")
        table.add_row("required balance", _amount(sheet.target.required_balance_minor, currency))
        table.add_row("trading days", ", ".join(map(str, sheet.target.trading_days)) or "none")
        parts.append(table)
    return parts


def _grid(title: str) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    table.add_column(style="dim")
    table.add_column()
    return table


def _head(sheet: Sheet, digest: str) -> Table:
    table = _grid(f"Proof {sheet.proof_id}: {sheet.kind}")
    account, event, clock = sheet.account, sheet.event, sheet.clock
    table.add_row("verdict", f"[bold]{escape(sheet.verdict)}[/]")
    table.add_row("account", escape(f"{account.account_id}, login {account.login}, phase {account.phase_name}"))
    table.add_row("product", f"{sheet.product.ref}, terms {sheet.product.content_hash[:16]}…")
    if sheet.rule is not None:
        table.add_row("rule", f"{sheet.rule.id} ({sheet.rule.type}), {sheet.rule.operator}")
    table.add_row("event", f"{event.kind} {event.symbol or ''} sequence {event.seq} at {_time(event.at)}")
    table.add_row("local time", f"{clock.local_time} {clock.zone}")
    day = f"{clock.trading_day}: {_time(clock.day_started_at)} to {_time(clock.day_ends_at)}"
    table.add_row("trading day", day)
    table.add_row("sha256", digest)
    return table


def _money(sheet: Sheet) -> Table:
    currency, balance = sheet.account.currency, sheet.balance
    table = _grid("Balance and equity")
    table.add_row(
        f"opening, {_time(balance.opening_at) if balance.opening_at else 'start'}",
        _amount(balance.opening_minor, currency),
    )
    for movement in balance.movements:
        table.add_row(escape(f"{movement.kind} {movement.reference}"), _amount(movement.amount_minor, currency))
    table.add_row("balance", _amount(balance.balance_minor, currency))
    table.add_row("equity", _amount(sheet.equity_minor, currency))
    return table


def _positions(positions: tuple[PositionPart, ...], currency: str) -> Table:
    table = Table("position", "side", "lots", "open", "closes at", "quote", "rate", "profit", title="Open positions")
    for p in positions:
        table.add_row(
            escape(f"{p.position_id} {p.symbol}"),
            p.side,
            str(p.lots),
            str(p.open_price),
            str(p.close_price),
            f"{p.quote.seq}",
            f"{p.conversion_rate:.6g}",
            _amount(p.profit_minor, currency),
        )
    return table


def _amount(minor: int, currency: str) -> str:
    return str(Money(minor=minor, currency=currency))


def _time(at: datetime) -> str:
    return at.isoformat(sep=" ")
