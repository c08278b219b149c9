"""Tables with a header: the rows of one entry grouped, and plain tables or lines of names."""

from collections.abc import Iterator, Sequence
from typing import Final

from adapters.sanctions.reading import distinct, joined, refused, rows_of
from domain.screening.entries import Entry, ListFile

NAME_COLUMNS: Final = ("full_name", "name", "full name", "caption", "whole_name")
_BIRTH_COLUMNS: Final = ("date_of_birth", "birth_date", "dob")
_COUNTRY_COLUMNS: Final = ("nationality", "country", "countries")


def headed(
    text: str, file: str, needed: Sequence[str], *, delimiter: str = ",", skipped: int = 0
) -> Iterator[dict[str, str]]:
    """Returns the rows by the names of their columns. `skipped`: lines before the header. Raises
    SanctionsUnreadable."""
    rows = rows_of(text, file, delimiter)
    number, header = next(rows, (0, []))
    for column in needed:
        if column not in header:
            what = f"The column {column} is missing."
            raise refused(file, number + skipped, what, "Load the list as its publisher has it.")
    for number, row in rows:
        if len(row) > len(header):
            what = f"There are {len(row)} columns and only {len(header)} names."
            raise refused(file, number + skipped, what, "Quote fields that have a separator in them.")
        yield dict(zip(header, [*row, *[""] * (len(header) - len(row))], strict=True))


class Grouped:
    """Entries whose names, dates and countries come in several rows."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[list[str], list[str], list[str]]] = {}

    def add(self, ref: str, names: Sequence[str], births: Sequence[str], countries: Sequence[str]) -> None:
        row = self._rows.setdefault(ref, ([], [], []))
        for kept, given in zip(row, (names, births, countries), strict=True):
            kept.extend(joined(text) for text in given)

    def entries(self) -> tuple[Entry, ...]:
        return tuple(Entry(ref, *(distinct(texts) for texts in row)) for ref, row in self._rows.items() if ref)


def read_table(text: str, file: str) -> ListFile:
    """Returns the names of a table with a column of names, or of plain lines, each as an entry whose ref is its row.

    Raises SanctionsUnreadable.
    """
    lines = text.splitlines()
    header = [cell.strip().casefold() for cell in (lines[0] if lines else "").split(",")]
    column = next((name for name in NAME_COLUMNS if name in header), None)
    if column is None:
        if len(header) > 2:
            what = "No column has the names."
            raise refused(file, 1, what, f"Name the column {NAME_COLUMNS[0]}, or write one name a line.")
        plain = ((number, joined(line)) for number, line in enumerate(lines, start=1))
        return ListFile(tuple(Entry(f"row {number}", (name,)) for number, name in plain if name), None, "")
    entries = []
    rows = rows_of(text, file)
    next(rows)
    for number, row in rows:
        if len(row) > len(header):
            what = f"There are {len(row)} columns and only {len(header)} names."
            raise refused(file, number, what, "Quote fields that have a comma in them.")
        cells = dict(zip(header, row, strict=False))
        name = joined(cells.get(column))
        if not name:
            raise refused(file, number, f"The column {column} is empty.", "Fill in the name, or remove the row.")
        births = distinct([cells.get(birth, "") for birth in _BIRTH_COLUMNS])
        countries = distinct([cells.get(country, "") for country in _COUNTRY_COLUMNS])
        entries.append(Entry(f"row {number}", (name,), births, countries))
    return ListFile(tuple(entries), None, "")
