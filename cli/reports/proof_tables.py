"""A proof sheet as tables for people: amounts as money, instants with zone and offset, every step by its name."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from domain.proofs.figures import amount, event_told, named, offset, spoken, told
from domain.proofs.sheets import (
    AnySheet,
    BarSource,
    BreachSheet,
    ClockPart,
    GateSheet,
    HistoryPart,
    MoneySheet,
    PassSheet,
    PayoutRefusalSheet,
    PositionPart,
    Source,
    StatementSource,
    StateSource,
    Step,
    ViolationSheet,
)


def tables(sheet: AnySheet, digest: str) -> Iterator[Table]:
    """Every part of a sheet, in the order in which it is read."""
    yield _head(sheet, digest)
    currency = sheet.account.currency
    if isinstance(sheet, MoneySheet):
        yield _money(sheet)
        if sheet.positions:
            yield _positions(sheet.positions, currency)
    if isinstance(sheet, BreachSheet):
        yield from _breach(sheet)
    elif isinstance(sheet, PassSheet):
        yield from _pass(sheet)
    elif isinstance(sheet, ViolationSheet | GateSheet):
        yield _parameters(sheet.rule.parameters)
        yield _history(sheet.history, currency)
        yield _figures(sheet.figures, currency)
    elif isinstance(sheet, PayoutRefusalSheet):
        yield from _refusal(sheet)


def _grid(title: str) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    table.add_column(style="dim")
    table.add_column()
    return table


def _head(sheet: AnySheet, digest: str) -> Table:
    table = _grid(f"Proof {sheet.proof_id}: {sheet.kind.replace('_', ' ')}")
    account = sheet.account
    table.add_row("verdict", f"[bold]{escape(sheet.verdict)}[/]")
    table.add_row("account", escape(f"{account.account_id}, login {account.login}, phase {account.phase_name}"))
    table.add_row("product", f"{sheet.product.ref}, terms {sheet.product.content_hash[:16]}…")
    if isinstance(sheet, BreachSheet):
        table.add_row("rule", f"{sheet.rule.id} ({sheet.rule.type}), {sheet.rule.operator}")
    elif isinstance(sheet, ViolationSheet | GateSheet):
        table.add_row("rule", f"{sheet.rule.id} ({sheet.rule.type})")
    if isinstance(sheet, BreachSheet | ViolationSheet):
        table.add_row("offence", f"number {sheet.offence}, leads to: {told(sheet.consequence)}")
    if isinstance(sheet, MoneySheet | ViolationSheet):
        event = sheet.event
        table.add_row("event", f"{event.kind} {event.symbol or ''} sequence {event.seq} at {_time(event.at)}")
    if isinstance(sheet, GateSheet):
        money = amount(sheet.now.balance_minor, account.currency)
        table.add_row("asked", f"{_time(sheet.now.at)}, sequence {sheet.now.seq}, balance {money}")
    _clock(table, "trading day", sheet.clock)
    if isinstance(sheet, MoneySheet) and sheet.loss_clock is not None:
        _clock(table, "loss snapshot", sheet.loss_clock)
    table.add_row("sha256", digest)
    return table


def _clock(table: Table, purpose: str, clock: ClockPart) -> None:
    now = f"{clock.local_time}, {offset(clock.utc_offset_minutes)}"
    table.add_row(f"{purpose} clock", f"{clock.reset} {clock.zone}; local time {now}")
    table.add_row(purpose, f"{clock.trading_day}: {_time(clock.day_started_at)} to {_time(clock.day_ends_at)}")


def _money(sheet: MoneySheet) -> Table:
    currency, balance = sheet.account.currency, sheet.balance
    table = _grid("Balance and equity")
    table.add_row("source", escape(_source(sheet.source, currency)))
    table.add_row(
        f"opening, {_time(balance.opening_at) if balance.opening_at else 'start'}",
        amount(balance.opening_minor, currency),
    )
    for movement in balance.movements:
        name = f"{movement.kind} {movement.reference}, sequence {movement.seq}"
        table.add_row(escape(name), amount(movement.amount_minor, currency))
    table.add_row("balance", amount(balance.balance_minor, currency))
    table.add_row("equity", amount(sheet.equity_minor, currency))
    costs = (("commissions", sheet.costs.commission_minor), ("swaps", sheet.costs.swap_minor))
    for name, minor in (*costs, ("fees", sheet.costs.fee_minor)):
        if minor:
            table.add_row(f"{name} so far", amount(minor, currency))
    return table


def _source(source: Source, currency: str) -> str:
    if isinstance(source, StateSource):
        return f"account state of the venue, sequence {source.seq} at {_time(source.at)}"
    if isinstance(source, StatementSource):
        stated = source.stated_equity_minor
        told = "" if stated is None else f", which states an equity of {amount(stated, currency)}"
        return f"statement {source.file}, sha256 {source.sha256[:16]}…{told}"
    if isinstance(source, BarSource):
        return f"the {source.taken} of the stored bar of {_time(source.minute)}"
    return "quotes and deals of the venue's stream"


def _positions(positions: Sequence[PositionPart], currency: str) -> Table:
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
            amount(p.profit_minor, currency),
        )
    return table


def _steps(title: str, steps: Sequence[Step], currency: str) -> Table:
    table = _grid(title)
    for step in steps:
        table.add_row(step.name, amount(step.minor, currency))
    return table


def _breach(sheet: BreachSheet) -> Iterator[Table]:
    currency, floor = sheet.account.currency, sheet.rule.floor
    yield _parameters(sheet.rule.parameters)
    table = _steps(f"{floor.direction.capitalize()}, step by step", floor.steps, currency)
    basis = floor.basis
    table.add_row("set by event", f"{basis.set_seq} at {_time(basis.set_at)}" if basis.set_at else "the start")
    yield table
    yield _steps("Worth, step by step", sheet.rule.worth, currency)
    if sheet.confirmation is not None:
        table = _grid("Confirmed by a person, because an input was doubtful")
        said = sheet.confirmation
        table.add_row("confirmed", escape(f"{said.confirmed_by}, {said.role}, {_time(said.at)}"))
        for doubt in said.doubts:
            table.add_row(f"{doubt.kind}, sequence {doubt.seq}", escape(f"{doubt.words} ({_time(doubt.at)})"))
        yield table


def _pass(sheet: PassSheet) -> Iterator[Table]:
    currency, target = sheet.account.currency, sheet.target
    table = _grid("Target")
    table.add_row("target", amount(target.target_minor, currency))
    if target.effective_minor != target.target_minor:
        table.add_row("raised by gates to", amount(target.effective_minor, currency))
    table.add_row("required balance", amount(target.required_balance_minor, currency))
    table.add_row("trading days", ", ".join(map(str, target.trading_days)) or "none")
    for gate in sheet.gates:
        table.add_row(f"gate {gate.rule_id}", escape(f"{gate.outcome}: {gate.sentence}"))
    yield table
    if sheet.history is not None:
        yield _history(sheet.history, currency)


def _parameters(parameters: Mapping[str, Any]) -> Table:
    table = _grid("Parameters")
    for name, value in parameters.items():
        if value not in (None, [], {}):
            table.add_row(name, escape(told(value)))
    return table


def _history(part: HistoryPart, currency: str) -> Table:
    table = Table("sequence", "at", "event", "what", title="The events that decided")
    for event in part.events:
        at = _time(datetime.fromisoformat(event["at"]))
        table.add_row(str(event["seq"]), at, event["type"], escape(event_told(event, currency)))
    for calendar in part.calendars:
        table.caption = f"sessions of {calendar.name}: {len(calendar.closes)} dates looked up"
    return table


def _figures(figures: Mapping[str, Any], currency: str) -> Table:
    table = _grid("Figures")
    for name, value in figures.items():
        table.add_row(named(name), escape(spoken(name, value, currency)))
    return table


def _refusal(sheet: PayoutRefusalSheet) -> Iterator[Table]:
    currency = sheet.account.currency
    table = _grid("Request")
    table.add_row("asked for", amount(sheet.request.gross_minor, sheet.request.currency))
    for name, value in sheet.facts.items():
        if value not in (None, [], {}):
            table.add_row(named(name), escape(spoken(name, value, currency)))
    yield table
    reasons = Table("code", "reason", "figures", title="Refused because")
    for refusal in sheet.refusals:
        said = (f"{named(name)} {spoken(name, value, currency)}" for name, value in refusal.figures.items())
        reasons.add_row(refusal.code, escape(refusal.sentence), escape(", ".join(said)))
    yield reasons
    rooms = Table("level", "stands at", "room", "room after the payout", "most that can leave", title="Room")
    for room in sheet.rooms:
        figures = (room.floor_minor, room.room_minor, room.room_after_minor, room.spare_minor)
        rooms.add_row(room.key, *(amount(minor, currency) for minor in figures))
    yield rooms


def _time(at: datetime) -> str:
    return at.isoformat(sep=" ")
