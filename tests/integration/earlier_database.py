"""A database as an earlier version left it."""

from collections.abc import Callable
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from psycopg.types.json import Jsonb

import store
from store.db import sync_engine
from tests.integration.scripted_venue import WHEN
from tests.shelf import shipped


def upgrade_to(database_url: str, revision: str) -> None:
    _run(command.upgrade, database_url, revision)


def downgrade_to(database_url: str, revision: str) -> None:
    _run(command.downgrade, database_url, revision)


def _run(move: Callable[[Config, str], None], database_url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(store.__path__[0]) / "migrations"))
    engine = sync_engine(database_url)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL app.scope = 'firm'")
            config.attributes["connection"] = connection
            move(config, revision)
    finally:
        engine.dispose()


def with_rows(
    url: str, *, platforms: tuple[str, ...] = (), entries: tuple[str, ...] = (), inbox: tuple[str, ...] = ()
) -> None:
    """Rows as versions before 0012 wrote them: an account on each platform, and an entry or event of each provider."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO traders (id, name, email, email_index, country, identity, created_at)"
            " VALUES ('trd_1', '\\x00', '\\x00', 'x', 'CZ', 'verified', %s)",
            (WHEN,),
        )
        connection.execute(
            "INSERT INTO products (product, version, name, content_hash, terms) VALUES ('p', 1, 'P', 'h', %s)",
            (Jsonb(shipped()[0].model_dump(mode="json")),),
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
        for number, name in enumerate(platforms):
            connection.execute(
                "INSERT INTO accounts (id, challenge_id, trader_id, phase_index, attempt, product, version, platform,"
                " login, shard, clock_group, currency, initial_minor, status)"
                " VALUES (%s, 'chl_1', 'trd_1', %s, 1, 'p', 1, %s, %s, 0, 'UTC@00:00', 'USD', 1, 'active')",
                (f"acc_{number}", number, name, number),
            )
        for number, name in enumerate(entries):
            connection.execute(
                "INSERT INTO provider_entries (provider, entry_id, kind, object_id, reference, amount_minor, currency,"
                " at) VALUES (%s, %s, 'payment', 'co_1', 'chl_1', 1, 'USD', %s)",
                (name, f"en_{number}", WHEN),
            )
        for number, name in enumerate(inbox):
            connection.execute(
                "INSERT INTO inbox (provider, event_id, kind, object_id, attempts)"
                " VALUES (%s, %s, 'checkout.paid', 'co_1', 0)",
                (name, f"ev_{number}"),
            )
