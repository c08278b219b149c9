"""YAML and JSON that somebody sent: read within bounds, and not repeated at length when it is refused."""

import json
from pathlib import Path
from typing import Final

import pytest

from cli.conformance.case import read_cases
from cli.conformance.run import run
from domain.file_errors import CaseUnreadable, ProductInvalid, YamlInvalid
from firm.products.shelf import SHELF, load_products, read_file, read_product
from firm.products.yaml_text import read_yaml
from tests.hostile_yaml import BOMB

TERMS: Final = (SHELF / "two-step.v1.yaml").read_text()


def refused(text: str) -> ProductInvalid:
    with pytest.raises(ProductInvalid) as caught:
        read_product(text, "mine")
    assert len(caught.value.message) < 20_000
    return caught.value


def test_the_shelf_uses_aliases_and_is_read() -> None:
    assert any("*" in path.read_text() for path in SHELF.glob("*.yaml"))
    assert len(load_products()) == len(list(SHELF.glob("*.yaml")))


def test_nested_aliases_are_refused_before_anything_is_built() -> None:
    assert len(BOMB) == 522
    error = refused(BOMB)
    assert error.message.startswith("mine:5 is not YAML: it has more than 10,000 values")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &a [*a]\n", "an alias (*) is inside the value that it repeats"),
        ("base: &b {x: 1}\nrows: [" + ", ".join(["*b"] * 4_000) + "]\n", "more than 10,000 values"),
        ("<<: &m {a: 1}\nb:\n" + "  <<: *m\n" * 6_000, "more than 10,000 values"),
        ("a: " + "[" * 5_000, "nested more than 30 levels"),
        ("a: " + "{a: " * 100, "nested more than 30 levels"),
        ("name: " + "x" * 2_001, "longer than 2,000 characters"),
        ("x" * 100_001, "longer than 100,000 bytes"),
        ("fee: !!int ''\n", "a tag (!) is not allowed here"),
        ("fee: " + "1:1" * 300 + ".5\n", ""),
        ("a: 1\n---\nb: 2\n", "found another document"),
        ("a: *nobody\n", "found undefined alias"),
    ],
)
def test_what_nobody_would_write_is_refused(text: str, says: str) -> None:
    assert says in refused(text).message


def test_a_deep_chain_of_aliases_is_as_deep_as_what_it_stands_for() -> None:
    rows = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 40)]
    with pytest.raises(YamlInvalid, match="30 levels once its aliases"):
        read_yaml("\n".join(rows), "mine")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("leverage: 100", "leverage: " + "9" * 1_900),
        ("leverage: 100", "leverage: 0x" + "f" * 1_900),
        ("leverage: 100", "leverage: [" + ", ".join(["many"] * 2_000) + "]"),
        ("currency: USD", "currency: " + "U" * 1_900),
        ("family: two-step", "family: " + "u" * 1_900),
        ("leverage: 100", "k" * 1_000 + ": 1"),
    ],
)
def test_an_error_repeats_little_of_what_was_sent(old: str, new: str) -> None:
    assert old in TERMS
    rows = refused(TERMS.replace(old, new, 1)).message.splitlines()
    assert max(map(len, rows)) < 700


def test_many_errors_are_listed_in_part() -> None:
    text = TERMS + "".join(f"field_{number}: 1\n" for number in range(500))
    rows = refused(text).message.splitlines()
    assert len(rows) == 51
    assert "450 more errors" in rows[-1]


def test_a_file_is_not_read_beyond_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(TERMS + "#" * 200_000)
    with pytest.raises(ProductInvalid, match=r"longer than 100,000 bytes"):
        read_file(path)


@pytest.mark.parametrize("text", ["[" * 200_000, "[" + "9" * 5_000 + "]"])
def test_json_without_an_end_is_no_file_of_cases(text: str) -> None:
    with pytest.raises(CaseUnreadable, match="cannot be read as JSON") as caught:
        read_cases(text, "cases.json")
    assert len(caught.value.message) < 400


def test_a_case_that_cannot_be_read_is_not_repeated_whole() -> None:
    raw = {"id": "i" * 10_000, "rule": {"kind": ["k" * 10_000]}, "expected": {}}
    other = {"id": "2", "rule": {"kind": "k" * 10_000}, "expected": {}}
    lines = [run(case).line for case in read_cases(json.dumps([raw, other, "x" * 10_000]), "cases.json")]
    assert max(map(len, lines)) < 800
