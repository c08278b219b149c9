"""The journal in Redis keeps the contract of journals, on a real server."""

import os
from collections.abc import Iterator

import pytest

from adapters.journals.redis_streams import RedisJournal
from cli.bench.redis_process import BINARY, RedisServer, installed, redis_server
from domain.errors import Unavailable
from tests.contract.journal_contract import FIRST, JournalContract, JournalWorld, batch


@pytest.fixture
def server() -> Iterator[RedisServer]:
    if not installed() and not os.environ.get("CI"):
        pytest.skip(f"{BINARY} is not installed: apt-get install redis-server")
    with redis_server() as running:
        yield running


class _World(JournalWorld):
    def __init__(self, server: RedisServer) -> None:
        self._server = server

    def address(self) -> str:
        return self._server.url


class TestRedisJournal(JournalContract):
    @pytest.fixture
    def world(self, server: RedisServer) -> JournalWorld:
        return _World(server)


def test_a_killed_server_loses_nothing_that_was_appended(server: RedisServer) -> None:
    journal = RedisJournal(server.url, "live")
    for number in range(FIRST, FIRST + 100):
        journal.append(batch(number), {"position": str(number)})
    server.kill()
    with pytest.raises(Unavailable):
        journal.append(batch(FIRST + 100), {"position": "never"})
    server.start()
    journal.append(batch(FIRST + 100), {})  # the same gateway goes on
    after = RedisJournal(server.url, "live")
    assert [each.number for each in after.read(0, 1_000)] == list(range(FIRST, FIRST + 101))
    assert after.get("position") == str(FIRST + 99)


def test_journals_of_two_platforms_do_not_meet(server: RedisServer) -> None:
    one, two = RedisJournal(server.url, "one"), RedisJournal(server.url, "two")
    one.append(batch(FIRST), {"book/1": "one"})
    two.append(batch(5), {"book/1": "two"})
    one.append(batch(FIRST + 1), {})
    assert (one.items(""), two.items("")) == ([("book/1", "one")], [("book/1", "two")])
    assert (one.last(), two.last()) == (FIRST + 1, 5)


@pytest.mark.parametrize(
    ("options", "word"),
    [({"maxmemory_policy": "allkeys-lru"}, "noeviction"), ({"appendonly": "no"}, "appendonly")],
)
def test_a_server_that_may_lose_batches_is_refused(server: RedisServer, options: dict[str, str], word: str) -> None:
    before = RedisJournal(server.url, "live")
    before.append(batch(FIRST), {})
    server.kill()
    server.start(**options)
    with pytest.raises(Unavailable) as refused:
        RedisJournal(server.url, "live")
    assert word in (refused.value.remedy or "")
    assert refused.value.field == "gateway_journal"


def test_a_full_server_stores_nothing_of_a_batch(server: RedisServer) -> None:
    server.kill()
    server.start(maxmemory="3mb")
    journal = RedisJournal(server.url, "live")
    number, body = FIRST, "x" * 100_000
    with pytest.raises(Unavailable) as refused:
        for number in range(FIRST, FIRST + 1_000):
            journal.append(batch(number), {"position": str(number), f"fill/{number}": body})
    assert refused.value.remedy
    assert number > FIRST
    assert (journal.last(), journal.get("position")) == (number - 1, str(number - 1))
    assert journal.get(f"fill/{number}") is None
    assert journal.read(number - 1, 10) == []


def test_a_server_that_is_not_there_is_unavailable_and_the_password_is_not_said() -> None:
    for url in ("redis://:geheim@127.0.0.1:1/0", "http://:geheim@127.0.0.1:1/0"):
        with pytest.raises(Unavailable) as refused:
            RedisJournal(url, "live")
        assert "geheim" not in f"{refused.value} {refused.value.remedy}"
