"""The lists of a proof sheet: movements, positions, events, gates, reasons and levels, as tables of text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from domain.proofs.figures import amount_text, event_text, figure_text, instant_text, words
from domain.proofs.sheets import (
    AnySheet,
    DepartureSheet,
    GateSheet,
    HistoryPart,
    MoneySheet,
    PassSheet,
    PayoutRefusalSheet,
    PositionPart,
    ViolationSheet,
)


@dataclass(frozen=True)
class Column:
    name: str
    kind: Literal["text", "number", "id"] = "text"


@dataclass(frozen=True)
class ListTable:
    """A list of any length. `empty`: the sentence to show when there are no rows."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    empty: str


def tables(sheet: AnySheet) -> Iterator[ListTable]:
    """Returns the lists that a sheet of this kind has, in the order in which they are read."""
    currency = sheet.account.currency
    if isinstance(sheet, MoneySheet):
        yield _movements(sheet)
        yield _positions(sheet.positions, currency)
    if isinstance(sheet, PassSheet) and sheet.history is not None:
        gates = [(gate.rule_id, words(gate.outcome), gate.sentence) for gate in sheet.gates]
        yield ListTable("Gates", _text_columns("Gate", "Outcome", "Why"), gates, "The phase has no gate.")
        yield _events(sheet.history, currency)
    elif isinstance(sheet, ViolationSheet | GateSheet):
        yield _events(sheet.history, currency)
    elif isinstance(sheet, PayoutRefusalSheet):
        yield from _refusal_tables(sheet)
    elif isinstance(sheet, DepartureSheet):
        yield _levels(sheet)


def _movements(sheet: MoneySheet) -> ListTable:
    rows = [
        (instant_text(m.at), f"{m.seq:,}", m.kind, m.reference, amount_text(m.amount_minor, sheet.account.currency))
        for m in sheet.balance.movements
    ]
    columns = (*_text_columns("At", "Sequence", "Kind", "Reference"), Column("Amount", "number"))
    empty = "No deal closed and no money moved in this trading day before the verdict."
    return ListTable("Movements since the day began", columns, rows, empty)


def _positions(positions: Sequence[PositionPart], currency: str) -> ListTable:
    columns = (
        Column("Position", "id"),
        *_text_columns("Symbol", "Side"),
        *(Column(name, "number") for name in ("Lots", "Open", "Close", "Conversion")),
        Column("Quote"),
        Column("Profit", "number"),
    )
    rows = [
        (
            p.position_id,
            p.symbol,
            p.side,
            f"{p.lots:,}",
            f"{p.open_price:,}",
            f"{p.close_price:,}",
            f"{p.conversion_rate:.6g}",
            f"{p.quote.bid} / {p.quote.ask} at {instant_text(p.quote.at)}, sequence {p.quote.seq:,}",
            amount_text(p.profit_minor, currency),
        )
        for p in positions
    ]
    return ListTable("Open positions and the quotes used", columns, rows, "No open position: equity was the balance.")


def _levels(sheet: DepartureSheet) -> ListTable:
    currency = sheet.account.currency
    rows = [
        (
            words(level.key),
            f"{level.floor.basis.source}, moves: {words(level.floor.basis.moves)}",
            amount_text(level.floor.basis.value_minor, currency),
            instant_text(level.floor.basis.set_at) if level.floor.basis.set_at else "the start",
            amount_text(level.floor.allowance_minor, currency),
            amount_text(level.floor.floor_minor, currency),
        )
        for level in sheet.levels
    ]
    amounts = (Column("Measured from", "number"), Column("Set at"), Column("Allowance", "number"))
    columns = (*_text_columns("Level", "Basis"), *amounts, Column("Limit at", "number"))
    return ListTable("Levels that go on", columns, rows, "No level binds this phase.")


def _events(part: HistoryPart, currency: str) -> ListTable:
    rows = [
        (
            str(event["seq"]),
            instant_text(datetime.fromisoformat(event["at"])),
            words(event["type"]),
            event_text(event, currency),
        )
        for event in part.events
    ]
    columns = _text_columns("Sequence", "At", "Event", "What happened")
    return ListTable("The events that decided", columns, rows, "Nothing had happened yet.")


def _refusal_tables(sheet: PayoutRefusalSheet) -> Iterator[ListTable]:
    currency = sheet.account.currency
    reasons = [
        (
            refusal.code,
            refusal.sentence,
            ", ".join(f"{words(name)} {figure_text(name, value, currency)}" for name, value in refusal.figures.items()),
        )
        for refusal in sheet.refusals
    ]
    yield ListTable("Refused because", _text_columns("Code", "Reason", "Figures"), reasons, "No reason was recorded.")
    levels = [
        (
            words(room.key),
            *(
                amount_text(minor, currency)
                for minor in (room.floor_minor, room.room_minor, room.room_after_minor, room.spare_minor)
            ),
        )
        for room in sheet.rooms
    ]
    amounts = ("Limit at", "Room now", "Room after the payout", "Most that can leave")
    columns = (Column("Level"), *(Column(name, "number") for name in amounts))
    yield ListTable("Room to each level", columns, levels, "No level limits the payout.")


def _text_columns(*names: str) -> tuple[Column, ...]:
    return tuple(map(Column, names))
