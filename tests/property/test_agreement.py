"""One engine: the shard, the replay, the statement and the proof sheets agree on random lives under random products."""

import pytest

from cli.bench.agreement.history_terms import CONDUCT, GATES
from cli.bench.agreement.run import LIVES, one_product
from domain.rules.base import ConductRule, Gate
from domain.rules.registry import rule_types

CHUNKS, PER_CHUNK = 40, 21  # products: more than 10,000 lives in all


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_way_to_judge_a_life_agrees(chunk: int) -> None:
    for number in range(PER_CHUNK):
        found = one_product(chunk * PER_CHUNK + number)
        assert found.disagreements == []


def test_a_statement_is_judged_by_the_average_after_its_last_event_and_a_life_at_a_request_only() -> None:
    assert one_product(40084).disagreements == []


def test_an_inactivity_that_a_position_suspended_is_found_at_its_close() -> None:
    assert one_product(41091).disagreements == []


def test_the_chunks_are_ten_thousand_lives() -> None:
    assert CHUNKS * PER_CHUNK * LIVES >= 10_000


def test_every_rule_type_has_a_maker() -> None:
    """A new type of rule that the random products do not have is found here."""
    types = rule_types()
    assert set(CONDUCT) == {name for name, kind in types.items() if issubclass(kind, ConductRule)}
    assert set(GATES) == {name for name, kind in types.items() if issubclass(kind, Gate)}
