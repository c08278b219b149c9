"""Two database roles: `propos_owner` owns the tables and runs the migrations, `propos_app` is the application.

The application's role is no superuser and owns nothing. It cannot switch triggers off, and tables that are append-only
are so for it by privilege as well: no UPDATE, DELETE or TRUNCATE. docs/decisions/0014-ledger.md says why.
"""

from typing import Any, Final

from psycopg import sql
from sqlalchemy import Connection, text

OWNER: Final = "propos_owner"
APP: Final = "propos_app"
# Tables that only the database's own functions and the migrations write.
READ_ONLY: Final = (
    "alembic_version",
    "currencies",
    "event_sources",
    "ledger_accounts",
    "ledger_balances",
    "ledger_periods",
)


def become_owner(connection: Connection, app_password: str | None = None) -> bool:
    """Makes the roles, gives everything of the current role in the schema `public` to the owner, and acts as the owner
    until the transaction ends. `app_password`: the password of the application's role from now on.

    Returns False, with nothing changed, when the current role may not make roles: the application then has the rights
    of this role.
    """
    may = connection.scalar(text("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"))
    member = may_own(connection)
    if not may and not member:
        return False
    if may:
        make(connection)
    if not member:
        connection.exec_driver_sql(f"GRANT {OWNER} TO CURRENT_USER")
    if app_password:
        _set_password(connection, app_password)
    connection.exec_driver_sql(f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER}")
    connection.execute(text(_GIVE_AWAY))
    connection.exec_driver_sql(f"SET LOCAL ROLE {OWNER}")
    return True


def may_own(connection: Connection) -> bool:
    """Returns whether both roles are there and the current role may act as the owner. Another database of the server
    may have made the roles."""
    there = text("SELECT count(*) = 2 FROM pg_roles WHERE rolname IN (:owner, :app)")
    if not connection.scalar(there, {"owner": OWNER, "app": APP}):
        return False
    return bool(connection.scalar(text("SELECT pg_has_role(current_user, :owner, 'SET')"), {"owner": OWNER}))


def grant(connection: Connection) -> None:
    """Gives the application's role exactly what it needs on every table of the owner."""
    connection.execute(text("SELECT set_config('propos.read_only', :names, true)"), {"names": ",".join(READ_ONLY)})
    connection.execute(text(_GRANT))


def make(connection: Connection) -> None:
    """Makes the two roles where they are missing, without a password."""
    _make(connection, OWNER, "NOLOGIN")
    _make(connection, APP, "LOGIN")


def _make(connection: Connection, role: str, login: str) -> None:
    """Makes a role. Another database of the server may make it at the same time."""
    connection.exec_driver_sql(
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN"
        f" CREATE ROLE {role} {login} NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS; END IF;"
        " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )


def _set_password(connection: Connection, password: str) -> None:
    """The server gets the password's hash only, so that no log of it has the password."""
    raw: Any = connection.connection.driver_connection
    hashed = raw.pgconn.encrypt_password(password.encode(), APP.encode(), b"scram-sha-256").decode()
    raw.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(APP), sql.Literal(hashed)))


_GIVE_AWAY: Final = f"""
DO $$
DECLARE each record;
BEGIN
    FOR each IN
        SELECT c.oid::regclass AS name FROM pg_class c
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
           AND c.relowner = current_user::regrole AND c.relowner <> '{OWNER}'::regrole
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO {OWNER}', each.name);
    END LOOP;
    FOR each IN  -- the sequence of a column goes with its table
        SELECT c.oid::regclass AS name FROM pg_class c
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'S' AND c.relowner = current_user::regrole
           AND c.relowner <> '{OWNER}'::regrole
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i'))
    LOOP
        EXECUTE format('ALTER SEQUENCE %s OWNER TO {OWNER}', each.name);
    END LOOP;
    FOR each IN
        SELECT p.oid::regprocedure AS name FROM pg_proc p
         WHERE p.pronamespace = 'public'::regnamespace AND p.proowner = current_user::regrole
           AND p.proowner <> '{OWNER}'::regrole
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('ALTER ROUTINE %s OWNER TO {OWNER}', each.name);
    END LOOP;
END $$
"""

_GRANT: Final = f"""
DO $$
DECLARE each record; rights text;
BEGIN
    GRANT USAGE ON SCHEMA public TO {APP};
    FOR each IN
        SELECT c.oid::regclass AS name,
               c.relname = ANY(string_to_array(current_setting('propos.read_only'), ',')) AS read_only,
               EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'append_only') AS append_only,
               EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'no_truncate') AS keeps_rows
          FROM pg_class c
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relowner = '{OWNER}'::regrole
    LOOP
        rights := CASE WHEN each.read_only THEN 'SELECT' WHEN each.append_only THEN 'SELECT, INSERT'
                       WHEN each.keeps_rows THEN 'SELECT, INSERT, UPDATE' ELSE 'SELECT, INSERT, UPDATE, DELETE' END;
        EXECUTE format('REVOKE ALL ON %s FROM {APP}', each.name);
        EXECUTE format('GRANT %s ON %s TO {APP}', rights, each.name);
    END LOOP;
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {APP};
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {APP};
    REVOKE EXECUTE ON FUNCTION secure_rows() FROM {APP};
END $$
"""
