"""What the record keeps, and for how long: parts of tables by time, hour bars for old minutes, old rows removed.

docs/decisions/0010-what-is-kept.md says which table is kept how, and who reads it. Every function is one step within
the caller's transaction: it happens whole or not at all, and doing it again is harmless.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.chargebacks import CHARGEBACK, DISPUTABLE
from domain.disputes import DISPUTE
from domain.lifecycle import CHALLENGE
from domain.payouts.payout import PAYOUT
from domain.surveillance.casework import CASE
from store.outbox import HINTS, RESET
from store.parts import BARS, DEALS, HOURS, LOCK_WAIT, ORDER_EVENTS, SNAPSHOTS, STOP_CHANGES, Part, Table, parts_of

_AT_ONCE: Final = 20_000  # rows removed in one transaction
_MAILS_AT_ONCE: Final = 500  # each may have 20 MiB of files

Days = int | None  # None: for ever


@dataclass(frozen=True, slots=True)
class Policy:
    """For how many days each table is kept. None: for ever."""

    minute_bars: Days = 60
    hour_bars: Days = None
    deals: Days = None
    snapshots: Days = None
    inbox: Days = 400
    outbox: Days = 90
    idempotency_keys: Days = 30
    identity_facts: Days = 400
    exposure: Days = 400
    events: Days = 90
    sign_ins: Days = 90
    mails: Days = 400
    notifications: Days = 90


STANDARD: Final = Policy()


async def roll_up(session: AsyncSession, policy: Policy) -> int:
    """Makes hours of the oldest day of minute bars that is no longer kept, and removes its minutes. Returns the number
    of days, 0 or 1. Minutes of an account that somebody may still have to look at stay (`_LOOKED_AT`): those of a part
    that is dropped move to the rest of the table."""
    limit = await kept_from(session, policy.minute_bars)
    if limit is None:
        return 0
    looked_at = await _looked_at(session)
    found = await _oldest_day(session, limit, looked_at)
    if found is None:
        return 0
    part, day = found
    whole = part.end is not None and part.start == day
    await session.execute(text(f"LOCK TABLE {part.name} IN SHARE ROW EXCLUSIVE MODE"))  # no late bar is lost
    values = {"start": day, "end": day + timedelta(days=1), "kept": looked_at}
    await session.execute(text(_ROLL_UP.format(part=part.name)), values)
    if whole:
        kept = f"SELECT * FROM {part.name} WHERE account_id = ANY(:kept)"
        await session.execute(text(f"CREATE TEMP TABLE kept_minutes ON COMMIT DROP AS {kept}"), {"kept": looked_at})
        await _drop(session, part)
        await session.execute(text(f"INSERT INTO {BARS.name} SELECT * FROM kept_minutes"))
    else:
        await session.execute(text(f"DELETE FROM {part.name} WHERE {_OF_THE_DAY}"), values)
        await _drop_if_empty(session, part, limit)
    return 1


# A breach that can still be disputed, a dispute or a case that is not decided: who decides reads the minutes around it.
_LOOKED_AT: Final = """
    SELECT a.id FROM accounts a JOIN challenges c ON c.id = a.challenge_id WHERE c.state = 'breached'
     UNION SELECT d.account_id FROM disputes d WHERE d.state <> ALL(:dispute)
     UNION SELECT m.account_id FROM case_accounts m JOIN cases k ON k.id = m.case_id WHERE k.state <> ALL(:case)
"""


async def _looked_at(session: AsyncSession) -> list[str]:
    return list(await session.scalars(text(_LOOKED_AT), _terminal_states()))


async def minutes_due(session: AsyncSession, policy: Policy) -> bool:
    """Returns whether there is a day that `roll_up` would make hours of."""
    limit = await kept_from(session, policy.minute_bars)
    return limit is not None and await _oldest_day(session, limit, await _looked_at(session)) is not None


_OF_THE_DAY: Final = "minute >= :start AND minute < :end AND account_id <> ALL(:kept)"
_ROLL_UP: Final = f"""
    INSERT INTO equity_hours (account_id, hour, open_minor, high_minor, low_minor, close_minor, balance_minor)
    SELECT account_id, date_trunc('hour', minute), (array_agg(open_minor ORDER BY minute))[1], max(high_minor),
           min(low_minor), (array_agg(close_minor ORDER BY minute DESC))[1],
           (array_agg(balance_minor ORDER BY minute DESC))[1]
      FROM {{part}} WHERE {_OF_THE_DAY}
     GROUP BY account_id, date_trunc('hour', minute)
    ON CONFLICT (account_id, hour) DO UPDATE SET (high_minor, low_minor, close_minor, balance_minor) =
       ROW (greatest(equity_hours.high_minor, excluded.high_minor), least(equity_hours.low_minor, excluded.low_minor),
            excluded.close_minor, excluded.balance_minor)
