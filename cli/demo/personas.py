"""The buyers of a demo firm: seeded personas of different temper, with habits that produce every outcome.

A persona depends only on (seed, number), so the order of events does not change it.
"""

import random
from dataclasses import dataclass
from typing import Final

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
_TEMPERS: Final = (
    ("careful", 15), ("gambler", 25), ("martingale", 10), ("news", 15), ("reckless", 5), ("idle", 7),
    ("steady", 18), ("copier", 10),
)  # fmt: skip


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


def german_iban(rng: random.Random) -> str:
    """Returns a made-up IBAN with valid check digits (ISO 13616: letters count from A = 10, modulo 97)."""
    account = f"{rng.randrange(10**18):018d}"
    check = 98 - int(f"{account}131400") % 97
    return f"DE{check:02d}{account}"


def _pick(rng: random.Random, table: tuple[tuple[str, int], ...]) -> str:
    return rng.choices([name for name, _ in table], [weight for _, weight in table])[0]


def personas(count: int, seed: int) -> list[Persona]:
    """Returns `count` personas. A copier follows the account of another persona of this run who trades often."""
    people: list[Persona] = []
    for number in range(count):
        rng = random.Random(f"persona/{seed}/{number}")
        first, last = rng.choice(_FIRST), rng.choice(_LAST)
        temper = _pick(rng, _TEMPERS)
        leaders = [p for p in people if p.temper in ("news", "careful", "martingale")]
        if temper == "copier" and not leaders:
            temper = "careful"
        leader = rng.choice(leaders) if temper == "copier" else None
        # a copier buys the product of its leader: copying works best under the same rules
        product = leader.product if leader else _pick(rng, _PRODUCTS)
        people.append(
            Persona(
                number=number,
                seed=rng.randrange(2**31),
                name=f"{first} {last}",
                email=f"{first}.{last}.{number}@example.org".lower().replace("á", "a").replace("í", "i"),
                country=rng.choice(_COUNTRIES),
                iban=german_iban(rng),
                product=product,
                temper=temper,
                leader=leader.number if leader else None,
                abandons_checkout=rng.random() < 0.02,
                wants_refund=temper == "idle" and rng.random() < 0.4,
                charges_back=rng.random() < 0.02,
                disputes=rng.random() < 0.25,
                identity_holds=rng.random() > 0.03,
            )
        )
    return people
