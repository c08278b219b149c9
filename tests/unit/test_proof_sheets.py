"""A proof sheet holds by itself, and no digit of it can be changed without being found."""

import copy
import json
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli.proof import check as check_file
from cli.reports.proof import tables
from console import templating
from console.present import proof as page
from domain.errors import BadInput
from domain.proofs.check import check
from domain.proofs.document import document
from domain.proofs.figures import label
from domain.proofs.sheets import read
from tests.unit.proof_forgeries import GIVEN, forgeries, resealed
from tests.unit.proof_samples import samples

SHEETS = samples()
NAMES = [f"{sheet['kind']}-{sheet['proof_id'][-8:]}-{number}" for number, sheet in enumerate(SHEETS)]


def test_there_are_sheets_of_every_kind_and_source() -> None:
    assert {sheet["kind"] for sheet in SHEETS} == {"breach", "pass", "violation", "gate", "payout_refusal"}
    money = [sheet for sheet in SHEETS if "source" in sheet]
    assert {sheet["source"]["source"] for sheet in money} == {"quotes", "state", "statement", "bar"}
    assert any(sheet["positions"] for sheet in money) and any(sheet["loss_clock"] for sheet in money)
    floors = [sheet["rule"]["floor"] for sheet in SHEETS if sheet["kind"] == "breach"]
    assert {floor["direction"] for floor in floors} == {"floor", "ceiling"}
    assert any(floor["locked_by_payout"] for floor in floors)
    assert any(floor["basis"]["payouts_minor"] for floor in floors)
    assert any(len(sheet["rule"]["worth"]) > 2 for sheet in SHEETS if sheet["kind"] == "breach")


@pytest.mark.parametrize("sheet", SHEETS, ids=NAMES)
def test_every_changed_figure_is_found(sheet: dict[str, Any]) -> None:
    assert check(json.loads(json.dumps(sheet))) == []
    for where, forged in forgeries(sheet):
        assert check(forged), where


@pytest.mark.parametrize("sheet", SHEETS[8:], ids=NAMES[8:])
def test_who_seals_a_forgery_again_is_found_by_what_follows_from_it(sheet: dict[str, Any]) -> None:
    for where, forged in forgeries(sheet):
        if where != "hash" and not GIVEN.fullmatch(where):
            assert check(resealed(forged)), where


@pytest.mark.parametrize("sheet", [s for s in SHEETS if s.get("history")], ids=lambda s: s["proof_id"])
def test_nothing_that_moved_nothing_can_be_slipped_in(sheet: dict[str, Any]) -> None:
    events = sheet["history"]["events"]
    quiet = {"type": "marked", "seq": 1, "at": "2025-03-06T08:00:00+00:00", "balance_minor": 1}
    for odd in (quiet, {**quiet, "balance_minor": 1.5}, {"type": "nonsense"}, {**quiet, "at": "2025-03-06T08:00:00"}):
        slipped = {**sheet, "history": {**sheet["history"], "events": [*events, odd]}}
        assert check(resealed(slipped)), odd
    if sheet["kind"] == "violation":
        assert check(resealed({**sheet, "history": {**sheet["history"], "events": events[:-1]}}))


def breach_with_positions() -> dict[str, Any]:
    floors = (s for s in SHEETS if s["kind"] == "breach" and s["rule"]["floor"]["direction"] == "floor")
    return copy.deepcopy(next(s for s in floors if s["positions"] and s["positions"][0]["profit_minor"]))


def fields(sheet: dict[str, Any]) -> set[str]:
    return {difference.field for difference in check(resealed(sheet))}


def test_a_forger_who_seals_again_is_found_by_the_figures() -> None:
    sheet = breach_with_positions()
    sheet["positions"][0]["profit_minor"] += 1
    assert {"positions.0.profit_minor", "equity_minor"} <= fields(sheet)

    sheet = breach_with_positions()
    quote = sheet["positions"][0]["quote"]
    side = "bid" if sheet["positions"][0]["side"] == "buy" else "ask"
    quote[side] = str(Decimal(quote[side]) + 1)
    assert "positions.0.close_price" in fields(sheet)

    sheet = breach_with_positions()
    sheet["rule"]["floor"]["floor_minor"] += 100_000_000
    assert "rule.floor.floor_minor" in fields(sheet)

    sheet = breach_with_positions()
    sheet["balance"]["movements"].append(
        {"seq": 1, "at": "2014-05-02T00:00:00Z", "kind": "deal", "reference": "x", "amount_minor": 5}
    )
    assert "balance.balance_minor" in fields(sheet)

    sheet = breach_with_positions()
    sheet["product"]["terms"]["phases"][0]["rules"][0]["allowance"]["value"] = "7"
    assert "product.content_hash" in fields(sheet)


