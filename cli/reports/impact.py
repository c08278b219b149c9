"""The result of `propos rules impact` as tables."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from domain.histories.impact import FATES, Comparison
from domain.histories.impact_report import Sums, words_of
from domain.money import Money
from domain.products.diff import differences
from domain.products.product import Product

_MAX_ROWS: Final = 40


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
