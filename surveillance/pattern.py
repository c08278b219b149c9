"""What every pattern is made of: the facts it needs, its thresholds by product, and how it makes findings.

A pattern is one module in `patterns/`; the registry finds it there (docs/adding-a-detector.md). It is a pure function
of the book: no clock, no database, no randomness without a fixed seed. The same book gives the same findings.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final, Generic, Literal, TypeVar

import numpy as np

from domain.surveillance.base import Thresholds
from domain.surveillance.evidence import Evidence
from domain.surveillance.findings import Finding, Involved, Relation, Severity
from surveillance.book import Book

L = TypeVar("L", bound=Thresholds)

# account: what it finds of an account depends on that account alone, so accounts can be judged apart.
# firm: it compares accounts with each other.
Scope = Literal["account", "firm"]
_BELOW: Final = "below/"
_HIGHEST_BELOW: Final = Decimal("0.49")  # the line is 0.5
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Judged:
    """`cannot_judge`: why this book does not let the pattern judge; None when it could. Both may be given when only a
    part could be judged."""

    findings: tuple[Finding, ...] = ()
    cannot_judge: str | None = None


@dataclass(frozen=True)
class Limits(Generic[L]):
    """The thresholds of one pattern: the firm's, and those of the products that differ, by name or by version
    (`name@2`). Those of a version go before those of its name."""

    default: L
    products: Mapping[str, L] = field(default_factory=dict)

    def of(self, product: str) -> L:
        found = self.products.get(product)
        return found or self.products.get(product.partition("@")[0], self.default)

    def eased(self) -> "Limits[L]":
        """Returns the thresholds a little below these."""
        return Limits(self.default.eased(), {name: each.eased() for name, each in self.products.items()})

    def versions(self) -> Mapping[str, str]:
        """Returns the version of these thresholds for the version of each of the eased ones."""
        every = [self.default, *self.products.values()]
        return {each.eased().version: each.version for each in reversed(every)}


class Pattern(ABC, Generic[L]):
    """`name` is stored with each finding and never changes; raise `version` when the pattern judges differently.
    `needs`: facts without which it cannot judge at all, among "orders", "identities", "events", "quotes"."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    scope: ClassVar[Scope] = "account"
    needs: ClassVar[tuple[str, ...]] = ()
    thresholds: ClassVar[type[Thresholds]]

    def __init__(self, limits: Limits[L]) -> None:
        self.limits = limits

    def judge(self, book: Book) -> Judged:
        """Returns what is conspicuous in the book, or why this cannot be said."""
        for need in self.needs:
            told = getattr(book, need)
            if told is None or told == {}:
                return Judged(cannot_judge=book.missing.get(need, f"{need} are not known"))
        return self.find(book)

    def just_below(self, book: Book, found: Sequence[Finding]) -> tuple[Finding, ...]:
        """Returns what is a little below the line, flagged `below_line`: what eased thresholds find of accounts that
        `found`, the findings in this book, do not name. Notes are left out."""
        eased = self.limits.eased()
        if eased == self.limits:
            return ()
        named = {involved.account_id for finding in found for involved in finding.accounts}
        versions = self.limits.versions()
        return tuple(
            _below(finding, self.name, versions)
            for finding in type(self)(eased).judge(book).findings
            if finding.severity != "note" and named.isdisjoint(involved.account_id for involved in finding.accounts)
        )

    @abstractmethod
    def find(self, book: Book) -> Judged:
        """Does the same for a book that has what the pattern needs."""

    def limits_of(self, book: Book, account: int) -> L:
        """Returns the thresholds of the account's product."""
        return self.limits.of(book.accounts.products[book.accounts.product[account]])

    def by_limits(self, book: Book) -> Iterator[tuple[L, Book]]:
        """Yields thresholds with the book of the accounts whose products have them; the book itself when all do."""
        found: dict[L, list[int]] = {}
        for row, product in enumerate(book.accounts.products):
            found.setdefault(self.limits.of(product), []).append(row)
        if len(found) < 2:
            yield next(iter(found), self.limits.default), book
            return
        for limits, products in found.items():
            yield limits, book.of_accounts(np.flatnonzero(np.isin(book.accounts.product, products)))

    def finding(
        self,
        book: Book,
        *names: str,
        limits: L,
        at: int,
        score: float,
        sentence: str,
        roles: Sequence[tuple[int, str]],
        blamed: Sequence[int],
        trades: Sequence[int] | np.ndarray[Any, Any],
        evidence: Sequence[Evidence],
        chance: str = "",
        ruled_out: Sequence[str] = (),
        exculpatory: Sequence[Evidence] = (),
        relation: Relation = "one_account",
        severity: Severity = "review",
        link_strength: float = 1.0,
    ) -> Finding:
        """Returns a finding of this pattern; `names` and the pattern's name make its key. `at`: microseconds. `roles`:
        (row of the account, its role). `trades`: rows of the book's trades, told by their ids. `score`: 0 to 1."""
        return Finding(
            key="/".join((self.name, *names)),
            detector=self.name,
            detector_version=self.version,
            thresholds_version=limits.version,
            at=_EPOCH + timedelta(microseconds=at),
            score=Decimal(str(round(min(max(score, 0.0), 1.0), 4))),
            sentence=sentence,
            accounts=tuple(Involved(account_id=str(book.accounts.id[row]), role=role) for row, role in roles),
            blamed=tuple(str(book.accounts.id[row]) for row in blamed),
            evidence=tuple(evidence),
            deals=tuple(dict.fromkeys(str(book.trades.id[row]) for row in trades)),
            chance=chance,
            ruled_out=tuple(ruled_out),
            exculpatory=tuple(exculpatory),
            relation=relation,
            severity=severity,
            link_strength=Decimal(str(round(link_strength, 4))),
        )


def _below(finding: Finding, pattern: str, versions: Mapping[str, str]) -> Finding:
    """The version is that of the thresholds in force: it is they that did not find it."""
    return finding.model_copy(
        update={
            "key": f"{pattern}/{_BELOW}{finding.key.removeprefix(f'{pattern}/')}",
            "score": min(finding.score, _HIGHEST_BELOW),
            "severity": "review",
            "thresholds_version": versions.get(finding.thresholds_version, finding.thresholds_version),
            "below_line": True,
        }
    )


def by_account(book: Book) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
    """Yields each account that traded, with the rows of its trades in the order of opening."""
    accounts = book.trades.account
    order = np.argsort(accounts, kind="stable")
    found, starts = np.unique(accounts[order], return_index=True)
    yield from zip(found.tolist(), np.split(order, starts[1:]), strict=True)
