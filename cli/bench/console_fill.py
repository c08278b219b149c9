"""The firm of `propos bench console`: its rows on the real schema, as the real tables keep them.

Traders, accounts and work are made with the models, names encrypted and indexed. What grows by the hour (deals, bars,
transitions) is made of them by a few statements of the owner, with its triggers off. Proof sheets are empty: no page
that is measured opens one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import psycopg
from sqlalchemy import insert, text

from cli.bench import payout_firm, payout_history, support
from cli.bench.outside import RAIL
from domain.keys import derived_id
from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.rules.state import fresh, to_json
from firm.service import policy as service_policies
from store import account_ranks, products
from store.db import Database
from store.identity import add_user, hash_password
from store.models import (
    Account,
    AccountLive,
    Alert,
    BalanceOperationRow,
    Breach,
    Case,
    CaseAccount,
    Challenge,
    Exposure,
    Payout,
    PhasePass,
    Proof,
    Review,
    Shard,
    Trader,
    User,
)
from store.models.base import Base

LOGIN: Final = "ana@firm.example"
PASSWORD: Final = "correct horse battery"
FEED: Final = "bench"
FIRST_NUMBER: Final = 10_001
BUSIEST: Final = 1  # the account with a tenth of all deals
_NOW: Final = datetime(2014, 5, 22, 21, tzinfo=UTC)  # market time, as `payout_firm.open_firm` sets it
_AT_ONCE: Final = 5_000
_PRODUCT: Final = "two-step"
# of ten accounts: state of the challenge, status of the account
_STATES: Final = (
    *(("funded", "active"), ("active", "active"), ("active", "active"), ("active", "active"), ("funded", "active")),
    *(("active", "active"), ("breached", "locked"), ("breached", "locked")),
    *(("expired", "closed"), ("closed", "closed")),
)
_FIRST: Final = ("Mara", "Otto", "Eve", "Ines", "Jonas", "Lena", "Noor", "Pavel", "Rosa", "Sven", "Tariq", "Yuki")
_LAST: Final = ("Lindqvist", "Brandt", "Okafor", "Novak", "Petit", "Ruiz", "Sato", "Weber", "Kowalski", "Haddad")
SYMBOLS: Final = ("EURUSD", "XAUUSD", "GBPUSD", "US500", "USDJPY")


@dataclass(frozen=True)
class Size:
    """How much the firm has of everything. `messages`: outbox rows, and as many inbox rows."""

    accounts: int
    deals: int
    messages: int
    ledger: int

    @property
    def traders(self) -> int:
        return max(1, self.accounts // 2)

    @property
    def tickets(self) -> int:
        return self.accounts // 5

    @property
    def of_busiest(self) -> int:
        return self.deals // 10


async def fill(db: Database, owner_url: str, size: Size) -> None:
    """Makes the firm in an empty database and has PostgreSQL look at it (ANALYZE)."""
    await payout_firm.open_firm(db)
    async with db.transaction() as session:
        await service_policies.publish(session, service_policies.load_policy())
        hashed = await hash_password(PASSWORD)
        await add_user(
            session, login=LOGIN, name="Ana Ruiz", password_hash=hashed, role="admin", person_id="person-ana"
        )
        session.add(Shard(id=0, platform=FEED))
        session.add_all(_exposure(symbol, size) for symbol in SYMBOLS)
        terms = await products.newest(session, _PRODUCT)
    for first in range(1, size.accounts + 1, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, size.accounts + 1))
        async with db.transaction() as session:
            for model, rows in _rows(numbers, size, terms):
                if rows:
                    await session.execute(insert(model), rows)
    writers = min(500, size.tickets // support.OPEN, size.traders)
    await support.fill(db, range(size.tickets), datetime.now(UTC) - timedelta(minutes=size.tickets), writers)
    payout_history.fill(owner_url, entries=size.ledger, events=size.messages)
    _of_the_hour(owner_url, size)
    async with db.transaction() as session:
        await account_ranks.refresh(session)  # as the relay does
        await session.execute(text("ANALYZE"))


def _exposure(symbol: str, size: Size) -> Exposure:
    return Exposure(
        shard=0, symbol=symbol, long_lots=Decimal(41), short_lots=Decimal(63), accounts=size.accounts // 2,
        floating_minor=-184_233, bid=Decimal("1.3864"), ask=Decimal("1.3865"), at=_NOW,
    )  # fmt: skip


def _trader(number: int, size: Size) -> str:
    return derived_id("trd", (number - 1) % size.traders + 1)


def name_of(number: int) -> str:
    """The name of a trader: a hundred and twenty names, and a word that nobody else has."""
    return f"{_FIRST[number % len(_FIRST)]} {_LAST[number // len(_FIRST) % len(_LAST)]} Nr{number}"


def _state(number: int) -> tuple[str, str]:
    return _STATES[number % 10]


def _rows(numbers: range, size: Size, terms: Product) -> Iterator[tuple[type[Base], list[dict[str, Any]]]]:
    """Yields the rows of these accounts, table by table."""
    yield from _people([number for number in numbers if number <= size.traders])
    yield from _accounts(numbers, size, terms)
    yield from _verdicts([number for number in numbers if _state(number)[1] != "active"])
    yield Payout, [_payout(number, size) for number in numbers if _state(number)[0] == "funded"]
    yield from _doubts(numbers)


def _since(number: int, size: Size) -> datetime:
    """Accounts were opened one after another in the last ninety days."""
    return _NOW - timedelta(days=90) * (size.accounts - number) / size.accounts - timedelta(hours=1)


def _people(numbers: list[int]) -> Iterator[tuple[type[Base], list[dict[str, Any]]]]:
    yield Trader, [
        {
            "id": derived_id("trd", number), "name": name_of(number), "email": f"{number}@example.org",
            "email_index": f"{number}@example.org", "country": "DE", "beneficiary": None, "identity": "verified",
            "email_confirmed_at": _NOW, "created_at": _NOW,
        }
        for number in numbers
    ]  # fmt: skip
    yield User, [
        {
            "id": derived_id("usr", number), "login": f"{number}@example.org", "login_index": f"{number}@example.org",
            "name": name_of(number), "password_hash": "-", "role": "trader", "person_id": derived_id("trd", number),
            "trader_id": derived_id("trd", number), "active": True,
        }
        for number in numbers
    ]  # fmt: skip


def _accounts(numbers: range, size: Size, terms: Product) -> Iterator[tuple[type[Base], list[dict[str, Any]]]]:
    def phase(number: int) -> int:
        return terms.funded_index if _state(number)[0] == "funded" else 1

    specs = {index: phase_terms(terms, index).specs for index in (1, terms.funded_index)}
    rules = {index: to_json(fresh(phase_terms(terms, index).specs)) for index in specs}
    room = {
        index: {
            spec.key: {"floor_minor": terms.initial_minor * 9 // 10, "operator": spec.operator, "room_minor": 1_000_000}
            for spec in each
        }
        for index, each in specs.items()
    }
    yield Challenge, [
        {
            "id": derived_id("chl", number), "trader_id": _trader(number, size), "product": terms.product,
            "version": terms.version, "state": _state(number)[0], "phase_index": phase(number),
            "account_id": derived_id("acc", number), "fee_minor": terms.fee_minor, "currency": terms.currency,
            "provider": RAIL, "bought_at": _since(number, size), "changed_at": _since(number, size),
        }
        for number in numbers
    ]  # fmt: skip
    yield Account, [
        {
            "id": derived_id("acc", number), "number": FIRST_NUMBER - 1 + number,
            "challenge_id": derived_id("chl", number), "trader_id": _trader(number, size),
            "phase_index": phase(number), "product": terms.product, "version": terms.version, "platform": FEED,
            "login": number, "clock_group": terms.clock.group, "currency": terms.currency,
            "initial_minor": terms.initial_minor, "status": _state(number)[1], "opened_at": _since(number, size),
            "ended_at": None if _state(number)[1] == "active" else _since(number, size) + timedelta(minutes=50),
        }
        for number in numbers
    ]  # fmt: skip
    yield AccountLive, [
        {
            "account_id": derived_id("acc", number), "batch": 1, "at": _NOW, "trading_days": 3,
            "balance_minor": terms.initial_minor + number % 1000, "equity_minor": terms.initial_minor + number % 999,
            "positions": [_position(each) for each in SYMBOLS[: 3 if _state(number)[1] == "active" else 0]],
            "floors": room[phase(number)], "rule_state": {"rules": rules[phase(number)]},
        }
        for number in numbers
    ]  # fmt: skip
    yield BalanceOperationRow, [
        {
            "account_id": derived_id("acc", number), "key": f"{number}/initial", "operation": "deposit", "seq": 1,
            "at": _since(number, size), "amount_minor": terms.initial_minor, "balance_minor": terms.initial_minor,
        }
        for number in numbers
    ]  # fmt: skip


def _position(symbol: str) -> dict[str, Any]:
    return {
        "position_id": f"P{symbol}", "symbol": symbol, "side": "buy", "lots": "1.5", "open_price": "1.3864",
        "opened_at": _NOW.isoformat(),
    }  # fmt: skip


def _verdicts(numbers: list[int]) -> Iterator[tuple[type[Base], list[dict[str, Any]]]]:
    """Breaches of the locked accounts; passes of those that are closed after a pass."""
    broken = [number for number in numbers if _state(number)[0] == "breached"]
    passed = [number for number in numbers if _state(number)[0] == "closed"]
    yield Proof, [
        {
            "id": derived_id("prf", number), "account_id": derived_id("acc", number), "digest": "0" * 64, "body": {},
            "kind": "breach" if _state(number)[0] == "breached" else "pass",
        }
        for number in (*broken, *passed)
    ]  # fmt: skip

    def verdict(number: int) -> dict[str, Any]:
        return {
            "account_id": derived_id("acc", number), "challenge_id": derived_id("chl", number), "phase_index": 1,
            "proof_id": derived_id("prf", number), "seq": number,
            "occurred_at": _NOW - timedelta(minutes=number % 100_000),
        }  # fmt: skip

    yield Breach, [
        verdict(number)
        | {
            "id": derived_id("brc", number), "rule_id": "daily_loss" if number % 2 else "max_loss", "offence": 1,
            "floor_minor": 9_000_000, "equity_minor": 8_999_000, "status": "confirmed", "epoch": 1,
            "received_at": _NOW, "locked_at": _NOW + timedelta(milliseconds=9),
        }
        for number in broken
    ]  # fmt: skip
    yield (
        PhasePass,
        [verdict(number) | {"id": derived_id("psg", number), "balance_minor": 10_800_000} for number in passed],
    )


def _payout(number: int, size: Size) -> dict[str, Any]:
    """One of ten waits for an approval, the others are paid."""
    waits, asked = number % 100 == 0, _NOW - timedelta(minutes=number % 100_000)
    return {
        "id": derived_id("pay", number), "account_id": derived_id("acc", number),
        "challenge_id": derived_id("chl", number), "trader_id": _trader(number, size),
        "requested_by": derived_id("usr", (number - 1) % size.traders + 1),
        "state": "awaiting_approval" if waits else "paid", "gross_minor": 100_000 + number % 5_000,
        "trader_minor": 80_000, "firm_minor": 20_000 + number % 5_000, "currency": "USD",
        "beneficiary": "DE89370400440532013000", "terms_digest": "0" * 64, "approvers_needed": 1, "checks": {},
        "requested_at": asked, "changed_at": asked, "was_held": False,
        "decide_by": _NOW + timedelta(minutes=number % 5_000) if waits else None,
        "closed_at": None if waits else asked,
        "rail": RAIL, "transfer_id": None if waits else f"tr_{number}",
    }  # fmt: skip


def _doubts(numbers: range) -> Iterator[tuple[type[Base], list[dict[str, Any]]]]:
    """Reviews and cases of one account in a hundred; one of five of them is open."""
    of = [number for number in numbers if number % 100 == 2]
    yield Review, [
        {
            "id": derived_id("rev", number), "key": f"bad_tick/{number}", "kind": "bad_tick", "occurred_at": _NOW,
            "status": "open" if number % 500 == 2 else "closed", "account_id": derived_id("acc", number),
            "detail": {"symbol": "XAUUSD", "bid": "1031.20", "last_bid": "1289.00"},
        }
        for number in of
    ]  # fmt: skip
    yield Alert, [
        {
            "id": derived_id("alr", number), "key": f"bench/{number}", "detector": "martingale",
            "score": Decimal("0.91"), "sentence": "Size doubles after each loss.", "evidence": {}, "occurred_at": _NOW,
        }
        for number in of
    ]  # fmt: skip
    yield Case, [
        {
            "id": derived_id("cas", number), "alert_id": derived_id("alr", number), "family": "sizing",
            "subject_key": f"bench/{number}", "opened_at": _NOW - timedelta(minutes=number),
            "state": "open" if number % 500 == 2 else "cleared",
        }
        for number in of
    ]  # fmt: skip
    yield (
        CaseAccount,
        [
            {"case_id": derived_id("cas", number), "account_id": derived_id("acc", number), "blamed": False}
            for number in of
        ],
    )


_DEALS: Final = """
    INSERT INTO deals (account_id, deal_id, seq, at, position_id, symbol, side, entry, lots, price, profit_minor,
                       commission_minor, swap_minor, balance_minor, reason, updated_at)
    SELECT a.id, 'D' || n, n, made.at, 'P' || (n + 1) / 2,
           (%(symbols)s::text[])[1 + n / 2 %% cardinality(%(symbols)s::text[])],
           CASE WHEN n %% 2 = 1 THEN 'buy' ELSE 'sell' END, CASE WHEN n %% 2 = 1 THEN 'in' ELSE 'out' END, 1.5, 1.3864,
           CASE WHEN n %% 2 = 1 THEN 0 ELSE n %% 700 - 350 END, 0, 0, 10000000, 'client', made.at
      FROM generate_series(1, %(deals)s::int) AS n
      JOIN accounts a ON a.number = CASE WHEN n <= %(busiest)s::int THEN %(number)s::int
                                         ELSE %(first)s::int + (n + 1) / 2 %% %(accounts)s::int END,
           LATERAL (SELECT %(now)s::timestamptz - (%(deals)s::int - n) * (interval '60 days' / %(deals)s::int) AS at)
             AS made