"""


async def _oldest_day(session: AsyncSession, limit: datetime, kept: list[str]) -> tuple[Part, datetime] | None:
    """Returns the oldest day that ends at or before `limit` and its part: one of its own, or one with more days, which
    has minutes of other accounts than those that are `kept`."""
    for part in await parts_of(session, BARS):
        if part.end is not None and part.end - part.start <= timedelta(days=1):
            if part.end <= limit:
                return part, part.start
            continue
        oldest = text(f"SELECT min(minute) FROM {part.name} WHERE minute < :limit AND account_id <> ALL(:kept)")
        first = await session.scalar(oldest, {"limit": limit, "kept": kept})
        if first is not None:
            return part, first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return None


async def kept_from(session: AsyncSession, days: Days, *, wall: bool = False) -> datetime | None:
    """Returns the first moment that is kept: the start of the day `days` before the market time of the slowest feed, or
    `days` before now by the wall clock. None: everything is kept."""
    if days is None:
        return None
    if wall:
        return datetime.now(UTC) - timedelta(days=days)
    slowest = await session.scalar(text("SELECT min(watermark) FROM market_clock"))
    if slowest is None:
        return None
    kept: datetime = slowest.astimezone(UTC) - timedelta(days=days)
    return kept.replace(hour=0, minute=0, second=0, microsecond=0)


async def _drop(session: AsyncSession, part: Part) -> None:
    """Drops a part. Raises when a reader still holds it: the caller tries again later."""
    await session.execute(text(LOCK_WAIT))
    await session.execute(text("SELECT drop_part(:name)"), {"name": part.name})


async def _drop_if_empty(session: AsyncSession, part: Part, limit: datetime | None) -> int:
    if part.end is None or limit is None or part.end > limit or await _has_rows(session, part):
        return 0
    await _drop(session, part)
    return 1


async def remove_hours(session: AsyncSession, policy: Policy) -> int:
    """Removes the oldest hour bars that are no longer kept: one part, or the rows that are in no part. Returns the
    number of parts or rows."""
    limit = await kept_from(session, policy.hour_bars)
    if limit is None:
        return 0
    for part in await parts_of(session, HOURS):
        if part.end is None:
            gone = await _count(session, f"DELETE FROM {part.name} WHERE hour < :limit", {"limit": limit})
            if gone:
                await _note_removed(session, HOURS, limit)
            return gone
        if part.end <= limit:
            if await _has_rows(session, part):
                await _note_removed(session, HOURS, part.end)
            await _drop(session, part)
            return 1
    return 0


async def _has_rows(session: AsyncSession, part: Part) -> bool:
    return bool(await session.scalar(text(f"SELECT EXISTS (SELECT FROM {part.name})")))


# Payouts, gates and refunds of an open challenge read its deals and snapshots from its first day. A dispute or case
# that is not decided reads them too. A challenge in a final state never opens again. Deals are also the evidence
# against a chargeback, of any payment of the trader: while one is open, and while the newest payment can be disputed.
_ENDED: Final = """
    SELECT a.id FROM accounts a JOIN challenges c ON c.id = a.challenge_id
     WHERE c.state = ANY(:challenge) AND c.changed_at < :limit
       AND NOT EXISTS (SELECT FROM payouts p WHERE p.challenge_id = c.id AND p.state <> ALL(:payout))
       AND NOT EXISTS (SELECT FROM disputes d WHERE d.challenge_id = c.id AND d.state <> ALL(:dispute))
       AND NOT EXISTS (SELECT FROM case_accounts m JOIN cases k ON k.id = m.case_id
                        WHERE m.account_id = a.id AND k.state <> ALL(:case))
       AND NOT EXISTS (SELECT FROM chargebacks b WHERE b.trader_id = c.trader_id AND b.state <> ALL(:chargeback))
       AND NOT EXISTS (SELECT FROM challenges o JOIN ledger_transactions t ON t.reference = o.id
                        WHERE o.trader_id = c.trader_id AND t.kind IN ('fee_paid', 'payment_suspended')
                          AND t.occurred_at >= :disputable)
