"""`propos evaluate`: real and invented statements, with and without quotes, and every way they can be wrong."""

import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from domain.errors import PropOSError
from domain.proofs.check import check
from tests.hostile_yaml import BOMB
from tests.statement_pages import BOOK, JAPANESE, Book, Trade, mt4, mt5

DAY = "2025.03.03"
LOSING = Trade(201, True, f"{DAY} 09:00:00", f"{DAY} 12:00:00", "1.05000", "1.04990", "-10.00")
CSV = """Ticket,Symbol,Side,Open Time,Close Time,Profit,Lots,Open Price,Close Price,Commission,Swap
1,EURUSD,long,2025-03-03 09:00:00,2025-03-03 10:00:00,900.00,1,1.05,1.059,-5.00,0
2,EURUSD,sell,2025-03-04 09:00:00,2025-03-04 10:00:00,-200.50,1,1.05,1.052,-5.00,-1.25
"""
EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "statement-mapping.yaml"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def judged(statement: Path, *arguments: object, product: object = "two-step") -> dict[str, Any]:
    result = run("--product", product, "--statement", statement, "--json", *arguments)
    assert result.exception is None, result.exception
    data: dict[str, Any] = json.loads(result.stdout)
    return data


def refused(statement: Path, *arguments: object) -> PropOSError:
    result = run("--product", "two-step", "--statement", statement, *arguments)
    assert isinstance(result.exception, PropOSError), result.stdout
    assert result.stdout == "", "nothing of a statement that cannot be read"
    return result.exception


def page(folder: Path, text: str) -> Path:
    path = folder / "report.html"
    path.write_text(text, encoding="utf-16")
    return path


def quotes(folder: Path, symbol: str, prices: list[tuple[str, str, str]], day: str = DAY) -> None:
    """One tick file: (clock time, bid, ask)."""
    lines = []
    for clock, bid, ask in prices:
        at = datetime.strptime(clock, "%H:%M:%S").replace(tzinfo=UTC)
        lines.append(f"{(at - at.replace(hour=0, minute=0, second=0)) // timedelta(milliseconds=1)},{bid},{ask}")
    stamp = day.replace(".", "")
    with zipfile.ZipFile(folder / f"invented__tick__{symbol.lower()}__{stamp}_quote.zip", "w") as archive:
        archive.writestr("quotes.csv", "\n".join(lines) + "\n")


def test_a_real_mt5_report_to_the_cent(shared_data: Path) -> None:
    found = judged(shared_data / "statements" / "mt5_ReportHistory-70358000.html")
    wanted = {
        "account": "70358000",
        "currency": "EUR",
        "trades": 658,
        "open_positions": 85,
        "deals": 1402,
        "deposits": "10000.00",
        "withdrawals": "0.00",
        "closed_profit": "-50.84",
        "balance": "9949.16",
        "equity": "9927.92",
        "floating": "-20.68",
        "initial_balance": "10000.00",
        "rows_add_up": True,
        "differences": [],
        "verdict": "undecided",
        "needs_prices": ["daily_loss", "max_loss"],
    }
    assert {name: found[name] for name in wanted} == wanted
    assert found["computed"]["gross_profit"] == "157.73"
    assert found["computed"]["balance"] == found["balance"]


def test_a_real_mt4_statement_is_told_where_its_rows_differ(shared_data: Path) -> None:
    found = judged(shared_data / "statements" / "mt4_2023-09_2024-01_Statement.htm")
    wanted = {
        "account": "2000000003",
        "currency": "USD",
        "trades": 124,
        "open_positions": 1,
        "cancelled_orders": 3,
        "deposits": "100000.00",
        "closed_profit": "8205.65",
        "balance": "94174.94",
        "equity": "94361.59",
        "floating": "186.65",
        "rows_add_up": False,
    }
    assert {name: found[name] for name in wanted} == wanted
    gaps = {gap["figure"]: (gap["rows"], gap["difference"]) for gap in found["differences"]}
    assert gaps == {"balance": ("108205.65", "-14030.71"), "equity": ("108392.30", "-14030.71")}
    assert "a difference of -14,030.71 USD" in found["verdict_in_words"]