"""
_BARS: Final = """
    INSERT INTO equity_bars (account_id, minute, open_minor, high_minor, low_minor, close_minor, balance_minor)
    SELECT a.id, date_trunc('minute', %(now)s::timestamptz) - n * interval '1 minute', 10000000 + n %% 900,
           10001000 + n %% 900, 9999000 + n %% 900, 10000500 + n %% 900, 10000000
      FROM accounts a, LATERAL generate_series(1, CASE WHEN a.number = %(number)s::int THEN %(busiest)s::int
                                                       ELSE least(2880, %(deals)s::int) END) AS n
     WHERE a.number < %(first)s::int + %(with_bars)s::int
"""
_TRANSITIONS: Final = """
    INSERT INTO transitions (subject_kind, subject_id, key, trigger, from_state, to_state, detail, occurred_at)
    SELECT 'challenge', c.id, step.trigger, step.trigger, step.before, step.after, '{}', c.bought_at
      FROM challenges c, (VALUES ('payment_settled', 'awaiting_payment', 'provisioning'),
                                 ('phase_started', 'provisioning', 'active')) AS step (trigger, before, after)
"""
WITH_BARS: Final = 100  # accounts that have bars, two days each; the busiest has one for each deal


def _of_the_hour(owner_url: str, size: Size) -> None:
    values: dict[str, Any] = {
        "symbols": list(SYMBOLS), "deals": size.deals, "busiest": size.of_busiest, "accounts": size.accounts,
        "number": FIRST_NUMBER - 1 + BUSIEST, "first": FIRST_NUMBER, "now": _NOW, "with_bars": WITH_BARS,
    }  # fmt: skip
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in (_DEALS, _BARS):
            connection.execute(statement, values)
        connection.execute(_TRANSITIONS)
        connection.execute("SET session_replication_role = origin")
        connection.execute("SELECT setval(pg_get_serial_sequence('accounts', 'number'), max(number)) FROM accounts")
        connection.execute("VACUUM (ANALYZE)")
