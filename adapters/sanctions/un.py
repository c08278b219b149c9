"""The consolidated list of the United Nations Security Council, XML."""

from adapters.sanctions.reading import Element, date_of, distinct, joined, refused, word, words, xml_of
from domain.screening.entries import Entry, ListFile


def read(text: str, file: str) -> ListFile:
    """Raises SanctionsUnreadable."""
    root = xml_of(text, file)
    if root.tag != "CONSOLIDATED_LIST":
        raise refused(file, 1, f"<{root.tag}> is not <CONSOLIDATED_LIST>.", "Load the UN consolidated list in XML.")
    people = [_entry(found, "INDIVIDUAL") for found in root.iter("INDIVIDUAL")]
    others = [_entry(found, "ENTITY") for found in root.iter("ENTITY")]
    return ListFile((*people, *others), date_of(root.get("dateGenerated", "")), "")


def _entry(element: Element, kind: str) -> Entry:
    name = joined(*(word(element, f"{place}_NAME") for place in ("FIRST", "SECOND", "THIRD", "FOURTH")))
    aliases = [word(alias, "ALIAS_NAME") for alias in element.findall(f"{kind}_ALIAS")]
    births = [word(birth, "DATE", "YEAR", "FROM_YEAR", "NOTE") for birth in element.findall("INDIVIDUAL_DATE_OF_BIRTH")]
    return Entry(
        ref=word(element, "REFERENCE_NUMBER", "DATAID") or name,
        names=distinct([name, word(element, "NAME_ORIGINAL_SCRIPT"), *aliases]),
        births=distinct(births),
        countries=words(element, "NATIONALITY/VALUE"),
    )
