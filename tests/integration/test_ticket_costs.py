"""The lists of tickets, the page of one and a mail that comes in read as much in a large firm as in a small one, and
take few statements.

The numbers of statements are bounds: whoever adds one to these ways should first look whether it can be read with
another one.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
import psycopg

from adapters.mail.door_smtp import SmtpDoor, SmtpDoorSettings
from cli.bench import support
from cli.bench.support_mail import AUTHSERV, US, Writer, mail_of
from cli.mail.incoming import take
from store.db import Database
from tests.query_costs import Statement, caught_statements, explained

_TRADERS: Final = 20
_MADE: Final = 40  # tickets that the others are copies of
_SHORT, _LONG = 4_000, 16_000  # half of them wait, so that there are more than a page counts from the start
_ROOM: Final = 40  # rows that may be read more: another plan may look into a few rows more
_LIMITED: Final = "LIMIT 1000"  # of the counts of work, each of which may be read in another way in a large firm
_ROOM_OF_COUNTS: Final = 2_000
_COUNT: Final = "SELECT count(*) AS count_1 \nFROM (SELECT tickets.id AS id \n"
_LISTS: Final = ("/tickets?state=open", "/tickets?state=late", "/tickets?state=mine", "/tickets", "/v1/tickets")
_OF_A_LIST: Final = 9  # statements that read, with the bell and the saved views
_MOST: Final = {"page": 25, "answer": 12, "question": 4}


_BASE: Final = """
    CREATE TEMPORARY TABLE base AS SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM tickets
    WHERE opened_by IS NULL AND id NOT LIKE 'tkt_copy%'
"""
# Table -> what is new in each copy of a row `t`.
_COPIES: Final = {
    "tickets": """jsonb_build_object('id', 'tkt_copy' || n, 'recorded_at', t.recorded_at - n * interval '1 minute',
                  'due_at', t.due_at - n * interval '1 minute')""",
    "ticket_messages": "jsonb_build_object('id', left(md5(t.id || n), 26), 'ticket_id', 'tkt_copy' || n)",
    "ticket_clocks": "jsonb_build_object('ticket_id', 'tkt_copy' || n)",
    "ticket_clock_events": "jsonb_build_object('ticket_id', 'tkt_copy' || n, 'number', t.number + 1000 * n)",
    "ticket_timers": "jsonb_build_object('ticket_id', 'tkt_copy' || n)",
}
_COPY: Final = """
    INSERT INTO {table} SELECT made.* FROM generate_series(%(first)s::int, %(last)s::int) AS n
    JOIN base ON base.number = n %% 40 JOIN {table} t ON t.{of} = base.id,
    LATERAL jsonb_populate_record(NULL::{table}, to_jsonb(t) || {new}) AS made
"""


class _Desk:
    """`writers`: traders, each with a ticket that waits. `mails`: how many came in."""

    def __init__(self, db: Database, http: httpx.AsyncClient) -> None:
        self.db, self.http, self.mails, self.writers = db, http, 0, list[Writer]()

    async def begin(self) -> None:
        await support.fill(self.db, range(_MADE), datetime.now(UTC) - timedelta(hours=1), _TRADERS, open_each=2)
        self.writers = await support.writers(self.db, _MADE, _TRADERS)

    async def statements(self) -> dict[str, list[Statement]]:
        """Opens every list and the page of a ticket, and takes two mails in; returns the statements of each."""
        found = dict[str, list[Statement]]()
        for name, page in (*((each, each) for each in _LISTS), ("page", f"/tickets/{self.writers[0].ticket_id}")):
            await self.http.get(page)  # the first time a process reads policies and products
            with caught_statements(self.db) as found[name]:
                answer = await self.http.get(page)
            assert answer.status_code == 200, page
            assert name.startswith("/v1/") or "999+" in answer.text, page  # nobody counts all that wait
        door = SmtpDoor("test", SmtpDoorSettings(authserv=AUTHSERV))
        for name in ("answer", "question"):
            sent = mail_of(self.mails, self.writers[self.mails % len(self.writers)])
            self.mails += 1
            with caught_statements(self.db) as found[name]:
                await take(self.db, US, door, sent.raw, (sent.recipient,))
        return found


async def test_tickets_cost_as_much_in_a_large_firm_as_in_a_small_one(database_url: str, owner_url: str) -> None:
    db = Database(database_url)
    try:
        token = await support.open_desk(db, _TRADERS)
        async with support.signed_in_browser(db, token) as http:
            desk = _Desk(db, http)
            await desk.begin()
            _grow(owner_url, 1, _SHORT)
            short = _read(owner_url, await desk.statements())
            _grow(owner_url, _SHORT + 1, _LONG)
            asked = await desk.statements()
    finally:
        await db.close()
    long = _read(owner_url, asked)
    counted = {name: len(statements) for name, statements in asked.items()}
    assert {name: most for name, most in counted.items() if most > _MOST.get(name, _OF_A_LIST)} == {}
    worse = [
        f"{short.get(one, 0)}, {read}: {one}"
        for one, read in long.items()
        if read > short.get(one, 0) + (_ROOM_OF_COUNTS if _LIMITED in one else _ROOM)
    ]
    assert worse == []


def _grow(owner_url: str, first: int, last: int) -> None:
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(_BASE)
        for table, new in _COPIES.items():
            of = "id" if table == "tickets" else "ticket_id"
            connection.execute(_COPY.format(table=table, new=new, of=of), {"first": first, "last": last})
        connection.execute("ANALYZE")


def _read(owner_url: str, asked: dict[str, list[Statement]]) -> dict[str, int]:
    """Returns how many rows each statement reads, those left out that write to the audit log or count a list: a count
    stops at 10,000 rows (test_list_costs.py), which this firm has not."""
    every = {
        each[0]: each
        for statements in asked.values()
        for each in statements
        if "audit_append" not in each[0] and not each[0].startswith(_COUNT)
    }
    return {one: read for one, (read, _) in explained(owner_url, list(every.values()), ()).items()}
