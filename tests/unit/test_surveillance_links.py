"""Links of owners, and groups: evidence is summed, and what many share weighs nothing."""

from math import isclose

import pytest

from surveillance.groups import Edge, groups
from surveillance.links import Links, LinkWeights
from tests.books import Rows


def _owners(count: int) -> Rows:
    rows = Rows()
    for n in range(count):
        rows.account(f"a{n}", f"o{n}")
    return rows


def test_bits_and_prior_worked_by_hand() -> None:
    """Among 1,000 owners with 1 % doubles a pair starts at log2(10 / 499,500) = -15.61 bits. A device that two share,
    common to one in 6,000, adds log2(0.9 x 6,000 / 2) = 11.40; a card log2(0.9 x 21,000 / 2) = 13.21."""
    rows = _owners(1_000)
    for account in ("a0", "a1"):
        rows.identity(account, "device", "laptop")
        rows.identity(account, "card", "4242")
    link = Links(rows.book()).of(0, 1)
    assert [(each.kind, round(each.bits, 2)) for each in link.shared] == [("card", 13.21), ("device", 11.4)]
    assert isclose(link.bits, -15.61 + 13.21 + 11.40, abs_tol=0.02)
    assert isclose(link.strength, 1 / (1 + 2**-9.0), abs_tol=1e-3)
    assert link.proves == {"money", "machine"}


@pytest.mark.parametrize("kind", ["ip", "device", "card", "beneficiary", "address"])
def test_one_fact_alone_is_not_enough(kind: str) -> None:
    rows = _owners(400)
    for account in ("a0", "a1"):
        rows.identity(account, kind, "same")
    assert Links(rows.book()).relation(0, 1)[0] == "stranger"


def test_a_document_is_enough() -> None:
    rows = _owners(400)
    for account in ("a0", "a1"):
        rows.identity(account, "document", "passport")
    assert Links(rows.book()).relation(0, 1)[0] == "linked"


def test_a_household_shows_twice_what_it_is_once() -> None:
    rows = _owners(400)
    for account in ("a0", "a1"):
        rows.identity(account, "ip", "81.1.1.1")
        rows.identity(account, "address", "Main Street 1")
    assert Links(rows.book()).relation(0, 1)[0] == "stranger"


def test_what_thousands_share_is_counted_and_left_out() -> None:
    rows = _owners(400)
    for n in range(300):
        rows.identity(f"a{n}", "ip", "100.64.0.1")
    for n in range(200):
        rows.identity(f"a{n}", "beneficiary", "pool")
    links = Links(rows.book())
    assert links.too_common == 2
    assert links.relation(0, 1)[0] == "stranger"
    assert list(links.all()) == []


def test_a_rented_server_weighs_less_than_a_laptop() -> None:
    """Two kinds of the same few owners tie them; the same two kinds of a dozen do not."""
    for many, relation in ((2, "linked"), (12, "stranger")):
        rows = _owners(400)
        for n in range(many):
            rows.identity(f"a{n}", "ip", "45.1.1.1")
            rows.identity(f"a{n}", "device", "image")
        assert Links(rows.book()).relation(0, 1)[0] == relation


def test_an_address_that_was_given_out_again_ties_nobody() -> None:
    for days, relation in ((5, "linked"), (90, "stranger")):
        rows = _owners(400)
        for account, at in (("a0", 0.0), ("a1", days * 86_400.0)):
            rows.identity(account, "ip", "81.1.1.1", at)
            rows.identity(account, "device", "laptop", at)
        assert Links(rows.book(), LinkWeights(double_owners_pct=0.2)).relation(0, 1)[0] == relation


def test_accounts_of_one_owner_need_no_facts_and_unnamed_owners_are_nobody() -> None:
    rows = Rows()
    rows.account("a", "ann")
    rows.account("b", "ann")
    rows.account("c", " ")
    links = Links(rows.book())
    assert links.relation(0, 1) == ("same_owner", 1.0)
    assert links.relation(0, 2) == ("stranger", 1.0)


def _clique(*members: int) -> list[Edge]:
    return [Edge(one, other, 0.9) for one in members for other in members if one < other]


def test_two_groups_that_one_pair_joins_are_cut() -> None:
    found = groups([*_clique(1, 2, 3, 4), Edge(4, 5, 0.6), *_clique(5, 6, 7, 8)])
    assert [group.members for group in found] == [(1, 2, 3, 4), (5, 6, 7, 8)]
    assert [group.density for group in found] == [1.0, 1.0]


def test_a_star_is_a_group_with_a_hub() -> None:
    (star,) = groups([Edge(9, other, 0.9) for other in range(6)])
    assert (star.hub, star.hub_share, star.members) == (9, 1.0, (0, 1, 2, 3, 4, 5, 9))


def test_groups_are_the_same_in_any_order() -> None:
    edges = [*_clique(1, 2, 3), *_clique(10, 11), Edge(3, 4, 0.7)]
    assert groups(edges) == groups(edges[::-1])


def test_a_chain_is_cut_at_its_weakest_pairs_and_nobody_is_lost() -> None:
    found = groups([Edge(1, 2, 0.9), Edge(2, 3, 0.8), Edge(3, 4, 0.6), Edge(4, 5, 0.8), Edge(5, 6, 0.9)])
    assert [group.members for group in found] == [(1, 2, 3), (4, 5, 6)]
