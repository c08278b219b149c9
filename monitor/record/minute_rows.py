"""One-minute bars in the format of PostgreSQL's binary COPY: many at a time, made without a Python object per bar."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

_AT_ONCE: Final = 2_000  # rows of one block: other threads wait while one is made
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_FIGURES: Final = ("open", "high", "low", "close", "balance")


@dataclass(frozen=True, slots=True)
class MinuteRows:
    """The bars of one minute: per account the id, and open, high, low, close and balance."""

    minute: datetime
    account_ids: npt.NDArray[np.bytes_]
    figures: npt.NDArray[np.int64]  # accounts x 5


def binary_bars(minutes: Iterable[MinuteRows]) -> Iterator[bytes]:
    """Yields blocks of rows of `equity_bars`: per row the number of fields, then each field's length and bytes. Rows
    whose ids have the same length have the same shape, and are made together."""
    for minute in minutes:
        at = (minute.minute - _EPOCH) // timedelta(microseconds=1)
        for start in range(0, len(minute.account_ids), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            ids, figures = minute.account_ids[some], minute.figures[some]
            lengths = np.strings.str_len(ids)
            for length in np.unique(lengths).tolist():
                mine = lengths == length
                yield _block(at, ids[mine], length, figures[mine])


def _block(at: int, ids: npt.NDArray[np.bytes_], length: int, figures: npt.NDArray[np.int64]) -> bytes:
    fields = [("fields", ">i2"), ("id_length", ">i4"), ("id", f"S{length}"), ("at_length", ">i4"), ("at", ">i8")]
    fields += [part for name in _FIGURES for part in ((f"{name}_length", ">i4"), (name, ">i8"))]
    block = np.zeros(len(ids), fields)
    block["fields"], block["id_length"], block["id"] = 2 + len(_FIGURES), length, ids
    block["at_length"], block["at"] = 8, at
    for name, column in zip(_FIGURES, figures.T, strict=True):
        block[f"{name}_length"], block[name] = 8, column
    return block.tobytes()
