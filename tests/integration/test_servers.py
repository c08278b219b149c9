import psycopg

from store.migrate import current
from tests import servers


def test_each_database_is_fresh_and_at_the_newest_migration(database_url: str) -> None:
    have, head = current(database_url)
    assert have == head
    with psycopg.connect(database_url) as connection:
        setting = connection.execute("SELECT setting FROM pg_settings WHERE name = 'listen_addresses'").fetchone()
    assert setting == ("",)


def test_databases_do_not_see_each_other(postgres_url: str, database_url: str) -> None:
    servers.create_database(postgres_url, "another")
    with psycopg.connect(servers.database_of(postgres_url, "another"), autocommit=True) as connection:
        connection.execute("CREATE TABLE only_there (id int)")
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT to_regclass('only_there')").fetchone()
    servers.drop_database(postgres_url, "another")
    assert found == (None,)


def test_temporal_answers(temporal_address: str) -> None:
    import asyncio

    from cli.stack.probes import TemporalProbe

    assert asyncio.run(TemporalProbe(temporal_address, servers.NAMESPACE).answers())
