"""Catches the statements of a page on their way to PostgreSQL, and says what each really reads there."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import event

from store.db import Database
from tests import servers

Statement = tuple[str, Any]


@contextmanager
def caught(db: Database) -> Iterator[list[Statement]]:
    """Yields the list to which every SELECT is added, with its values."""
    found: list[Statement] = []
    engine = db.engine.sync_engine

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, _many: bool) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            found.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


def explained(
    owner_url: str, statements: Sequence[Statement], growing: tuple[str, ...]
) -> dict[str, tuple[int, list[str]]]:
    """Returns (rows read, tables of `growing` read from end to end) of each statement, under row security."""
    found = {}
    with psycopg.connect(servers.as_app(owner_url)) as connection:
        for statement, values in statements:
            ((plans,),) = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values).fetchall()
            nodes = list(_nodes(plans[0]["Plan"]))
            read = sum(_read(node) for node in nodes if "Relation Name" in node)
            whole = [node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"]
            found[statement] = (read, [table for table in whole if table.startswith(growing)])
    return found


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _read(node: dict[str, Any]) -> int:
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    read: int = round((node["Actual Rows"] + removed) * node["Actual Loops"])
    return read
