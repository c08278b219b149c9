"""Rows by what they belong to, found without searching the whole table again."""

from typing import Any

import numpy as np
import numpy.typing as npt

from surveillance.book import Ints


class Groups:
    """The rows of each key 0, 1, 2, …, in their order."""

    def __init__(self, keys: npt.NDArray[np.integer[Any]], many: int) -> None:
        self._order = np.argsort(keys, kind="stable")
        self._starts = np.searchsorted(keys[self._order], np.arange(many + 1))

    def of(self, key: int) -> Ints:
        return self._order[self._starts[key] : self._starts[key + 1]]

    def of_all(self, keys: Ints) -> Ints:
        """Returns the rows of these keys, sorted."""
        return np.sort(np.concatenate([self.of(key) for key in keys.tolist()]))
