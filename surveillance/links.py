"""Whose accounts they are: the evidence that two owners are one hand, summed in bits.

The model is Fellegi and Sunter's: a value that two owners share is worth log2(m / u) bits, m the chance that one hand
shows the same value twice, u the chance that two strangers do, which is the value's own frequency. Each pair starts far
below zero, because most pairs of owners are strangers. A value of k owners also loses the bits to choose one pair among
its k (k - 1) / 2, a card or a beneficiary only when there are many, a document never: an office, a carrier's address,
a pooled beneficiary weigh nothing. Kinds that prove the same thing are not counted twice: address and IP both prove a
household, card and beneficiary both prove one purse.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import log2
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from domain.surveillance.findings import Relation
from surveillance.book import DAY, IDENTITY_KINDS, Book

Proof = Literal["household", "machine", "money", "person"]
PROVES: Final[Mapping[str, Proof]] = {
    "ip": "household",
    "address": "household",
    "device": "machine",
    "card": "money",
    "beneficiary": "money",
    "document": "person",
}
_AGAIN: Final = 0.25  # what a second kind that proves the same thing still adds
_MOST_BITS: Final = 40.0


class LinkWeights(BaseModel):
    """`*_commonness`: how many owners there would have to be until a value is expected to be shared by chance; the less
    a kind is shared by strangers, the larger. `double_owners_pct`: how many owners are expected to act twice.
    `purse_pairs_spared`: so many pairs may share a card or a beneficiary (ten: five owners) before its bits shrink; few
    but one hand share a purse, while many share a place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ip_commonness: int = Field(default=5_000, ge=1)
    device_commonness: int = Field(default=5_000, ge=1)
    address_commonness: int = Field(default=10_000, ge=1)
    card_commonness: int = Field(default=20_000, ge=1)
    beneficiary_commonness: int = Field(default=20_000, ge=1)
    document_commonness: int = Field(default=10_000_000, ge=1)
    same_hand_repeats_pct: int = Field(default=90, ge=1, le=100)
    double_owners_pct: float = Field(default=1.0, gt=0, le=100)
    max_owners_of_a_value: int = Field(default=50, ge=2)
    purse_pairs_spared: int = Field(default=10, ge=1)
    ip_shared_within_days: int = Field(default=30, ge=1)


@dataclass(frozen=True)
class Shared:
    """A value that two owners share. `owners`: how many have it in all. `bits`: what it is worth for this pair."""

    kind: str
    value: int
    owners: int
    bits: float


@dataclass(frozen=True)
class Link:
    """What ties two owners. `bits`: of all evidence with the prior; `strength`: the same as a probability."""

    one: int
    other: int
    shared: tuple[Shared, ...]
    bits: float

    @property
    def strength(self) -> float:
        return float(1.0 / (1.0 + 2.0 ** -min(max(self.bits, -_MOST_BITS), _MOST_BITS)))

    @property
    def proves(self) -> frozenset[Proof]:
        return frozenset(PROVES[each.kind] for each in self.shared)


def links_of(book: Book, weights: LinkWeights | None = None) -> "Links":
    """Returns the links of the owners of the whole firm; several patterns ask for them, and they are read once."""
    chosen, firm = weights or LinkWeights(), book.firm
    return firm.once(("links", chosen), lambda: Links(firm, chosen))


