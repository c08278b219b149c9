"""The result of `propos rules impact` as tables, and as a plot of survival."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from domain.histories.impact import FATES, Comparison
from domain.histories.impact_report import Sums, words_of
from domain.money import Money
from domain.products.diff import differences
from domain.products.product import Product

_MAX_ROWS: Final = 40
_COLOURS: Final = ("#1f4e9c", "#b45309")
_DAY: Final = 86_400.0


def show(console: Console, a: Product, b: Product, found: Sequence[Comparison], sums: Sums, left_out: int = 0) -> None:
    """`left_out`: challenges of version A whose record is no longer whole."""
    changes = Table("Field", "Before", "After", title=f"{a.ref} against {b.ref}", title_justify="left")
    for change in differences(a, b):
        changes.add_row(escape(change.words), escape(change.was or "–"), escape(change.becomes or "–"))
    console.print(changes)
    console.print(_counts(a, b, sums, len(found)))
    by_the_hour = sum(one.by_the_hour for one in found)
    if by_the_hour:
        console.print(
            f"[yellow]{by_the_hour} of them are judged with hour bars in part: older minutes are not kept.[/]"
        )
    if left_out:
        console.print(f"[yellow]{left_out} more are left out: part of their record is no longer kept.[/]")
    changed = [one for one in found if one.changed]
    if changed:
        console.print(_changed(a, b, changed))
    differing = [sentence for one in found for sentence in one.differs_from_live]
    if differing:
        console.print(
            f"[yellow]The replay judges {len(differing)} accounts differently than the live monitor did: it reads"
            " equity bars, the monitor judged every price change.[/]"
        )
        for sentence in differing[:_MAX_ROWS]:
            console.print(f"  {escape(sentence)}")


def _counts(a: Product, b: Product, sums: Sums, challenges: int) -> Table:
    old, new = sums
    table = Table("", a.ref, b.ref, "Difference", title=f"{challenges} challenges", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for fate in FATES:
        before, after = old.fates[fate], new.fates[fate]
        table.add_row(fate.replace("_", " "), str(before), str(after), f"{after - before:+d}")
    table.add_row("payouts", str(old.payouts), str(new.payouts), f"{new.payouts - old.payouts:+d}")
    for label, before, after in (
        ("fees", old.fees_minor, new.fees_minor),
        ("paid to traders", old.paid_minor, new.paid_minor),
        ("fees less payouts", old.net_minor, new.net_minor),
    ):
        change = Money(minor=after - before, currency=b.currency)
        sign = "+" if change.minor > 0 else ""
        table.add_row(label, _money(before, a), _money(after, b), f"{sign}{change}")
    return table


def _changed(a: Product, b: Product, changed: Sequence[Comparison]) -> Table:
    title = f"{len(changed)} challenges end differently" if len(changed) > 1 else "1 challenge ends differently"
    table = Table("Account", f"Under {a.ref}", f"Under {b.ref}", title=title, title_justify="left")
    for one in changed[:_MAX_ROWS]:
        table.add_row(one.b.number, escape(words_of(one.a, a)), escape(words_of(one.b, b)))
    if len(changed) > _MAX_ROWS:
        table.add_row("…", f"and {len(changed) - _MAX_ROWS} more", "use --json to see all")
    return table


def _money(minor: int, product: Product) -> str:
    return str(Money(minor=minor, currency=product.currency))


def draw(path: Path, a: Product, b: Product, found: Sequence[Comparison]) -> None:
    """Plots how many challenges survive by days since their start, and how they end, under both versions."""
    mpl.use("Agg")
    figure = Figure(figsize=(11, 4.4), dpi=130, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    ended = [_ended(found, [one.a.at for one in found]), _ended(found, [one.b.at for one in found])]
    until = max([*ended[0], *ended[1], 1.0]) * 1.02
    same = len(ended[0]) == len(ended[1])
    for product, colour, days, side in zip((a, b), _COLOURS, ended, (1, -1), strict=True):
        _survivors(left, product, colour, days, len(found), until, 6 * side if same else 0)
    left.set(xlabel="days since the challenge began", ylabel="challenges still running", xlim=(0, until * 1.2))
    left.set_ylim(0, max(len(found), 1) * 1.05)
    left.set_title("Who survives", loc="left", fontsize=11)
    _outcomes(right, a, b, found)
    figure.savefig(path)


def _ended(found: Sequence[Comparison], ends: Sequence[datetime | None]) -> list[float]:
    """Returns after how many days challenges ended, in ascending order."""
    pairs = zip(found, ends, strict=True)
    return sorted((at - one.opened_at).total_seconds() / _DAY for one, at in pairs if at is not None)


def _survivors(
    axes: Axes, product: Product, colour: str, days: list[float], began: int, until: float, shift: int
) -> None:
    running = [began - number for number in range(len(days) + 1)]
    axes.step([0.0, *days, until], [*running, running[-1]], where="post", color=colour, linewidth=1.8)
    axes.annotate(
        f"{product.ref}: {running[-1]}",
        (until, running[-1]),
        xytext=(5, shift),
        textcoords="offset points",
        color=colour,
        fontsize=9,
        va="center",
    )
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _outcomes(axes: Axes, a: Product, b: Product, found: Sequence[Comparison]) -> None:
    places = range(len(FATES))
    for offset, product, colour, endings in (
        (-0.2, a, _COLOURS[0], [one.a.fate for one in found]),
        (0.2, b, _COLOURS[1], [one.b.fate for one in found]),
    ):
        counts = [endings.count(fate) for fate in FATES]
        bars = axes.barh([place + offset for place in places], counts, height=0.38, color=colour, label=product.ref)
        axes.bar_label(bars, padding=3, fontsize=8)
    axes.set_yticks(list(places), [fate.replace("_", " ") for fate in FATES])
    axes.invert_yaxis()
    axes.set_xlabel("challenges")
    axes.set_title("How they end", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
