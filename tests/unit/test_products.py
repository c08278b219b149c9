"""The shelf: what is wrong in a definition is named with file, line and field; equal terms have one hash."""

from pathlib import Path
from random import Random
from typing import Any, Final, get_args

import pytest
import yaml

from domain.file_errors import ProductInvalid
from domain.products.product import Family, Product
from firm.products.shelf import SHELF, load_product, load_products

SOURCE: Final = SHELF / "two-step.v1.yaml"
FEE: Final = 'fee: "540"'


def _written(folder: Path, text: str, name: str = SOURCE.name) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def _changed(folder: Path, old: str, new: str) -> Path:
    """The shipped two-step definition, with the first `old` replaced."""
    text = SOURCE.read_text()
    assert old in text
    return _written(folder, text.replace(old, new, 1))


def _refusal(path: Path) -> ProductInvalid:
    with pytest.raises(ProductInvalid) as caught:
        load_product(path)
    return caught.value


def _line(text: str) -> int:
    """The line of the shipped definition that holds `text` first."""
    return next(number for number, line in enumerate(SOURCE.read_text().splitlines(), 1) if text in line)


def test_the_shipped_shelf_has_one_of_each_kind() -> None:
    products = load_products()
    assert {product.family for product in products} == set(get_args(Family))
    assert len({product.clock.group for product in products}) == 4
    assert {rule.type for product in products for rule in product.funded.rules} | {
        rule.type for product in products for phase in product.phases for rule in phase.rules
    } >= {"daily_loss", "daily_move_cap", "max_loss_trailing", "flat_by", "news_window", "best_day_ratio"}


@pytest.mark.parametrize(
    ("old", "new", "field", "problem"),
    [
        (FEE, "fee: 540.5", "fee", "a float cannot hold money exactly"),
        (FEE, 'fee: "-540"', "fee", "it must be more than 0"),
        (FEE, 'fee: ".inf"', "fee", "valid decimal"),
        (FEE, 'fee: "0.001"', "fee", "not an amount in USD: use at most 2 digits after the point"),
        (FEE, 'fee: "1E+16"', "fee", "not an amount in USD"),
        ('initial_balance: "100000"', 'initial_balance: "1e40"', "initial_balance", "not an amount in USD"),
        ('min_request: "50"', 'min_request: "50.005"', "payout.min_request", "not an amount in USD"),
        ('up_to: "500"', 'up_to: "500.001"', "payout.bands.0.up_to", "not an amount in USD"),
        (
            'target: {type: pct_of_initial, value: "8"}',
            'target: {type: amount, value: "8.125"}',
            "phases.0.target.value",
            "not an amount in USD",
        ),
        (
            'allowance: {type: pct_of_initial, value: "5"}',
            'allowance: {type: amount, value: "5000.001"}',
            "phases.0.rules.0.daily_loss.allowance.value",
            "not an amount in USD",
        ),
        ("leverage: 100", "leverage: 0", "leverage", "it must be at least 1; 0 is not"),
        ("currency: USD", "currency: dollar", "currency", "write the code of a currency in capitals, such as USD"),
        ("currency: USD", "currency: ABC", "currency", "There is no currency 'ABC'. Use the code of an ISO 4217"),
        ("zone: Europe/Prague", "zone: Europe/Atlantis", "clock.zone", "use an IANA name such as Europe/Prague"),
        ('reset: "00:00"', 'reset: "24:00"', "clock.reset", "write a wall time from 00:00 to 23:59"),
        ("dispute_days: 14", "dispute_days: 14\ndiscount: 5", "discount", "there is no such field here; remove it"),
        ("anchor: balance", "anchor: profit", "phases.0.rules.0.daily_loss.anchor", "'balance'"),
        ("type: daily_loss", "type: weekly_loss", "phases.0.rules.0", "'max_loss_static'"),
        ('up_to: "500"', 'up_to: "5000"', "payout.bands", "up_to must rise from band to band"),
        ("up_to: null", 'up_to: "9000"', "payout.bands", "every amount has a policy"),
        ('"500", approvers: 0', '"500", approvers: 2', "payout.bands", "may not need fewer approvers"),
        ('split_pct: "80"', "split_pct: 101", "payout.split_pct", "it must be at most 100"),
        ("id: max_loss", "id: daily_loss", "phases.0.rules", "two rules of phase 'Challenge' share an id"),
        (
            "family: two-step",
            "family: one-step",
            "phases",
            "the family one-step has 1 evaluation phase, and here are 2",
        ),
    ],
)
def test_an_error_names_file_line_and_field(tmp_path: Path, old: str, new: str, field: str, problem: str) -> None:
    rows = _refusal(_changed(tmp_path, old, new)).message.splitlines()
    about = [row for row in rows if f" {field}: " in row]
    assert about, rows
    assert problem in about[0]
    places = {"phases": "phases:", "payout.bands": "bands:", "phases.0.rules": "rules:"}
    line = _line(places.get(field, old))
    line += field == "discount"  # the line after the one that it was added to
    assert about[0].startswith(f"two-step.v1.yaml:{line} ")


