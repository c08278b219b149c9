"""Upgrade a database to the newest schema, and report its revision."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import make_url

from domain.business_events import SOURCES
from domain.chart import CHART
from domain.currencies import DIGITS
from domain.errors import Conflict, NotAllowed
from store import large_indexes, roles
from store.db import sqlalchemy_url, sync_engine
from store.models import CurrencyRow, EventSource, LedgerAccountRow

_SCRIPTS = Path(__file__).parent / "migrations"
# Tables in our schema, except those of an extension.
_TABLES_SQL = """
    SELECT c.relname FROM pg_class c
    WHERE c.relnamespace = to_regnamespace('public') AND c.relkind IN ('r', 'p')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    ORDER BY c.relname LIMIT 3
"""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config


def upgrade(owner_url: str, app_url: str | None = None) -> None:
    """Apply every missing migration in one transaction, as the owner of the tables; give the application's role what it
    needs. Then build missing indexes of large tables, while others write. A second caller waits for the first.
    `app_url`: how the application connects; its password becomes that of the role.

    Raises Conflict when a migration cannot say what earlier rows mean, NotAllowed when `owner_url` is the application's
    and something is missing. The database is as before then.
    """
    engine = sync_engine(owner_url)
    try:
        if not _has_nothing_to_do(engine):
            with engine.begin() as connection:
                _upgrade(connection, _app_password(app_url))
            large_indexes.build_missing(engine)
    finally:
        engine.dispose()


def _upgrade(connection: Connection, app_password: str | None) -> None:
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7120001)")
    connection.exec_driver_sql("SET LOCAL app.scope = 'firm'")  # the owner's rows are guarded as well
    _check_ours(connection)
    separate = roles.become_owner(connection, app_password)
    _check_ours(connection)  # the owner may read what the role that connects may not
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.exec_driver_sql("SELECT secure_rows()")  # of tables that came since
    _write_chart(connection)
    _write_event_sources(connection)
    if separate:
        roles.grant(connection)


def _check_ours(connection: Connection) -> None:
    """Raises Conflict for a database that a newer version has upgraded, and for one of another program: nothing is
    changed there. Says nothing about one whose revision this role may not read."""
    if connection.scalar(text("SELECT has_table_privilege(to_regclass('public.alembic_version'), 'SELECT')")) is False:
        return
    have = MigrationContext.configure(connection).get_current_revision()
    if have is None:
        tables = list(connection.scalars(text(_TABLES_SQL)))
        if tables:
            raise Conflict(
                f"The database has tables of another program: {', '.join(tables)}.",
                remedy="Name an empty database in DATABASE_URL. Nothing was changed in this one.",
            )
    elif have not in known_revisions():
        raise unknown_revision(have)


def unknown_revision(have: str) -> Conflict:
    """Returns the refusal of a revision that this version does not have. Ours are numbers of four digits."""
    if have.isdigit() and have > newest():
        return Conflict(
            f"The database is at revision {have}; this version of PropOS knows revisions up to {newest()}.",
            remedy="Use the newer version of PropOS that upgraded it, or restore a backup from before:"
            " docs/runbooks/restore.md.",
        )
    return Conflict(
        f"The database is at revision {have}, which is none of PropOS: it belongs to another program.",
        remedy="Name a database of PropOS, or an empty one, in DATABASE_URL.",
    )


def _has_nothing_to_do(engine: Engine) -> bool:
    """Returns whether the application's own role found the newest schema. Raises NotAllowed when it did not."""
    with engine.connect() as connection:
        if connection.scalar(text("SELECT current_user")) != roles.APP:
            return False
        readable = connection.scalar(
            text("SELECT has_table_privilege(to_regclass('public.alembic_version'), 'SELECT')")
        )
        have = MigrationContext.configure(connection).get_current_revision() if readable else None
    if have != newest():
        raise NotAllowed(
            f"The role {roles.APP} may not change the schema.",
            remedy="Set PROPOS_OWNER_DATABASE_URL to the URL of a role that may, and run `propos migrate` again.",
        )
    return True


def _app_password(app_url: str | None) -> str | None:
    if app_url is None:
        return None
    url = make_url(sqlalchemy_url(app_url))
    return str(url.password) if url.username == roles.APP and url.password else None


def _write_chart(connection: Connection) -> None:
    """Adds the currencies and accounts that the tables lack. Raises Conflict when one has another meaning there."""
    currencies = [{"code": code, "digits": digits} for code, digits in DIGITS.items()]
    connection.execute(insert(CurrencyRow).values(currencies).on_conflict_do_nothing())
    accounts = [
        {
            "name": each.name,
            "type": each.type,
            "normal": each.normal,
            "title": each.title,
            "per_connection": each.per_connection,
        }
        for each in CHART
    ]
    connection.execute(insert(LedgerAccountRow).values(accounts).on_conflict_do_nothing())
    digits: dict[str, int] = dict(connection.execute(select(CurrencyRow.code, CurrencyRow.digits)).tuples().all())
    wrong = sorted(code for code, number in DIGITS.items() if digits[code] != number)
    if wrong:
        raise Conflict(f"The books count {wrong[0]} in {digits[wrong[0]]} digits, this version in {DIGITS[wrong[0]]}.")
    have = {row.name: row for row in connection.execute(select(LedgerAccountRow.__table__))}
    for each in CHART:
        kept = have[each.name]
        if (kept.type, kept.normal, kept.per_connection) != (each.type, each.normal, each.per_connection):
            raise Conflict(f"The account {each.name!r} of the books is of another type than in this version.")


def _write_event_sources(connection: Connection) -> None:
    """Makes the table say which audit actions are business events, as the catalogue of this version does."""
    connection.execute(delete(EventSource).where(EventSource.action.not_in(SOURCES)))
    new = insert(EventSource).values([{"action": action, "kind": kind} for action, kind in SOURCES.items()])
    connection.execute(new.on_conflict_do_update(index_elements=["action"], set_={"kind": new.excluded.kind}))


def current(database_url: str) -> tuple[str | None, str]:
    """Returns (revision of the database, newest revision); None when the database is empty."""
    engine = sync_engine(database_url)
    with engine.connect() as connection:
        have = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    return have, newest()


def known_revisions() -> frozenset[str]:
    """Returns every revision that this version can upgrade from, the newest included."""
    return frozenset(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def newest() -> str:
    """Returns the newest revision of this version."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""
