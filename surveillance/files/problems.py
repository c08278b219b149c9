"""What was found wrong in files: every problem is counted by kind, with examples, and says what became of the row."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

_EXAMPLES: Final = 5
_LONGEST: Final = 60

# kind -> what became of it
HANDLED: Final = {
    "out_of_order": "sorted by time",
    "duplicate": "counted once",
    "corrected": "the last row with this id counts",
    "deleted": "taken out, with every earlier row of this id",
    "id_of_several_accounts": "each account has a trade of its own under this id",
    "no_id": "named after its row",
    "closes_before_it_opens": "set aside",
    "unknown_account": "judged with an account of which nothing is known",
    "account_not_told": "set aside",
    "unknown_owner": "the account has an owner of its own",
    "owner_differs": "the owner in the file of accounts counts",
    "unknown_symbol": "judged as a symbol of which nothing is known",
    "not_a_number": "taken as not told",
    "not_a_time": "taken as not told",
    "naive_time": "taken as UTC",
    "unknown_word": "taken as not told",
    "unknown_currency": "amounts are taken in hundredths",
    "unknown_zone": "days are counted in UTC",
    "no_side": "set aside",
    "no_size": "set aside",
    "no_time": "set aside",
    "no_price": "judged without this price",
    "no_profit": "taken as zero",
    "no_value": "set aside",
    "unknown_kind": "set aside",
    "unknown_impact": "set aside",
    "ends_before_it_opens": "taken as still open",
    "too_many_fields": "set aside",
    "value_of_many_owners": "weighed by how common it is",
    "bad_price": "set aside",
    "file_ignored": "not read",
}


@dataclass(slots=True)
class _Counted:
    count: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)


class Problems:
    """Counts problems by kind. `files`: by the name of a file, its rows and how many of them are used."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, int]] = {}
        self._kinds: dict[str, _Counted] = {}

    def add(self, kind: str, file: str, count: int, examples: Iterable[tuple[int, str, object]] = ()) -> None:
        """Counts `count` problems of a kind of HANDLED. `examples`: (row, field, value); rows count from the header,
        which is row 1."""
        if kind not in HANDLED:
            raise KeyError(kind)
        if not count:
            return
        counted = self._kinds.setdefault(kind, _Counted())
        counted.count += count
        for row, column, value in examples:
            if len(counted.examples) >= _EXAMPLES:
                break
            counted.examples.append({"file": file, "row": int(row), "field": column, "value": str(value)[:_LONGEST]})

    def count(self, kind: str) -> int:
        return self._kinds[kind].count if kind in self._kinds else 0

    def as_json(self) -> dict[str, Any]:
        """Returns {"files": …, "problems": {kind: {"count", "handled", "examples"}}}."""
        kinds = {
            kind: {"count": each.count, "handled": HANDLED[kind], "examples": each.examples}
            for kind, each in sorted(self._kinds.items())
        }
        return {"files": self.files, "problems": kinds}
