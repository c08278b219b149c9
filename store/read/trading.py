"""Trading of the record in bulk, for surveillance: deals, changes of stops and orders as rows of fixed width.

A million deals are too many for one object each. PostgreSQL writes the rows in its binary COPY format, which a reader
takes as columns at once (surveillance/binary.py). Texts are numbers there: `names` says what the numbers stand for.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from psycopg import sql
from sqlalchemy import BigInteger, DateTime, String, bindparam, func, select, text, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from store.db import allow_long_job
from store.models import Account, CorrectionRow, DealRow, NewsRelease, SymbolFacts

Kind = Literal["i2", "i8", "f8"]
Layout = tuple[tuple[str, Kind], ...]

# The code of a reason is its place here, from 1; 0: another one.
REASONS: Final = (
    *("client", "mobile", "web", "expert", "pending_fill", "stop_loss", "take_profit", "stop_out", "dealer"),
)
ORDER_CHANGES: Final = ("placed", "changed", "filled", "cancelled", "expired", "gone")
ORDER_TYPES: Final = ("market", "limit", "stop", "stop_limit")

_POSITION: Final = "hashtextextended(d.account_id || '/' || d.{}, 0)"
_TEXT: Final = "CASE d.{0} WHEN '' THEN 0 ELSE hashtextextended(d.{0}, 0) END"
_TIME: Final = "(extract(epoch FROM d.at) * 1000000)::int8"
_SIDE: Final = "CASE d.side WHEN 'buy' THEN 1 ELSE -1 END::int2"


def _price(name: str) -> str:
    return f"coalesce(d.{name}, 'NaN')::float8"


def _code(name: str, codes: Sequence[str]) -> str:
    quoted = ", ".join(f"'{code}'" for code in codes)
    return f"coalesce(array_position(ARRAY[{quoted}]::text[], d.{name}::text), 0)::int2"


@dataclass(frozen=True, slots=True)
class Bulk:
    """What is read of one table: columns with kind and expression, and the columns of text that became numbers."""

    table: str
    columns: Mapping[str, tuple[Kind, str]]
    texts: tuple[str, ...]

    @property
    def layout(self) -> Layout:
        return tuple((name, kind) for name, (kind, _) in self.columns.items())


# `account`: the account's number. `position`: the same for all deals of a position. `total`: what the deal did to the
# balance, in minor units. `at`: microseconds since 1970. A price that is not told is NaN, a text 0.
DEALS: Final = Bulk(
    "deals",
    {
        "id": ("i8", "d.id"),
        "account": ("i8", "a.number"),
        "seq": ("i8", "d.seq"),
        "at": ("i8", _TIME),
        "position": ("i8", _POSITION.format("position_id")),
        "symbol": ("i8", _TEXT.format("symbol")),
        "side": ("i2", _SIDE),
        "entry": ("i2", "CASE d.entry WHEN 'in' THEN 1 ELSE 0 END::int2"),
        "lots": ("f8", "d.lots::float8"),
        "price": ("f8", "d.price::float8"),
        "total": ("i8", "d.profit_minor + d.commission_minor + d.swap_minor + d.fee_minor"),
        "reason": ("i2", _code("reason", REASONS)),
        "stop": ("f8", _price("stop_loss")),
        "target": ("f8", _price("take_profit")),
        "bid": ("f8", _price("bid")),
        "ask": ("f8", _price("ask")),
        "expert": ("i8", _TEXT.format("expert_id")),
        "comment": ("i8", _TEXT.format("comment")),
    },
    ("symbol", "expert_id", "comment"),
)
STOPS: Final = Bulk(
    "stop_changes",
    {
        "id": ("i8", "d.id"),
        "account": ("i8", "a.number"),
        "at": ("i8", _TIME),
        "position": ("i8", _POSITION.format("position_id")),
        "stop": ("f8", _price("stop_loss")),
        "target": ("f8", _price("take_profit")),
    },
    (),
)
ORDERS: Final = Bulk(
    "order_events",
    {
        "id": ("i8", "d.id"),
        "account": ("i8", "a.number"),
        "at": ("i8", _TIME),
        "seq": ("i8", "d.seq"),
        "order": ("i8", _POSITION.format("order_id")),
        "symbol": ("i8", _TEXT.format("symbol")),
        "side": ("i2", _SIDE),
        "lots": ("f8", "d.lots::float8"),
        "price": ("f8", _price("price")),
        "change": ("i2", _code("change", ORDER_CHANGES)),
        "type": ("i2", _code("type", ORDER_TYPES)),
    },
    ("symbol",),
)


@dataclass(frozen=True, slots=True)
class Span:
    """Which rows: numbered above `after` up to `until`, of market time from `since` on and before
    `before`, of `accounts`."""

    after: int | None = None
    until: int | None = None
    since: datetime | None = None
    before: datetime | None = None
    accounts: Sequence[str] | None = None

    def condition(self) -> tuple[sql.Composable, list[Any]]:
        told = (
            ("d.id > %s", self.after),
            ("d.id <= %s", self.until),
            ("d.at >= %s", self.since),
            ("d.at < %s", self.before),
            ("d.account_id = ANY(%s)", None if self.accounts is None else list(self.accounts)),
        )
        used = [(sql.SQL(words), value) for words, value in told if value is not None]
        return sql.SQL(" AND ").join([sql.SQL("true"), *(words for words, _ in used)]), [value for _, value in used]


async def blocks(session: AsyncSession, bulk: Bulk, span: Span) -> AsyncIterator[bytes]:
    """Yields blocks of PostgreSQL's binary COPY format, rows in the order of time within each part of the table."""
    await allow_long_job(session)
    condition, values = span.condition()
    chosen = ", ".join(f'{expression} AS "{name}"' for name, (_, expression) in bulk.columns.items())
    query = sql.SQL(
        "COPY (SELECT {} FROM {} d JOIN accounts a ON a.id = d.account_id WHERE {}) TO STDOUT (FORMAT BINARY)"
    ).format(sql.SQL(chosen), sql.Identifier(bulk.table), condition)
    connection: Any = (await (await session.connection()).get_raw_connection()).driver_connection
    async with connection.cursor() as cursor, cursor.copy(query, values) as copy:
        async for block in copy:
            yield bytes(block)


