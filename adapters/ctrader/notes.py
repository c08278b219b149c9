"""The note by which a balance operation that a person books at the broker is found again."""

import re
from typing import Final, get_args

from domain import keys
from ports.platform import BalanceKind

_NOTE: Final = re.compile(r"\bPropOS (\w+) (\S+)")


def note(operation: BalanceKind, key: str) -> str:
    """Returns the note for an operation. All tries of one step have the same: a person may have booked an earlier."""
    return f"PropOS {operation} {keys.first_try(key)}"


def read_note(text: str) -> tuple[BalanceKind, str] | None:
    """Returns the operation and the key in a note; None if it holds none."""
    found = _NOTE.search(text)
    for operation in get_args(BalanceKind):
        if found is not None and found[1] == operation:
            return operation, found[2]
    return None
