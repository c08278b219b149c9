"""The demo deducts a part of a copier's profit, so that the rest is paid."""

from typing import Any

import pytest

from cli.demo.operators import up_to


@pytest.mark.parametrize(
    ("most", "chosen"), [(None, ["a", "b", "c"]), (1_000, ["b", "c"]), (350, ["b", "c"]), (349, ["b"]), (10, ["b"])]
)
def test_the_smallest_trades_are_named_up_to_the_sum(most: int | None, chosen: list[str]) -> None:
    profits = {"a": 900, "b": 100, "c": 250}
    won: list[dict[str, Any]] = [{"position_id": name, "profit_minor": minor} for name, minor in profits.items()]
    assert [each["position_id"] for each in up_to(won, most)] == chosen
