"""Questions of `propos doctor` to the record."""

from typing import Any, Final

import psycopg

from domain.errors import Unavailable

START_REMEDY: Final = "Start the firm with: propos up"


def rows_of(url: str, statement: str) -> list[tuple[Any, ...]]:
    from store.db import connect

    try:
        with connect(url, connect_timeout=3) as connection:
            return connection.execute(statement.encode()).fetchall()
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise Unavailable(f"PostgreSQL does not answer: {reason}", remedy=START_REMEDY) from None
