"""Prints a table so that what it names can be copied whole: nothing is cut off, and no id is broken over two lines."""

from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import Text

_ANY_WIDTH = 100_000


def show_table(table: Table) -> None:
    """Prints the table. A file or another program gets it at full width; a terminal that is too narrow gets a block of
    lines for each row, with the name of the column before each value."""
    console = Console()
    natural = _natural_width(console, table)
    if natural <= console.width:
        console.print(table)
    elif not console.is_terminal:
        Console(file=console.file, width=natural).print(table)
    else:
        _print_blocks(console, table)


def _natural_width(console: Console, table: Table) -> int:
    options: ConsoleOptions = console.options.update(max_width=_ANY_WIDTH)
    return console.measure(table, options=options).maximum


def _print_blocks(console: Console, table: Table) -> None:
    if table.title:
        console.print(table.title, style="bold", soft_wrap=True)
    columns = [(str(column.header), list(column.cells)) for column in table.columns]
    for number in range(table.row_count):
        for header, cells in columns:
            console.print(Text(f"{header}: "), cells[number], sep="", soft_wrap=True, highlight=False)
        console.print()