"""


async def ended_due(session: AsyncSession, table: Table, days: Days) -> bool:
    """Returns whether a table of deals or snapshots has old rows that nobody needs any more."""
    limit = await kept_from(session, days)
    if limit is None:
        return False
    old = f"SELECT EXISTS (SELECT FROM {table.name} WHERE {_OLD_OF_ENDED.format(column=table.column)})"
    return bool(await session.scalar(text(old), await _values_of_ended(session, limit)))


_OLD_OF_ENDED: Final = f"{{column}} < :limit AND account_id IN ({_ENDED})"


async def _values_of_ended(session: AsyncSession, limit: datetime) -> dict[str, Any]:
    return {"limit": limit, "disputable": await kept_from(session, DISPUTABLE.days), **_terminal_states()}


async def remove_deals(session: AsyncSession, policy: Policy) -> int:
    """Removes a portion of the deals that are no longer kept, and of the orders and changes of stops of their time.
    Returns the number of rows and parts."""
    return sum([await _remove_of_ended(session, table, policy.deals) for table in (DEALS, ORDER_EVENTS, STOP_CHANGES)])


async def remove_snapshots(session: AsyncSession, policy: Policy) -> int:
    """Removes a portion of the daily snapshots that are no longer kept. Returns the number of rows and parts."""
    return await _remove_of_ended(session, SNAPSHOTS, policy.snapshots)


async def _remove_of_ended(session: AsyncSession, table: Table, days: Days) -> int:
    """Removes rows of accounts of ended challenges, from the oldest part that has some; drops a part left empty."""
    limit = await kept_from(session, days)
    if limit is None:
        return 0
    values, old = await _values_of_ended(session, limit), _OLD_OF_ENDED.format(column=table.column)
    for part in await parts_of(session, table):
        if part.start >= limit:
            continue
        portion = f"SELECT ctid FROM {part.name} WHERE {old} LIMIT {_AT_ONCE}"
        gone = await _count(session, f"DELETE FROM {part.name} WHERE ctid IN ({portion})", values)
        dropped = 0 if gone == _AT_ONCE else await _drop_if_empty(session, part, limit)
        if gone:
            await _note_removed(session, table, limit)
        if gone + dropped:
            return gone + dropped
    return 0


_MACHINES: Final = {
    "challenge": CHALLENGE,
    "payout": PAYOUT,
    "dispute": DISPUTE,
    "case": CASE,
    "chargeback": CHARGEBACK,
}


def _terminal_states() -> dict[str, list[str]]:
    return {name: sorted(machine.terminal) for name, machine in _MACHINES.items()}


async def _note_removed(session: AsyncSession, table: Table, before: datetime) -> None:
    await session.execute(
        text(
            "INSERT INTO removed_rows (table_name, before) VALUES (:name, :before)"
            " ON CONFLICT (table_name) DO UPDATE SET before = greatest(removed_rows.before, excluded.before)"
        ),
        {"name": table.name, "before": before},
    )


async def remove_idempotency_keys(session: AsyncSession, policy: Policy) -> int:
    """Removes a portion of the answers to old requests. Returns their number. Such a key is new again."""
    return await _remove_old(session, "idempotency_keys", "recorded_at", policy.idempotency_keys)


async def remove_identity_facts(session: AsyncSession, policy: Policy) -> int:
    """Removes a portion of the facts about traders that nobody told again for long. Returns their number."""
    return await _remove_old(session, "identity_facts", "last_at", policy.identity_facts)


async def remove_exposure(session: AsyncSession, policy: Policy) -> int:
    """Removes a portion of the old minutes of exposure. Returns their number."""
    limit = await kept_from(session, policy.exposure)
    if limit is None:
        return 0
    old = f"SELECT ctid FROM exposure_minutes WHERE minute < :limit LIMIT {_AT_ONCE}"
    return await _count(session, f"DELETE FROM exposure_minutes WHERE ctid IN ({old})", {"limit": limit})


async def remove_sign_ins(session: AsyncSession, policy: Policy) -> int:
    """Removes a portion of the sign-ins and links of long ago, and counters of attempts that are over. Returns their
    number."""
    counters = await _remove_old(session, "attempts", "begun_at", 1)
    removed = [await _remove_old(session, table, "expires_at", policy.sign_ins) for table in ("sessions", "links")]
    return counters + sum(removed)


async def remove_mails(session: AsyncSession, policy: Policy) -> int:
    """Removes a portion of the old mails, with their files, and the Message-IDs of tickets that have no mail any more.
    Returns the number of mails. Those of tickets that are not solved, those that still wait to be sent and those that
    wait for a person stay. The messages of a ticket are its own and stay."""
    removed = 0
    for table, column, state in (
        ("outgoing_mails", "recorded_at", "waiting"),
        ("incoming_mails", "received_at", "held"),
    ):
        condition = f" AND state <> '{state}' AND NOT EXISTS ({_OF_OPEN_TICKET.format(table=table)})"
        removed += await _remove_old(session, table, column, policy.mails, condition, at_once=_MAILS_AT_ONCE)
    if removed:
        await session.execute(text(_FORGET_REFERENCES))
    return removed


_OF_OPEN_TICKET: Final = """
    SELECT FROM tickets t JOIN tickets r ON r.id = coalesce(t.root_id, t.id)
     WHERE t.id = {table}.ticket_id AND r.state <> 'solved'
