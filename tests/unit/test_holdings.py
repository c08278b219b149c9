"""Open positions as rules store them: by id, in the order of opening, each change a new value."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.rules.holdings import Holding, Holdings, held_after
from tests.unit.conduct_story import DAY, at, closed, opened


@given(st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=120))
def test_holdings_agree_with_a_dict(moves: list[tuple[int, bool]]) -> None:
    held, naive = Holdings(), dict[str, Decimal]()
    for number, opens in moves:
        name = str(number)
        before, kept = held, list(held)
        held = held_after(held, opened(DAY, name) if opens else closed(DAY, name))
        others = {other: lots for other, lots in naive.items() if other != name}
        naive = {**naive, name: naive.get(name, Decimal(0)) + 1} if opens else others
        assert list(before) == kept, "an earlier one stays as it is"
    assert [(one.position_id, one.lots) for one in held] == list(naive.items())
    assert len(held) == len(naive)


def test_a_part_of_a_position_is_worth_its_part() -> None:
    held = held_after(Holdings(), opened(DAY, lots="3", value_minor=100))
    values = []
    for left in ("2", "1"):
        held = held_after(held, closed(DAY, left=left))
        values.append(held.get("a").open_value_minor)  # type: ignore[union-attr]
    assert values == [67, 33]
    whole = Holding(position_id="a", symbol="X", side="buy", lots=Decimal(2), opened_at=at(DAY), value_minor=201)
    assert whole.open_value_minor == 201
