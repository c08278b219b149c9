"""The example products as files: they name their source, are not sold by themselves, and use the terms there are."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, get_args

import pytest
from typer.testing import CliRunner

from cli.main import app
from domain.payouts.schema import Replacing
from domain.products.product import Product
from domain.rules.terms import Terms
from firm.products.shelf import SHELF
from tests.shelf import shipped
from tests.unit.example_life import EXAMPLES

FILES: Final = sorted((SHELF / "examples").glob("*.yaml"))
SHIPPED: Final = shipped()

# every rule has one: that some product sets it says little
COMMON: Final = {"id", "type", "consequences", "cure"}

# terms that no shipped product and no example uses. A new term is used by one of them, or is added here.
UNUSED: Final = {
    "FromPayout.without",
    "BestDayRatio.profit_target",
    "Cap.at_least",
    "Cap.steps",
    "Cooldown.after",
    "Cooldown.minutes",
    "DailyLoss.judged_at",
    "DailyMoveCap.holds",
    "DailyMoveCap.judged_at",
    "DailyMoveCap.period",
    "DailyProfitCap.basis",
    "DailyProfitCap.effect",
    "ExposureMultiple.only",
    "FeeTerms.add_ons",
    "FeeTerms.extension",
    "FeeTerms.monthly",
    "FloatingLoss.judged_at",
    "Hours.closes",
    "Hours.opens",
    "Hours.weekdays",
    "LastDays.days",
    "MaxExposure.only",
    "MaxLossPerTradeIdea.compare",
    "MaxLossPerTradeIdea.splits",
    "MaxLossStatic.judged_at",
    "MaxLossStatic.payout_effect",
    "MaxTradeRate.counts",
    "MaxTradeRate.limit",
    "MaxTradeRate.within_minutes",
    "MinHoldTime.max_short_pct_of_request",
    "MinHoldTime.max_short_trades",
    "MinHoldTime.min_average_seconds",
    "NewsWindow.account_types",
    "NewsWindow.cap",
    "NewsWindow.impacts",
    "OpeningHours.hours",
    "OpeningHours.zone",
    "PayoutTerms.goodwill_pct",
    "PayoutTerms.unlock_when_total_withdrawn",
    "Product.warn_at_pct",
    "Product.warn_before_reset_minutes",
    "ProfitableDayCount.consecutive",
    "ProfitableDayCount.min_pct_of_best_day",
    "RequestDays.opens",
    "RequiredStop.require",
    "Scaling.every_months",
    "Scaling.min_profitable_months",
    "Scaling.of",
    "Scaling.profit_stays",
    "TradingDayCount.min_pct_of_average_lots",
    "WorthParts.commissions",
}


def text_of(path: Any) -> str:
    return str(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_example_names_its_source_and_no_firm(path: Any) -> None:
    head = text_of(path).split("\nproduct:")[0]
    firms = re.findall(r"Sources?:(?:\s|#)*([^,(]+?) *[,(]", head)
    assert firms
    assert "https://" in head
    assert all(line.startswith("#") for line in head.splitlines())
    product = EXAMPLES[path.name.split(".")[0]]
    assert not [firm for firm in firms if firm.lower() in f"{product.name} {product.product}".lower()]


def test_examples_are_not_sold_by_themselves() -> None:
    assert len(EXAMPLES) == len(FILES) >= 12
    assert not {product.product for product in SHIPPED} & set(EXAMPLES)


def test_examples_are_in_the_wheel() -> None:
    built = tomllib.loads(text_of(SHELF.parent / "pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert "products" in built["only-include"]
    assert not set(built) & {"exclude", "include", "artifacts"}


def test_the_command_lists_the_examples_with_their_files() -> None:
    listed = CliRunner().invoke(app, ["products", "examples"])
    assert listed.exit_code == 0
    for path in FILES:
        assert path.name in listed.stdout
    assert str(SHELF / "examples") in listed.stdout.replace("\n", "")


def _parts(annotation: Any) -> Iterator[type[Terms]]:
    if isinstance(annotation, type) and issubclass(annotation, Terms):
        yield annotation
    else:
        for inner in get_args(annotation):
            yield from _parts(inner)


@cache
def _every_term() -> frozenset[str]:
    found: set[str] = set()
    todo, known = list[type[Terms]]([Product]), set[type[Terms]]()
    while todo:
        part = todo.pop()
        if part in known:
            continue
        known.add(part)
        for name, field in part.model_fields.items():
            found |= {_term(part, name)} if name not in COMMON else set()
            todo += _parts(field.annotation)
    return frozenset(found)


def _term(part: type[Terms], name: str) -> str:
    """Returns the name of a term, by the class that declares it. What a cycle or a payout number replaces is a term of
    the payouts."""
    if issubclass(part, Replacing) and name in Replacing.model_fields:
        return f"PayoutTerms.{name}"
    owner = next(each for each in reversed(part.__mro__) if name in getattr(each, "model_fields", {}))
    return f"{owner.__name__}.{name}"


def _used(part: Terms) -> Iterator[str]:
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if name not in COMMON and (field.is_required() or value != field.get_default(call_default_factory=True)):
            yield _term(type(part), name)
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, Terms):
                yield from _used(inner)


def test_every_term_is_used_by_a_shipped_or_example_product() -> None:
    used = {term for product in (*SHIPPED, *EXAMPLES.values()) for term in _used(product)}
    assert _every_term() - used == UNUSED


def test_the_page_about_a_first_product_lists_every_example() -> None:
    page = text_of(SHELF.parent / "docs" / "first-product.md")
    assert set(re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE)) == set(EXAMPLES)