"""
_FORGET_REFERENCES: Final = """
    DELETE FROM mail_references m
     WHERE NOT EXISTS (SELECT FROM outgoing_mails o WHERE o.ticket_id = m.ticket_id)
       AND NOT EXISTS (SELECT FROM incoming_mails i WHERE i.ticket_id = m.ticket_id)
"""


async def remove_inbox(session: AsyncSession, policy: Policy) -> int:
    """Removes a portion of the old events that were handled. Returns their number. Parked ones wait for a person."""
    return await _remove_old(session, "inbox", "handled_at", policy.inbox)


async def remove_events(session: AsyncSession, policy: Policy) -> int:
    """Removes a portion of the old business events, with their deliveries and tries. Returns their number. Those that
    still wait to be sent, or to be told to people, stay."""
    waits = "EXISTS (SELECT FROM webhook_deliveries d WHERE d.event_id = business_events.id AND d.state = 'waiting')"
    return await _remove_old(session, "business_events", "recorded_at", policy.events, f" AND told AND NOT {waits}")


async def remove_notifications(session: AsyncSession, policy: Policy) -> int:
    """Removes a portion of the notifications that were read long ago, or that left as mail alone, and of what says who
    was reminded of which work. Returns their number. Those that nobody has read stay."""
    days = policy.notifications
    read = await _remove_old(session, "notifications", "read_at", days)
    hidden = await _remove_old(session, "notifications", "recorded_at", days, " AND NOT shown")
    return read + hidden + await _remove_old(session, "work_reminders", "told_at", days)


async def remove_outbox(session: AsyncSession, policy: Policy) -> int:
    """Removes a portion of the old messages that were delivered. Returns their number.

    The messages of an open challenge, payout, dispute, case or chargeback are all kept: a workflow that must be started
    again gets them again. Hints and orders to a venue are never sent again. A reset of a balance that a person gave up
    is kept: payouts wait for it.
    """
    tables = {name: f"{name}s" for name in _MACHINES}
    is_open = " OR ".join(
        f"EXISTS (SELECT FROM {table} s WHERE outbox.target = '{kind}/' || s.id AND s.state <> ALL(:{kind}))"
        for kind, table in tables.items()
    )
    values: dict[str, Any] = {**_terminal_states()}
    values |= {"hints": sorted(HINTS), "reset": RESET}
    needless = f"(topic LIKE 'venue.%' OR name = ANY(:hints) OR NOT ({is_open}))"
    needless += " AND NOT (topic = :reset AND parked_at IS NOT NULL)"
    return await _remove_old(session, "outbox", "dispatched_at", policy.outbox, f" AND {needless}", values)


async def _remove_old(
    session: AsyncSession,
    table: str,
    column: str,
    days: Days,
    condition: str = "",
    values: dict[str, Any] | None = None,
    *,
    at_once: int = _AT_ONCE,
) -> int:
    """Removes a portion of the rows with `column` more than `days` of wall time ago. Returns their number."""
    limit = await kept_from(session, days, wall=True)
    if limit is None:
        return 0
    old = f"SELECT ctid FROM {table} WHERE {column} < :limit{condition} LIMIT {at_once} FOR UPDATE SKIP LOCKED"
    return await _count(session, f"DELETE FROM {table} WHERE ctid IN ({old})", {"limit": limit, **(values or {})})


async def _count(session: AsyncSession, delete: str, values: dict[str, Any]) -> int:
    """Returns the number of rows that `delete` removed."""
    counted = f"WITH gone AS ({delete} RETURNING 1) SELECT count(*) FROM gone"
    return int(await session.scalar(text(counted), values) or 0)
