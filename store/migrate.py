"""Upgrade a database to the newest schema, and report its revision."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from store.db import sync_engine

_SCRIPTS = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config


def upgrade(database_url: str) -> None:
    """Apply every missing migration in one transaction. A second caller waits for the first.

    Raises Conflict when a migration cannot say what earlier rows mean; the database is as before then.
    """
    engine = sync_engine(database_url)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7120001)")
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def current(database_url: str) -> tuple[str | None, str]:
    """Returns (revision of the database, newest revision); None when the database is empty."""
    engine = sync_engine(database_url)
    with engine.connect() as connection:
        have = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return have, head or ""
