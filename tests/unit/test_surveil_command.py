"""`propos surveil` from files to its answer."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.surveil import alert, as_data
from domain.surveillance.findings import Finding, Involved
from surveillance.files.problems import Problems
from surveillance.registry import pattern_types
from surveillance.run import Result
from tests.books import Rows
from tests.surveillance_files import ACCOUNT, ACCOUNTS, TRADES, trade, write

PATTERNS_THAT_NEED_FILES = {"off_market_fill": "--prices"}


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """An account that doubles its size after every loss, four times over, and one that trades once."""
    rows = []
    for chain in range(4):
        for step in range(4):
            won = step == 3
            rows.append(
                trade(
                    f"t{chain}{step}",
                    f"{9 + chain * 3:02}:{step * 11:02}:00.000",
                    lots=str(2**step),
                    profit=str(900 if won else -(2**step) * 100),
                    close_price="1.2" if won else "1.0",
                )
            )
    rows.append(trade("quiet", account_id="b", owner_id="bert", profit="", lots="x"))
    rows.append(trade("calm", account_id="b", owner_id="bert"))
    accounts = [ACCOUNT, ACCOUNT.replace("a,anna", "b,bert")]
    return [
        *("--trades", str(write(tmp_path / "trades.csv", TRADES, rows))),
        *("--accounts", str(write(tmp_path / "accounts.csv", ACCOUNTS, accounts))),
    ]


def answer(*arguments: str, code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["surveil", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == code, result.output
    said: dict[str, Any] = json.loads(result.stdout)
    return said


def test_an_alert_says_who_did_what_and_why(files: list[str]) -> None:
    said = answer(*files)
    (found,) = (each for each in said["alerts"] if each["pattern"] == "martingale")
    assert found["accounts"] == ["a"] and list(found["roles"]) == ["a"]
    assert set(found["deals"]) <= {f"t{chain}{step}" for chain in range(4) for step in range(4)} and found["deals"]
    assert 0.5 <= found["score"] <= 1 and found["relation"] == "one_account"
    assert found["reason"] and found["evidence"] and found["severity"] in {"note", "review", "hold"}
    assert {"pattern", "accounts", "roles", "deals", "score", "reason", "relation"} <= set(found)


def test_the_answer_counts_what_was_read(files: list[str]) -> None:
    said = answer(*files)
    assert said["counts"]["accounts"] == 2 and said["counts"]["trades"] == 17
    assert set(said["counts"]["alerts"]) == set(pattern_types())
    assert said["counts"]["alerts"]["martingale"] == 1
    assert said["input"]["files"]["trades.csv"] == {"rows": 18, "used": 17}
    assert said["input"]["problems"]["not_a_number"]["examples"] == [
        {"file": "trades.csv", "row": 18, "field": "lots", "value": "x"}
    ]
    assert said["failed"] == {} and said["seconds"] >= 0
    for pattern, option in PATTERNS_THAT_NEED_FILES.items():
        assert option in said["cannot_judge"][pattern]


def test_the_answer_is_the_same_for_several_workers(files: list[str]) -> None:
    one, two = answer(*files), answer(*files, "--workers", "2")
    for said in (one, two):
        del said["seconds"], said["seconds_of"]
    assert one == two


def test_thresholds_of_a_file_bind(files: list[str], tmp_path: Path) -> None:
    product = tmp_path / "limits.yaml"
    product.write_text("products: {two-step: {martingale: {min_step_ratio: 10}}}\n")
    assert answer(*files, "--product", str(product))["counts"]["alerts"]["martingale"] == 0


def test_people_read_a_table_and_the_problems(files: list[str]) -> None:
    result = CliRunner().invoke(app, ["surveil", *files], catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for words in (
        "17 trades of 2 accounts",
        "martingale",
        "1 x not a number: taken as not told. First: trades.csv, row 18",
    ):
        assert words in result.stdout


def test_a_pattern_that_fails_is_named_and_the_exit_code_is_one(
    files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(pattern_types()["martingale"], "find", broken)
    failed = answer(*files, code=1)["failed"]
    assert failed.keys() == {"martingale"} and failed["martingale"].startswith("RuntimeError: a defect (")


def finding(score: str) -> Finding:
    return Finding(
        key="copy_trading/a",
        detector="copy_trading",
        at=datetime(2024, 5, 2, tzinfo=UTC),
        score=Decimal(score),
        sentence="It leads one account and follows another.",
        accounts=(Involved(account_id="a", role="leader"), Involved(account_id="a", role="follower")),
    )


def test_an_account_with_two_roles_keeps_both() -> None:
    assert alert(finding("0.75"))["roles"] == {"a": "leader, follower"}


def test_what_is_below_the_line_is_a_note_and_no_alert() -> None:
    result = Result((finding("0.5"), finding("0.4")), {}, {}, {"copy_trading": 2}, {})
    said = as_data(Rows().book(), result, Problems())
    assert [each["score"] for each in said["alerts"]] == [0.5] and [each["score"] for each in said["notes"]] == [0.4]
    assert (said["counts"]["alerts"], said["counts"]["notes"]) == ({"copy_trading": 1}, 1)