async def names(session: AsyncSession, bulk: Bulk, span: Span) -> dict[str, dict[int, str]]:
    """Returns the texts behind the numbers, by column of the table."""
    condition, values = span.condition()
    connection: Any = (await (await session.connection()).get_raw_connection()).driver_connection
    found: dict[str, dict[int, str]] = {}
    for column in bulk.texts:
        query = sql.SQL(
            "SELECT DISTINCT hashtextextended(d.{0}, 0), d.{0} FROM {1} d WHERE d.{0} <> '' AND {2}"
        ).format(sql.Identifier(column), sql.Identifier(bulk.table), condition)
        async with connection.cursor() as cursor:
            await cursor.execute(query, values)
            found[column] = {int(number): str(text) for number, text in await cursor.fetchall()}
    return found


@dataclass(frozen=True, slots=True)
class TradingAccount:
    """An account as surveillance reads it. `moved`: it has been at several platforms. `outcome`: open, passed,
    breached, expired, or closed for any other reason."""

    number: int
    id: str
    trader_id: str
    challenge_id: str
    phase_index: int
    product: str
    version: int
    platform: str
    moved: bool
    currency: str
    initial_minor: int
    opened_at: datetime | None
    ended_at: datetime | None
    outcome: str


_ACCOUNTS: Final = text("""
    SELECT a.number, a.id, a.trader_id, a.challenge_id, a.phase_index, a.product, a.version, a.platform,
           EXISTS (SELECT FROM account_places p WHERE p.account_id = a.id) AS moved, a.currency, a.initial_minor,
           a.opened_at, a.ended_at,
           CASE WHEN a.status IN ('opening', 'active') THEN 'open'
                WHEN EXISTS (SELECT FROM phase_passes p WHERE p.account_id = a.id) THEN 'passed'
                WHEN EXISTS (SELECT FROM breaches b WHERE b.account_id = a.id AND b.status = 'confirmed')
                THEN 'breached'
                WHEN c.account_id = a.id AND c.state = 'expired' THEN 'expired'
                ELSE 'closed' END AS outcome
      FROM accounts a JOIN challenges c ON c.id = a.challenge_id
     WHERE (:numbers IS NULL OR a.number = ANY(:numbers)) AND (:trader IS NULL OR a.trader_id = :trader)
       AND (:since IS NULL OR a.ended_at IS NULL OR a.ended_at >= :since)
     ORDER BY a.number
""").bindparams(
    bindparam("numbers", type_=ARRAY(BigInteger)),
    bindparam("since", type_=DateTime(timezone=True)),
    bindparam("trader", type_=String()),
)


