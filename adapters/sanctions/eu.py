"""The consolidated list of the European Union: XML (version 1.1) and CSV (semicolons)."""

from adapters.sanctions.reading import Element, date_of, distinct, joined, refused, xml_of
from adapters.sanctions.table import Grouped, headed
from domain.screening.entries import Entry, ListFile


def read_xml(text: str, file: str) -> ListFile:
    """Raises SanctionsUnreadable."""
    root = xml_of(text, file)
    if root.tag != "export":
        raise refused(file, 1, f"<{root.tag}> is not <export>.", "Load the EU consolidated list in XML.")
    entries = tuple(_entry(found) for found in root.iter("sanctionEntity"))
    return ListFile(entries, date_of(root.get("generationDate", "")), "")


def _entry(element: Element) -> Entry:
    names = [
        joined(alias.get("wholeName")) or joined(alias.get("firstName"), alias.get("middleName"), alias.get("lastName"))
        for alias in element.findall("nameAlias")
    ]
    births = [birth.get("birthdate") or birth.get("year") or "" for birth in element.findall("birthdate")]
    countries = [found.get("countryIso2Code", "") for found in element.findall("citizenship")]
    ref = element.get("euReferenceNumber") or element.get("logicalId") or "".join(names[:1])
    return Entry(ref, distinct(names), distinct(births), distinct(countries))


def read_csv(text: str, file: str) -> ListFile:
    """One entity has several rows: one for each name, date or citizenship. Raises SanctionsUnreadable."""
    grouped, published = Grouped(), None
    needed = ("Entity_LogicalId", "NameAlias_WholeName")
    for row in headed(text, file, needed, delimiter=";"):
        published = published or date_of(row.get("fileGenerationDate", ""))
        grouped.add(
            row["Entity_LogicalId"],
            [row["NameAlias_WholeName"]],
            [row.get("BirthDate_BirthDate") or row.get("BirthDate_Year", "")],
            [row.get("Citizenship_CountryIso2Code", "")],
        )
    return ListFile(grouped.entries(), published, "")
