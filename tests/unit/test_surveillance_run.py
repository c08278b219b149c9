"""Patterns over a book: alike for one process and for several, and one that fails takes none of the others with it."""

import os
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import yaml

from domain.file_errors import ThresholdsInvalid
from domain.surveillance.base import Thresholds
from surveillance.book import Book
from surveillance.limits import patterns_with, product_section
from surveillance.pattern import Judged, Limits, Pattern, Scope, by_account
from surveillance.registry import default_patterns, pattern_types
from surveillance.run import Result, run
from surveillance.shared_book import load, save
from tests.books import Rows


class Least(Thresholds):
    trades: int = 3


class Many(Pattern[Least]):
    """Accounts with many trades, as a pattern of one account."""

    name = "many"
    thresholds = Least
    scope: ClassVar[Scope] = "account"

    def find(self, book: Book) -> Judged:
        found = []
        for account, rows in by_account(book):
            limits = self.limits_of(book, account)
            if len(rows) >= limits.trades:
                found.append(
                    self.finding(
                        book,
                        str(book.accounts.id[account]),
                        limits=limits,
                        at=int(book.trades.opened[rows[0]]),
                        score=min(1.0, len(rows) / 10),
                        sentence=f"It has {len(rows)} trades of {len(book.firm.trades)} of the firm.",
                        roles=[(account, "trader")],
                        blamed=[account],
                        trades=rows,
                        evidence=[],
                    )
                )
        return Judged(tuple(found), cannot_judge="quotes are not known" if not book.quotes else None)


class Failing(Pattern[Least]):
    name = "failing"
    thresholds = Least
    scope: ClassVar[Scope] = "firm"

    def find(self, book: Book) -> Judged:
        raise RuntimeError("a defect")


class NeedsOrders(Pattern[Least]):
    name = "needs_orders"
    thresholds = Least
    needs = ("orders",)

    def find(self, book: Book) -> Judged:
        raise AssertionError("it is not asked")


class Killed(Failing):
    name = "killed"

    def find(self, book: Book) -> Judged:
        os._exit(9)


@pytest.fixture(scope="module")
def book() -> Book:
    rows = Rows()
    generator = np.random.default_rng(3)
    for number in range(700):
        rows.account(f"a{number:03}", product="strict" if number % 2 else "lenient")
        for at in generator.integers(0, 86_400, 2 + number % 5):
            rows.trade(f"a{number:03}", float(at), 60.0, profit=float(at % 7 - 3))
    return rows.book()


def patterns() -> list[Pattern[Least]]:
    limits = Limits(Least(), {"strict": Least(trades=5)})
    return [Many(limits), Failing(limits), NeedsOrders(limits)]


def test_four_workers_find_the_same_as_one_to_the_byte(book: Book) -> None:
    one, four = run(book, patterns(), workers=1), run(book, patterns(), workers=4)
    said = [tuple(finding.model_dump_json() for finding in each.alerts) for each in (one, four)]
    assert said[0] == said[1] and len(said[0]) == one.counts["many"] == 280 + 140  # lenient, strict
    assert (one.cannot_judge, one.failed, one.counts) == (four.cannot_judge, four.failed, four.counts)


def test_what_one_pattern_does_is_its_own(book: Book) -> None:
    steps: list[float] = []
    result: Result = run(book, patterns(), on_progress=lambda _what, done: steps.append(done))
    assert result.failed.keys() == {"failing"}
    assert result.failed["failing"].startswith("RuntimeError: a defect (test_surveillance_run.py:")
    assert result.cannot_judge == {"many": "quotes are not known", "needs_orders": "no orders were given"}
    assert result.counts == {"failing": 0, "many": len(result.alerts), "needs_orders": 0}
    assert steps == sorted(steps) and steps[-1] == 1.0
    scores = [finding.score for finding in result.alerts]
    assert scores == sorted(scores, reverse=True)


def test_patterns_whose_process_is_killed_are_named_as_failed(book: Book) -> None:
    result = run(book, [Killed(Limits(Least())), NeedsOrders(Limits(Least()))], workers=2)
    assert result.failed["killed"].startswith("its process ended: BrokenProcessPool")


def test_a_book_from_disk_is_the_same_and_may_be_written_to(book: Book, tmp_path: Path) -> None:
    save(book, tmp_path)
    first, second = load(tmp_path), load(tmp_path)
    assert first.trades.opened.tolist() == book.trades.opened.tolist()
    assert first.trades.id.tolist() == book.trades.id.tolist() and first.accounts.owners == book.accounts.owners
    assert not first.trades.opened.flags.owndata
    first.trades.lots[0] = 99.0
    assert second.trades.lots[0] == book.trades.lots[0] != 99.0


def test_thresholds_come_from_the_firm_and_from_the_product() -> None:
    name, kind = next(iter(pattern_types().items()))
    field, default = next((each, value) for each, value in kind.thresholds() if isinstance(value, int | float))
    told = {name: {field: default * 2}, "products": {"strict": {name: {field: default * 3}}}}
    found = patterns_with(told, "limits.yaml")
    assert found.keys() == default_patterns().keys()
    limits = found[name].limits
    assert getattr(limits.of("lenient"), field) == default * 2
    assert getattr(limits.of("strict"), field) == default * 3
    assert limits.of("strict").version != limits.of("lenient").version


@pytest.mark.parametrize(
    ("told", "message", "remedy"),
    [
        ({"copying": {}}, "limits.yaml: copying is no pattern", "copy_trading"),
        ({"copy_trading": {"colour": 1}}, "limits.yaml: copy_trading.colour is no threshold", "Name one of "),
        ({"copy_trading": 3}, "limits.yaml: copy_trading has no thresholds", "names and values"),
        ({"products": {"p": {"nope": {}}}}, "limits.yaml: p: nope is no pattern", "copy_trading"),
        ({"products": [1]}, "products is no list of products", "below each product"),
    ],
)
def test_thresholds_that_cannot_be_are_refused(told: dict[str, object], message: str, remedy: str) -> None:
    with pytest.raises(ThresholdsInvalid) as caught:
        patterns_with(told, "limits.yaml")
    assert message in caught.value.message and remedy in str(caught.value.remedy)


def test_a_value_of_the_wrong_kind_names_the_threshold() -> None:
    name, kind = next(iter(pattern_types().items()))
    field = next(iter(kind.thresholds.model_fields))
    with pytest.raises(ThresholdsInvalid, match=rf"{name}\.{field} cannot be"):
        patterns_with({name: {field: "no such value"}}, "limits.yaml")


def test_the_section_of_a_product_binds_its_accounts() -> None:
    told = {"product": "two-step", "version": 2, "name": "Two-step 100k", "surveillance": {"hedging": {}}}
    section = product_section(told, "two-step.yaml")
    assert set(section["products"]) == {"two-step", "two-step@2", "Two-step 100k"}
    assert product_section({"hedging": {}}, "limits.yaml") == {"hedging": {}}
    with pytest.raises(ThresholdsInvalid):
        product_section([1], "limits.yaml")


def test_the_thresholds_that_the_page_shows_are_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "surveillance.md").read_text()
    shown = page.split("```yaml\n")[1].split("```")[0]
    found = patterns_with(yaml.safe_load(shown), "surveillance.md")
    assert found["copy_trading"].limits.default.own_copying == "scored"
    assert found["hedging"].limits.of("two-step-100k").own_hedging == "noted"
