"""Files of lists: amounts in major units, nothing that a spreadsheet computes; and the words of names."""

import csv
import io
import json

import pytest

from domain.screening.name_words import name_words
from front.exports import csv_of, json_of
from store.read.pages import View


class Row(View):
    id: str
    name: str
    gross_minor: int
    paid_minor: int | None
    paid_currency: str
    currency: str
    held: bool
    tags: tuple[str, ...] = ()


def _row(name: str = "Mara", gross: int = 124_050) -> Row:
    return Row(
        id="pay_1", name=name, gross_minor=gross, paid_minor=1_200, paid_currency="JPY", currency="USD", held=False
    )


def _read(rows: list[Row]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_of(rows).decode("utf-8-sig"))))


def test_amounts_are_in_major_units_of_their_own_currency() -> None:
    assert _read([_row(gross=-50)]) == [
        {
            "id": "pay_1",
            "name": "Mara",
            "gross": "-0.50",
            "paid": "1200",
            "paid_currency": "JPY",
            "currency": "USD",
            "held": "no",
            "tags": "[]",
        }
    ]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")'])
def test_no_text_begins_a_formula(name: str) -> None:
    assert _read([_row(name)])[0]["name"] == f"'{name}"


def test_a_file_of_nothing_is_empty_and_json_keeps_the_rows_as_the_api_has_them() -> None:
    assert csv_of([]).decode("utf-8-sig") == ""
    assert json.loads(json_of([_row("Zoë")]))["items"][0]["name"] == "Zoë"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Mara Lindqvist", ["mara", "lindqvist"]),
        ("Zoë O'Neil-Łukasz", ["zoe", "oneil", "lukasz"]),
        ("  MARA   mara ", ["mara"]),
        ("Müller, Jörg", ["muller", "jorg"]),
        ("Иван Петров", ["ivan", "petrov"]),
        ("…", []),
    ],
)
def test_names_have_the_same_words_however_they_are_written(name: str, words: list[str]) -> None:
    assert name_words(name) == words