async def accounts(
    session: AsyncSession,
    *,
    numbers: Sequence[int] | None = None,
    trader_id: str | None = None,
    since: datetime | None = None,
) -> list[TradingAccount]:
    """Returns the accounts with these numbers, those of a trader, or those that were open at `since` or later."""
    values = {"numbers": None if numbers is None else list(numbers), "trader": trader_id, "since": since}
    return [TradingAccount(**row) for row in (await session.execute(_ACCOUNTS, values)).mappings()]


async def highest_account(session: AsyncSession) -> int:
    """Returns the number of the newest account, counted from 1; 0 when there is none."""
    lowest, highest = (await session.execute(select(func.min(Account.number), func.max(Account.number)))).one()
    return 0 if highest is None else int(highest - lowest + 1)


async def newest(session: AsyncSession) -> tuple[int, datetime | None]:
    """Returns the highest number of a deal, and market time at the newest one."""
    row = (await session.execute(select(func.max(DealRow.id), func.max(DealRow.at)))).one()
    return int(row[0] or 0), row[1]


@dataclass(frozen=True, slots=True)
class Correction:
    """What a platform says of its event `seq`. `total`: the event's whole effect on the balance, in minor units, if
    that is corrected."""

    number: int
    platform: str
    seq: int
    cancelled: bool
    total: int | None


async def corrections(session: AsyncSession, after: int = 0, *, trader_id: str | None = None) -> list[Correction]:
    """Returns the corrections numbered above `after`, in the order of their numbers: all, or those of a trader's
    deals."""
    wanted = (
        select(CorrectionRow.id, CorrectionRow.feed, CorrectionRow.corrects_seq, CorrectionRow.body)
        .where(CorrectionRow.id > after)
        .order_by(CorrectionRow.id)
    )
    if trader_id is not None:
        own = select(Account.platform, DealRow.seq).join(Account, Account.id == DealRow.account_id)
        own = own.where(Account.trader_id == trader_id)
        wanted = wanted.where(tuple_(CorrectionRow.feed, CorrectionRow.corrects_seq).in_(own))
    found = []
    for number, feed, seq, body in await session.execute(wanted):
        change = body.get("change_minor")
        cancelled = change is None and body.get("bid") is None and body.get("ask") is None
        found.append(Correction(int(number), str(feed), int(seq), cancelled, None if change is None else int(change)))
    return found


async def symbol_facts(session: AsyncSession) -> Sequence[SymbolFacts]:
    """Returns what platforms and symbol maps say of symbols, the newest last."""
    return (await session.scalars(select(SymbolFacts).order_by(SymbolFacts.told_at, SymbolFacts.symbol))).all()


async def releases(session: AsyncSession, since: datetime) -> Sequence[NewsRelease]:
    """Returns the scheduled releases from `since` on, by time."""
    found = await session.scalars(
        select(NewsRelease).where(NewsRelease.released_at >= since).order_by(NewsRelease.released_at, NewsRelease.id)
    )
    return found.all()
