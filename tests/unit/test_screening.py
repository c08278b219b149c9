"""Names with noise are found on a list, ordinary names are not."""

import json
import random
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from adapters.sanctions.lists import read_any
from cli.main import app
from domain.screening.entries import Entry
from domain.screening.index import THRESHOLD, Index, adjusted
from domain.screening.names import keys_of, parts_of
from domain.screening.scoring import score
from tests import written_otherwise
from tests.name_noise import KINDS

SHARED = Path(__file__).parents[3] / "shared" / "data" / "sanctions"
LISTED = SHARED / "yente_positives_un_untreated.csv"
ORDINARY = SHARED / "yente_negatives_us.csv"
needs_data = pytest.mark.skipif(not LISTED.exists(), reason=f"the recorded names are not at {SHARED}")

# Made up.
NAMES = (
    "Karim Bashir al-Zamouri", "Abdul Rahman Yar Wardakzai", "Viktor Semyonovich Draganov", "Pak Myong Hyok",
    "Jean-Bosco Ntaganzwira", "Mohammad Qasim Torabzadeh", "Ibrahima Soulemane Kante", "Zaidullah Barakzoy",
    "Yusuf Daoud Hamdani", "Oleksandr Petrovych Zhdanko",
)  # fmt: skip
ORDINARY_NAMES = ("Ingrid Solberg", "Pedro Almeida Costa", "Julia Krause", "Tom Baker", "Li Wei", "Aisha Bello")


def alike(asked: str, listed: str) -> float:
    return score(parts_of(asked), parts_of(listed)).value


@cache
def index() -> Index:
    return Index([Entry(f"L{number}", (name,)) for number, name in enumerate(NAMES)])


@pytest.mark.parametrize("kind", KINDS)
def test_made_up_names_are_found_with_every_kind_of_noise(kind: str) -> None:
    rng, listed, found = random.Random(f"names/{kind}"), index(), 0
    for name in NAMES * 5:
        best = listed.best(KINDS[kind](rng, name))
        found += best is not None and best.value >= THRESHOLD and best.name == name
    assert found >= 0.9 * len(NAMES) * 5


@pytest.mark.parametrize("name", ORDINARY_NAMES)
def test_an_ordinary_name_is_no_hit(name: str) -> None:
    best = index().best(name)
    assert best is None or best.value < THRESHOLD


@pytest.mark.parametrize(
    ("asked", "listed"),
    [
        ("Abdulrahman Wardakzai", "Abd al-Rahman Wardakzai"),
        ("Мухаммад Касим", "Mohammad Qasim"),
        ("محمد قاسم", "Mohammad Qasim"),
        ("Dr. Yusuf Hamdani", "Youssef HAMDANI"),
        ("Zamouri, Karim", "Karim al-Zamouri"),
        ("Žarko Đorđević", "Zarko Djordjevic"),
    ],
)
def test_the_same_name_in_another_writing_is_a_hit(asked: str, listed: str) -> None:
    assert alike(asked, listed) >= THRESHOLD
    assert keys_of(parts_of(asked)) & keys_of(parts_of(listed))


def test_a_shared_first_name_is_no_hit_and_the_reason_names_the_parts() -> None:
    assert alike("Mohammad Farouk", "Mohammad Qasim Torabzadeh") < THRESHOLD
    assert score(parts_of("Yusuf Hamdani"), parts_of("Yousuf Hamdani")).reason == "hamdani, yusuf ~ yousuf"


def test_countries_raise_and_lower_the_score_by_less_than_the_year_of_birth() -> None:
    assert adjusted(0.8, (), (), ("RU",), ("Russian Federation",)) > 0.8
    assert 0.65 < adjusted(0.8, (), (), ("DE",), ("North Korea", "KP")) < 0.8
    assert adjusted(0.8, (), (), ("DE",), ("nowhere",)) == 0.8


def test_the_year_of_birth_raises_and_lowers_the_score() -> None:
    assert adjusted(0.8, ("1970-05-01",), ("1970",)) > 0.8
    assert adjusted(0.8, ("1970-05-01",), ("1971",)) == 0.8
    assert adjusted(0.8, ("1970-05-01",), ("12 Mar 1985",)) < 0.7
    assert adjusted(0.8, (), ("1985",)) == 0.8


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_texts_have_a_score_between_0_and_1_and_a_text_equals_itself(first: str, second: str) -> None:
    assert 0 <= alike(first, second) <= 1
    assert not parts_of(first) or alike(first, first) == 1


@cache
def recorded() -> tuple[list[str], Index]:
    entries = read_any(LISTED.read_bytes(), LISTED.name).entries
    return random.Random("some").sample([entry.names[0] for entry in entries], 100), Index(entries)


@needs_data
@pytest.mark.parametrize("kind", KINDS)
def test_listed_names_are_found_with_noise(kind: str) -> None:
    some, listed = recorded()
    rng = random.Random(f"listed/{kind}")
    found = [listed.best(KINDS[kind](rng, name)) for name in some]
    assert sum(best is not None and best.value >= THRESHOLD for best in found) >= 0.95 * len(some)


@needs_data
@pytest.mark.parametrize("kind", written_otherwise.KINDS)
def test_listed_names_that_nothing_was_tuned_on_are_found(kind: str) -> None:
    _, listed = recorded()
    _, others = written_otherwise.halves([entry.names[0] for entry in listed.entries])
    some = random.Random("held out").sample(others, 100)
    found = [listed.best(written_otherwise.write("held out", kind, name)) for name in some]
    assert sum(best is not None and best.value >= THRESHOLD for best in found) >= 0.93 * len(some)


@needs_data
@pytest.mark.parametrize("name", ["Mohammad", "Ali", "Ahmed", "Abdul", "Ibrahim", "Kim", "Omar"])
def test_a_common_given_name_alone_is_no_hit(name: str) -> None:
    best = recorded()[1].best(name)
    assert best is None or best.value < THRESHOLD


@needs_data
def test_the_command_finds_few_ordinary_names(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"  # without the dates of birth, which would rule most of them out
    names.write_text("\n".join(line.split(",")[0] for line in ORDINARY.read_text().splitlines()[1:]))
    ran = CliRunner().invoke(app, ["screen", "--list", str(LISTED), "--names", str(names), "--json"])
    answer = json.loads(ran.stdout)
    assert answer["names"] == 1000
    assert answer["hits"] <= 15
    assert sum(row["hit"] for row in answer["results"]) == answer["hits"]
