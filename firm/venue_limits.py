"""The second wall: the loss limits of an account are computed from the record and sent to its venue.

The venue may keep a limit for as long as nobody sends another one. So limits are loosened before anything happens that
could make them tighter than ours (money that comes or goes, a reinstatement), and sent again once it has happened.
"""

import hashlib
import json
from collections.abc import Awaitable
from dataclasses import asdict
from typing import Any, Final, Protocol

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.payouts.payout import PAYOUT
from domain.products.phase_terms import phase_terms
from domain.products.second_wall import (
    NO_FLOORS,
    MoneyMoves,
    VenueFloors,
    VenueMeaning,
    Wall,
    floors_json,
    to_send,
    wall,
)
from domain.rules.state import fresh, from_json
from store import products
from store import venue_limits as kept
from store.clock import market_now
from store.db import Database
from store.models import Account, AccountLive, AccountMove, AccountMoveRow, BalanceOperationRow, Payout

_ENDED: Final = sorted(PAYOUT.terminal)


class SetFloors(Protocol):
    def __call__(self, login: int, *, key: str, floors: VenueFloors) -> Awaitable[None]: ...


async def send(
    db: Database,
    account_id: str,
    platform: str,
    meaning: VenueMeaning,
    call: SetFloors,
    *,
    moving: bool = False,
    again: bool = False,
) -> None:
    """Sends the limits that the venue shall hold now, unless it was sent them already. `platform`: whose `call` it is;
    nothing is sent when the account is at another one. `moving`: money is about to come
    or go, or the floors are measured anew: the limits are those that fit before and after. `again`: also when they were
    sent already. Raises what `call` raises, and Unavailable while another call of this account runs."""
    async with db.transaction() as session:
        account = await session.get(Account, account_id)
        if account is None or (account.platform, account.status) != (platform, "active") or account.login is None:
            return
        row = await kept.lease(session, account_id)
        if moving:
            row.money_at = await market_now(session)
            await session.flush()
        whole = await wanted_wall(session, account, meaning, row.money_at)
        wanted, levels = whole.floors, [asdict(each) for each in whole.levels]
        # somebody else may have set what was shown
        known = (row.sent, row.sending, row.shown if again else None)
        before = [VenueFloors(**each) for each in known if each is not None]
        floors = wanted
        for each in before:
            floors = to_send(floors, each, account.initial_minor)
        stored = floors_json(floors)
        if not again and row.sending is None and floors == (before[0] if before else NO_FLOORS):
            await kept.release(session, account_id, asked=False, sent=stored, levels=levels)
            return
        row.sending = stored
        login = account.login
    key = keys.venue_limits(account_id, _digest(stored))
    sent = False
    try:
        await call(login, key=key, floors=floors)
        sent = True
    finally:
        async with db.transaction() as session:
            values: dict[str, Any] = {}
            if sent:
                values = {"sent": stored, "sending": None, "asked": False, "sent_at": await market_now(session)}
                values["levels"] = levels
            await kept.release(session, account_id, **values)


def _digest(stored: dict[str, int | str | None]) -> str:
    return hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()[:16]


async def wanted_wall(session: AsyncSession, account: Account, meaning: VenueMeaning, money_at: Any = None) -> Wall:
    """Returns what the venue shall hold now, from the record. `money_at`: when money last moved that the record may not
    have seen yet."""
    product = await products.load(session, account.product, account.version)
    terms = phase_terms(product, account.phase_index, initial_minor=account.initial_minor)
    live = await session.get(AccountLive, account.id)
    rules = fresh(terms.specs) if live is None else from_json(terms.specs, live.rule_state["rules"])
    clock = terms.context.loss_clock or terms.context.clock
    day_start = clock.day_start(clock.trading_day(await market_now(session)))
    moved = select(BalanceOperationRow.at).where(
        BalanceOperationRow.account_id == account.id, BalanceOperationRow.key != keys.initial_deposit(account.id)
    )
    last = await session.scalar(moved.order_by(BalanceOperationRow.at.desc()).limit(1))
    times = [each for each in (last, money_at) if each is not None]
    payouts = (
        await session.execute(
            select(Payout.state, Payout.gross_minor).where(Payout.account_id == account.id, Payout.state.not_in(_ENDED))
        )
    ).all()
    moves = MoneyMoves(
        ever=bool(times),
        today=any(each >= day_start for each in times),
        holds_minor=tuple(row.gross_minor for row in payouts if row.state == "requested"),
        settles=bool(payouts),
    )
    return wall(terms, rules, meaning, moves, terms_change=await _terms_change(session, account.id))


async def _terms_change(session: AsyncSession, account_id: str) -> bool:
    waiting = exists().where(
        AccountMoveRow.account_id == account_id,
        AccountMoveRow.state == "waiting",
        AccountMove.id == AccountMoveRow.move_id,
        AccountMove.state == "approved",
    )
    return bool(await session.scalar(select(waiting)))
