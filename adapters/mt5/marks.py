"""Keys remembered in a user's record at the venue, in its cells for applications (`ApiData`).

The record has 16 cells, shared by all applications of the broker; a cell is {AppID, ID, ValueUInt}. This adapter keeps
at most 12 cells: the keys of the last steps that set something, so that a late repeat of one does nothing. A value is
four bits for the kind of step and 60 bits of the key's digest. Cells are numbered 1 to 255, round and round; the oldest
gives way.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from adapters.mt5 import tags
from domain.errors import Unavailable

Kind = Literal["lock", "trading", "settled", "created", "reset"]
_KINDS: Final[dict[Kind, int]] = {"lock": 1, "trading": 2, "settled": 3, "created": 4, "reset": 5}
_CELLS: Final = 16
_OURS: Final = 12
_NUMBERS: Final = 255


class Mark(NamedTuple):
    number: int
    value: int


def value_of(kind: Kind, key: str) -> int:
    return _KINDS[kind] << 60 | tags.number_of(kind, key)


def is_settled(mark: Mark) -> bool:
    return mark.value >> 60 == _KINDS["settled"]


def read(cells: Iterable[Mapping[str, Any]], app: int) -> list[Mark]:
    """Returns the marks of application `app`, oldest first. Raises ValueError for cells in another form."""
    try:
        found = [
            Mark(int(cell["ID"]), int(cell.get("ValueUInt", cell.get("ValueUint", 0))))
            for cell in cells
            if int(cell.get("AppID", 0)) == app
        ]
    except (KeyError, TypeError, OverflowError) as exc:
        raise ValueError(f"a cell of ApiData: {type(exc).__name__}") from exc
    found.sort()
    for place in range(1, len(found)):
        if found[place].number - found[place - 1].number > _NUMBERS // 2:  # the numbers began again at 1
            return found[place:] + found[:place]
    return found


def added(cells: Sequence[Mapping[str, Any]], app: int, value: int) -> list[dict[str, Any]]:
    """Returns the cells with one more mark, the oldest of ours gone if there is no room. Raises Unavailable when other
    applications use every cell."""
    others = [dict(cell) for cell in cells if int(cell.get("AppID", 0)) not in (0, app)]
    room = min(_OURS, _CELLS - len(others))
    if room < 1:
        raise Unavailable(
            "Other applications use every cell of this account's record.", remedy="Free a cell of ApiData at the venue."
        )
    ours = read(cells, app)
    number = ours[-1].number % _NUMBERS + 1 if ours else 1
    kept = [*ours[max(0, len(ours) - room + 1) :], Mark(number, value)]
    return others + [{"AppID": str(app), "ID": str(mark.number), "ValueUInt": str(mark.value)} for mark in kept]
