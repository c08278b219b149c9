"""Times in words."""

from datetime import timedelta

import pytest

from domain.wording import rough


@pytest.mark.parametrize(
    ("length", "words"),
    [
        ({"seconds": 119.9}, "119 s"),
        ({"seconds": 120}, "2 min"),
        ({"minutes": 119}, "119 min"),
        ({"hours": 2}, "2 h"),
        ({"hours": 47, "minutes": 59}, "47 h"),
        ({"hours": 48}, "2 d"),
        ({"minutes": 10_200}, "7 d"),
    ],
)
def test_a_time_is_said_roughly_in_the_unit_that_people_would_use(length: dict[str, float], words: str) -> None:
    assert rough(timedelta(**length)) == words
