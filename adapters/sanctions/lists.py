"""Reads a published list by its publisher and the layout that the file has."""

import hashlib
from collections.abc import Callable
from typing import Final

from adapters.sanctions import eu, ofac, uk, un
from adapters.sanctions.reading import refused, text_of
from adapters.sanctions.table import read_table
from domain.screening.entries import Entry, ListFile, ListName

Read = Callable[[str, str], ListFile]
_XML: Final[dict[ListName, Read]] = {"un": un.read, "ofac": ofac.read_xml, "eu": eu.read_xml, "uk": uk.read_xml}
_CSV: Final[dict[ListName, Read]] = {"un": read_table, "ofac": ofac.read_csv, "eu": eu.read_csv, "uk": uk.read_csv}


def read_list(data: bytes, file: str, name: ListName) -> ListFile:
    """Returns the list. Raises SanctionsUnreadable, which names file, row and remedy; also for a list without names."""
    text = text_of(data, file)
    readers = _XML if text.lstrip().startswith("<") else _CSV
    return _checked(readers[name](text, file), file, data)


def read_any(data: bytes, file: str) -> ListFile:
    """Returns the list of a file whose publisher is told by its content: any of the formats, or a table of names."""
    text = text_of(data, file)
    head = text.lstrip()[:4000]
    if head.startswith("<"):
        markers: tuple[tuple[str, Read], ...] = (
            ("CONSOLIDATED_LIST", un.read),
            ("sdnList", ofac.read_xml),
            ("export", eu.read_xml),
        )
        read = next((reader for marker, reader in markers if marker in head), uk.read_xml)
    elif "Entity_LogicalId" in head:
        read = eu.read_csv
    elif "Name 6" in head:
        read = uk.read_csv
    else:
        read = ofac.read_csv if head[:1].isdigit() else read_table
    return _checked(read(text, file), file, data)


def _checked(found: ListFile, file: str, data: bytes) -> ListFile:
    entries: tuple[Entry, ...] = tuple(entry for entry in found.entries if entry.names)
    if not entries:
        raise refused(file, 1, "There is no listed name in the file.", "Check that this is the list you named.")
    return ListFile(entries, found.published, hashlib.sha256(data).hexdigest())
