"""Trades and accounts from files: what is told, and what is wrong in them, counted and reported."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domain.file_errors import SurveillanceFileInvalid
from surveillance.book import NEVER, OUTCOMES, REASONS, UNKNOWN
from surveillance.files.problems import HANDLED, Problems
from surveillance.files.read import Files, read_book
from tests.surveillance_files import ACCOUNT, ACCOUNTS, TRADES, read, trade, write


def only(problems: dict[str, Any]) -> tuple[str, int, tuple[int, str]]:
    """The only kind of problem: (kind, how many, (row, field) of the first)."""
    ((kind, each),) = problems.items()
    assert each["handled"] == HANDLED[kind]
    return kind, each["count"], (each["examples"][0]["row"], each["examples"][0]["field"])


def test_a_trade_and_its_account_are_read_as_told(tmp_path: Path) -> None:
    row = trade("t1", "10:00:00.250", stop_loss="1.05", take_profit="0", reason="sl", expert_id="77", comment="x y")
    book, problems = read(tmp_path, [row])
    trades, accounts = book.trades, book.accounts
    assert problems == {}
    assert np.datetime64(int(trades.opened[0]), "us") == np.datetime64("2024-05-02T10:00:00.250")
    assert trades.closed[0] - trades.opened[0] == 600_000_000
    assert (trades.side[0], trades.lots[0], trades.profit_minor[0]) == (1, 1.0, 1234)
    assert (trades.open_price[0], trades.close_price[0], trades.stop[0]) == (1.1, 1.2, 1.05)
    assert np.isnan(trades.target[0]) and np.isnan(trades.bid[0])
    assert REASONS[trades.reason[0]] == "stop"
    assert (trades.positions, trades.experts, trades.comments) == (("a/pt1",), ("77",), ("x y",))
    assert (accounts.size_minor[0], accounts.daily_loss_minor[0], accounts.target_minor[0]) == (
        *(10_000_000, 500_000, 800_000),
    )
    assert (accounts.owners, accounts.zones, accounts.min_days[0]) == (("anna",), ("Europe/Prague",), 4)
    assert (accounts.ended[0], OUTCOMES[accounts.outcome[0]]) == (NEVER, "open")


def test_columns_stand_in_any_order_others_are_ignored_and_gzip_is_read(tmp_path: Path) -> None:
    names = ["colour", *reversed(TRADES.split(","))]
    values = ["red", *reversed(trade("t1").split(","))]
    path = tmp_path / "trades.csv.gz"
    path.write_bytes(gzip.compress(f"\ufeff{','.join(names)}\r\n{','.join(values)}\r\n".encode()))
    book, problems = read_book(Files(path, write(tmp_path / "accounts.csv", ACCOUNTS, [ACCOUNT])))
    assert book.trades.id.tolist() == ["t1"] and book.trades.profit_minor.tolist() == [1234]
    assert problems.as_json()["files"]["trades.csv.gz"] == {"rows": 1, "used": 1}


def test_what_is_empty_is_not_told(tmp_path: Path) -> None:
    row = trade("t1", close_time="", close_price="", profit="", position_id="")
    book, problems = read(tmp_path, [row], ["a,anna,,,,,,,,,,,,,"])
    assert problems.keys() == {"unknown_currency"}
    assert (book.trades.closed[0], book.trades.profit_minor[0], book.trades.positions) == (NEVER, 0, ("a/t1",))
    assert (book.accounts.daily_loss_minor[0], book.accounts.min_days[0]) == (UNKNOWN, UNKNOWN)
    assert set(book.missing) == {"orders", "identities", "events", "quotes"}


def test_rows_out_of_order_are_sorted_and_counted(tmp_path: Path) -> None:
    book, problems = read(tmp_path, [trade("1", "10:00:00"), trade("2", "09:00:00"), trade("3", "11:00:00")])
    assert only(problems) == ("out_of_order", 1, (3, "open_time"))
    assert book.trades.id.tolist() == ["2", "1", "3"]


def test_a_file_sorted_by_close_is_in_order(tmp_path: Path) -> None:
    _, problems = read(tmp_path, [trade("1", "10:05:00"), trade("2", "10:00:00", close_time="2024-05-02T12:00:00Z")])
    assert problems == {}


def test_an_equal_row_is_a_duplicate_and_a_different_one_a_correction(tmp_path: Path) -> None:
    book, problems = read(tmp_path, [trade("1"), trade("1"), trade("2"), trade("2", profit="-5")])
    assert {kind: each["count"] for kind, each in problems.items()} == {"duplicate": 1, "corrected": 1}
    assert problems["corrected"]["examples"][0]["row"] == 4
    assert dict(zip(book.trades.id.tolist(), book.trades.profit_minor.tolist(), strict=True)) == {"1": 1234, "2": -500}


@pytest.mark.parametrize("deletion", [trade("1", lots="0"), None])
def test_a_deleted_trade_is_gone(tmp_path: Path, deletion: str | None) -> None:
    if deletion is not None:
        book, problems = read(tmp_path, [trade("1"), trade("2"), deletion])
    else:
        rows = [f"{trade('1')},", f"{trade('2')},", f"{trade('1')},deleted"]
        trades = write(tmp_path / "t.csv", f"{TRADES},state", rows)
        book, found = read_book(Files(trades, write(tmp_path / "a.csv", ACCOUNTS, [ACCOUNT])))
        problems = found.as_json()["problems"]
    assert only(problems) == ("deleted", 1, (4, "trade_id"))
    assert book.trades.id.tolist() == ["2"]


def test_one_id_at_two_accounts_is_two_trades(tmp_path: Path) -> None:
    second = ACCOUNT.replace("a,anna", "b,bert")
    book, problems = read(tmp_path, [trade("1"), trade("1", account_id="b", owner_id="bert")], [ACCOUNT, second])
    assert only(problems) == ("id_of_several_accounts", 1, (3, "trade_id"))
    assert len(book.trades) == 2


@pytest.mark.parametrize(
    ("told", "kind", "field"),
    [
        ({"close_time": "2024-05-02T09:59:59Z"}, "closes_before_it_opens", "close_time"),
        ({"side": "up"}, "no_side", "side"),
        ({"lots": "0"}, "no_size", "lots"),
        ({"lots": "-1"}, "no_size", "lots"),
        ({"open_time": ""}, "no_time", "open_time"),
        ({"account_id": ""}, "account_not_told", "account_id"),
        ({"symbol": ""}, "unknown_symbol", "symbol"),
    ],
)
def test_a_row_that_cannot_be_used_is_set_aside_and_counted(
    tmp_path: Path, told: dict[str, str], kind: str, field: str
) -> None:
    book, problems = read(tmp_path, [trade("1"), trade("2", **told)])
    problems.pop("out_of_order", None)
    assert only(problems) == (kind, 1, (3, field))
    assert book.trades.id.tolist() == ["1"]


@pytest.mark.parametrize(
    ("told", "kind", "field"),
    [
        ({"profit": "much"}, "not_a_number", "profit"),
        ({"take_profit": "inf"}, "not_a_number", "take_profit"),
        ({"close_time": "yesterday"}, "not_a_time", "close_time"),
        ({"open_time": "2024-05-02T10:00:00"}, "naive_time", "open_time"),
        ({"reason": "whim"}, "unknown_word", "reason"),
        ({"open_price": ""}, "no_price", "open_price"),
        ({"profit": ""}, "no_profit", "profit"),
        ({"symbol": "FOO"}, "unknown_symbol", "symbol"),
        ({"owner_id": "bert"}, "owner_differs", "owner_id"),
        ({"trade_id": ""}, "no_id", "trade_id"),
        ({"account_id": "zz"}, "unknown_account", "account_id"),
    ],
)
def test_a_row_with_a_wrong_value_is_judged_and_counted(
    tmp_path: Path, told: dict[str, str], kind: str, field: str
) -> None:
    book, problems = read(tmp_path, [trade("2", **told)])
    assert problems[kind]["count"] == 1
    assert problems[kind]["examples"][0]["field"] == field
    assert len(book.trades) == 1 and np.isfinite(book.trades.lots[0])


def test_a_time_with_an_offset_is_the_same_moment(tmp_path: Path) -> None:
    rows = [trade("1"), trade("2", open_time="2024-05-02T12:00:00.000+02:00")]
    book, problems = read(tmp_path, rows)
    assert problems == {} and book.trades.opened[0] == book.trades.opened[1]


def test_an_account_that_no_file_tells_of_has_its_trades_and_no_facts(tmp_path: Path) -> None:
    book, _ = read(tmp_path, [trade("1"), trade("2", account_id="zz", owner_id="zoe")])
    row = book.accounts.id.tolist().index("zz")
    assert book.accounts.owners[book.accounts.owner[row]] == "zoe"
    assert (book.accounts.size_minor[row], book.accounts.daily_loss_minor[row]) == (UNKNOWN, UNKNOWN)
    assert book.trades.account.tolist() == [0, row]


def test_accounts_of_unknown_owners_do_not_share_one(tmp_path: Path) -> None:
    accounts = [f"{name},{ACCOUNT.split(',', 1)[1].replace('anna', '')}" for name in "ab"]
    book, problems = read(tmp_path, [trade("1", owner_id=""), trade("2", owner_id="", account_id="b")], accounts)
    assert only(problems) == ("unknown_owner", 2, (2, "owner_id"))
    assert len(set(book.accounts.owner.tolist())) == 2


@pytest.mark.parametrize("more", [",x", ",more,and more", "," * 9 + "x"])
def test_a_row_with_too_many_fields_is_counted_and_later_rows_keep_their_numbers(tmp_path: Path, more: str) -> None:
    book, problems = read(tmp_path, [trade("1"), f"{trade('2')}{more}", trade("3", side="")])
    assert {kind: (each["count"], each["examples"][0]["row"]) for kind, each in problems.items()} == {
        "too_many_fields": (1, 3),
        "no_side": (1, 4),
    }
    assert book.trades.id.tolist() == ["1"]


def test_the_first_row_may_have_too_many_fields_too(tmp_path: Path) -> None:
    book, problems = read(tmp_path, [f"{trade('1')},x", trade("2"), f"{trade('3')},x", f"{trade('4')}"])
    assert only(problems)[:2] == ("too_many_fields", 2)
    assert book.trades.id.tolist() == ["2", "4"]


def test_a_yen_has_no_hundredths(tmp_path: Path) -> None:
    book, _ = read(tmp_path, [trade("1", profit="1234")], [ACCOUNT.replace("USD", "JPY")])
    assert (book.trades.profit_minor[0], book.accounts.size_minor[0]) == (1234, 100_000)


def test_an_unknown_zone_is_utc(tmp_path: Path) -> None:
    book, problems = read(tmp_path, [trade("1")], [ACCOUNT.replace("Europe/Prague", "Mars/Base")])
    assert only(problems) == ("unknown_zone", 1, (2, "timezone"))
    assert book.accounts.zones == ("UTC",)


def test_a_missing_column_names_file_column_and_remedy(tmp_path: Path) -> None:
    trades = write(tmp_path / "t.csv", TRADES.replace("lots,", ""), [])
    with pytest.raises(SurveillanceFileInvalid) as caught:
        read_book(Files(trades, write(tmp_path / "a.csv", ACCOUNTS, [])))
    assert caught.value.message == "The file of trades t.csv has no column lots."
    assert caught.value.field == "lots" and "Required are trade_id, account_id" in str(caught.value.remedy)


@pytest.mark.parametrize("content", [None, b"", b"\x1f\x8bno gzip at all"])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "trades.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SurveillanceFileInvalid, match=r"trades\.csv"):
        read_book(Files(path, write(tmp_path / "accounts.csv", ACCOUNTS, [])))


def test_files_without_rows_make_an_empty_book(tmp_path: Path) -> None:
    book, problems = read(tmp_path, [], [])
    assert (len(book.trades), len(book.accounts), problems) == (0, 0, {})


def test_no_more_than_five_examples_of_a_kind_are_shown() -> None:
    problems = Problems()
    for row in range(9):
        problems.add("no_side", "t.csv", 1, [(row, "side", "")])
    shown = problems.as_json()["problems"]["no_side"]
    assert (shown["count"], len(shown["examples"])) == (9, 5)
