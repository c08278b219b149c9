"""Shared identity: several owners who are one hand, as their identity facts show together.

No single fact does it, except a document: an office shares an address, a carrier gives one to thousands, identical
computers look the same, a payment company receives for many. What counts is the sum of different kinds of proof.
"""

from collections import defaultdict
from collections.abc import Mapping
from hashlib import sha256
from typing import ClassVar, Final

from pydantic import Field as Setting

from domain.surveillance.base import Thresholds
from domain.surveillance.evidence import Figures, Table
from domain.surveillance.findings import Finding
from surveillance.book import Book
from surveillance.groups import Edge, Group, groups
from surveillance.links import Link, Links, LinkWeights, links_of
from surveillance.market.judging import one_in
from surveillance.pair_evidence import figure, moment, score_of, words
from surveillance.pattern import Judged, Pattern

_KIND_NAMES: Final[Mapping[str, str]] = {
    "ip": "IP address",
    "card": "payment card",
    "beneficiary": "payout recipient",
    "address": "postal address",
    "document": "identity document",
}


class SharedIdentityThresholds(Thresholds):
    near_line: ClassVar[Mapping[str, float]] = {"min_strength_pct": 0.85}

    min_strength_pct: float = Setting(default=75.0, gt=0, lt=100)
    min_density_pct: int = Setting(default=50, ge=1, le=100)
    weights: LinkWeights = LinkWeights()


class SharedIdentity(Pattern[SharedIdentityThresholds]):
    name = "shared_identity"
    scope = "firm"
    needs = ("identities",)
    thresholds = SharedIdentityThresholds

    def find(self, book: Book) -> Judged:
        limits = self.limits.default
        links = links_of(book, limits.weights)
        strong = {
            (link.one, link.other): link
            for link in links.all()
            if link.strength * 100 >= limits.min_strength_pct and book.accounts.owners[link.one]
        }
        edges = [Edge(one, other, link.strength) for (one, other), link in strong.items()]
        accounts = defaultdict(list)
        for row, owner in enumerate(book.accounts.owner.tolist()):
            accounts[owner].append(row)
        return Judged(
            tuple(
                self._finding(book, group, [strong[edge.one, edge.other] for edge in group.edges], links, accounts)
                for group in groups(edges, min_density=limits.min_density_pct / 100)
                if any(accounts[owner] for owner in group.members)
            )
        )

    def _finding(
        self, book: Book, group: Group, inside: list[Link], links: Links, accounts: dict[int, list[int]]
    ) -> Finding:
        limits, owners = self.limits.default, group.members
        named = sorted((row for owner in owners for row in accounts[owner]), key=lambda row: _age(book, row))
        weakest = min(inside, key=lambda link: (link.bits, link.one, link.other))
        kinds = sorted({shared.kind for link in inside for shared in link.shared})
        latest = max(links.when(link.one, shared)[1] for link in inside for shared in link.shared)
        return self.finding(
            book,
            str(book.accounts.id[named[0]]),
            limits=limits,
            at=latest,
            score=score_of(weakest.strength, limits.min_strength_pct / 100, 1.0),
            sentence=f"{len(owners)} traders with {len(named)} accounts share {_listed(kinds)}.",
            roles=[(row, "member") for row in named],
            blamed=named,
            trades=[],
            evidence=[_figures(weakest, group, limits), _facts(book, inside, links)],
            chance=_chance(weakest, links),
            ruled_out=_ruled_out(inside),
            relation="linked",
            link_strength=weakest.strength,
        )


def _age(book: Book, row: int) -> tuple[int, str]:
    return int(book.accounts.opened[row]), str(book.accounts.id[row])


def _listed(kinds: list[str]) -> str:
    named = [f"the same {_KIND_NAMES.get(kind, kind)}" for kind in kinds]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


def _figures(weakest: Link, group: Group, limits: SharedIdentityThresholds) -> Figures:
    return Figures(
        figures=(
            figure("Link strength of the weakest pair", 100 * weakest.strength, limits.min_strength_pct, "%"),
            figure("Evidence for the weakest pair", weakest.bits, 0, "bits"),
            figure("Pairs of traders that are linked", 100 * group.density, limits.min_density_pct, "%"),
        )
    )


def _facts(book: Book, inside: list[Link], links: Links) -> Table:
    rows = []
    for link in inside:
        names = f"{book.accounts.owners[link.one]}, {book.accounts.owners[link.other]}"
        for shared in link.shared:
            seen = [links.when(owner, shared) for owner in (link.one, link.other)]
            first, last = min(each[0] for each in seen), max(each[1] for each in seen)
            rows.append(
                (
                    names,
                    _KIND_NAMES.get(shared.kind, shared.kind),
                    _masked(book, shared.value),
                    str(shared.owners),
                    words(shared.bits),
                    moment(first),
                    moment(last),
                )
            )
    columns = (
        "Traders",
        "Detail",
        "Value, masked",
        "Traders with this value",
        "Evidence, bits",
        "First seen, UTC",
        "Last seen, UTC",
    )
    return Table(title="Details that the traders share", columns=columns, rows=tuple(rows))


def _masked(book: Book, value: int) -> str:
    """Enough to see that two values are the same, and no more."""
    told = book.identities.values[value] if book.identities is not None else ""
    return sha256(told.encode()).hexdigest()[:8]


def _chance(weakest: Link, links: Links) -> str:
    told = sum(shared.bits for shared in weakest.shared)
    return (
        f"The probability that two unrelated traders among {links.owners:,} share all these details is "
        f"{one_in(2**-told)}. The evidence for a pair starts at {words(weakest.bits - told)} bits: most pairs are "
        "unrelated."
    )


def _ruled_out(inside: list[Link]) -> list[str]:
    most = max(shared.owners for link in inside for shared in link.shared)
    told = [f"An office, a mobile carrier or a payment company: no shared detail belongs to more than {most} traders."]
    if all(len(link.proves) > 1 for link in inside):
        told.append("A household or identical computers: each pair shares details of different kinds.")
    return told