@pytest.mark.parametrize("kind", ["breach", "pass"])
def test_open_positions_cannot_be_left_out_of_a_verdict_that_depends_on_them(kind: str) -> None:
    sheet = breach_with_positions() if kind == "breach" else next(s for s in SHEETS if s["kind"] == "pass")
    sheet = copy.deepcopy(sheet) | {"source": {"source": "balance"}, "positions": []}
    sheet["equity_minor"] = sheet["balance"]["balance_minor"]
    assert "source" in fields(sheet)


def test_a_sheet_that_proves_nothing_is_not_accepted() -> None:
    sheet = breach_with_positions()
    assert {d.field for d in check({})} >= {"hash", "kind"}
    assert "surprise" in {d.field for d in check({**sheet, "surprise": 1})}
    lost = copy.deepcopy(sheet)
    lost["account"]["phase_index"] = 9
    assert "account.phase_index" in fields(lost)
    innocent = copy.deepcopy(sheet)
    gain = 100_000_000
    innocent["balance"]["opening_minor"] += gain
    innocent["balance"]["balance_minor"] += gain
    innocent["equity_minor"] += gain
    assert "verdict" in fields(innocent)


def test_the_command_reads_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sheet.json"
    file.write_text(json.dumps(SHEETS[0], indent=2))
    assert check_file([file])
    assert "The sheet holds" in capsys.readouterr().out
    file.write_text(json.dumps({**SHEETS[0], "equity_minor": 1}))
    assert not check_file([file])
    assert "equity_minor" in capsys.readouterr().out
    file.write_text("[1]")
    with pytest.raises(BadInput, match="holds no proof sheet"):
        check_file([file])
    with pytest.raises(BadInput, match="cannot be read"):
        check_file([tmp_path / "none.json"])


@pytest.mark.parametrize("sheet", SHEETS, ids=NAMES)
def test_every_kind_is_shown_to_people(sheet: dict[str, Any]) -> None:
    console = Console(record=True, width=240)
    for table in tables(document(read(sheet), sheet["hash"])):
        console.print(table)
    text = console.export_text()
    clock = sheet["clock"]
    assert {sheet["hash"], sheet["proof_id"]} <= set(text.split()) | {sheet["proof_id"]}
    assert clock["zone"] in text and clock["local_time"] in text and "UTC" in text
    if sheet["kind"] == "breach":
        assert all(label(step["name"]) in text for step in sheet["rule"]["floor"]["steps"])
    if sheet["kind"] == "payout_refusal":
        assert all(refusal["code"] in text for refusal in sheet["refusals"])
    shown = page.view(sheet, "A-10001", "sandbox")
    assert shown.differences == [] and shown.document.digest == sheet["hash"]
    has_money = any(part.title == "Balance and equity" for part in shown.document.findings)
    assert has_money == (sheet["kind"] in ("breach", "pass"))


@pytest.mark.parametrize("sheet", SHEETS, ids=NAMES)
def test_terminal_and_page_show_the_same_words(sheet: dict[str, Any]) -> None:
    shown = document(read(sheet), sheet["hash"], "A-10001")
    console = Console(record=True, width=2000)
    for table in tables(shown):
        console.print(table)
    terminal = console.export_text()
    values = {"proof": page.view(sheet, "A-10001", "sandbox"), "platform_names": ("live", "sandbox")}
    html = unescape(templating.fragment("proof.html", "main", values))
    assert "on sandbox" in html
    for part in (*shown.context, *shown.findings):
        assert part.title in terminal and part.title in html
        for row in part.rows:
            assert row.label in terminal and row.label in html
            assert row.value in terminal and row.value in html
    for listed in shown.tables:
        texts = [listed.title, *(column.name for column in listed.columns)] if listed.rows else [listed.empty]
        for text in (*texts, *(cell for row in listed.rows for cell in row)):
            assert text in terminal and text in html


@pytest.mark.parametrize("sheet", SHEETS[-6:], ids=NAMES[-6:])
def test_the_command_tells_what_differs_in_any_kind(
    sheet: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sheet.json"
    file.write_text(json.dumps(sheet))
    assert check_file([file])
    file.write_text(json.dumps({**sheet, "verdict": "all is well"}))
    assert not check_file([file])
    assert "verdict" in capsys.readouterr().out
