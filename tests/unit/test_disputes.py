"""Deadlines, people and votes of disputes as pure functions; and the evidence pack, checked from itself alone."""

import json
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from cli.main import app
from domain import dispute_pack
from domain.approvals import Vote
from domain.dispute_policy import DisputePolicy, appeal_until, people_needed
from domain.dispute_votes import decided
from domain.disputes import breach_is_final
from domain.money import Money
from firm.dispute_policies import load_policy

NOW = datetime(2014, 5, 5, 12, tzinfo=UTC)
POLICY = DisputePolicy(uphold_alone_up_to={"USD": Decimal(50_000)})


def vote(person: str, decision: str, *, role: str | None = "risk", digest: str = "d") -> Vote:
    return Vote(decision=decision, user_id=person, person_id=person, role_now=role, subject_digest=digest)


def test_the_time_to_appeal_is_days_of_the_policy() -> None:
    assert appeal_until(NOW, 1, POLICY) == NOW + timedelta(days=7)
    assert appeal_until(NOW, 2, POLICY) is None, "there is one appeal"


@pytest.mark.parametrize(
    ("minor", "currency", "uphold"), [(5_000_000, "USD", 1), (5_000_001, "USD", 2), (100, "EUR", 2)]
)
def test_a_large_account_and_an_unknown_currency_take_two_people(minor: int, currency: str, uphold: int) -> None:
    assert people_needed(POLICY, Money(minor=minor, currency=currency)) == {"uphold": uphold, "reinstate": 2}
    assert people_needed(POLICY, Money(minor=minor, currency=currency), about_breach=False)["uphold"] == 1


@pytest.mark.parametrize(
    ("votes", "verb"),
    [
        ([vote("a", "uphold")], "uphold"),
        ([vote("a", "reinstate")], None),
        ([vote("a", "reinstate"), vote("a", "reinstate")], None),
        ([vote("a", "reinstate"), vote("b", "reinstate")], "reinstate"),
        ([vote("a", "reinstate"), vote("b", "uphold")], None),
        ([vote("a", "reinstate"), vote("b", "uphold"), vote("c", "uphold")], "uphold"),
        ([vote("a", "reinstate"), vote("b", "reinstate", role="support")], None),
        ([vote("a", "reinstate"), vote("b", "reinstate", role=None)], None),
        ([vote("a", "reinstate"), vote("b", "reinstate", digest="other")], None),
    ],
)
def test_different_people_who_may_decide_now_must_agree_on_this_evidence(votes: list[Vote], verb: str | None) -> None:
    assert decided(votes, "d", {"uphold": 1, "reinstate": 2}) == verb


@pytest.mark.parametrize(
    ("now", "state", "until", "final"),
    [
        (NOW, None, None, True),
        (NOW - timedelta(1), None, None, False),
        (NOW, "awaiting_decision", None, False),
        (NOW, "upheld", None, True),
        (NOW, "upheld", NOW + timedelta(1), False),
        (NOW, "upheld", NOW, True),
        (NOW, "reinstated", None, False),
    ],
)
def test_a_breach_is_final_when_nothing_can_change_it(
    now: datetime, state: str | None, until: datetime | None, final: bool
) -> None:
    assert breach_is_final(now, NOW, state, until) is final


def test_the_shipped_policy_is_read_and_a_wrong_one_is_refused() -> None:
    assert load_policy().reinstate_people == 2
    with pytest.raises(ValidationError, match="not an amount in USD"):
        DisputePolicy(uphold_alone_up_to={"USD": Decimal("0.001")})


FILES = {"dispute.json": json.dumps({"id": "dsp_1", "breach_id": None}), "terms.json": "{}"}


def rewritten(change: Any) -> bytes:
    """The pack with its files changed, and the manifest left as it was."""
    with zipfile.ZipFile(BytesIO(dispute_pack.packed(FILES))) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    change(files)
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda files: files.update({"terms.json": '{"a": 1}'}), "terms.json was changed"),
        (lambda files: files.pop("terms.json"), "terms.json is missing"),
        (lambda files: files.update({"more.json": "{}"}), "more.json is not in the manifest"),
        (lambda files: files.update({"manifest.json": files["manifest.json"] + " "}), "The digest of the manifest is"),
    ],
)
def test_every_change_of_a_pack_is_found(change: Any, words: str) -> None:
    digest = dispute_pack.digest(FILES)
    assert dispute_pack.check(dispute_pack.packed(FILES), digest).problems == ()
    assert any(words in problem for problem in dispute_pack.check(rewritten(change), digest).problems)


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all"])
def test_what_is_no_pack_is_said_to_be_none(data: bytes) -> None:
    assert "no evidence pack" in dispute_pack.check(data).problems[0]


def test_a_breach_needs_its_proof_sheet_in_the_pack() -> None:
    files = {"dispute.json": json.dumps({"id": "dsp_1", "breach_id": "brc_1"})}
    assert dispute_pack.check(dispute_pack.packed(files)).problems == ("The breach or its proof sheet is missing.",)


def test_the_command_checks_a_file_without_a_database(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    good.write_bytes(dispute_pack.packed(FILES))
    bad.write_bytes(rewritten(lambda files: files.pop("terms.json")))
    done = CliRunner().invoke(app, ["dispute", "check", str(good), "--digest", dispute_pack.digest(FILES)])
    assert (done.exit_code, done.output.split(":")[0]) == (0, "Dispute dsp_1")
    refused = CliRunner().invoke(app, ["dispute", "check", str(bad), "--json"])
    assert refused.exit_code == 1 and json.loads(refused.output)["problems"] == ["terms.json is missing."]
