"""The monitor's rows of exposure: synchronous SQL on a connection of its own."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import Connection

from domain.exposure.owed import Paid
from domain.keys import review_id
from store.live import require_epoch

ASKED: Final = "what_ifs"  # notification: a question waits
ANSWERED: Final = "what_if_answers"  # notification: a shard has answered
_WATCH_LOCK: Final = 7120040
_SYSTEM: Final = "system"


@dataclass(frozen=True, slots=True)
class Question:
    """A what-if that this shard has not answered."""

    id: str
    body: dict[str, Any]


def write_figures(
    connection: Connection[Any], shard: int, epoch: int, *, at: datetime, body: str, minute: datetime, kept: str
) -> None:
    """Stores the figures of a shard now, and as those of the running minute. Raises StaleEpoch."""
    with connection.transaction():
        require_epoch(connection, shard, epoch)
        connection.execute(
            "INSERT INTO exposure_now (shard, at, body) VALUES (%s, %s, %s::jsonb) ON CONFLICT (shard) DO UPDATE"
            " SET at = excluded.at, body = excluded.body, recorded_at = clock_timestamp()",
            (shard, at, body),
        )
        connection.execute(
            "INSERT INTO exposure_minutes (minute, shard, body) VALUES (%s, %s, %s::jsonb)"
            " ON CONFLICT (minute, shard) DO UPDATE SET body = excluded.body",
            (minute, shard, kept),
        )


def paid_from(connection: Connection[Any], shard: int) -> dict[str, Paid]:
    """Returns what was paid from the funded accounts of a shard, by account id; accounts without a payout and without
    tainted profit are left out, unless their share depends on trading days."""
    rows = connection.execute(
        """
        SELECT a.id, coalesce(p.payouts, 0), coalesce(p.gross, 0), coalesce(p.trader, 0), coalesce(t.minor, 0),
               coalesce(l.trading_days, 0)
          FROM accounts a JOIN challenges c ON c.account_id = a.id LEFT JOIN account_live l ON l.account_id = a.id
          LEFT JOIN LATERAL (SELECT count(*) AS payouts, sum(gross_minor)::bigint AS gross,
                                    sum(trader_minor)::bigint AS trader
                               FROM payouts WHERE challenge_id = c.id AND state = 'paid') p ON true
          LEFT JOIN LATERAL (SELECT sum(profit_minor)::bigint AS minor FROM deducted_trades d
                              WHERE d.account_id = a.id AND d.counts) t ON true
         WHERE a.shard = %s AND a.status = 'active' AND c.state = 'funded'
        """,
        (shard,),
    ).fetchall()
    return {row[0]: Paid(*map(int, row[1:])) for row in rows}


def policy_in_force(connection: Connection[Any]) -> tuple[int, dict[str, Any]]:
    """Returns (number, terms) of the newest exposure policy; (0, {}) before the first."""
    row = connection.execute("SELECT number, body FROM exposure_policies ORDER BY number DESC LIMIT 1").fetchone()
    return (0, {}) if row is None else (int(row[0]), row[1])


def parts_now(connection: Connection[Any]) -> list[dict[str, Any]]:
    """Returns the figures of every shard."""
    return [body for (body,) in connection.execute("SELECT body FROM exposure_now ORDER BY shard").fetchall()]


# what-ifs


def questions(connection: Connection[Any], shard: int) -> list[Question]:
    """Returns what was asked in the last minute and this shard has not answered, oldest first."""
    rows = connection.execute(
        "SELECT id, body FROM what_ifs w WHERE recorded_at > clock_timestamp() - interval '1 minute' AND NOT EXISTS"
        " (SELECT FROM what_if_answers a WHERE a.what_if_id = w.id AND a.shard = %s) ORDER BY recorded_at",
        (shard,),
    ).fetchall()
    return [Question(*row) for row in rows]


def answer(connection: Connection[Any], shard: int, question_id: str, body: str) -> None:
    """Stores the answer of a shard, and says so."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO what_if_answers (what_if_id, shard, body) VALUES (%s, %s, %s::jsonb) ON CONFLICT DO NOTHING",
            (question_id, shard, body),
        )
        connection.execute("SELECT pg_notify(%s, %s)", (ANSWERED, question_id))


# limits


def may_watch(connection: Connection[Any]) -> bool:
    """Returns whether this connection is the one that watches the limits. It stays so until it closes."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_WATCH_LOCK,)).fetchone()
    return bool(row and row[0])


def stored_levels(connection: Connection[Any]) -> dict[tuple[str, str], str]:
    """Returns the level of each limit and name that ever left the inside."""
    rows = connection.execute("SELECT limit_id, name, level FROM exposure_standings").fetchall()
    return {(limit, name): level for limit, name, level in rows}


@dataclass(frozen=True, slots=True)
class Changed:
    """A limit whose level has changed. `detail`: for the review."""

    limit: str
    name: str
    level: str
    value_minor: int
    detail: Mapping[str, Any]


def write_changes(connection: Connection[Any], changes: Sequence[Changed], at: datetime, *, kind: str) -> None:
    """Stores new levels. A limit that is left from the inside opens a review of this kind, one that changes updates it,
    and one that is inside again closes it. A review that a person has closed stays closed until the limit was inside
    again."""
    with connection.transaction():
        for each in changes:
            row = connection.execute(
                "INSERT INTO exposure_standings AS s (limit_id, name, level, value_minor, since, times)"
                " VALUES (%(limit)s, %(name)s, %(level)s, %(value)s, %(at)s, 1) ON CONFLICT (limit_id, name) DO UPDATE"
                " SET times = s.times + (s.level = 'inside' AND excluded.level <> 'inside')::int,"
                " level = excluded.level, value_minor = excluded.value_minor, since = excluded.since RETURNING times",
                {
                    "limit": each.limit,
                    "name": each.name,
                    "level": each.level,
                    "value": each.value_minor,
                    "at": at,
                },
            ).fetchone()
            assert row is not None
            key = f"{kind}/{each.limit}/{each.name}/{row[0]}"
            if each.level == "inside":
                connection.execute(
                    "UPDATE reviews SET status = 'closed', closed_by = %s, close_reason = %s,"
                    " detail = detail || %s::jsonb WHERE key = %s AND status = 'open'",
                    (_SYSTEM, "The exposure is back inside the limit.", json.dumps(each.detail), key),
                )
                continue
            connection.execute(
                "INSERT INTO reviews (id, key, kind, detail, status, occurred_at)"
                " VALUES (%s, %s, %s, %s::jsonb, 'open', %s)"
                " ON CONFLICT (key) DO UPDATE SET detail = excluded.detail WHERE reviews.status = 'open'",
                (review_id(key), key, kind, json.dumps(each.detail), at),
            )
