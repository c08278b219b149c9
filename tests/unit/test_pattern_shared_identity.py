"""Shared identity: several kinds of proof together tie owners; no shared place does."""

from decimal import Decimal

from domain.surveillance.evidence import Table
from domain.surveillance.findings import Finding
from surveillance.pattern import Limits
from surveillance.patterns.shared_identity import SharedIdentity, SharedIdentityThresholds
from tests.books import Rows


def firm(owners: int = 400) -> Rows:
    rows = Rows()
    for n in range(owners):
        rows.account(f"a{n}", f"o{n}", opened=float(n))
        rows.identity(f"a{n}", "device", f"own {n}")
    return rows


def share(rows: Rows, accounts: range, *kinds: str, value: str = "same") -> None:
    for n in accounts:
        for kind in kinds:
            rows.identity(f"a{n}", kind, value)


def judged(rows: Rows) -> tuple[Finding, ...]:
    return SharedIdentity(Limits(SharedIdentityThresholds())).judge(rows.book()).findings


def test_a_ring_with_one_card_and_one_device_is_found() -> None:
    rows = firm()
    share(rows, range(3, 7), "card", "device")
    rows.account("second", "o3", opened=9_999.0)
    (finding,) = judged(rows)
    assert finding.key == "shared_identity/a3"
    assert finding.sentence == "4 traders with 5 accounts share the same payment card and the same device."
    assert finding.in_role("member") == ("a3", "a4", "a5", "a6", "second")
    assert (finding.relation, finding.severity, finding.deals) == ("linked", "review", ())
    assert finding.link_strength > Decimal("0.9")


def test_values_are_masked() -> None:
    rows = firm()
    share(rows, range(2), "card", "device", value="4242 4242 4242 4242")
    (finding,) = judged(rows)
    (table,) = [each for each in finding.evidence if isinstance(each, Table)]
    assert "4242" not in str(table.rows)
    assert len(table.rows) == 2


def test_a_document_is_enough_however_many_show_it() -> None:
    rows = firm()
    share(rows, range(5), "document")
    (finding,) = judged(rows)
    assert len(finding.accounts) == 5


def test_places_are_spared() -> None:
    rows = firm()
    share(rows, range(20), "ip", value="office")
    share(rows, range(20, 22), "ip", "address", value="household")
    share(rows, range(30, 50), "device", value="computers of one model")
    share(rows, range(60, 85), "beneficiary", value="a payment company")
    share(rows, range(100, 112), "ip", "device", value="a rented server")
    share(rows, range(400), "ip", value="a carrier")
    assert judged(rows) == ()


def test_somebody_in_an_office_with_a_pooled_account_is_spared() -> None:
    rows = firm()
    share(rows, range(20), "ip", value="office")
    share(rows, range(15, 40), "beneficiary", value="a payment company")
    assert judged(rows) == ()


def test_two_rings_with_one_weak_tie_are_two() -> None:
    rows = firm()
    share(rows, range(4), "card", "device", value="first")
    share(rows, range(4, 8), "card", "device", value="second")
    for n in (3, 4):
        rows.identity(f"a{n}", "card", "third")
        rows.identity(f"a{n}", "ip", "third")
    assert [len(finding.accounts) for finding in judged(rows)] == [4, 4]


def test_without_facts_it_cannot_judge() -> None:
    rows = Rows()
    rows.account("a")
    told = SharedIdentity(Limits(SharedIdentityThresholds())).judge(rows.book())
    assert (told.findings, told.cannot_judge) == ((), "no identity facts were given")
