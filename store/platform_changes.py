"""Accounts that leave a shard for another platform, or come from one: synchronous SQL of a shard's owner.

The shard of the old platform switches the record in the transaction of its own checkpoint: until that commits, the
account is its own; from then on it belongs to a shard of the new platform, which takes it at a checkpoint too.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import Connection

from domain.platform_changes import ADJUSTING, PLATFORM_CHANGE
from store import audit, outbox

KIND: Final = "platform_change"


@dataclass(frozen=True, slots=True)
class Leaving:
    """An account that is shut at its platform, and open and funded at the next one. `place`: the number of its present
    place."""

    change_id: str
    account_id: str
    login: int
    platform: str
    balance_minor: int
    from_seq: int
    to_platform: str
    to_login: int
    to_seq: int
    to_marks: str
    place: int


@dataclass(frozen=True, slots=True)
class Coming:
    """An account whose record has switched to a shard, which has not taken it yet. `since`: market time of the other
    platform when it left."""

    change_id: str
    login: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Hint:
    """A signal that asks the workflow of a change to look at the record again."""

    key: str
    target: str
    name: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Departed:
    """What the record gets when an account leaves: its proof, the point of its history, and its state for the next
    place. `at`: market time."""

    leaving: Leaving
    at: datetime
    proof: dict[str, Any]
    points: Sequence[dict[str, Any]]
    rule_state: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PlaceRows:
    """What a checkpoint does to changes of platform. `refused`: (change, why) of accounts that cannot leave. `taken`:
    changes whose accounts the shard judges from now on. `hints`: by change."""

    at: datetime
    hints: Mapping[str, Hint]
    departed: Sequence[Departed] = ()
    refused: Sequence[tuple[str, str]] = ()
    taken: Sequence[str] = ()


def leaving(connection: Connection[Any], shard: int) -> list[Leaving]:
    """Returns the accounts of a shard that are to leave for another platform, by change."""
    rows = connection.execute(
        """
        SELECT c.id, c.account_id, c.from_login, c.from_platform, c.balance_minor, c.from_seq, c.to_platform,
               c.to_login, c.to_seq, c.to_marks,
               coalesce((SELECT max(number) FROM account_places p WHERE p.account_id = c.account_id), 1)
          FROM platform_changes c
          JOIN accounts a ON a.id = c.account_id AND a.shard = %s AND a.platform = c.from_platform
         WHERE c.state = 'leaving' ORDER BY c.id
        """,
        (shard,),
    ).fetchall()
    return [Leaving(*row) for row in rows]


def coming(connection: Connection[Any], shard: int) -> list[Coming]:
    """Returns the accounts from other platforms that a shard has to take, by change."""
    rows = connection.execute(
        """
        SELECT c.id, a.login, c.switched_at FROM platform_changes c
          JOIN accounts a ON a.id = c.account_id AND a.shard = %s AND a.platform = c.to_platform
         WHERE c.state = 'switched' ORDER BY c.id
        """,
        (shard,),
    ).fetchall()
    return [Coming(*row) for row in rows]


def have_left(connection: Connection[Any], change_ids: Sequence[str]) -> set[str]:
    """Returns those of the changes whose accounts have left."""
    rows = connection.execute(
        "SELECT id FROM platform_changes WHERE id = ANY(%s) AND switched_at IS NOT NULL", (list(change_ids),)
    ).fetchall()
    return {row[0] for row in rows}


def apply_places(connection: Connection[Any], rows: PlaceRows, shard: int) -> None:
    """Inside the transaction of a checkpoint of `shard`. A change that was abandoned meanwhile is left alone."""
    for departed in rows.departed:
        _switch(connection, departed, shard, rows.hints[departed.leaving.change_id])
    for change_id, why in rows.refused:
        _refuse(connection, change_id, why, rows.at, rows.hints[change_id])
    for change_id in rows.taken:
        _step(connection, change_id, "account_taken", rows.at, {"shard": shard}, rows.hints[change_id])


def _refuse(connection: Connection[Any], change_id: str, why: str, at: datetime, hint: Hint) -> None:
    if _step(connection, change_id, "change_abandoned", at, {"why": why}, hint):
        connection.execute("UPDATE platform_changes SET why = %s WHERE id = %s", (why, change_id))


def _switch(connection: Connection[Any], departed: Departed, shard: int, hint: Hint) -> None:
    """The point of no return: from here on the account is at its new platform."""
    leaving, at, proof = departed.leaving, departed.at, departed.proof
    found = connection.execute(
        "SELECT opened_at, status FROM accounts WHERE id = %s AND shard = %s AND platform = %s FOR NO KEY UPDATE",
        (leaving.account_id, shard, leaving.platform),
    ).fetchone()
    if found is not None and found[1] != "active":
        _refuse(connection, leaving.change_id, f"The account is {found[1]}.", at, hint)
        return
    if _is_adjusted(connection, leaving.account_id):
        _refuse(connection, leaving.change_id, ADJUSTING, at, hint)
        return
    evidence = {"proof_id": proof["proof_id"], "balance_minor": leaving.balance_minor, "to": leaving.to_platform}
    if found is None or not _step(connection, leaving.change_id, "record_switched", at, evidence, hint):
        return
    connection.execute(
        "INSERT INTO proofs (id, account_id, kind, digest, body) VALUES (%s, %s, %s, %s, %s::jsonb)"
        " ON CONFLICT DO NOTHING",
        (proof["proof_id"], leaving.account_id, proof["kind"], proof["hash"], json.dumps(proof)),
    )
    for point in departed.points:
        connection.execute(
            "INSERT INTO history_points (hash, account_id, number, body) VALUES (%s, %s, %s, %s::jsonb)"
            " ON CONFLICT DO NOTHING",
            (point["hash"], point["account_id"], point["number"], point["body"]),
        )
    _change_place(connection, leaving, found[0], at)
    connection.execute(
        "UPDATE platform_changes SET switched_at = %s, proof_id = %s WHERE id = %s",
        (at, proof["proof_id"], leaving.change_id),
    )
    connection.execute(
        """
        UPDATE accounts a SET platform = c.to_platform, login = c.to_login, shard = c.to_shard, marks = c.to_marks
          FROM platform_changes c WHERE c.id = %s AND a.id = c.account_id
        """,
        (leaving.change_id,),
    )
    connection.execute(
        """
        UPDATE account_live l SET rule_state = %s::jsonb, positions = '[]',
               batch = (SELECT s.batch FROM shards s JOIN accounts a ON a.shard = s.id WHERE a.id = l.account_id)
         WHERE l.account_id = %s
        """,
        (json.dumps(departed.rule_state), leaving.account_id),
    )


def _is_adjusted(connection: Connection[Any], account_id: str) -> bool:
    """Returns whether an approved adjustment is being carried out: the venue that the account leaves may have it."""
    waits = "SELECT FROM interventions WHERE account_id = %s AND kind = 'adjust' AND state = 'approved'"
    return connection.execute(waits, (account_id,)).fetchone() is not None


def _change_place(connection: Connection[Any], leaving: Leaving, opened_at: datetime | None, at: datetime) -> None:
    add = """
        INSERT INTO account_places (account_id, number, platform, login, since, until, change_id)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (account_id, number) DO UPDATE SET until = excluded.until
    """
    account_id, place = leaving.account_id, leaving.place
    connection.execute(add, (account_id, place, leaving.platform, leaving.login, opened_at, at, None))
    connection.execute(add, (account_id, place + 1, leaving.to_platform, leaving.to_login, at, None, leaving.change_id))


def _step(
    connection: Connection[Any], change_id: str, trigger: str, at: datetime, evidence: dict[str, Any], hint: Hint
) -> bool:
    """Takes a step of a change, and tells its workflow to look. Returns False when its state does not allow the step
    (any more)."""
    row = connection.execute("SELECT state FROM platform_changes WHERE id = %s FOR UPDATE", (change_id,)).fetchone()
    if row is None or not PLATFORM_CHANGE.allows(row[0], trigger):
        return False
    after = PLATFORM_CHANGE.next(row[0], trigger)
    connection.execute("UPDATE platform_changes SET state = %s WHERE id = %s", (after, change_id))
    connection.execute(
        """
        INSERT INTO transitions (subject_kind, subject_id, key, trigger, from_state, to_state, detail, occurred_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb, %s) ON CONFLICT DO NOTHING
        """,
        (KIND, change_id, trigger, trigger, row[0], after, json.dumps(evidence), at),
    )
    connection.execute(
        """
        INSERT INTO outbox (key, topic, target, name, payload, attempts) VALUES (%s, %s, %s, %s, %s::jsonb, 0)
        ON CONFLICT (key) DO NOTHING
        """,
        (hint.key, outbox.SIGNAL, hint.target, hint.name, json.dumps(hint.payload)),
    )
    audit.record_now(
        connection,
        action=f"{KIND}.{trigger}",
        subject_kind=KIND,
        subject_id=change_id,
        occurred_at=at,
        evidence={**evidence, "from": row[0], "to": after},
    )
    return True
