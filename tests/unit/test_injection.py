"""Made-up firms: what is planted is in the files as its label says, and the same seed writes the same."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.injection import inject
from domain.errors import BadInput
from sandbox.injection.firm import Firm
from sandbox.injection.market import INSTRUMENTS, Market, Track
from sandbox.injection.plant import plant
from sandbox.injection.stories.catalogue import DECOYS, STORIES
from sandbox.injection.synthetic import synthetic_market

SECOND = 1_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "out"
    inject(out, accounts=40, stories=3, decoys=5, seed=3)
    return out


@pytest.fixture(scope="module")
def trades(folder: Path) -> dict[str, dict[str, str]]:
    return {row["trade_id"]: row for row in rows(folder / "trades.csv")}


def rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)


def labels(folder: Path) -> list[dict[str, Any]]:
    return list(json.loads((folder / "labels.json").read_text())["stories"])


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * SECOND)


def test_every_pattern_has_stories_of_three_grades_and_decoys(folder: Path) -> None:
    planted = labels(folder)
    for pattern in STORIES:
        assert {each["grade"] for each in planted if each["pattern"] == pattern} == {"easy", "medium", "hard"}
        decoys = {each["kind"] for each in planted if each["decoy_of"] == pattern}
        assert len(decoys) == len(DECOYS[pattern])


def test_labels_name_accounts_and_trades_of_the_files(folder: Path, trades: dict[str, dict[str, str]]) -> None:
    accounts = {row["account_id"] for row in rows(folder / "accounts.csv")}
    for each in labels(folder):
        assert set(each["accounts"]) <= accounts
        assert {trades[id]["account_id"] for id in each["trades"]} <= set(each["accounts"])
        assert each["trades"] or not each["pattern"] or each["pattern"] == "shared_identity"


def test_ids_do_not_tell_what_was_planted(folder: Path, trades: dict[str, dict[str, str]]) -> None:
    planted = [int(id[1:]) for each in labels(folder) for id in each["trades"]]
    assert min(planted) < len(trades) * 0.05 and max(planted) > len(trades) * 0.95


def test_a_copy_follows_its_leader(folder: Path, trades: dict[str, dict[str, str]]) -> None:
    story = next(each for each in labels(folder) if each["pattern"] == "copy_trading" and each["grade"] == "easy")
    leader = next(name for name, role in story["roles"].items() if role == "leader")
    opened = sorted(us(trades[id]["open_time"]) for id in story["trades"] if trades[id]["account_id"] == leader)
    copies = [us(trades[id]["open_time"]) for id in story["trades"] if trades[id]["account_id"] != leader]
    lags = [at - max(before for before in opened if before < at) for at in copies]
    assert len(copies) >= 0.9 * len(opened) and max(lags) < 60 * SECOND


def test_a_padded_day_is_tiny(folder: Path, trades: dict[str, dict[str, str]]) -> None:
    story = next(each for each in labels(folder) if each["pattern"] == "day_padding" and each["grade"] == "easy")
    by_day: dict[str, float] = {}
    for id in story["trades"]:
        day = trades[id]["open_time"][:10]
        by_day[day] = max(by_day.get(day, 0.0), float(trades[id]["lots"]))
    largest = max(by_day.values())
    assert sum(lots < 0.1 * largest for lots in by_day.values()) >= 2


def test_a_straddle_has_a_cancelled_order_of_the_other_side(folder: Path, trades: dict[str, dict[str, str]]) -> None:
    story = next(each for each in labels(folder) if each["pattern"] == "news_straddle")
    orders = [row for row in rows(folder / "orders.csv") if row["account_id"] in story["accounts"]]
    cancelled = [row for row in orders if row["state"] == "cancelled"]
    filled = {row["position_id"]: row for row in orders if row["state"] == "filled"}
    for id in story["trades"]:
        mine = filled[trades[id]["position_id"]]
        assert any(
            row["side"] != mine["side"] and abs(us(row["placed_at"]) - us(mine["placed_at"])) < 5 * SECOND
            for row in cancelled
        )


def test_ordinary_fills_are_the_quotes_of_the_market() -> None:
    """Bought at the ask and sold at the bid of the last quote; a stop closes at the first quote beyond it."""
    at = np.arange(5, dtype=np.int64) * SECOND
    bid = np.array([1.0, 1.001, 0.999, 0.990, 1.0])
    market = Market({"EURUSD": Track(at, bid, bid + 0.0001)}, INSTRUMENTS, (), 0, 10 * SECOND)
    bought = market.fills("EURUSD", 1, np.array([SECOND + 5]), np.array([5 * SECOND]), stop=0.005)
    assert (bought.open_price[0], bought.close_price[0], bought.closed[0]) == (1.0011, 0.990, 3 * SECOND)
    assert bought.profit[0] == pytest.approx(-1117.0)  # 111 pips of 10 USD, and a commission of 3.50 each way
    sold = market.fills("EURUSD", -1, np.array([SECOND + 5]), np.array([2 * SECOND]))
    assert (sold.open_price[0], sold.close_price[0]) == (1.001, 0.9991)


def test_the_same_seed_writes_the_same(folder: Path, tmp_path: Path) -> None:
    inject(tmp_path / "again", accounts=40, stories=3, decoys=5, seed=3)
    for name in ("trades.csv", "accounts.csv", "orders.csv", "identity.csv", "calendar.csv", "labels.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_stories_are_planted_into_files(folder: Path, tmp_path: Path) -> None:
    """What was there stays as it was, and copies have an account that was there as their leader."""
    before = {row["trade_id"]: row for row in rows(folder / "trades.csv")}
    owners = {row["account_id"] for row in rows(folder / "accounts.csv")}
    inject(tmp_path / "out", accounts=0, stories=3, decoys=0, seed=4, patterns=("copy_trading",), into=folder)
    after = {row["trade_id"]: row for row in rows(tmp_path / "out" / "trades.csv")}
    assert len(after) > len(before) and all(after[id] == row for id, row in before.items())
    real = [each for each in labels(tmp_path / "out") if each["kind"] == "copies of real trades"]
    assert len(real) == 3
    assert all(name in owners for each in real for name, role in each["roles"].items() if role == "leader")


def test_a_short_market_has_no_stories_that_take_weeks() -> None:
    rng = np.random.default_rng(1)
    firm = Firm(synthetic_market(rng, datetime(2024, 4, 1, tzinfo=UTC), 5), rng)
    plant(firm, 3, 1, ("style_change", "martingale"))
    assert {each.patterns[0] for each in firm.stories if each.patterns} == {"martingale"}


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"patterns": ("copying",)}, "pattern"),
        ({"into": Path("a"), "statement": Path("b")}, "into"),
        ({"prices": Path("nowhere")}, "prices"),
        ({"into": Path("nowhere")}, "into"),
    ],
)
def test_bad_input_names_the_field(tmp_path: Path, told: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as refused:
        inject(tmp_path / "out", accounts=1, stories=1, decoys=0, seed=1, **told)
    assert refused.value.field == field and refused.value.remedy


def test_a_folder_that_holds_files_is_not_written_to(folder: Path) -> None:
    with pytest.raises(BadInput, match="not an empty folder"):
        inject(folder, accounts=1, stories=1, decoys=0, seed=1)
