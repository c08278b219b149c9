"""Breaks the controls of money one at a time: a named test notices each.

`uv run pytest tests/mutations` breaks all of them. A run of the whole suite breaks every fifth of those that unit tests
notice.
"""

from collections.abc import Iterator

import pytest

from tests import servers
from tests.mutations.mutation import Mutation, table
from tests.mutations.workplace import Workplace


@pytest.fixture(scope="session")
def workplace(postgres_url: str, temporal_server: str) -> Iterator[Workplace]:
    with servers.scratch_dir("mutations") as folder:
        workplace = Workplace(folder, postgres_url=postgres_url, temporal_address=temporal_server)
        yield workplace
        workplace.close()


def test_every_mutation_can_be_made() -> None:
    mutations = table()
    assert [f"{each.id}: {problem}" for each in mutations if (problem := each.problem())] == []
    assert len({each.id for each in mutations}) == len(mutations) >= 60


@pytest.mark.timeout(1200)
def test_a_broken_control_is_noticed(workplace: Workplace, mutation: Mutation) -> None:
    result = workplace.broken(mutation)
    assert result.noticed, f"{mutation.control}: nothing noticed that it is broken.\n{result.output[-3000:]}"
