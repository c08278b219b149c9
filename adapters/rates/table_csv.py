"""Reads exchange rates: CSV with the header `sold,bought,price,source,at`.

One unit of `sold` buys `price` of `bought`; `at` is when it was quoted (ISO 8601 with an offset).
"""

import csv
import io
from typing import Final

from pydantic import ValidationError

from domain.exchange import Rate
from domain.file_errors import RatesUnreadable

COLUMNS: Final = ("sold", "bought", "price", "source", "at")


def read_table(text: str, name: str) -> list[Rate]:
    """Returns every rate of the file. Raises RatesUnreadable, which lists every wrong row."""
    reader = csv.DictReader(io.StringIO(text))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise RatesUnreadable(
            f"{name} does not have the columns of a table of rates.",
            field=name,
            remedy=f"Begin it with the line {','.join(COLUMNS)}.",
        )
    found, problems = list[Rate](), list[str]()
    for row in reader:
        try:
            found.append(Rate.model_validate({key: (value or "").strip() for key, value in row.items() if key}))
        except ValidationError as exc:
            first = exc.errors(include_input=False)[0]
            column = ".".join(str(part) for part in first["loc"])
            problems.append(f"{name}:{reader.line_num} {column}: {first['msg'].removeprefix('Value error, ')}")
    if problems:
        raise RatesUnreadable("\n".join(problems), field=name, remedy="Mend these rows; nothing was imported.")
    return found
