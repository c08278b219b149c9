"""The buyers of a demo firm: seeded personas of different temper, with habits that produce every outcome.

A persona depends only on (seed, number), so the order of events does not change it.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cli.stack.venues import SANDBOX, product_at
from sandbox.bank.ibans import iban_of

_FIRST: Final = (
    "Mara", "Jonas", "Amira", "Tomás", "Ingrid", "Kwame", "Yuki", "Pavel", "Leila", "Diego", "Anneli", "Ravi",
    "Chiara", "Emeka", "Sofie", "Mateusz", "Nadia", "Liam", "Hana", "Oskar", "Priya", "Luca", "Fatou", "Erik",
)  # fmt: skip
_LAST: Final = (
    "Lindqvist", "Novák", "Haddad", "Oliveira", "Mensah", "Tanaka", "Petrov", "García", "Kask", "Sharma", "Ricci",
    "Okafor", "Jensen", "Kowalski", "Rahimi", "Walsh", "Sato", "Nilsson", "Iyer", "Moretti", "Diallo", "Berg",
)  # fmt: skip
_COUNTRIES: Final = ("SE", "CZ", "DE", "PT", "GH", "JP", "ES", "EE", "IN", "IT", "NG", "DK", "PL", "IE", "NO")
_PRODUCTS: Final = (("two-step", 4), ("one-step-futures", 3), ("instant", 3))
PRODUCTS: Final = tuple(name for name, _ in _PRODUCTS)
_TEMPERS: Final = (
    ("careful", 15), ("gambler", 25), ("martingale", 10), ("news", 15), ("reckless", 5), ("idle", 7),
    ("steady", 18), ("copier", 10),
)  # fmt: skip
# What must happen in every run happens to these, counted within each forty buyers.
_CYCLE: Final = 40
_WON, _LOST, _ASKED, _REFUNDED = 5, 12, 23, 31
_PAID: Final = (2, 17, 34)  # careful winners on an account that pays at once, so that there are payouts to come back
_PAID_AT_ACQUIRER: Final = 34
_COPIED, _COPIES = 8, 9  # a busy winner, and who repeats each of its trades seconds later; both are paid at once
_PICKED: Final = (_WON, _LOST, _ASKED, _REFUNDED, *_PAID, _COPIED, _COPIES)


@dataclass(frozen=True)
class Persona:
    """One buyer. The booleans are habits; whether they take effect depends on the account's history."""

    number: int
    seed: int
    name: str
    email: str
    country: str
    iban: str
    product: str
    temper: str
    leader: int | None
    abandons_checkout: bool
    wants_refund: bool
    charges_back: bool
    disputes: bool
    identity_holds: bool
    pays: Literal["card", "bank_debit", "declined"] = "card"  # declined: with a second card, after a declined one
    connects: bool = False  # is paid into an account at the acquirer, not by bank transfer
    bank_asks_first: bool = False  # the bank asks the firm before it takes the payment back
    bank_believes_buyer: bool = False
    refunded_at_desk: bool = False
    appeals: bool = False  # against what is decided about its trading
    venue: str = SANDBOX


def _pick(rng: random.Random, table: tuple[tuple[str, int], ...]) -> str:
    return rng.choices([name for name, _ in table], [weight for _, weight in table])[0]


def personas(count: int, seed: int, venues: Sequence[str] = (SANDBOX,)) -> list[Persona]:
    """Returns `count` personas, an equal share of them on each venue. A copier follows the account of another persona
    of this run, on the same venue, who trades often."""
    people: list[Persona] = []
    for place, venue in enumerate(venues):
        share = count // len(venues) + (place < count % len(venues))
        people += _personas_at(venue, share, seed, len(people))
    return people


def _personas_at(venue: str, count: int, seed: int, begin: int) -> list[Persona]:
    """`begin`: number of the first."""
    people: list[Persona] = []
    for number in range(begin, begin + count):
        rng = random.Random(f"persona/{seed}/{number}" if venue == SANDBOX else f"persona/{seed}/{venue}/{number}")
        first, last = rng.choice(_FIRST), rng.choice(_LAST)
        place, temper = (number - begin) % _CYCLE, _pick(rng, _TEMPERS)
        waits = place == _REFUNDED and venue != SANDBOX  # for the refund at the desk, in an account that lives
        if place in _PAID or waits:
            temper = "idle" if waits else "steady"
        leaders = [p for p in people if p.temper in ("news", "careful", "martingale")]
        if temper == "copier" and not leaders:
            temper = "careful"
        leader = rng.choice(leaders) if temper == "copier" else None
        if place in (_COPIED, _COPIES):
            temper, leader = ("busy", None) if place == _COPIED else ("copier", people[-1])
        # a copier buys the product of its leader: copying works best under the same rules
        wanted = "instant" if place in (*_PAID, _COPIED, _COPIES) else "two-step" if waits else ""
        product = leader.product if leader and not wanted else product_at(venue, wanted or _pick(rng, _PRODUCTS))
        people.append(
            Persona(
                number=number,
                seed=rng.randrange(2**31),
                name=f"{first} {last}",
                email=f"{first}.{last}.{number}@example.org".lower().replace("á", "a").replace("í", "i"),
                country=rng.choice(_COUNTRIES),
                iban=iban_of(f"trader {seed}/{number}"),
                product=product,
                temper=temper,
                leader=leader.number if leader else None,
                abandons_checkout=place not in _PICKED and rng.random() < 0.02,
                wants_refund=temper == "idle" and rng.random() < 0.4,
                charges_back=place in (_WON, _LOST, _ASKED) or (place not in _PICKED and rng.random() < 0.02),
                disputes=rng.random() < 0.25,
                identity_holds=place in (*_PAID, _COPIED, _COPIES) or rng.random() > 0.03,
                pays=_pays(place, rng),
                connects=place == _PAID_AT_ACQUIRER or (place not in (*_PAID, _COPIED, _COPIES) and rng.random() < 0.3),
                bank_asks_first=place == _ASKED,
                bank_believes_buyer=place == _LOST,
                refunded_at_desk=place == _REFUNDED,
                appeals=place == _COPIES,
                venue=venue,
            )
        )
    return people


def _pays(place: int, rng: random.Random) -> Literal["card", "bank_debit", "declined"]:
    drawn = rng.random()
    if place in _PICKED:
        return "card"
    return "bank_debit" if drawn < 0.06 else "declined" if drawn < 0.14 else "card"
