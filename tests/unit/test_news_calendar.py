"""Economic calendars as CSV: read whole or not at all, every wrong row named."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.news.calendar_csv import Columns, read_calendar
from domain.file_errors import CalendarUnreadable

HEADER = "datetime_utc,event,country,impact\n"


def test_a_place_becomes_its_currency_and_a_key_stays_the_same() -> None:
    text = HEADER + "2014-05-02T12:30:00+00:00,Payrolls,US,high\n2014-05-02T08:00:00+00:00,PMI,Eurozone,medium\n"
    first, second = read_calendar(text, "news.csv", Columns())
    assert (first.names, first.impact, first.at) == (("USD",), "high", datetime(2014, 5, 2, 12, 30, tzinfo=UTC))
    assert second.names == ("EUR",)
    assert [release.key for release in read_calendar(text, "again.csv", Columns())] == [first.key, second.key]


def test_other_headers_are_named() -> None:
    text = "when,what,who,how\n2014-05-02T12:30:00Z,Payrolls,XAUUSD,high\n"
    (release,) = read_calendar(text, "n", Columns(time="when", title="what", place="who", impact="how"))
    assert release.names == ("XAUUSD",)


def test_every_wrong_row_is_named_and_nothing_is_taken() -> None:
    rows = "2014-05-02T12:30:00+00:00,Payrolls,US,high\n2014-05-02 12:30,No zone,US,high\nx,y, z,US,high\n"
    with pytest.raises(CalendarUnreadable) as refused:
        read_calendar(HEADER + rows, "news.csv", Columns())
    assert [line.split()[0] for line in refused.value.message.splitlines()] == ["news.csv:3", "news.csv:4"]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(CalendarUnreadable, match="no column impact"):
        read_calendar("datetime_utc,event,country\n", "news.csv", Columns())


def test_a_recorded_calendar_is_read(shared_data: Path) -> None:
    path = shared_data / "calendar" / "emm_calendar_2013.csv"
    releases = read_calendar(path.read_text(), path.name, Columns())
    assert releases
    assert {"USD", "EUR"} <= {name for release in releases for name in release.names}


OWN = Columns(ends="until", id="number")
OWN_HEADER = "datetime_utc,event,country,impact,until,number\n"


def test_a_speech_has_an_end_and_an_id_keeps_its_key() -> None:
    row = "2025-06-18T18:30:00Z,Conference,US,high,2025-06-18T19:20:00Z,7\n"
    (talk,) = read_calendar(OWN_HEADER + row, "news.csv", OWN)
    assert talk.ends_at == datetime(2025, 6, 18, 19, 20, tzinfo=UTC)
    moved = row.replace("18:30", "17:30").replace("Conference", "Press conference")
    assert read_calendar(OWN_HEADER + moved, "news.csv", OWN)[0].key == talk.key
    (moment,) = read_calendar(OWN_HEADER + "2025-06-18T18:30:00Z,Rates,US,high,,8\n", "news.csv", OWN)
    assert moment.ends_at is None
    assert moment.key != talk.key


@pytest.mark.parametrize(
    "row",
    [
        "2025-06-18T18:30:00Z,Conference,US,high,2025-06-18T18:00:00Z,7\n",
        "2025-06-18T18:30:00Z,Conference,US,high,later,7\n",
        "2025-06-18T18:30:00Z,Conference,US,high,,\n",
        "2025-06-18T18:30:00Z,A,US,high,,6\n2025-06-18T18:30:00Z,B,US,high,,6\n",
    ],
)
def test_an_end_before_its_begin_and_an_id_twice_are_refused(row: str) -> None:
    with pytest.raises(CalendarUnreadable, match=r"news\.csv:"):
        read_calendar(OWN_HEADER + row, "news.csv", OWN)
