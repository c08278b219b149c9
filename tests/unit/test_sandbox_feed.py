"""Recorded quotes are checked before anything runs; the price model goes on exactly where it stopped."""

import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from domain.errors import BadInput
from domain.file_errors import PriceFileInvalid
from sandbox.feed import Recording, read_file, recorded_dates
from sandbox.instants import HOUR, SECOND, from_us, iso, to_us
from sandbox.model import PriceModel
from sandbox.symbols import symbol_specs
from tests.contract.sandbox_process import DAY, at, write_recording

GOOD = ["0,1.10000,1.10010", "46.2042,1.10001,1.10012", "46.2042,1.1,1.1", "86399999,1.2,1.3"]


def _refusal(path: Path) -> str:
    with pytest.raises(PriceFileInvalid) as refused:
        read_file(path)
    assert refused.value.field == "market_dir" and refused.value.remedy
    assert path.name in refused.value.message
    return refused.value.message


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("50,abc,1.2", "line 3 is not"),
        ("50,1.1", "line 3 is not"),
        ("50,1.1,1.2,7", "line 3 is not"),
        ("", "line 3 is not"),
        ("50,nan,1.2", "line 3 is not"),
        ("50,1e3,1.2", "line 3 is not"),
        ("50,\u0661,1.2", "line 3 is not plain text"),
        ("-1,1.1,1.2", "line 3 is not"),
        ("46.2,1.1,1.2", "line 3 is earlier"),
        ("86400000,1.1,1.2", "line 3 lies beyond"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    assert says in _refusal(write_recording(tmp_path, "EURUSD", [*GOOD[:2], line, GOOD[3]]))


@pytest.mark.parametrize("prices", ["0,1.2", "1.2,0", "-1.1,1.2", "1.20001,1.2"])
def test_impossible_prices_refuse_the_file_and_list_the_first(tmp_path: Path, prices: str) -> None:
    message = _refusal(write_recording(tmp_path, "EURUSD", [GOOD[0], *[f"5,{prices}"] * 7, GOOD[3]]))
    assert "line 2: bid" in message and "line 6: bid" in message and "line 7" not in message
    assert "and 2 more" in message


def test_a_jump_of_a_fifth_is_passed_on(tmp_path: Path) -> None:
    write_recording(tmp_path, "EURUSD", ["0,1.1,1.2", "5,0.88,0.9", "9,1.1,1.2"])
    recording = Recording.load(tmp_path, ("EURUSD",), [DAY])
    assert [q.bid for q in recording.take(to_us(at(1)), 10)] == [Decimal("1.1"), Decimal("0.88"), Decimal("1.1")]


def test_damaged_zips_are_refused(tmp_path: Path) -> None:
    good = write_recording(tmp_path, "EURUSD", [f"{n},1.1,1.2" for n in range(500)])
    content = good.read_bytes()
    for damaged in (b"", b"no zip", content[: len(content) // 2], content[:90] + b"\xff\x00\xff" + content[93:]):
        good.write_bytes(damaged)
        assert "damaged" in _refusal(good)
    with zipfile.ZipFile(good, "w") as archive:
        archive.writestr("a.csv", "0,1,2")
        archive.writestr("b.csv", "0,1,2")
    assert "exactly one CSV" in _refusal(good)
    assert "no quotes" in _refusal(write_recording(tmp_path, "EURUSD", []))


def test_missing_and_ambiguous_files_are_refused(tmp_path: Path) -> None:
    path = write_recording(tmp_path, "EURUSD", GOOD)
    with pytest.raises(PriceFileInvalid, match=r"There is no file .*xauusd__20240105"):
        Recording.load(tmp_path, ("EURUSD", "XAUUSD"), [DAY])
    with pytest.raises(PriceFileInvalid, match="no date"):
        recorded_dates(tmp_path, ("EURUSD", "XAUUSD"))
    assert recorded_dates(tmp_path, ("EURUSD",)) == [DAY]
    path.with_name("cfd__other__tick__eurusd__20240105_quote.zip").write_bytes(path.read_bytes())
    with pytest.raises(PriceFileInvalid, match="2 files"):
        Recording.load(tmp_path, ("EURUSD",), [DAY])
    with pytest.raises(BadInput, match="NOSUCH"):
        symbol_specs(("EURUSD", "NOSUCH"))


def test_symbols_are_merged_in_time_and_days_follow_each_other(tmp_path: Path) -> None:
    write_recording(tmp_path, "EURUSD", ["0,1.1,1.2", "9,1.1,1.2"])
    write_recording(tmp_path, "XAUUSD", ["0,2000,2001", "4.5,2000,2001"])
    write_recording(tmp_path, "EURUSD", ["1,1.3,1.4"], date(2024, 1, 8))
    write_recording(tmp_path, "XAUUSD", ["2,2002,2003"], date(2024, 1, 8))
    recording = Recording.load(tmp_path, ("EURUSD", "XAUUSD"), recorded_dates(tmp_path, ("EURUSD", "XAUUSD")))
    midnight = to_us(at(0))
    first = recording.take(midnight + 4500, 10)
    assert [(q.symbol, q.at_us - midnight) for q in first] == [("EURUSD", 0), ("XAUUSD", 0), ("XAUUSD", 4500)]
    state = recording.state()
    rest = recording.take(midnight * 2, 10)
    assert [iso(q.at_us) for q in rest][1:] == ["2024-01-08T00:00:00.001000Z", "2024-01-08T00:00:00.002000Z"]
    assert recording.next_at() is None
    recording.restore(state)
    assert recording.take(midnight * 2, 10) == rest


def test_a_recorded_day_is_read_whole(shared_data: Path) -> None:
    recording = Recording.load(shared_data / "prices", ("EURUSD", "XAUUSD"), [date(2014, 5, 2)])
    assert len(recording) == 49_341 + 265_015
    assert recording.ends_at is not None and from_us(recording.ends_at).hour == 20


def test_the_model_is_resumed_in_mid_second_and_repeats_by_seed() -> None:
    start, symbols = to_us(at(9)), ("EURUSD", "USDJPY", "XAUUSD")
    whole = PriceModel(7, symbols, start).take(start + 60 * SECOND, 10_000)
    assert 300 < len(whole) <= 360 and whole == sorted(whole, key=lambda q: q.at_us)
    assert all(0 < q.bid < q.ask for q in whole)
    model = PriceModel(7, symbols, start)
    head = model.take(start + 60 * SECOND, 101)
    resumed = PriceModel(7, symbols, start)
    resumed.restore(model.state())
    assert head + resumed.take(start + 60 * SECOND, 10_000) == whole
    assert PriceModel(8, symbols, start).take(start + 60 * SECOND, 10_000) != whole


def test_the_model_leaves_out_the_time_it_was_stopped() -> None:
    start = to_us(at(9))
    model = PriceModel(7, ("EURUSD",), start)
    last = model.take(start + 10 * SECOND, 1000)[-1]
    model.skip_to(start + HOUR)
    following = model.take(start + HOUR + SECOND, 1000)
    assert following[0].at_us >= start + HOUR and len(following) <= 4
    assert abs(following[0].bid - last.bid) < Decimal("0.001")
