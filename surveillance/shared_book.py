"""A book on disk, so that worker processes share its columns instead of each holding a copy."""

import mmap
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from surveillance.book import Book

_OBJECTS: Final = "objects.pickle"
_COLUMNS: Final = "columns"
_ALIGNED: Final = 64


def save(book: Book, folder: Path) -> None:
    """Writes a book into an empty folder: its columns into one file, everything else beside them."""
    columns: list[pickle.PickleBuffer] = []
    objects = pickle.dumps(book, protocol=5, buffer_callback=columns.append)
    places = []
    with (folder / _COLUMNS).open("wb") as file:
        for column in columns:
            file.write(b"\0" * (-file.tell() % _ALIGNED))
            raw = column.raw()
            places.append((file.tell(), raw.nbytes))
            file.write(raw)
        file.write(b"\0")  # a file of no bytes cannot be mapped
    (folder / _OBJECTS).write_bytes(pickle.dumps((objects, places)))


def load(folder: Path) -> Book:
    """Returns the book of a folder. Its columns are memory of the file, which processes share until one writes to it:
    what it writes is seen by it alone."""
    objects, places = _read(folder)
    with (folder / _COLUMNS).open("rb") as file:
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    book: Book = pickle.loads(objects, buffers=[mapped[at : at + size] for at, size in places])
    return book


def _read(folder: Path) -> tuple[bytes, Sequence[tuple[int, int]]]:
    found: Any = pickle.loads((folder / _OBJECTS).read_bytes())
    return found[0], found[1]
