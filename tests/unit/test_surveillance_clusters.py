"""Owners whom identity facts tie together are one cluster; a shared office is none."""

from surveillance.clusters import clusters_of
from tests.books import Rows


def test_owners_with_one_card_and_one_device_are_a_cluster_and_an_office_is_none() -> None:
    rows = Rows()
    for n in range(40):
        rows.account(f"a{n:02}", owner=f"o{n:02}")
        rows.identity(f"a{n:02}", "ip", "the office")
    for account in ("a03", "a07"):
        rows.identity(account, "card", "4242")
        rows.identity(account, "device", "laptop")
    assert clusters_of(rows.book()) == {"o03": "o03", "o07": "o03"}


def test_nobody_is_in_a_cluster_without_facts() -> None:
    rows = Rows()
    rows.account("a")
    assert clusters_of(rows.book()) == {}
