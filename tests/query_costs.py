"""What a page costs: its statements, caught on their way to PostgreSQL and explained there, with what each really
reads."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from sqlalchemy import event

from store.db import Database
from tests import servers

Statement = tuple[str, Any]
# Table -> (the table with a row to copy, what the copies have instead, what is new in each).
Copies = Mapping[str, tuple[str, Mapping[str, Any], str]]
_COPY: Final = """
    INSERT INTO {table} SELECT made.* FROM generate_series(%(first)s::int, %(last)s::int) AS n,
           LATERAL (SELECT to_jsonb(t) AS body FROM {source} t LIMIT 1) AS one,
           LATERAL jsonb_populate_record(NULL::{table}, one.body || %(changes)s::jsonb || {new}) AS made
"""


@contextmanager
def caught_statements(db: Database) -> Iterator[list[Statement]]:
    """Collects what is read through `db` meanwhile."""
    caught: list[Statement] = []
    engine = db.engine.sync_engine

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, _many: bool) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            caught.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield caught
    finally:
        event.remove(engine, "before_cursor_execute", note)


def copy_rows(connection: psycopg.Connection, copies: Copies, first: int, last: int) -> None:
    """Makes the rows numbered so of each table, as copies of one; without foreign keys and triggers."""
    connection.execute("SET session_replication_role = replica")
    for table, (source, changes, new) in copies.items():
        query = _COPY.format(table=table, source=source, new=new)
        made = connection.execute(query, {"first": first, "last": last, "changes": json.dumps(changes)})
        assert made.rowcount == last - first + 1, table
    connection.execute("ANALYZE")


def explained(
    owner_url: str, statements: Sequence[Statement], growing: tuple[str, ...]
) -> dict[str, tuple[int, list[str]]]:
    """Returns (rows read, growing tables read from end to end) of each statement, under row security. Of one that comes
    several times, the most."""
    found: dict[str, tuple[int, list[str]]] = {}
    with psycopg.connect(servers.as_app(owner_url)) as connection:
        for statement, values in statements:
            ((plans,),) = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values).fetchall()
            nodes = list(_nodes(plans[0]["Plan"]))
            read = sum(_read(node) for node in nodes if "Relation Name" in node)
            whole = [node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"]
            cost = (read, [table for table in whole if table.startswith(growing)])
            found[statement] = max(cost, found.get(statement, cost))
    return found


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _read(node: dict[str, Any]) -> int:
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    read: int = round((node["Actual Rows"] + removed) * node["Actual Loops"])
    return read
