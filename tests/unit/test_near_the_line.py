"""Every pattern has a line, and thresholds a little below it."""

import pytest

from surveillance.registry import default_patterns


@pytest.mark.parametrize("name", sorted(default_patterns()))
def test_every_pattern_looks_a_little_below_its_line(name: str) -> None:
    thresholds = default_patterns()[name].limits.default
    eased = thresholds.eased()
    assert eased.version != thresholds.version
    changed = {field for field, value in thresholds if getattr(eased, field) != value}
    assert changed == set(type(thresholds).near_line), "each of them moves, and nothing else"
    assert all(getattr(eased, field) != 0 for field in changed)


def test_a_number_that_can_be_no_easier_stays() -> None:
    kind = type(default_patterns()["hedging"].limits.default)
    assert kind(min_points=1).eased() == kind(min_points=1)
