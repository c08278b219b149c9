"""What the readers of sanctions lists share: safe XML, rows of a CSV file, dates, and refusals that name the place."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import date, datetime
from xml.etree import ElementTree

from domain.file_errors import SanctionsUnreadable

Element = ElementTree.Element
csv.field_size_limit(10_000_000)


def text_of(data: bytes, file: str) -> str:
    """Raises SanctionsUnreadable."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
        if data[:2] in (b"\xff\xfe", b"\xfe\xff") or "\x00" in text:
            raise refused(file, 1, "The text is not UTF-8.", "Save the file as UTF-8.") from None
    if "\x00" in text:
        raise refused(file, 1, "The file has zero bytes.", "Download the file again.")
    return text


def refused(file: str, row: int, what: str, remedy: str) -> SanctionsUnreadable:
    return SanctionsUnreadable(f"{file}, row {row}: {what}", field="file", remedy=remedy)


def xml_of(text: str, file: str) -> Element:
    """Returns the root, element names without namespaces. Refuses declarations, so that no entity is expanded."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise refused(file, 1, "The file declares entities.", "Download the list from its publisher.")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        row = error.position[0] if isinstance(error, ElementTree.ParseError) else 1
        raise refused(file, row, "The XML is broken or cut off.", "Download the file again.") from None
    for element in root.iter():
        element.tag = element.tag.rsplit("}", 1)[-1]
    return root


def word(element: Element, *names: str) -> str:
    """Returns the text of the first of these children that has one."""
    for name in names:
        if found := " ".join((element.findtext(name) or "").split()):
            return found
    return ""


def words(element: Element, path: str) -> tuple[str, ...]:
    """Returns the texts of all descendants under this path."""
    return distinct(" ".join((found.text or "").split()) for found in element.findall(path))


def joined(*parts: str | None) -> str:
    return " ".join(" ".join(part.split()) for part in parts if part and part.strip())


def distinct(texts: Iterator[str] | list[str]) -> tuple[str, ...]:
    """Returns the texts without empty and repeated ones, in order."""
    return tuple(dict.fromkeys(text for text in texts if text))


def rows_of(text: str, file: str, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Returns the rows with their numbers, without empty ones. Raises SanctionsUnreadable."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            what = f"The row cannot be read: {error}."
            raise refused(
                file, reader.line_num, what, "Close every quoted field, or download the file again."
            ) from None
        if any(cell.strip() for cell in row):
            yield reader.line_num, [cell.strip() for cell in row]


def date_of(text: str, *, american: bool = False) -> date | None:
    """Returns the date that a publisher wrote, None if there is none that can be read. `american`: month first."""
    found = re.search(r"\d{4}-\d\d-\d\d|\d{1,2}/\d{1,2}/\d{4}|\d{1,2}[- ][A-Za-z]{3}[- ]\d{4}", text)
    layouts = ("%Y-%m-%d", "%m/%d/%Y" if american else "%d/%m/%Y", "%d-%b-%Y", "%d %b %Y")
    for layout in layouts if found else ():
        try:
            return datetime.strptime(found[0] if found else "", layout).date()  # noqa: DTZ007 -- a date has no zone
        except ValueError:
            continue
    return None
