"""Published lists in each format; broken ones are refused with file, row and remedy."""

from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.sanctions.lists import read_any, read_list
from domain.file_errors import SanctionsUnreadable
from domain.screening.entries import ListName

UN = """<?xml version="1.0" encoding="UTF-8"?><CONSOLIDATED_LIST dateGenerated="2026-11-02T00:00:00"><INDIVIDUALS>
<INDIVIDUAL><DATAID>1</DATAID><FIRST_NAME>KARIM</FIRST_NAME><SECOND_NAME>ZAMOURI</SECOND_NAME>
<REFERENCE_NUMBER>QDi.900</REFERENCE_NUMBER><NATIONALITY><VALUE>Utopia</VALUE></NATIONALITY>
<INDIVIDUAL_ALIAS><QUALITY>Good</QUALITY><ALIAS_NAME>Abu Karim</ALIAS_NAME></INDIVIDUAL_ALIAS>
<INDIVIDUAL_DATE_OF_BIRTH><YEAR>1970</YEAR></INDIVIDUAL_DATE_OF_BIRTH></INDIVIDUAL></INDIVIDUALS><ENTITIES>
<ENTITY><FIRST_NAME>Zamouri Trading</FIRST_NAME><REFERENCE_NUMBER>QDe.901</REFERENCE_NUMBER></ENTITY></ENTITIES>
</CONSOLIDATED_LIST>"""
OFAC_XML = """<?xml version="1.0"?><sdnList xmlns="http://example.org/sdn"><publshInformation>
<Publish_Date>11/02/2026</Publish_Date></publshInformation><sdnEntry><uid>7</uid><firstName>Karim</firstName>
<lastName>ZAMOURI</lastName><sdnType>Individual</sdnType><akaList><aka><lastName>ABU KARIM</lastName></aka></akaList>
<dateOfBirthList><dateOfBirthItem><dateOfBirth>01 May 1970</dateOfBirth></dateOfBirthItem></dateOfBirthList>
<nationalityList><nationality><country>Utopia</country></nationality></nationalityList></sdnEntry></sdnList>"""
OFAC_CSV = (
    '7,"ZAMOURI, Karim","individual","SDGT",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,'
    "\"DOB 01 May 1970; nationality Utopia; a.k.a. 'ABU KARIM'.\"\r\n\x1a"
)
EU_XML = """<export xmlns="http://example.org/fsd" generationDate="2026-11-02T10:00:00"><sanctionEntity logicalId="13"
euReferenceNumber="EU.13.1"><subjectType code="person"/><nameAlias wholeName="Karim Zamouri" strong="true"/>
<nameAlias firstName="Abu" lastName="Karim" wholeName=""/><birthdate birthdate="1970-05-01"/>
<citizenship countryIso2Code="UT"/></sanctionEntity></export>"""
EU_CSV = """\ufeff\
fileGenerationDate;Entity_LogicalId;NameAlias_WholeName;BirthDate_BirthDate;Citizenship_CountryIso2Code
02/11/2026;13;Karim Zamouri;;
02/11/2026;13;Abu Karim;;
02/11/2026;13;;1970-05-01;UT
"""
UK_CSV = """Last Updated,02/11/2026
Name 6,Name 1,Name 2,Name 3,Name 4,Name 5,DOB,Nationality,Group Type,Alias Type,Group ID
ZAMOURI,Karim,,,,,01/05/1970,Utopia,Individual,Primary name,14
KARIM,Abu,,,,,01/05/1970,Utopia,Individual,AKA,14
"""
UK_XML = """<Designations><DateGenerated>02/11/2026</DateGenerated><Designation><UniqueID>AFG0001</UniqueID><Names>
<Name><Name6>ZAMOURI</Name6><Name1>Karim</Name1></Name><Name><Name6>KARIM</Name6><Name1>Abu</Name1></Name></Names>
<IndividualDetails><Individual><DOBs><DOB>01/05/1970</DOB></DOBs><Nationalities><Nationality>Utopia</Nationality>
</Nationalities></Individual></IndividualDetails></Designation></Designations>"""
FORMATS: tuple[tuple[ListName, str], ...] = (
    ("un", UN), ("ofac", OFAC_XML), ("ofac", OFAC_CSV), ("eu", EU_XML), ("eu", EU_CSV), ("uk", UK_CSV), ("uk", UK_XML),
)  # fmt: skip


@pytest.mark.parametrize(("name", "text"), FORMATS)
def test_a_list_is_read_in_its_published_format(name: ListName, text: str) -> None:
    found = read_list(text.encode(), "list", name)
    entry = found.entries[0]
    assert [listed.casefold() for listed in entry.names] == ["karim zamouri", "abu karim"]
    assert "1970" in entry.births[0]
    assert entry.countries[0] in ("Utopia", "UT")
    assert entry.ref
    assert found.published == (None if text == OFAC_CSV else date(2026, 11, 2))
    assert read_any(text.encode(), "list") == found


@pytest.mark.parametrize(("name", "text"), [pair for pair in FORMATS if pair[1].lstrip().startswith("<")])
def test_a_truncated_list_is_refused(name: ListName, text: str) -> None:
    with pytest.raises(SanctionsUnreadable, match=r"list\.xml, row \d+") as refused:
        read_list(text[: len(text) * 2 // 3].encode(), "list.xml", name)
    assert refused.value.remedy


def test_entities_are_never_expanded() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb">]><CONSOLIDATED_LIST>&b;</CONSOLIDATED_LIST>'
    with pytest.raises(SanctionsUnreadable, match="declares entities"):
        read_list(bomb.encode(), "list.xml", "un")


@pytest.mark.parametrize(
    "text", ["", "<sdnList/>", "a,b,c\n1,2,3\n", 'full_name,dob\nAda,1\n"Bob,2\n', "full_name\n,\n"]
)
def test_a_file_without_listed_names_is_refused(text: str) -> None:
    with pytest.raises(SanctionsUnreadable, match=r"list, row \d+"):
        read_list(text.encode(), "list", "un")


@given(st.binary(max_size=300), st.sampled_from(FORMATS), st.integers(0, 1200), st.binary(max_size=6))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_read_or_refused(noise: bytes, form: tuple[ListName, str], at: int, put: bytes) -> None:
    whole = form[1].encode()
    for data in (noise, whole[:at] + put + whole[at + len(put) :], whole[:at]):
        with suppress(SanctionsUnreadable):
            read_list(data, "list", form[0])
        with suppress(SanctionsUnreadable):
            read_any(data, "list")
