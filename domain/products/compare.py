"""Products side by side, for somebody who chooses one: the terms that decide, and the sentences that differ."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from domain.products.phase_terms import compile_phase
from domain.products.product import Product
from domain.products.words import describe
from domain.rules import floors
from domain.rules.base import ConductRule, Gate
from domain.rules.terms import NO_LIMIT
from domain.wording import count, name, percent

_BOUGHT: Final = ("Account", "Price", "Leverage", "Evaluation")
_FUNDED: Final = "Funded"


@dataclass(frozen=True, slots=True)
class Row:
    """One term of each product, in their order; "–" where a product has none. `differs`: not all are the same."""

    label: str
    cells: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return len(set(self.cells)) > 1


@dataclass(frozen=True, slots=True)
class SectionDifference:
    """The sentences of a section of the rule books that not every product has, by product; `same`: how many they all
    have."""

    title: str
    columns: tuple[tuple[str, ...], ...]
    same: int


@dataclass(frozen=True, slots=True)
class Comparison:
    rows: tuple[Row, ...]
    sections: tuple[SectionDifference, ...]


def compare(products: Sequence[Product]) -> Comparison:
    facts = [dict(_facts(product)) for product in products]
    labels = sorted(dict.fromkeys(label for each in facts for label in each), key=_place)
    rows = tuple(Row(label, tuple(each.get(label, "–") for each in facts)) for label in labels)
    return Comparison(rows, tuple(_sections(products)))


def _place(label: str) -> tuple[int, str]:
    """Where a term stands: what is bought, each phase, the funded account, payouts."""
    where, of_phase, _ = label.partition(":")
    if not of_phase:
        return (0 if label in _BOUGHT else 3), ""
    return (2, "") if where == _FUNDED else (1, where)


def _facts(product: Product) -> Iterator[tuple[str, str]]:
    context = product.context(1)
    yield "Account", context.money(product.initial_minor)
    yield "Price", context.money(product.fee_minor)
    yield "Leverage", f"up to 1:{product.leverage}"
    yield "Evaluation", count(len(product.phases), "phase") if product.phases else "none, funded from the first trade"
    for index, phase in enumerate([*product.phases, product.funded], start=1):
        funded = index == product.funded_index
        where = _FUNDED if funded else f"Phase {index}"
        own = product.context(index)
        if phase.target is not None:
            yield f"{where}: profit target", own.size(phase.target)
        for label, words in _limits(product, index):
            yield f"{where}: {label}", words
        if phase.min_trading_days:
            yield f"{where}: trading days", f"at least {phase.min_trading_days}"
        if not funded:
            limit = phase.time_limit_days
            yield f"{where}: time", "no limit" if limit is None else count(limit, "day")
        conduct = [name(rule.id) for rule in phase.rules if isinstance(rule, ConductRule | Gate)]
        yield f"{where}: other rules", ", ".join(conduct) or "none"
    payout = product.payout
    several = payout.split_tiers or payout.split_by_trading_days or payout.split_by_payout or payout.by_payout
    yield "Your share of profits", percent(payout.split_pct) + (", and other shares later" if several else "")
    after = "the first trade" if payout.first_after == "first_trade" else "the start of the funded account"
    yield "First payout", f"{count(payout.first_after_days, 'day')} after {after}"
    yield "A day ends at", product.clock.words


def _limits(product: Product, index: int) -> Iterator[tuple[str, str]]:
    """Yields the loss limits of a phase as amounts, as they are when the account starts."""
    context = product.context(index)
    for spec in compile_phase(product.phase(index), context.initial_minor, product.currency):
        allowance = spec.allowance_of(floors.opened(spec))
        if allowance < NO_LIMIT // 2:
            label = name(spec.key.removesuffix(".up"))
            yield f"{label} (gains)" if spec.direction == "ceiling" else label, context.money(allowance)


def _sections(products: Sequence[Product]) -> Iterator[SectionDifference]:
    books = [{section.title: section.words for section in describe(product).sections} for product in products]
    for title in dict.fromkeys(title for book in books for title in book):
        words = [book.get(title, ()) for book in books]
        common = set(words[0]).intersection(*words[1:])
        columns = tuple(tuple(line for line in own if line not in common) for own in words)
        if any(columns):
            yield SectionDifference(title, columns, len(common))
