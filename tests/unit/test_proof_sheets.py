"""A proof sheet holds by itself, and no digit of it can be changed without being found."""

import copy
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from cli.proof import check as check_file
from domain.errors import BadInput
from domain.rules import proof
from domain.rules.check import check
from domain.rules.state import phase_terms
from monitor.accounts import Loaded
from monitor.shard import Shard
from tests.unit.test_monitor_three_ways import Shelf, batches, instruments
from tests.unit.venue_story import Story, product


def sheets(wanted: int = 12) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    seed = 0
    while len(found) < wanted:
        seed += 1
        random = Random(seed)
        terms = phase_terms(product(random), 1)
        shard = Shard(Shelf({1: Loaded("acc_1", "chl_1", 1, terms, "active", (), None)}), instruments)
        story = Story(random, [1])
        for _ in range(120):
            story.step()
        for batch in batches(story.events, random):
            shard.apply(batch)
        found += [fact.proof for fact in shard.harvest.verdicts]
    return found


SHEETS = sheets()


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of every number, text and truth value of a JSON document."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    elif value is not None:
        yield path


def changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    digits = [index for index, letter in enumerate(value) if letter.isdigit()]
    if not digits:
        return value + "x"
    last = digits[-1]
    return value[:last] + str((int(value[last]) + 1) % 10) + value[last + 1 :]


def test_there_are_sheets_of_both_kinds() -> None:
    assert {sheet["kind"] for sheet in SHEETS} == {"breach", "pass"}
    assert any(sheet["positions"] for sheet in SHEETS)


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda s: f"{s['kind']}-{s['proof_id'][-6:]}")
def test_every_changed_field_is_found(sheet: dict[str, Any]) -> None:
    assert check(sheet) == []
    for path in leaves(sheet):
        forged = copy.deepcopy(sheet)
        place = forged
        for step in path[:-1]:
            place = place[step]  # type: ignore[index]
        place[path[-1]] = changed(place[path[-1]])  # type: ignore[index]
        assert check(forged), path


def resealed(sheet: dict[str, Any]) -> dict[str, Any]:
    return {**sheet, "hash": proof.digest(sheet)}


def breach_with_positions() -> dict[str, Any]:
    return copy.deepcopy(next(s for s in SHEETS if s["kind"] == "breach" and s["positions"]))


def fields(sheet: dict[str, Any]) -> set[str]:
    return {difference.field for difference in check(resealed(sheet))}


def test_a_forger_who_seals_again_is_found_by_the_figures() -> None:
    sheet = breach_with_positions()
    sheet["positions"][0]["profit_minor"] += 1
    assert fields(sheet) == {"positions.0.profit_minor", "equity_minor"}

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


def test_a_sheet_that_proves_nothing_is_not_accepted() -> None:
    sheet = breach_with_positions()
    assert {d.field for d in check({})} >= {"hash", "proof_id"}
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
    assert check_file(file)
    assert "The sheet holds" in capsys.readouterr().out
    file.write_text(json.dumps({**SHEETS[0], "equity_minor": 1}))
    assert not check_file(file)
    assert "equity_minor" in capsys.readouterr().out
    file.write_text("[1]")
    with pytest.raises(BadInput, match="holds no proof sheet"):
        check_file(file)
    with pytest.raises(BadInput, match="cannot be read"):
        check_file(tmp_path / "none.json")
