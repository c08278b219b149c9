"""The sanctions lists of the United Kingdom: OFSI's consolidated list and the UK Sanctions List, CSV and XML."""

from typing import Final

from adapters.sanctions.reading import Element, date_of, joined, refused, xml_of
from adapters.sanctions.table import Grouped, headed
from domain.screening.entries import ListFile

_TARGETS: Final = ("FinancialSanctionsTarget", "Designation")


def read_csv(text: str, file: str) -> ListFile:
    """The first line has the date, the second the names of the columns. Raises SanctionsUnreadable."""
    first, _, rest = text.partition("\n")
    dated = "Name 6" not in first
    grouped = Grouped()
    for row in headed(rest if dated else text, file, ("Name 6",), skipped=int(dated)):
        ref = row.get("Group ID") or row.get("Unique ID") or row.get("OFSI Group ID", "")
        grouped.add(
            ref or row["Name 6"],
            [
                joined(*(row.get(f"Name {number}") for number in range(1, 7))),
                row.get("Name Non-Latin Script") or row.get("Name non-latin script", ""),
            ],
            [row.get("DOB") or row.get("D.O.B", "")],
            [row.get("Nationality") or row.get("Nationality(/ies)", "")],
        )
    return ListFile(grouped.entries(), date_of(first) if dated else None, "")


def read_xml(text: str, file: str) -> ListFile:
    """Raises SanctionsUnreadable."""
    root = xml_of(text, file)
    targets = [found for tag in _TARGETS for found in root.iter(tag)]
    if not targets:
        what = f"<{root.tag}> has neither <{_TARGETS[0]}> nor <{_TARGETS[1]}>."
        raise refused(file, 1, what, "Load the UK list in XML as its publisher has it.")
    grouped = Grouped()
    for target in targets:
        ref = _first(target, "UniqueID", "GroupID", "OFSIGroupID")
        blocks = list(target.iter("Name")) or [target]
        names = [
            joined(*(_first(block, f"Name{number}", f"name{number}") for number in range(1, 7))) for block in blocks
        ]
        scripts = [text for tag in ("NameNonLatinScript",) for text in _all(target, tag)]
        births = [*_all(target, "DOB"), *_all(target, "DateOfBirth")]
        grouped.add(ref or "".join(names[:1]), [*names, *scripts], births, _all(target, "Nationality"))
    return ListFile(grouped.entries(), date_of(_first(root, "DateGenerated")), "")


def _first(element: Element, *tags: str) -> str:
    return next((text for tag in tags for text in _all(element, tag)), "")


def _all(element: Element, tag: str) -> list[str]:
    return [text for found in element.iter(tag) if (text := " ".join((found.text or "").split()))]