def test_every_error_has_a_row_of_its_own(tmp_path: Path) -> None:
    text = SOURCE.read_text().replace(FEE, "fee: 540.5").replace("leverage: 100", "leverage: many")
    error = _refusal(_written(tmp_path, text))
    rows = error.message.splitlines()
    assert [row.split(":")[1].split()[1] for row in rows] == ["fee", "leverage"]
    assert error.field == "fee"


def test_a_key_that_is_repeated_is_refused_wherever_it_stands(tmp_path: Path) -> None:
    text = (
        SOURCE.read_text().replace(FEE, 'fee: "0"').replace("  every_days: 14\n", "  every_days: 14\n  every_days: 1\n")
    )
    error = _refusal(_written(tmp_path, text + FEE + "\n"))
    assert error.message.splitlines() == [
        f"two-step.v1.yaml:{_line('every_days') + 1} payout.every_days: is set twice; keep one of them",
        f"two-step.v1.yaml:{len(text.splitlines()) + 1} fee: is set twice; keep one of them",
    ]
    assert error.field == "payout.every_days"


def test_a_missing_field_is_looked_for_where_it_should_stand(tmp_path: Path) -> None:
    row = _refusal(_changed(tmp_path, "  every_days: 14\n", "")).message
    assert row == f"two-step.v1.yaml:{_line('payout:')} payout.every_days: it is missing; add `every_days: …`"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('target: {type: pct_of_initial, value: "8"}\n', "\n", "'Challenge' needs a target, or nobody can pass it"),
        ('value: "10"', 'value: "100"', "must lie between zero and the initial balance"),
        (
            'allowance: {type: pct_of_initial, value: "5"}',
            'allowance: {type: amount, value: "100000"}',
            "the allowance must lie between zero and the initial balance",
        ),
        (
            'allowance: {type: pct_of_initial, value: "5"}',
            'allowance: {type: pct_of_trade_value, value: "5"}',
            "a limit of the account is no percentage of the value of a trade",
        ),
        ("family: two-step", "family: instant", "the family instant has 0 evaluation phases, and here are 2"),
    ],
)
def test_terms_that_make_no_sense_are_refused(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert problem in _refusal(_changed(tmp_path, old, new)).message


@pytest.mark.parametrize("name", ["two-step.yaml", "two-step.v2.yaml", "other.v1.yaml"])
def test_a_file_is_named_after_what_it_defines(tmp_path: Path, name: str) -> None:
    error = _refusal(_written(tmp_path, SOURCE.read_text(), name))
    assert error.message.startswith(f"{name}:1 ")
    assert "two-step.v1.yaml" in error.message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "two-step.v1.yaml:1 is empty"),
        (b"# nothing yet\n", "two-step.v1.yaml:1 is empty"),
        (b"# two\n- a\n- b\n", "two-step.v1.yaml:2 is a list; write a product definition as `field: value`"),
        (b"two-step\n", "two-step.v1.yaml:1 is a single value"),
        (b"product: two-step\nname: 2014-13-45\n", "two-step.v1.yaml: cannot be read"),
        (b"product: two-step\nname: [1, 2\n", "two-step.v1.yaml:3 is not YAML"),
        (b"product: !!python/object:os.system x\n", "is not YAML"),
        (b"product: \xff\xfe\n", "two-step.v1.yaml: cannot be read"),
    ],
)
def test_what_is_no_definition_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / SOURCE.name
    path.write_bytes(content)
    assert says in _refusal(path).message


def test_missing_files_and_an_empty_shelf_are_refused(tmp_path: Path) -> None:
    assert "cannot be read" in _refusal(tmp_path / SOURCE.name).message
    with pytest.raises(ProductInvalid, match="holds no"):
        load_products(tmp_path)


def _shuffled(value: Any, random: Random) -> Any:
    """The same document with its mappings' keys in another order."""
    if isinstance(value, dict):
        keys = random.sample(list(value), len(value))
        return {key: _shuffled(value[key], random) for key in keys}
    return [_shuffled(item, random) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("product", load_products(), ids=lambda product: str(product.ref))
def test_the_hash_stays_when_keys_change_places(tmp_path: Path, product: Product) -> None:
    name = f"{product.product}.v{product.version}.yaml"
    document = yaml.safe_load((SHELF / name).read_text())
    for seed in range(5):
        text = yaml.safe_dump(_shuffled(document, Random(seed)), sort_keys=False)
        assert load_product(_written(tmp_path, text, name)).content_hash == product.content_hash


def test_the_hash_changes_with_the_terms_and_survives_the_record() -> None:
    product = load_product(SOURCE)
    hashes = {product.content_hash}
    for changes in ({"fee": "541"}, {"version": 2}, {"dispute_days": 13}, {"name": "Two-step"}):
        hashes.add(Product.model_validate(product.model_dump() | changes).content_hash)
    assert len(hashes) == 5
    assert Product.model_validate(product.model_dump(mode="json")).content_hash == product.content_hash


def test_a_changed_copy_of_a_product_has_a_hash_of_its_own() -> None:
    product = load_products()[0]
    known = product.content_hash
    changed = product.model_copy(update={"version": product.version + 1})
    assert changed.content_hash != known
    assert changed.content_hash == Product.model_validate(changed.model_dump()).content_hash
    assert product.model_copy().content_hash == known
