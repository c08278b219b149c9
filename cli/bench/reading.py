"""What the statements of a request read: caught on their way to PostgreSQL, and explained there afterwards."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from store.db import Database, connect_async

Statement = tuple[str, Any]


@contextmanager
def caught(db: Database) -> Iterator[list[Statement]]:
    """Collects every statement that goes through `db` meanwhile."""
    found: list[Statement] = []
    engine = db.engine.sync_engine

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        found.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def rows_read(database_url: str, statements: Sequence[Statement]) -> int:
    """How many rows of tables and indexes these statements read together, as EXPLAIN ANALYZE counts them: also those
    that a condition then leaves out. Statements that write are left out."""
    read = 0
    connection = await connect_async(database_url)
    async with connection:
        for statement, values in statements:
            if not statement.lstrip().startswith(("SELECT", "WITH")) or "audit_append" in statement:
                continue
            cursor = await connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}".encode(), values)
            ((plans,),) = await cursor.fetchall()
            read += sum(_of_node(node) for node in _nodes(plans[0]["Plan"]) if "Relation Name" in node)
        await connection.rollback()
    return read


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _of_node(node: dict[str, Any]) -> int:
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    read: int = round((node["Actual Rows"] + removed) * node["Actual Loops"])
    return read
