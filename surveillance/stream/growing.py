"""A table that grows at its end and loses rows at its beginning, without copying itself for each row."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from surveillance.book import Columns

C = TypeVar("C", bound=Columns)
_SMALLEST = 1024


class Growing(Generic[C]):
    """Rows keep their numbers: the first row there was is 0, also after it is gone. `first`: the oldest that is left,
    `end`: one beyond the newest."""

    def __init__(self, kind: type[C], dtypes: Mapping[str, Any]) -> None:
        self._kind, self._dtypes = kind, dtypes
        self._columns = {name: np.empty(_SMALLEST, dtype=dtype) for name, dtype in dtypes.items()}
        self.first = self.end = 0

    def __len__(self) -> int:
        return self.end - self.first

    def add(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        """Adds rows. `columns`: an array for each column."""
        count = len(next(iter(columns.values())))
        have, room = len(self), len(self._columns[next(iter(self._columns))])
        if have + count > room:
            for name, column in self._columns.items():
                larger = np.empty(max(2 * room, have + count), dtype=column.dtype)
                larger[:have] = column[:have]
                self._columns[name] = larger
        for name, column in self._columns.items():
            column[have : have + count] = columns[name]
        self.end += count

    def column(self, name: str) -> npt.NDArray[Any]:
        """Returns the rows that there are of one column; what is written there changes the table."""
        return self._columns[name][: len(self)]

    def all(self) -> C:
        """Returns the whole table as it is now, without copying: rows added later are not in it, changed ones are."""
        return self._kind(**{name: self.column(name) for name in self._columns})

    def rows(self, numbers: npt.NDArray[np.int64]) -> C:
        """Returns these rows, by their numbers. Rows that are gone are left out."""
        places = numbers[numbers >= self.first] - self.first
        return self._kind(**{name: column[places] for name, column in self._columns.items()})

    def forget(self, upto: int) -> None:
        """Removes the rows with a number below `upto`."""
        gone = min(max(upto - self.first, 0), len(self))
        if gone:
            for name, column in self._columns.items():
                left = column[gone : len(self)].copy()
                self._columns[name] = np.empty(max(_SMALLEST, 2 * len(left)), dtype=column.dtype)
                self._columns[name][: len(left)] = left
            self.first += gone
