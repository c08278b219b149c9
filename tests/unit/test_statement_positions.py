"""Rules about positions that a statement decides at its end, or cannot decide."""

from pathlib import Path
from typing import Any

import pytest

from adapters.statements.read import read_statement
from domain.histories.what_if import WhatIf, judge
from domain.products.product import Product
from domain.proofs.check import check
from tests.shelf import shipped
from tests.statement_tables import mt5_tables

DEPOSIT = "2025.03.03 08:00:00|101||balance|||||0.00|0.00|0.00|100 000.00|100 000.00|"


def judged(folder: Path, lots: list[str], **rule: Any) -> WhatIf:
    """A statement with trades of these lots, one after the other, each without a result, under one more rule."""
    deals, rows = [DEPOSIT], []
    for number, size in enumerate(lots):
        opened, closed, order = f"2025.03.03 {9 + number:02}:00:00", f"2025.03.03 {9 + number:02}:30:00", 200 + number
        for at, deal, side, way in ((opened, 300, "buy", "in"), (closed, 400, "sell", "out")):
            deals.append(f"{at}|{deal + number}|EURUSD|{side}|{way}|{size}|1.05|{order}|0.00|0.00|0.00|0.00|100000.00|")
        rows.append(f"{opened}|{order}|EURUSD|buy|{size}|1.05|||{closed}|1.05|0.00|0.00|0.00")
    path = folder / "report.html"
    path.write_bytes(mt5_tables(deals, rows).encode("utf-16"))
    sold = next(product for product in shipped() if product.product == "two-step")
    terms = sold.model_dump(mode="json")
    terms["phases"][0]["rules"].append(rule)
    terms["phases"][0]["min_trading_days"] = 0
    return judge(read_statement(path, "UTC", None), Product.model_validate(terms))


def test_the_average_is_judged_at_the_end_of_a_statement(tmp_path: Path) -> None:
    band = {"type": "lot_size_band", "reference": "average_of_closed", "max_multiple": "2"}
    assert judged(tmp_path, ["1", "1", "4"], **band).replay.breaches == ()
    [breach] = judged(tmp_path, ["1", "1", "1", "4"], **band).replay.breaches
    assert (breach.rule_id, breach.figures["max_lots"]) == ("lot_size_band", 3.5)
    assert breach.proof is not None
    assert check(breach.proof) == []


def test_a_rule_about_stops_is_not_judged(tmp_path: Path) -> None:
    found = judged(tmp_path, ["1"], type="max_exposure", limit="0.5", only="without_stop")
    assert "when it was set" in found.not_judged["max_exposure"]
    assert found.replay.breaches == ()


@pytest.mark.parametrize(
    "condition",
    [
        {"min_trade_value": {"type": "amount", "value": "1"}},
        {"min_abs_pnl": {"type": "pct_of_trade_value", "value": "0"}},
    ],
)
def test_a_rule_about_the_value_of_trades_is_not_judged(tmp_path: Path, condition: dict[str, Any]) -> None:
    days = {"type": "trading_day_count", "id": "valued", "counts": "day_with_qualifying_close", "required": 1}
    found = judged(tmp_path, ["1"], **days, **condition, blocks=["pass"])
    assert "value of positions" in found.not_judged["valued"]
    assert "valued" not in {gate.id for gate, _ in found.replay.gates}


def test_a_rule_about_closes_of_any_value_is_judged(tmp_path: Path) -> None:
    days = {"type": "trading_day_count", "id": "closes", "counts": "day_with_qualifying_close", "required": 1}
    found = judged(tmp_path, ["1"], **days, blocks=["pass"])
    assert found.not_judged == {}
    assert [status.met for gate, status in found.replay.gates if gate.id == "closes"] == [True]


def test_every_offence_of_a_statement_has_a_proof(tmp_path: Path) -> None:
    too_large = {"type": "max_exposure", "limit": "2", "consequences": [{"kind": "warn"}]}
    breaches = judged(tmp_path, ["3"] * 12, **too_large).replay.breaches
    assert [breach.offence for breach in breaches] == list(range(1, 13))
    for breach in breaches:
        assert breach.proof is not None and check(breach.proof) == []
