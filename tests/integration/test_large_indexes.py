"""An upgrade of a filled database builds the indexes of large tables while others write."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import psycopg
import pytest

from store.db import sync_engine
from store.large_indexes import LARGE, build_missing, missing
from store.migrate import upgrade
from tests import servers
from tests.integration.earlier_database import upgrade_to, with_rows
from tests.integration.scripted_venue import WHEN

_DEAL: Final = (
    "INSERT INTO deals (account_id, deal_id, seq, at, position_id, symbol, side, entry, lots, price, profit_minor,"
    " commission_minor, swap_minor, balance_minor, reason)"
    " VALUES ('acc_0', %s, 1, %s, 'p', 'EURUSD', 'buy', 'in', 1, 1.1, 0, 0, 0, 0, 'client')"
)


@pytest.fixture
def filled(postgres_url: str) -> Iterator[str]:
    """A database from before the indexes, with a deal in a part of its own and one in the rest."""
    servers.create_database(postgres_url, "large")
    url = servers.database_of(postgres_url, "large")
    upgrade_to(url, "0013")
    with_rows(url, platforms=("sandbox",))
    with psycopg.connect(url) as connection:
        connection.execute(_DEAL, ("d1", WHEN))
    upgrade_to(url, "0088")
    yield url
    servers.drop_database(postgres_url, "large")


def _missing(url: str) -> list[str]:
    engine = sync_engine(url)
    with engine.connect() as connection:
        found = [each.name for each in missing(connection)]
    engine.dispose()
    return found


def _build(url: str) -> None:
    engine = sync_engine(url)
    build_missing(engine)
    engine.dispose()


def _parts_with(connection: psycopg.Connection[Any], index: str) -> set[str]:
    query = "SELECT x.indrelid::regclass::text FROM pg_inherits i JOIN pg_index x ON x.indexrelid = i.inhrelid"
    return {name for (name,) in connection.execute(f"{query} WHERE i.inhparent = %s::regclass".encode(), (index,))}


def _until_it_waits(connection: psycopg.Connection[Any]) -> None:
    """Returns when the building of an index waits for somebody's transaction."""
    until = time.monotonic() + 120
    while not connection.execute("SELECT FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for%'").rowcount:
        assert time.monotonic() < until, "nothing is built"
        time.sleep(0.02)


def test_an_upgrade_leaves_large_indexes_for_afterwards_and_nobody_who_writes_waits(filled: str) -> None:
    upgrade_to(filled, "head")
    assert "ix_deals_updated" in _missing(filled) and "ix_postings_updated" not in _missing(filled), "that has no rows"
    with (
        psycopg.connect(filled, autocommit=True) as writer,
        psycopg.connect(filled) as slow,
        ThreadPoolExecutor(1) as thread,
    ):
        slow.execute("SET app.scope = 'firm'")
        slow.execute(_DEAL, ("d2", WHEN))  # its transaction is open: an index waits for it
        building = thread.submit(_build, filled)
        _until_it_waits(writer)
        writer.execute("SET lock_timeout = '2s'")
        writer.execute(_DEAL, ("d3", WHEN))
        assert not building.done()
        slow.commit()
        building.result()
        assert _missing(filled) == []
        assert _parts_with(writer, "ix_deals_account") == {"deals_before", "deals_default"}


def test_what_was_interrupted_is_built_anew_and_a_second_upgrade_has_nothing_to_do(filled: str) -> None:
    upgrade(filled)
    assert _missing(filled) == []
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute("DROP INDEX ix_deals_account, ix_transitions_decided")
        connection.execute("CREATE INDEX ix_deals_account ON ONLY deals (account_id, id)")  # as a kill left it
        connection.execute("CREATE INDEX deals_before_account_id_id_idx ON deals_before (account_id, id)")
        connection.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'deals_before_account_id_id_idx'::regclass"
        )
    assert set(_missing(filled)) == {"ix_deals_account", "ix_transitions_decided"}
    upgrade(filled)
    upgrade(filled)
    assert _missing(filled) == []


def test_the_names_of_large_indexes_leave_room_for_those_of_their_parts() -> None:
    assert all(len(f"{each.table}_default_{'_'.join(each.columns)}_idx") <= 63 for each in LARGE)