def test_a_real_table_of_results_with_a_mapping(shared_data: Path, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(
        'currency: USD\ninitial_balance: "1000"\nheading: false\n'
        "columns: {ticket: 2, opened_at: 3, closed_at: 4, profit: 5, symbol: 6, side: 7}\n"
        'side_words: {buy: ["0"], sell: ["1"]}\n'
    )
    found = judged(shared_data / "statements" / "lazytrade_OrdersResultsT1.csv", "--mapping", mapping)
    assert (found["trades"], found["source"], found["initial_balance"]) == (532, "csv", "1000.00")


@pytest.mark.parametrize("write", [mt5, mt4])
def test_every_language_gives_the_same_verdict(tmp_path: Path, write: Any) -> None:
    plain, japanese = judged(page(tmp_path, write())), judged(page(tmp_path, write(BOOK, JAPANESE)))
    assert plain.pop("proof") != japanese.pop("proof"), "a proof is of one file"
    for found in (plain, japanese):
        for breach in found["breaches"]:
            del breach["proof_id"]
    assert plain == japanese
    assert (plain["closed_profit"], plain["balance"], plain["equity"]) == ("1509.50", "11509.50", "11388.25")
    assert plain["initial_balance"] == "10000.00"


def test_a_booked_loss_is_a_breach_with_a_proof_that_holds(tmp_path: Path) -> None:
    lost = Trade(202, True, f"{DAY} 13:00:00", f"{DAY} 15:00:00", "1.05", "1.04", "-600.00", "-7.00")
    found = judged(page(tmp_path, mt5(Book(trades=(LOSING, lost), held=()))))
    assert found["verdict"] == "breach"
    breach = found["breaches"][0]
    assert (breach["rule"], breach["equity"], breach["level"]) == ("daily_loss", "9383.00", "9500.00")
    sheets = found["proof"]
    assert [sheet["proof_id"] for sheet in sheets] == [breach["proof_id"]]
    assert check(sheets[0]) == []
    assert check({**sheets[0], "equity_minor": sheets[0]["equity_minor"] + 1}) != []
    judged(tmp_path / "report.html", "--proofs", tmp_path / "proofs")
    written = list((tmp_path / "proofs").iterdir())
    assert [path.name for path in written] == [f"{breach['proof_id']}.json"]
    assert CliRunner().invoke(app, ["proof", "check", str(written[0])]).exit_code == 0


def test_a_target_reached_is_a_pass_that_is_proven(tmp_path: Path) -> None:
    market = tmp_path / "market"
    market.mkdir()
    won = Trade(203, True, f"{DAY} 09:00:00", f"{DAY} 12:00:00", "1.05000", "1.05900", "900.00")
    quotes(market, "EURUSD", [("09:00:00", "1.05000", "1.05000"), ("11:00:00", "1.05900", "1.05910")])
    found = judged(page(tmp_path, mt5(Book(trades=(won,), held=()))), "--market", market)
    assert (found["verdict"], found["needs_prices"]) == ("pass", [])
    assert [(sheet["kind"], check(sheet)) for sheet in found["proof"]] == [("pass", [])]


def test_quotes_between_the_deals_decide_what_the_deals_could_not(tmp_path: Path) -> None:
    """A small loss at the close; 60 pips below it in between: 5 % of 10,000 is 500.00, 1 lot loses it at 1.0450."""
    report = page(tmp_path, mt5(Book(trades=(LOSING,), held=())))
    assert judged(report)["verdict"] == "undecided"
    market = tmp_path / "market"
    market.mkdir()
    start = ("08:59:00", "1.05000", "1.05001")
    quotes(market, "EURUSD", [start, ("10:00:00", "1.04500", "1.04510"), ("11:00:00", "1.04990", "1.05000")])
    held = judged(report, "--market", market)
    assert (held["verdict"], held["needs_prices"], held["breaches"]) == ("in_progress", [], [])
    quotes(market, "EURUSD", [start, ("10:00:00", "1.04499", "1.04510"), ("11:00:00", "1.04990", "1.05000")])
    broken = judged(report, "--market", market)
    assert (broken["verdict"], broken["breaches"][0]["equity"]) == ("breach", "9499.00")
    assert broken["breaches"][0]["at"] == "2025-03-03T10:00:00Z"
    sheet = broken["proof"][0]
    assert check(sheet) == []
    assert sheet["positions"][0]["quote"]["bid"] == "1.04499"


def test_a_day_without_quotes_leaves_the_verdict_open(tmp_path: Path) -> None:
    market = tmp_path / "market"
    market.mkdir()
    over = Trade(204, True, f"{DAY} 09:00:00", "2025.03.05 12:00:00", "1.05000", "1.04990", "-10.00")
    flat = [("00:00:00", "1.05000", "1.05001")]
    quotes(market, "EURUSD", flat)
    quotes(market, "EURUSD", flat, "2025.03.05")
    found = judged(page(tmp_path, mt5(Book(trades=(over,), held=()))), "--market", market)
    assert (found["verdict"], found["needs_prices"]) == ("undecided", ["daily_loss", "max_loss"])
    assert found["needs_prices_because"][0]["since"] == "2025-03-04T00:00:00Z"


def test_minute_bars_are_judged_where_there_are_no_ticks(tmp_path: Path) -> None:
    market = tmp_path / "market"
    market.mkdir()
    nine = 9 * 3_600_000
    bar = f"{nine},1.05,1.05,1.0449,1.05,0,1.0501,1.0501,1.0450,1.0501,0\n"
    with zipfile.ZipFile(market / "invented__minute__eurusd__20250303_quote.zip", "w") as archive:
        archive.writestr("bars.csv", bar)
    found = judged(page(tmp_path, mt5(Book(trades=(LOSING,), held=()))), "--market", market)
    assert (found["verdict"], found["breaches"][0]["equity"]) == ("breach", "9490.00")


def test_what_the_market_lacks_is_listed_together(tmp_path: Path) -> None:
    market = tmp_path / "market"
    market.mkdir()
    quotes(market, "EURUSD", [("09:00:00", "1.05", "1.06")])
    trades = tuple(
        Trade(n, True, f"{DAY} 09:00:00", f"{DAY} 10:00:00", "1", "2", "5", symbol=symbol)
        for n, symbol in enumerate(("EURUSD", "USDJPY", "GER40", "COCOA"), start=301)
    )
    error = refused(page(tmp_path, mt5(Book(trades=trades, held=()))), "--market", market)
    assert "no quotes for COCOA, GER40, USDJPY" in error.message
    assert "convert the profit of USDJPY (JPYUSD or USDJPY)" in error.message
    assert "no contract size for COCOA, GER40" in error.message


def test_contracts_and_other_names_come_from_a_mapping(tmp_path: Path) -> None:
    market = tmp_path / "market"
    market.mkdir()
    quotes(market, "XAUUSD", [("08:00:00", "2000.00", "2000.50"), ("10:00:00", "1994.90", "1995.40")])
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text('symbols: {GOLD: {contract_size: "100", quote_currency: USD, market: XAUUSD}}\n')
    gold = Trade(302, True, f"{DAY} 09:00:00", f"{DAY} 11:00:00", "2000.00", "1999.00", "-100.00", symbol="GOLD")
    report = page(tmp_path, mt4(Book(trades=(gold,), held=())))
    found = judged(report, "--market", market, "--mapping", mapping)
    assert (found["verdict"], found["breaches"][0]["equity"]) == ("breach", "9490.00")


def test_later_money_is_no_trading_result(tmp_path: Path) -> None:
    book = Book(money=(("2025.03.04 07:00:00", "50000"), ("2025.03.05 20:00:00", "-40000")), held=())
    found = judged(page(tmp_path, mt5(book)))
    assert (found["deposits"], found["withdrawals"], found["rows_add_up"]) == ("60000.00", "40000.00", True)
    assert found["floors_by_day"][-1]["balance"] == "11509.50"
    assert any("set aside" in note for note in found["notes"])


def test_a_withdrawal_of_a_funded_account_is_a_payout(tmp_path: Path) -> None:
    book = Book(money=(("2025.03.05 20:00:00", "-1000"),), held=())
    found = judged(page(tmp_path, mt5(book)), "--phase", 3)
    assert found["phase"] == {"number": 3, "name": "Funded"}
    assert found["floors_by_day"][-1]["balance"] == "10509.50"


def test_the_servers_zone_moves_trades_to_another_day(tmp_path: Path) -> None:
    late = Trade(205, True, f"{DAY} 23:30:00", "2025.03.04 00:20:00", "1.05", "1.06", "100.00")
    report = page(tmp_path, mt5(Book(trades=(late,), held=())))
    assert judged(report)["floors_by_day"][0]["day"] == "2025-03-04", "00:30 in Prague"
    athens = judged(report, "--zone", "Europe/Athens")
    assert (athens["floors_by_day"][0]["day"], athens["zone"]) == ("2025-03-03", "Europe/Athens")
    assert "Times in the file are read as Europe/Athens" in athens["notes"][0]


def test_the_shipped_mapping_reads_a_generic_export(tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    file.write_text(CSV)
    found = judged(file, "--mapping", EXAMPLE)
    assert (found["trades"], found["closed_profit"], found["balance"]) == (2, "688.25", "10688.25")
    assert any("The file has no summary" in note for note in found["notes"])


def test_tables_for_people(tmp_path: Path) -> None:
    result = run("--product", "two-step", "--statement", page(tmp_path, mt5()))
    assert result.exception is None
    assert "undecided: prices are needed" in result.stdout
    assert "Floors by day" in result.stdout
    assert "Times in the file are read as UTC" in " ".join(result.stdout.split())


def test_an_unreadable_row_imports_nothing(tmp_path: Path) -> None:
    error = refused(page(tmp_path, mt5().replace("<td>102</td>", "<td>1o2</td>", 1)))
    assert error.type == "statement-invalid"
    assert "row" in error.message and "is not a ticket number" in error.message


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("columns: [", "cannot be read as YAML"),
        (BOMB, "once its aliases (*) are written out"),
        ("currency: dollars\n", "currency"),
        ("initial_balance: 100.5\n", "a float cannot hold money exactly"),
        ("colums: {}\n", "colums: Extra inputs are not permitted"),
    ],
)
def test_a_mapping_that_is_wrong_names_its_field(tmp_path: Path, text: str, why: str) -> None:
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(text)
    assert why in refused(page(tmp_path, mt5()), "--mapping", mapping).message


def test_other_things_that_are_not_there(tmp_path: Path) -> None:
    report = page(tmp_path, mt5())
    assert "cannot be read" in refused(tmp_path / "none.html").message
    assert "holds no recorded quotes" in refused(report, "--market", tmp_path).message
    assert "has no phase 9" in refused(report, "--phase", 9).message
    assert "unknown time zone" in refused(report, "--zone", "Mars").message
    unknown = run("--product", "nothing", "--statement", report).exception
    assert isinstance(unknown, PropOSError) and "On the shelf:" in unknown.message


def test_a_product_whose_amounts_do_not_fit_the_account_is_refused(tmp_path: Path) -> None:
    report = page(tmp_path, mt5(Book(deposit="2000", held=())))
    result = run("--product", "one-step-futures", "--statement", report)
    assert isinstance(result.exception, PropOSError)
    assert "do not fit an account of 2,000.00 USD" in result.exception.message
