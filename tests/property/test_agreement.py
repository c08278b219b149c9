"""A live shard and the replay agree on random lives: the same offences, at the same events, with the same numbers."""

from collections import Counter
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.lives import Lives


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), length=st.integers(5, 60), accounts=st.sampled_from([1, 1, 2]))
def test_live_and_replay_agree(seed: int, length: int, accounts: int) -> None:
    lives = Lives(Random(seed), accounts, length)
    assert lives.live() == lives.replayed()


def test_the_lives_are_about_offences_cures_and_endings() -> None:
    """Every consequence and every way to find an offence occurs in a run's worth of lives."""
    kinds, numbers, ended = Counter[str](), Counter[int](), Counter[str]()
    for seed in range(150):
        for judged in Lives(Random(seed), 1, 40).replayed().values():
            kinds.update(kind for kind, *_ in judged.offences)
            numbers.update(number for _, _, number, _, _ in judged.offences)
            ended["pass" if judged.passed_at else "other"] += 1
    assert set(kinds) == {"fail", "warn", "review", "close_position", "pause_until_reset", "deduct_profit"}
    assert min(kinds.values()) >= 5, kinds
    assert min(numbers[1], numbers[2], numbers[3], ended["pass"], ended["other"]) >= 5, (numbers, ended)
