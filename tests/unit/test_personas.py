"""Whatever the seed, each forty buyers of the demo have those whose payouts and payments come back."""

import pytest

from cli.demo.personas import personas
from cli.stack.venues import SANDBOX, TRADOVATE, product_at


@pytest.mark.parametrize("seed", range(20))
def test_each_forty_buyers_have_payouts_and_chargebacks_to_come_back(seed: int) -> None:
    people = personas(120, seed)
    for forty in (people[:40], people[40:80], people[80:]):
        paid = [p for p in forty if p.temper == "steady" and p.product == "instant" and p.pays == "card"]
        paid = [p for p in paid if p.identity_holds and not (p.charges_back or p.refunded_at_desk)]
        assert {p.connects for p in paid} == {False, True} and len(paid) >= 3
        against = {(p.bank_asks_first, p.bank_believes_buyer) for p in forty if p.charges_back and p.pays == "card"}
        assert against >= {(False, False), (False, True), (True, False)}
        assert any(p.refunded_at_desk for p in forty)


def test_each_venue_has_its_share_of_buyers_and_every_habit() -> None:
    both = personas(81, 7, (SANDBOX, TRADOVATE))
    here, there = both[:41], both[41:]
    assert here == personas(41, 7), "the sandbox's buyers are those of a demo without other venues"
    assert [person.number for person in both] == list(range(81))
    assert {person.venue for person in there} == {TRADOVATE}
    assert all(person.product.endswith(TRADOVATE) for person in there)
    assert all(there[0].number <= person.leader for person in there if person.leader is not None)
    paid = [p for p in there if p.temper == "steady" and p.product == product_at(TRADOVATE, "instant")]
    assert len(paid) >= 3
    assert any(p.refunded_at_desk and p.temper == "idle" for p in there)
    assert {(p.bank_asks_first, p.bank_believes_buyer) for p in there if p.charges_back} >= {
        (True, False),
        (False, True),
    }
