"""The OFAC list of specially designated nationals: SDN.XML and SDN.CSV."""

import re
from typing import Final

from adapters.sanctions.reading import Element, date_of, distinct, joined, refused, rows_of, word, words, xml_of
from domain.screening.entries import Entry, ListFile

_COLUMNS: Final = 12
_NONE: Final = "-0-"
_ALIAS: Final = re.compile(r"[afn]\.k\.a\. ['\"]([^'\"]+)['\"]")
_BORN: Final = re.compile(r"DOB ([^;.]+)")
_NATIONALITY: Final = re.compile(r"(?:nationality|citizen) ([^;.]+)")


def read_xml(text: str, file: str) -> ListFile:
    """Raises SanctionsUnreadable."""
    root = xml_of(text, file)
    if root.tag != "sdnList":
        raise refused(file, 1, f"<{root.tag}> is not <sdnList>.", "Load SDN.XML as OFAC publishes it.")
    published = date_of(root.findtext("publshInformation/Publish_Date") or "", american=True)
    return ListFile(tuple(_entry(found) for found in root.iter("sdnEntry")), published, "")


def _entry(element: Element) -> Entry:
    aliases = [_name(alias) for alias in element.findall("akaList/aka")]
    return Entry(
        ref=word(element, "uid") or _name(element),
        names=distinct([_name(element), *aliases]),
        births=words(element, "dateOfBirthList/dateOfBirthItem/dateOfBirth"),
        countries=distinct(
            [
                *words(element, "nationalityList/nationality/country"),
                *words(element, "citizenshipList/citizenship/country"),
            ]
        ),
    )


def _name(element: Element) -> str:
    return joined(word(element, "firstName"), word(element, "lastName"))


def read_csv(text: str, file: str) -> ListFile:
    """The file has no header. Raises SanctionsUnreadable."""
    entries = []
    for number, row in rows_of(text.rstrip("\x1a\r\n "), file):
        if len(row) != _COLUMNS:
            what = f"There are {len(row)} columns instead of {_COLUMNS}."
            raise refused(file, number, what, "Load SDN.CSV as OFAC publishes it.")
        remarks = row[11]
        last, _, first = row[1].partition(", ")
        names = [joined(first, last), *_ALIAS.findall(remarks)]
        births, countries = _BORN.findall(remarks), _NATIONALITY.findall(remarks)
        entries.append(Entry(row[0], distinct([n for n in names if n != _NONE]), distinct(births), distinct(countries)))
    return ListFile(tuple(entries), None, "")
