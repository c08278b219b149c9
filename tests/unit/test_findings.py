"""Findings as they are stored, and those of older formats as they are read."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from domain.surveillance import stored
from domain.surveillance.evidence import CopiedDeal, CopiedDeals, CorrectedVerdict, Figure, Figures, Table
from domain.surveillance.findings import CloseChallenges, DisputeBreach, Finding, Involved

AT = datetime(2014, 5, 2, 7, tzinfo=UTC)
COLUMNS: dict[str, Any] = {
    "key": "ladders/acc_a", "detector": "ladders", "at": AT, "score": Decimal("0.5000"), "sentence": "It climbs.",
}  # fmt: skip


class Ladder(Table):
    type: str = "ladder"
    steps: tuple[Decimal, ...]


def finding(**changed: Any) -> Finding:
    accounts = (Involved(account_id="acc_a", role="climber"), Involved(account_id="acc_b", role="bystander"))
    return Finding.model_validate({**COLUMNS, "accounts": accounts, "blamed": ("acc_a",), **changed})


def again(found: Finding) -> Finding:
    """The finding after a stay in the database."""
    return stored.read(json.loads(json.dumps(stored.write(found))), **COLUMNS)


def test_a_finding_is_read_back_as_it_was_stored() -> None:
    figure = Figure(name="Steps", measured=Decimal(7), threshold=Decimal(4), bound="at_least")
    copied = CopiedDeal(
        leader_deal=1, follower_deal=2, symbol="EURUSD", side="buy", lag_seconds=Decimal("7.1"), ratio=Decimal("0.500")
    )
    found = finding(
        detector_version=3,
        thresholds_version="12ab34cd",
        if_confirmed=DisputeBreach(proof_id="prf_1"),
        evidence=(Figures(figures=(figure,)), CopiedDeals(openings=9, pairs=(copied,))),
    )
    assert again(found) == found


def test_an_item_of_a_detectors_own_type_keeps_its_fields_and_is_a_table_to_whoever_does_not_know_it() -> None:
    ladder = Ladder(
        title="The ladder", columns=("Step", "Lots"), rows=(("1", "0.10"), ("2", "0.20")), steps=(Decimal("0.1"),)
    )
    (item,) = again(finding(evidence=(ladder,))).evidence
    assert type(item) is Table
    assert (item.type, item.title, item.columns, item.rows) == (
        "ladder", "The ladder", ("Step", "Lots"), (("1", "0.10"), ("2", "0.20")),
    )  # fmt: skip
    assert item.model_dump(mode="json")["steps"] == ["0.1"]


def test_a_table_has_a_cell_for_each_column_and_a_type_of_its_own() -> None:
    with pytest.raises(ValidationError, match="one cell per column"):
        Table(title="T", columns=("A", "B"), rows=(("1",),))

    class Figured(Table):
        type: str = "figures"

    with pytest.raises(ValidationError, match="the type figures is taken"):
        Figured(title="T", columns=("A",), rows=())


def test_only_accounts_of_the_finding_are_blamed() -> None:
    with pytest.raises(ValidationError, match="must be among the accounts"):
        finding(blamed=("acc_c",))


def test_copied_deals_of_the_first_format_blame_the_follower() -> None:
    pair = {
        "leader_deal": 11, "follower_deal": 12, "symbol": "XAUUSD", "side": "buy", "lag_seconds": "12.0",
        "ratio": "0.500",
    }  # fmt: skip
    old = {"leader": "acc_leo", "follower": "acc_tina", "openings": 6, "pairs": [pair]}
    found = stored.read(old, **COLUMNS)
    assert (found.in_role("leader"), found.in_role("follower")) == (("acc_leo",), ("acc_tina",))
    assert (found.blamed, found.if_confirmed) == (("acc_tina",), CloseChallenges())
    assert (found.sentence, found.score, found.thresholds_version) == ("It climbs.", Decimal("0.5000"), "")
    (item,) = found.evidence
    assert isinstance(item, CopiedDeals)
    assert (item.openings, item.pairs[0].follower_deal, item.pairs[0].lag_seconds) == (6, 12, Decimal("12.0"))


def test_a_corrected_verdict_of_the_first_format_blames_nobody_and_disputes_the_breach() -> None:
    old = {
        "proof_id": "prf_1",
        "verdict": {"kind": "breach", "sentence": "breached", "equity_minor": 9_499_000, "level_minor": 9_500_000},
        "corrected": {
            "stands": None, "sentence": "", "balance_minor": 1, "equity_minor": 2, "unknown": ["the quote before it"],
        },
        "correction": {"corrects_seq": 8, "bid": None, "ask": None, "change_minor": None, "reason": ""},
        "currency": "USD",
    }  # fmt: skip
    found = stored.read(old, **COLUMNS)
    assert (found.blamed, found.if_confirmed) == ((), DisputeBreach(proof_id="prf_1"))
    (item,) = found.evidence
    assert isinstance(item, CorrectedVerdict)
    assert (item.verdict.level_minor, item.corrected.stands, item.corrected.unknown) == (
        9_500_000, None, ("the quote before it",),
    )  # fmt: skip


def test_an_alert_without_evidence_blames_nobody() -> None:
    found = stored.read({}, **COLUMNS)
    assert (found.accounts, found.blamed, found.evidence) == ((), (), ())
