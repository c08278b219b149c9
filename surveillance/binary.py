"""Reads rows of fixed width in PostgreSQL's binary COPY format as columns."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_HEAD: Final = 19  # the signature, flags, and length of an extension that there is none of
_END: Final = 2


def columns(blocks: Iterable[bytes], layout: Sequence[tuple[str, str]]) -> Mapping[str, npt.NDArray[Any]]:
    """Returns a column for each (name, kind) of `layout`; kinds are i2, i8, f8. No value is NULL.

    Raises ValueError when the rows have another width.
    """
    data = b"".join(blocks)
    row: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind in layout:
        row += [(f"length of {name}", ">i4"), (name, f">{kind}")]
    whole = np.dtype(row)
    body = len(data) - _HEAD - _END
    if body < 0 or body % whole.itemsize:
        raise ValueError(f"{len(data)} bytes are no rows of {whole.itemsize} bytes")
    rows = np.frombuffer(data, dtype=whole, count=body // whole.itemsize, offset=_HEAD)
    return {name: rows[name].astype(native) for name, native in layout}
