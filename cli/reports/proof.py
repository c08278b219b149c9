"""A proof sheet's document as tables for the terminal."""

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from domain.proofs.document import Document, Row, Section
from domain.proofs.lists import ListTable


def tables(shown: Document) -> Iterator[Table]:
    """Returns every part of the document, in the order in which it is read."""
    head = _grid(f"Proof {shown.proof_id}: {shown.kind}")
    head.add_row("Verdict", f"[bold]{escape(shown.verdict)}[/]")
    yield head
    yield from map(_section, [*shown.context, *shown.findings])
    yield from map(_list, shown.tables)


def _grid(title: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", show_header=False, box=None, min_width=len(title) + 2
    )
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    return table


def _section(section: Section) -> Table:
    table = _grid(section.title)
    if section.sum:
        table.columns[1].justify = "right"
    for row in section.rows:
        table.add_row(escape(row.label), escape(row.value), style="bold" if row.total else None)
    return table


def _list(rows: ListTable) -> Table:
    if not rows.rows:
        return _section(Section(rows.title, [Row(rows.empty, "")]))
    table = Table(title=rows.title, title_justify="left", title_style="bold", min_width=len(rows.title))
    for column in rows.columns:
        table.add_column(column.name, justify="right" if column.kind == "number" else "left", overflow="fold")
    for row in rows.rows:
        table.add_row(*map(escape, row))
    return table
