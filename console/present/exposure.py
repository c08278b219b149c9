"""Exposure as drawings without a script: the heat map, the ladder of shocks, and the history. Units of a drawing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from domain.exposure.firm import FirmFigures, SymbolLine
from domain.exposure.history import HistoryPoint
from domain.exposure.shocks import Shock
from domain.exposure.what_if import Outcome
from domain.money import Money, from_minor
from domain.pnl import REPORTING_CURRENCY

WIDTH: Final = 640
HEIGHT: Final = 180
_LEFT: Final = 8
_SHADES: Final = 5
_BAR: Final = 18


@dataclass(frozen=True)
class Cell:
    """One cell of the heat map. `shade`: 0 (nothing) to 5 (the largest of all cells)."""

    amount: Money | None
    shade: int


@dataclass(frozen=True)
class HeatRow:
    line: SymbolLine
    long: Cell
    short: Cell
    net: Cell
    net_side: str


@dataclass(frozen=True)
class Line:
    """One line of a chart. `points`: for a polyline. `last`: its value now, in words."""

    label: str
    tone: str
    points: str
    least: Money
    most: Money
    last: Money


@dataclass(frozen=True)
class HistoryChart:
    lines: tuple[Line, ...]
    since: datetime
    until: datetime

    @property
    def words(self) -> str:
        """Returns what the drawing shows, for people who cannot see it."""
        each = (f"{line.label} between {line.least} and {line.most}, now {line.last}" for line in self.lines)
        return f"From {self.since:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M} UTC: {'; '.join(each)}."


@dataclass(frozen=True)
class Rung:
    """One step of the ladder. `x` is the middle of its bar; `y`, `height`: those of the bar of broken accounts."""

    percent: str
    outcome: Outcome
    owed: Money
    x: int
    y: int
    height: int


@dataclass(frozen=True)
class LadderChart:
    """`line`: what the firm would owe, step by step."""

    rungs: tuple[Rung, ...]
    line: str
    symbols: int

    @property
    def words(self) -> str:
        """Returns what the drawing shows, for people who cannot see it."""
        each = (
            f"{rung.percent} %: {rung.outcome.breaches} break, the firm would owe {rung.owed}" for rung in self.rungs
        )
        return f"All {self.symbols} symbols moved together. {'; '.join(each)}."


def reported(minor: int) -> Money:
    return Money(minor=minor, currency=REPORTING_CURRENCY)


def whole(minor: int) -> str:
    """Returns an amount without its minor units: "-1,240", for tables in which every amount is a large one."""
    text = f"{from_minor(abs(minor), REPORTING_CURRENCY):,.0f}"
    return f"\u2212{text}" if minor < 0 and text != "0" else text


def heat_map(figures: FirmFigures) -> list[HeatRow]:
    """Returns a row for each symbol that is held, with the largest first."""
    held = [line for line in figures.symbols if line.gross_lots]
    most = max((max(line.long_minor or 0, line.short_minor or 0) for line in held), default=0)
    return [
        HeatRow(
            line=line,
            long=_cell(line.long_minor, most),
            short=_cell(line.short_minor, most),
            net=_cell(line.net_minor, most),
            net_side="short" if line.net_lots < 0 else "long",
        )
        for line in held
    ]


def _cell(minor: int | None, most: int) -> Cell:
    if minor is None:
        return Cell(None, 0)
    shade = 0 if not minor or not most else max(1, -(-abs(minor) * _SHADES // most))
    return Cell(reported(minor), min(shade, _SHADES))


def history_chart(points: Sequence[HistoryPoint]) -> HistoryChart | None:
    """Returns the chart of some minutes; None for fewer than two. Each line has a scale of its own."""
    if len(points) < 2:
        return None
    series = (
        ("gross position", "info", [point.gross_minor for point in points]),
        ("net position", "warn", [point.net_minor for point in points]),
        ("the firm would owe", "bad", [point.closed_minor for point in points]),
    )
    first, last = points[0].minute, points[-1].minute
    span = (last - first).total_seconds()
    xs = [_LEFT + round((WIDTH - 2 * _LEFT) * (point.minute - first).total_seconds() / span) for point in points]
    return HistoryChart(tuple(_line(label, tone, xs, values) for label, tone, values in series), first, last)


def _line(label: str, tone: str, xs: Sequence[int], values: Sequence[int]) -> Line:
    least, most = min(values), max(values)
    points = " ".join(f"{x},{_height(value, least, most)}" for x, value in zip(xs, values, strict=True))
    return Line(label, tone, points, reported(least), reported(most), reported(values[-1]))


def _height(value: int, least: int, most: int) -> int:
    room = HEIGHT - 2 * _LEFT
    return HEIGHT // 2 if most == least else HEIGHT - _LEFT - round(room * (value - least) / (most - least))


def ladder_chart(shocks: Sequence[Shock], outcomes: Sequence[Outcome]) -> LadderChart | None:
    """Returns the chart of a ladder; None where nothing is held."""
    if not shocks or not shocks[0].moves:
        return None
    steps = [next(iter(shock.moves.values())) for shock in shocks]
    broken = max(outcome.breaches for outcome in outcomes)
    owed = [outcome.owed_minor for outcome in outcomes]
    rungs = []
    for place, (percent, outcome) in enumerate(zip(steps, outcomes, strict=True)):
        room = HEIGHT - 2 * _LEFT
        height = 0 if not broken else round(room * outcome.breaches / broken)
        x = _LEFT + _BAR + round((WIDTH - 2 * _LEFT - 2 * _BAR) * place / max(len(steps) - 1, 1))
        rungs.append(Rung(_percent(percent), outcome, reported(outcome.owed_minor), x, HEIGHT - _LEFT - height, height))
    line = " ".join(f"{rung.x},{_height(value, min(owed), max(owed))}" for rung, value in zip(rungs, owed, strict=True))
    return LadderChart(tuple(rungs), line, len(shocks[0].moves))


def _percent(value: Decimal) -> str:
    return f"{value:+}".replace("-", "\u2212") if value else "0"
