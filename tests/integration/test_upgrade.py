"""A database of an earlier version, with rows in it, brought to the newest one."""

from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config

import store
from store.db import sync_engine
from store.migrate import upgrade
from tests import servers
from tests.integration.scripted_venue import WHEN


def _at(database_url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(store.__path__[0]) / "migrations"))
    engine = sync_engine(database_url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def test_rows_from_before_there_were_names_belong_to_the_sandbox(postgres_url: str) -> None:
    servers.create_database(postgres_url, "earlier")
    url = servers.database_of(postgres_url, "earlier")
    try:
        _at(url, "0011")
        with psycopg.connect(url) as connection:
            connection.execute(
                "INSERT INTO traders (id, name, email, email_index, country, identity, created_at)"
                " VALUES ('trd_1', '\\x00', '\\x00', 'x', 'CZ', 'verified', %s)",
                (WHEN,),
            )
            connection.execute(
                "INSERT INTO products (product, version, name, content_hash, terms) VALUES ('p', 1, 'P', 'h', '{}')"
            )
            connection.execute(
                "INSERT INTO challenges (id, trader_id, product, version, state, phase_index, fee_minor, currency,"
                " checkout_id, bought_at, changed_at) VALUES ('chl_1', 'trd_1', 'p', 1, 'active', 1, 1, 'USD', 'co_1',"
                " %s, %s)",
                (WHEN, WHEN),
            )
            connection.execute("INSERT INTO shards (id, epoch, batch, owner) VALUES (0, 4, 9, 'me')")
            for number, kind in enumerate(("bad_tick", "gap", "payment")):
                connection.execute(
                    "INSERT INTO reviews (id, key, kind, detail, status, occurred_at)"
                    " VALUES (%s, %s, %s, '{}', 'open', %s)",
                    (f"rev_{number}", f"{kind}/7", kind, WHEN),
                )
        upgrade(url)
        with psycopg.connect(url) as connection:
            names = connection.execute("SELECT c.provider, s.platform, s.batch FROM challenges c, shards s").fetchall()
            keys = connection.execute("SELECT key FROM reviews ORDER BY id").fetchall()
    finally:
        servers.drop_database(postgres_url, "earlier")
    assert names == [("sandbox", "sandbox", 9)]
    assert keys == [("sandbox/bad_tick/7",), ("sandbox/gap/7",), ("payment/7",)], (
        "as the monitor writes them from now on"
    )
