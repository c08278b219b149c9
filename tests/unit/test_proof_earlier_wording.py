"""Sheets that were sealed before the wording of their sentences changed still check, and their forgeries are found."""

import json
from pathlib import Path
from typing import Any

import pytest

from domain.proofs.check import check
from domain.proofs.earlier_wording import same_sentence
from tests.unit.proof_forgeries import GIVEN, forgeries, resealed


def earlier() -> list[dict[str, Any]]:
    """Sheets of an earlier version, stored with the product of each group once."""
    groups = json.loads((Path(__file__).parent / "earlier_sheets.json").read_text())
    return [{**sheet, "product": group["product"]} for group in groups for sheet in group["sheets"]]


SHEETS = earlier()


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: str(sheet["proof_id"]))
def test_an_earlier_sheet_still_checks(sheet: dict[str, Any]) -> None:
    assert check(sheet) == []


@pytest.mark.parametrize("sheet", SHEETS[::3], ids=lambda sheet: str(sheet["proof_id"]))
def test_a_forgery_of_an_earlier_sheet_is_found(sheet: dict[str, Any]) -> None:
    for where, forged in forgeries({name: part for name, part in sheet.items() if name != "product"}):
        # these terms count from the first trade, so the instant of the funding decides nothing
        if where not in ("hash", "facts.funded_at") and not GIVEN.fullmatch(where):
            assert check(resealed({**forged, "product": sheet["product"]})), where


@pytest.mark.parametrize(
    "stated",
    [
        "7 lots were open at once; allowed is 3.",
        "6 lots were open at once; allowed is 3",
        "6 lots were open at once, allowed is 3.",
        "6 lots were stolen at once; allowed is 3.",
    ],
)
def test_only_a_known_wording_with_the_same_figures_is_accepted(stated: str) -> None:
    recomputed = "6 lots were open at the same time; the limit is 3."
    assert same_sentence("6 lots were open at once; allowed is 3.", recomputed)
    assert not same_sentence(stated, recomputed)
