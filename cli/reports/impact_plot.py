"""The picture of `propos rules impact`: who survives under both versions, and how they end. An SVG file."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from domain.errors import BadInput
from domain.histories.impact import FATES, Comparison
from domain.products.product import Product

_COLOURS: Final = ("#1f4e9c", "#b45309")
_DAY: Final = 86_400.0
_WIDTH, _HEIGHT = 1100, 440
_TOP, _BOTTOM = 50, 380
_CURVE: Final = (70, 560)  # left and right edge of the curves; their ends are labelled to the right of it
_BARS: Final = (810, 1030)  # likewise of the bars; the fates are named to the left
_LINE: Final = 14  # between two lines of text
_BAR: Final = 12
_TICKS: Final = 5


def check_name(path: Path) -> None:
    """Raises BadInput unless the file is an SVG file by its name."""
    if path.suffix.lower() != ".svg":
        raise BadInput(f"{path.name} is not the name of an SVG file.", field="--plot", remedy="End it with .svg.")


def draw(path: Path, a: Product, b: Product, found: Sequence[Comparison]) -> None:
    """Plots how many challenges survive by days since their start, and how they end, under both versions."""
    parts = [*_survivors(a, b, found), *_outcomes(a, b, found)]
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        ' font-family="sans-serif" font-size="12" fill="#1c1e21">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _survivors(a: Product, b: Product, found: Sequence[Comparison]) -> Iterator[str]:
    ended = [_ended(found, [one.a.at for one in found]), _ended(found, [one.b.at for one in found])]
    days, began = max([*ended[0], *ended[1], 1.0]) * 1.02, len(found)
    left, right = _CURVE

    def x(day: float) -> float:
        return left + (right - left) * day / days

    def y(running: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * running / max(began, 1)

    yield _text(left, _TOP - 20, "Who survives", weight="bold")
    yield _axes(left, right)
    for day in _round_steps(days):
        yield _text(x(day), _BOTTOM + 18, f"{day:g}", anchor="middle")
    for running in _round_steps(float(began)):
        yield _text(left - 8, y(running) + 4, f"{running:g}", anchor="end")
    yield _text((left + right) / 2, _BOTTOM + 40, "days since the challenge began", anchor="middle")
    yield _text(left - 50, _TOP - 4, "challenges still running")
    ends = [began - len(each) for each in ended]
    near = abs(y(ends[0]) - y(ends[1])) < _LINE  # the labels would lie on each other
    lower = 1 if y(ends[1]) >= y(ends[0]) else 0
    for side, (product, colour, each) in enumerate(zip((a, b), _COLOURS, ended, strict=True)):
        points = f"M{x(0):.1f} {y(began):.1f}"
        for number, day in enumerate(each, start=1):
            points += f"H{x(day):.1f}V{y(began - number):.1f}"
        yield f'<path d="{points}H{right}" fill="none" stroke="{colour}" stroke-width="2"/>'
        shift = 0 if not near else _LINE / 2 if side == lower else -_LINE / 2
        yield _text(right + 6, y(ends[side]) + 4 + shift, f"{product.ref}: {ends[side]}", colour=colour)


def _ended(found: Sequence[Comparison], ends: Sequence[datetime | None]) -> list[float]:
    """Returns after how many days challenges ended, in ascending order."""
    pairs = zip(found, ends, strict=True)
    return sorted((at - one.opened_at).total_seconds() / _DAY for one, at in pairs if at is not None)


def _outcomes(a: Product, b: Product, found: Sequence[Comparison]) -> Iterator[str]:
    endings = [one.a.fate for one in found], [one.b.fate for one in found]
    most = max([1, *(each.count(fate) for each in endings for fate in FATES)])
    left, right = _BARS
    yield _text(left, _TOP - 20, "How they end", weight="bold")
    yield _axes(left, right)
    for row, fate in enumerate(FATES):
        middle = _TOP + (_BOTTOM - _TOP) * (row + 0.5) / len(FATES)
        yield _text(left - 8, middle + 4, fate.replace("_", " "), anchor="end")
        for side, (colour, each) in enumerate(zip(_COLOURS, endings, strict=True)):
            count, top = each.count(fate), middle + (side - 1) * _BAR
            width = (right - left) * count / most
            yield f'<rect x="{left}" y="{top:.1f}" width="{width:.1f}" height="{_BAR - 1}" fill="{colour}"/>'
            yield _text(left + width + 4, top + _BAR - 2, str(count))
    for side, (product, colour) in enumerate(zip((a, b), _COLOURS, strict=True)):
        yield _text(left + side * (right - left) / 2, _BOTTOM + 40, product.ref, colour=colour)
    yield _text(left, _BOTTOM + 18, "challenges")


def _round_steps(until: float) -> list[float]:
    """Returns about five round values from 0 to `until`."""
    step = 1.0
    while until / step > _TICKS:
        step *= 2.5 if str(step).startswith("2") else 2
    return [step * number for number in range(int(until / step) + 1)]


def _axes(left: float, right: float) -> str:
    return f'<path d="M{left} {_TOP}V{_BOTTOM}H{right}" fill="none" stroke="#6b7280"/>'


def _text(x: float, y: float, words: str, *, anchor: str = "start", colour: str = "", weight: str = "") -> str:
    style = (f' fill="{colour}"' if colour else "") + (f' font-weight="{weight}"' if weight else "")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(words)}</text>'
