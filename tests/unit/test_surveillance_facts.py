"""Orders, symbols, identity facts, calendars and prices from files."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from domain.file_errors import PriceFileInvalid
from surveillance.book import IDENTITY_KINDS, MINUTE, NEVER, ORDER_STATES, ORDER_TYPES, SECOND, UNKNOWN
from tests.surveillance_files import ACCOUNT, read, trade, write

ORDERS = "order_id,account_id,symbol,side,type,lots,price,placed_at,done_at,state,position_id"
SYMBOLS = "symbol,class,base,quote,contract_size,digits,synonym_of"
IDENTITY = "account_id,owner_id,kind,value,time"
NOON = int(np.datetime64("2024-05-02T12:00:00", "us").astype(np.int64))


def test_orders_are_tied_to_positions(tmp_path: Path) -> None:
    path = write(
        tmp_path / "orders.csv",
        ORDERS,
        [
            "o1,a,EURUSD.ecn,buy,Buy Stop,1,1.1,2024-05-02T09:00:00Z,2024-05-02T10:00:00Z,filled,p1",
            "o2,a,EURUSD,sell,limit,1,1.2,2024-05-02T08:00:00Z,,working,",
            "o3,zz,EURUSD,sell,limit,1,1.2,2024-05-02T08:00:00Z,,working,",
            "o4,a,EURUSD,sell,limit,1,1.2,,,canceled,",
        ],
    )
    book, problems = read(tmp_path, [trade("1")], orders=path)
    assert book.orders is not None
    assert book.orders.id.tolist() == ["o2", "o1"]
    assert book.orders.position.tolist() == [UNKNOWN, 0]
    assert [ORDER_TYPES[code] for code in book.orders.type] == ["limit", "stop"]
    assert [ORDER_STATES[code] for code in book.orders.state] == ["placed", "filled"]
    assert book.orders.done[0] == NEVER
    assert {kind: each["count"] for kind, each in problems.items()} == {"unknown_account": 1, "no_time": 1}


def test_symbols_of_the_firm_win(tmp_path: Path) -> None:
    path = write(
        tmp_path / "symbols.csv",
        SYMBOLS,
        ["US30.x,indices,,USD,10,1,US30", "US30,index,,USD,1,1,", "EURUSD,fx,EUR,USD,100000,5,", "ODD,,,,much,,"],
    )
    book, problems = read(tmp_path, [trade("1", symbol="US30.x", lots="0.5"), trade("2", symbol="US30")], symbols=path)
    assert book.trades.lots.tolist() == [5.0, 1.0]
    assert len(set(book.trades.symbol.tolist())) == 1
    row = book.symbols.name.tolist().index("US30")
    assert (book.symbols.asset[row], book.symbols.point[row], book.symbols.contract_size[row]) == ("index", 0.1, 1.0)
    assert set(problems) == {"not_a_number"}


def test_identity_facts_name_accounts_or_owners(tmp_path: Path) -> None:
    path = write(
        tmp_path / "identity.csv",
        IDENTITY,
        [
            "a,anna,ip,10.0.0.1,2024-05-01T00:00:00Z",
            ",anna,IP Address, 10.0.0.1 ,2024-05-02T00:00:00Z",
            "b,,card,X,",
            "b,bert,shoe size,44,2024-05-01T00:00:00Z",
            "b,bert,card,,2024-05-01T00:00:00Z",
            "zz,zoe,card,Y,2024-05-01T00:00:00Z",
        ],
    )
    accounts = [ACCOUNT, ACCOUNT.replace("a,anna", "b,bert")]
    book, problems = read(tmp_path, [trade("1")], accounts, identity=path)
    facts = book.identities
    assert facts is not None
    told = {
        (str(book.accounts.id[row]), IDENTITY_KINDS[kind], facts.values[value])
        for row, kind, value in zip(facts.account.tolist(), facts.kind.tolist(), facts.value.tolist(), strict=True)
    }
    assert told == {("a", "ip", "ip:10.0.0.1"), ("b", "card", "card:x")}
    assert (len(facts), facts.at[0]) == (3, UNKNOWN)
    assert {kind: each["count"] for kind, each in problems.items()} == {
        "unknown_word": 1,
        "unknown_kind": 1,
        "no_value": 1,
        "unknown_account": 1,
    }


def test_a_value_of_many_owners_is_reported_and_stays(tmp_path: Path) -> None:
    accounts = [ACCOUNT.replace("a,anna", f"a{n},owner{n}") for n in range(120)]
    path = write(tmp_path / "identity.csv", IDENTITY, [f"a{n},,ip,10.0.0.1,2024-05-01T00:00:00Z" for n in range(120)])
    book, problems = read(tmp_path, [trade("1", account_id="a1")], accounts, identity=path)
    assert problems["value_of_many_owners"]["examples"][0]["value"] == "120 owners"
    assert problems["value_of_many_owners"]["count"] == 1
    assert book.identities is not None and len(book.identities) == 120


@pytest.mark.parametrize(
    ("header", "row", "bad"),
    [
        ("time,currency,impact,title", "2024-05-02T12:30:00Z,USD,High,Payrolls", "2024-05-02T12:30:00Z,USD,huge,x"),
        ("datetime_utc,event,country,impact", "2024-05-02T12:30:00+00:00,Payrolls,US,high", "soon,x,EA,low"),
    ],
)
def test_releases_name_currencies_or_places(tmp_path: Path, header: str, row: str, bad: str) -> None:
    book, problems = read(tmp_path, [trade("1")], calendar=write(tmp_path / "calendar.csv", header, [row, bad]))
    events = book.events
    assert events is not None
    assert (events.currency.tolist(), events.impact.tolist(), events.title.tolist()) == (["USD"], [3], ["Payrolls"])
    assert events.at.tolist() == [NOON + 30 * MINUTE]
    assert problems.keys() & {"unknown_impact", "no_time"}


def zipped(folder: Path, name: str, **members: str) -> Path:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        for member, text in members.items():
            archive.writestr(f"{member}.csv", text)
    return folder


def test_ticks_and_bars_are_read_for_the_symbols_that_are_traded(tmp_path: Path) -> None:
    prices = tmp_path / "prices"
    zipped(prices, "fx__venue__tick__eurusd__20240502_quote.zip", a="43200000.5,1.1,1.2\n43201000,1.3,1.2\n0,1.0,1.1\n")
    bar = "43200000,1.10,1.15,1.05,1.12,0,1.20,1.25,1.15,1.22,0\n"
    zipped(prices, "fx__venue__minute__eurusd__20240502_quote.zip", a=bar)
    zipped(prices, "fx__venue__minute__eurusd__20240503_quote.zip", a=bar)
    zipped(prices, "fx__venue__minute__gbpusd__20240502_quote.zip", a=bar)
    (prices / "LICENSE").write_text("")
    book, problems = read(tmp_path, [trade("1", symbol="EURUSD.r")], prices=prices)
    assert set(book.quotes) == {"EURUSD"}
    ticks = book.quotes["EURUSD"]
    assert ticks.resolution == "tick" and ticks.at.tolist() == [NOON - 12 * 3600 * SECOND, NOON + 500]
    assert ticks.bid.tolist() == [1.0, 1.1] and ticks.ask_high.tolist() == [1.1, 1.2]
    bars = ticks.coarser
    assert bars is not None and bars.resolution == "minute" and len(bars) == 1
    assert (bars.bid[0], bars.bid_low[0], bars.ask[0], bars.ask_high[0]) == (1.12, 1.05, 1.22, 1.25)
    assert {kind: each["count"] for kind, each in problems.items()} == {
        "bad_price": 1,
        "out_of_order": 1,
        "file_ignored": 2,
    }


def test_of_expiries_the_one_with_most_lines_is_taken(tmp_path: Path) -> None:
    bar = "0,10,12,9,11,0,11,13,10,12,0\n"
    prices = zipped(
        tmp_path / "prices", "f__cme__minute__es__20240502_quote.zip", near=bar * 2, far=bar[1:].join("6 ")[:9]
    )
    book, _ = read(tmp_path, [trade("1", symbol="MESM4")], prices=prices)
    assert len(book.quotes["ES"]) == 2


@pytest.mark.parametrize("content", [None, b"PK no zip"])
def test_prices_that_cannot_be_read_are_an_error(tmp_path: Path, content: bytes | None) -> None:
    prices = tmp_path / "prices"
    prices.mkdir()
    if content is not None:
        (prices / "fx__venue__tick__eurusd__20240502_quote.zip").write_bytes(content)
    with pytest.raises(PriceFileInvalid):
        read(tmp_path, [trade("1")], prices=prices)


def test_recorded_prices_and_calendars_are_read(tmp_path: Path, shared_data: Path) -> None:
    book, problems = read(
        tmp_path,
        [trade("1"), trade("2", symbol="XAUUSD"), trade("3", symbol="MES")],
        prices=shared_data / "prices",
        calendar=shared_data / "calendar" / "emm_calendar_2014.csv",
    )
    assert {name: quotes.resolution for name, quotes in book.quotes.items()} == {
        "EURUSD": "tick",
        "XAUUSD": "tick",
        "ES": "minute",
    }
    assert all((np.diff(quotes.at) >= 0).all() for quotes in book.quotes.values())
    assert book.events is not None and set(book.events.currency.tolist()) <= {"USD", "EUR", "GBP", "CHF"}
    assert problems["bad_price"]["count"] < 0.01 * len(book.quotes["ES"])  # bars with a bid or an ask only
