"""The text that a trader reads says all that binds: whatever is changed in a definition changes its words."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any, Final, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError
from typer.testing import CliRunner

from cli.main import app
from domain.errors import NotFound
from domain.money import Money
from domain.products.compare import compare
from domain.products.product import Product
from domain.products.words import describe
from firm.products.shelf import SHELF
from tests.shelf import shipped

SHIPPED: Final = {product.product: product for product in shipped()}
DOCUMENTS: Final = SHELF.parent / "docs" / "products"
Path = tuple[str | int, ...]

# names, not terms; and what the shelf calls the product
NAMES: Final = frozenset({"id", "product", "version"})


def body(product: Product) -> list[str]:
    """The words without the version and the hash, which change with everything."""
    words = describe(product)
    return [words.title, *(line for section in words.sections for line in (section.title, *section.words))]


def _literals(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    for part in get_args(annotation):
        yield from _literals(part)


def _leaves(part: BaseModel, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """(path, value, annotation) of every field that is no part itself."""
    for name, field in type(part).model_fields.items():
        yield from _of(getattr(part, name), field.annotation, (*path, name))


def _of(value: Any, annotation: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    if isinstance(value, BaseModel):
        yield from _leaves(value, path)
    elif isinstance(value, tuple):
        yield path, value, annotation
        for number, item in enumerate(value):
            yield from _of(item, annotation, (*path, number))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _of(item, annotation, (*path, key))
    else:
        yield path, value, annotation


_SIZES: Final = ({"type": "amount", "value": "777"}, {"type": "pct_of_initial", "value": "7.77"})
_TEXTS: Final = ("Asia/Tokyo", "XNYS", "14:35", "13:00", "low", "weekly-two", "Another name", "GBP", "max_loss")


def _others(value: Any, annotation: Any) -> Iterator[Any]:
    """Other values that may be possible here; those that are not are refused by the schema."""
    choices = [choice for choice in _literals(annotation) if choice != value]
    if isinstance(value, tuple):
        # naming one twice says nothing new
        named = [choice for choice in choices if choice not in value]
        yield from (
            value[:-1],
            value[1:],
            ({"kind": "warn"}, *value),
            *((*value, choice) for choice in named),
            *((choice,) for choice in named),
        )
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1, value + 7)
    elif isinstance(value, Decimal):
        yield from (str(value + 1), str(value - 1), str(value / 2), str(value * 3 / 2), str(value + 1000))
    elif value is None:
        yield from (True, 3, "3", *_SIZES, *choices, *_TEXTS, ["swing"], [{"kind": "warn"}])
        yield from ({"minutes": 7}, {"days": 9}, {"offset": "50"}, {"pct": "33"}, {"increase_pct": "11"})
    else:
        yield from (*choices, *_TEXTS)


def _changed(terms: dict[str, Any], path: Path, value: Any) -> Product | None:
    """The product of these terms with another value at `path`; None when it is refused."""
    changed: dict[str, Any] = dict(terms)
    place: Any = changed
    *way, last = path
    for step in way:
        inner = place[step]
        place[step] = dict(inner) if isinstance(inner, dict) else list(inner)
        place = place[step]
    place[last] = value
    try:
        return Product.model_validate(changed)
    except ValidationError:
        return None


def _binds(product: Product, path: Path) -> bool:
    """Whether the field means anything as the others stand."""
    part: Any = product
    for step in path[:-1]:
        part = getattr(part, step) if isinstance(step, str) and isinstance(part, BaseModel) else part[step]
    name, fields = path[-1], getattr(part, "__dict__", {})
    if name == "evaluated" and not fields.get("tiers"):
        return False  # a limit that is fixed is not looked at again
    if name == "profit_target" and fields.get("type") == "best_day_ratio":
        # measured by only where the denominator or the effect needs a target
        return fields["denominator"] == "profit_target" or "target" in fields["effect"]
    if "bands" in path:
        return False  # the firm's payout policy says who approves
    if name == "split_pct" and fields.get("split_tiers"):
        return False
    return name not in NAMES


@pytest.mark.parametrize("product", SHIPPED.values(), ids=SHIPPED)
def test_nothing_that_binds_is_unsaid(product: Product) -> None:
    told, silent, tried, moved = body(product), [], 0, 0
    terms = product.model_dump(mode="python")
    for path, value, annotation in _leaves(product):
        if not _binds(product, path):
            continue
        others = [_changed(terms, path, other) for other in _others(value, annotation)]
        possible = [other for other in others if other is not None and other.canonical() != product.canonical()]
        silent += [f"{'.'.join(map(str, path))}: {value!r}" for other in possible if body(other) == told][:1]
        if value is not None and value != () and len(list(_literals(annotation))) != 1 and path[-1] != "type":
            tried, moved = tried + 1, moved + bool(possible)
    assert silent == []
    # it would prove nothing if the schema refused whatever is tried
    assert tried > 30
    assert moved / tried > 0.85


def test_the_documents_are_those_that_the_command_writes(tmp_path: FilePath) -> None:
    done = CliRunner().invoke(app, ["products", "describe", "--into", str(tmp_path)])
    assert done.exit_code == 0, done.output
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text() for path in DOCUMENTS.glob("*.v*.md")}
    assert written == committed, "write them anew: propos products describe --into docs/products"


def test_a_definition_that_is_not_on_the_shelf_is_described_too(tmp_path: FilePath) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text((SHELF / "crypto.v1.yaml").read_text().replace("Crypto 25k", "Nightly"))
    done = CliRunner().invoke(app, ["products", "describe", str(path), "--markdown"])
    assert done.exit_code == 0 and done.stdout.startswith("# Nightly\n")
    missing = CliRunner().invoke(app, ["products", "describe", "no-such-product"])
    assert isinstance(missing.exception, NotFound) and "two-step@1" in str(missing.exception)


def test_amounts_and_zones_stand_in_the_words() -> None:
    told = "\n".join(body(SHIPPED["one-step"]))
    for said in (
        "00:00 server time (+02:00, and +03:00 while America/New_York has daylight time)",
        "3 % of the initial balance (1,500.00 USD)",
        "offences 1 to 2: all positions are closed and trading is paused until the next reset",
        "from offence 3 on: the account is closed",
        "reaches the limit; equity exactly at the limit is a breach",
        "You may dispute a breach within 14 days",
    ):
        assert said in told
    assert "equity exactly at the limit is allowed" in "\n".join(body(SHIPPED["two-step"]))


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (
            {"increase_pct": "25", "min_profit_pct": "10", "min_payouts": 2, "cap": "2000000"},
            (
                "Every 4 months the account may grow by 25 % of its original size, up to at most 2,000,000.00 "
                "USD, after a profit of 10 % of its size and 2 payouts since the last step. It waits until the profit "
                "that you can request has been paid out. A new account then starts with the new size, and every rule "
                "begins anew."
            ),
        ),
        (
            {"increase_pct": ["25", "50", "100"], "of": "current_size", "every_months": 0, "min_profitable_months": 1},
            (
                "The account may grow by 25 % of its size (then by 50 %, 100 % each time), after 1 profitable month "
                "since the last step."
            ),
        ),
        (
            {"increase_pct": "10", "of": "balance", "split_pct": "95"},
            (
                "Every 4 months the account may grow to its balance and 10 % of its balance. A new account then starts "
                "with the new size, and every rule begins anew. From then on, your share is 95 %."
            ),
        ),
    ],
)
def test_a_scaling_plan_is_said(plan: dict[str, Any], said: str) -> None:
    terms = SHIPPED["two-step"].model_dump(mode="json")
    terms["payout"]["scaling"] = plan
    assert said in "\n".join(body(Product.model_validate(terms)))


def test_later_fees_are_said() -> None:
    fees = {"reset": {"type": "pct_of_purchase", "value": "50"}, "buyback": "300", "activation": "149"}
    told = body(Product.model_validate(SHIPPED["two-step"].model_dump(mode="json") | {"fees": fees}))
    assert "A reset costs 270.00 USD: your evaluation phase begins again on a new account." in told
    assert "You may buy back a broken account for 300.00 USD: its phase begins again on a new account." in told
    assert "The funded account opens once you have paid 149.00 USD for it, within 30 days." in told


def test_products_side_by_side_differ_where_their_terms_do() -> None:
    two, other = SHIPPED["two-step"], SHIPPED["instant"]
    found = compare([two, other])
    rows = {row.label: row for row in found.rows}
    assert rows["Price"].cells == tuple(str(Money(minor=each.fee_minor, currency="USD")) for each in (two, other))
    assert [row.label for row in found.rows][:4] == ["Account", "Price", "Leverage", "Evaluation"]
    assert rows["Phase 1: profit target"].differs and "–" in rows["Phase 1: profit target"].cells
    for section in found.sections:
        whole = [
            {line for part in describe(each).sections if part.title == section.title for line in part.words}
            for each in (two, other)
        ]
        assert all(
            set(column) == own - (whole[0] & whole[1]) for column, own in zip(section.columns, whole, strict=True)
        )
    assert not compare([two, two]).sections and not any(row.differs for row in compare([two, two]).rows)