class Links:
    """The identity facts of a book, by owner. `too_common`: values of so many owners that they were left out."""

    def __init__(self, book: Book, weights: LinkWeights | None = None) -> None:
        self._book = book
        self._weights = weights or LinkWeights()
        self.owners = len(book.accounts.owners)
        self.too_common = 0
        self._by_owner: dict[int, set[tuple[str, int]]] = defaultdict(set)
        self._seen: dict[tuple[int, str, int], list[int]] = defaultdict(list)
        self._owners_of: dict[tuple[str, int], tuple[int, ...]] = {}
        self._read(book)

    def relation(self, one: int, other: int) -> tuple[Relation, float]:
        """Returns how two accounts belong together, and how sure that is: 1 for what the record says itself."""
        owner, second = int(self._book.accounts.owner[one]), int(self._book.accounts.owner[other])
        if owner == second:  # nobody told who owns the accounts without a name of an owner
            return ("same_owner", 1.0) if self._book.accounts.owners[owner] else ("stranger", 1.0)
        link = self.of(owner, second)
        return ("linked", link.strength) if link.strength >= 0.5 else ("stranger", 1.0)

    def of(self, one: int, other: int) -> Link:
        """Returns the link of two owners, also when nothing ties them."""
        common = self._by_owner.get(one, set()) & self._by_owner.get(other, set())
        shared = sorted((self._worth(kind, value, one, other) for kind, value in common), key=_order)
        found = tuple(each for each in shared if each.bits > 0)
        return Link(min(one, other), max(one, other), found, self._prior() + _sum(found))

    def all(self) -> Iterator[Link]:
        """Yields the link of each two owners who share a value that is not too common."""
        seen: set[tuple[int, int]] = set()
        for owners in self._owners_of.values():
            for one, other in combinations(owners, 2):
                if (one, other) not in seen:
                    seen.add((one, other))
                    yield self.of(one, other)

    def when(self, owner: int, shared: Shared) -> tuple[int, int]:
        """Returns the first and the last time, in microseconds, at which an owner showed a value."""
        times = self._seen[owner, shared.kind, shared.value]
        return min(times), max(times)

    def _read(self, book: Book) -> None:
        facts = book.identities
        if facts is None or not len(facts):
            return
        order = np.lexsort((facts.at, facts.owner, facts.value, facts.kind))
        kind, value, owner = facts.kind[order], facts.value[order], facts.owner[order]
        new_value = np.ones(len(order), dtype=bool)
        new_value[1:] = (kind[1:] != kind[:-1]) | (value[1:] != value[:-1])
        new_owner = new_value.copy()
        new_owner[1:] |= owner[1:] != owner[:-1]
        of_value = np.cumsum(new_value) - 1
        holders = np.bincount(of_value, weights=new_owner).astype(np.int64)
        self.too_common = int((holders > self._weights.max_owners_of_a_value).sum())
        shared = (holders > 1) & (holders <= self._weights.max_owners_of_a_value)
        found: dict[tuple[str, int], list[int]] = defaultdict(list)
        for row in np.flatnonzero(shared[of_value]).tolist():
            name, who = (IDENTITY_KINDS[kind[row]], int(value[row])), int(owner[row])
            if new_owner[row]:
                found[name].append(who)
                self._by_owner[who].add(name)
            self._seen[who, *name].append(int(facts.at[order[row]]))
        self._owners_of = {name: tuple(owners) for name, owners in found.items()}

    def _prior(self) -> float:
        doubles = self._weights.double_owners_pct / 100 * self.owners
        return min(log2(doubles / max(self.owners * (self.owners - 1) / 2, 1.0)), 0.0) if self.owners else 0.0

    def _worth(self, kind: str, value: int, one: int, other: int) -> Shared:
        weights, holders = self._weights, len(self._owners_of[kind, value])
        commonness: int = getattr(weights, f"{kind}_commonness")
        bits = log2(weights.same_hand_repeats_pct / 100 * (self.owners + commonness) / holders)
        spared = {"money": weights.purse_pairs_spared, "person": holders**2}.get(PROVES[kind], 1)
        bits -= log2(max(holders * (holders - 1) / 2 / spared, 1.0))
        if kind == "ip" and self._apart(kind, value, one, other) > weights.ip_shared_within_days * DAY:
            bits = 0.0  # addresses are given out again
        return Shared(kind, value, holders, max(bits, 0.0))

    def _apart(self, kind: str, value: int, one: int, other: int) -> int:
        """The least time between the two owners' uses of a value."""
        mine = np.array(self._seen[one, kind, value], dtype=np.int64)
        theirs = np.array(self._seen[other, kind, value], dtype=np.int64)
        place = np.searchsorted(theirs, mine)
        before = np.abs(mine - theirs[np.maximum(place - 1, 0)])
        after = np.abs(mine - theirs[np.minimum(place, len(theirs) - 1)])
        return int(np.minimum(before, after).min())


def _order(shared: Shared) -> tuple[float, str, int]:
    return -shared.bits, shared.kind, shared.value


def _sum(shared: tuple[Shared, ...]) -> float:
    """The best value of each kind; of kinds that prove the same thing the best, and a little of the others."""
    best: dict[str, float] = {}
    for each in shared:
        best[each.kind] = max(best.get(each.kind, 0.0), each.bits)
    by_proof: dict[str, list[float]] = defaultdict(list)
    for kind, bits in best.items():
        by_proof[PROVES[kind]].append(bits)
    household = max(by_proof.pop("household", [0.0]))
    return household + sum(max(bits) + _AGAIN * (sum(bits) - max(bits)) for bits in by_proof.values())
