"""Takes a payout's money off its account on the platform, and puts it back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from activities.effects import AccountEffects, find_moved, on_account
from domain import keys
from domain.errors import Conflict, IdempotencyMismatch
from domain.payouts import trader_messages
from firm.payouts import account as payout_account
from firm.payouts import holds
from firm.payouts import row as payouts
from firm.payouts.situation import Holdings
from ports.calendars import NONE, Calendars
from ports.platform import BalanceKind, Platforms
from store import outbox
from store.db import Database
from store.models import Account, Intent, Payout

_REVERSE: Final[dict[BalanceKind, BalanceKind]] = {"payout_hold": "payout_release", "adjustment": "adjustment"}
NOT_ALL_HELD: Final = "the platform could not hold all of the money"
HoldOperation = tuple[str, BalanceKind, int]  # (key, operation, minor units; negative: taken off the account)
_SEEN: Final = (
    select(
        Payout,
        Account,
        exists().where(Intent.key == bindparam("hold")),
        exists().where(Intent.key == bindparam("undo")),
    )
    .join(Account, Account.id == Payout.account_id)
    .where(Payout.id == bindparam("payout"))
)


def hold_operations(payout: Payout) -> tuple[HoldOperation, ...]:
    """Returns the balance operations that take this payout off the account: the gross amount, and the forfeited
    amount."""
    hold: HoldOperation = (keys.payout_hold(payout.id), "payout_hold", -payout.gross_minor)
    if not payout.forfeited_minor:
        return (hold,)
    return hold, (keys.payout_forfeit(payout.id), "adjustment", -payout.forfeited_minor)


async def place_hold(db: Database, platforms: Platforms, payout_id: str, calendars: Calendars = NONE) -> None:
    """Holds all the money of a requested payout, or refuses the request with nothing held.

    Once the hold is declared, the request is not checked again: the money may already be off the balance. Returning the
    money is declared before it starts. From then on the payout can only be refused, even if processes die or another
    attempt still takes money.
    """
    hold = await _declare_hold(db, platforms, payout_id, calendars)
    if hold is None:
        return
    if not hold.undoing:
        returned = hold.repeated and await was_returned(hold.account, hold.operations)
        why = NOT_ALL_HELD if returned else await _take_money(hold)
        if not await _record_hold(db, payout_id, why):
            return
    await _return_money(hold)
    async with db.transaction() as session:
        payout = await payouts.locked(session, payout_id)
        if payout.state == "requested":
            undo = await session.get_one(Intent, keys.payout_undo(payout_id))
            await outbox.fulfil_intent(session, key=undo.key, result={})
            await payouts.advance(
                session,
                payout,
                "request_refused",
                reason=str(undo.payload["reason"]),
                trader_message=trader_messages.NOT_HELD,
            )


@dataclass(frozen=True)
class _DeclaredHold:
    """A declared hold. `repeated`: an earlier attempt may have taken the money. `undoing`: the money is being
    returned."""

    account: AccountEffects
    operations: tuple[HoldOperation, ...]
    repeated: bool = False
    undoing: bool = False


async def _declare_hold(
    db: Database, platforms: Platforms, payout_id: str, calendars: Calendars
) -> _DeclaredHold | None:
    """Declares the hold if the request can still be granted. Returns None when nothing is left to do."""
    async with db.transaction() as session:  # without a lock: all of it is read again under the lock
        names = {"payout": payout_id, "hold": keys.payout_hold(payout_id), "undo": keys.payout_undo(payout_id)}
        payout, row, declared, undoing = (await session.execute(_SEEN, names)).one()
        if payout.state != "requested" and not undoing:
            return None
        account = on_platform(db, platforms, payout, row)
        if undoing or declared:
            return _DeclaredHold(account, hold_operations(payout), repeated=True, undoing=undoing)
    taken = await _was_taken(account, payout_id)
    snapshot = await account.platform.snapshot(account.login)
    holdings = Holdings(snapshot.balance_minor, snapshot.equity_minor, len(snapshot.positions))
    async with db.transaction() as session:
        payout = await payouts.locked(session, payout_id)
        if payout.state != "requested":
            return None
        if await session.get(Intent, keys.payout_hold(payout_id)) is not None:
            return _DeclaredHold(account, hold_operations(payout), repeated=True)
        if not taken and await holds.refuse(session, payout, holdings, calendars):
            return None
        resets = await payout_account.resets(session, payout.account_id)
        for key, operation, amount in hold_operations(payout):
            payload = {"amount_minor": amount, "resets": resets}
            await outbox.declare_intent(session, key=key, kind=operation, payload=payload)
        return _DeclaredHold(account, hold_operations(payout), repeated=taken)


async def _was_taken(account: AccountEffects, payout_id: str) -> bool:
    """Returns whether the platform has the hold although the record has not declared it: the record was restored from
    a backup. The balance is without the money then, so the request must not be judged by it again."""
    key = keys.payout_hold(payout_id)
    return await account.platform.find_balance_operation(account.login, key=key, operation="payout_hold") is not None


async def was_returned(account: AccountEffects, operations: Sequence[HoldOperation]) -> bool:
    """Returns whether any of the money is back on the account. This code then refuses the payout; an older version may
    have left such payouts recorded as held."""
    for key, operation, amount in operations:
        if await _find_returned(account, key, operation, amount) is not None:
            return True
    return False


async def _find_returned(account: AccountEffects, key: str, operation: BalanceKind, amount: int) -> int | None:
    """A hold comes back under one of two keys: that of a request that was not held whole, or that of a release."""
    for name in sorted({keys.back(key), keys.released(key)}):
        found = await find_moved(account.platform, account.login, name, _REVERSE[operation], -amount)
        if found is not None:
            return found
    return None


async def release_hold(account: AccountEffects, payout_id: str, operations: Sequence[HoldOperation]) -> None:
    """Puts back every amount once. Skips amounts that are already back."""
    for key, operation, amount in operations:
        if await _find_returned(account, key, operation, amount) is None:
            name = keys.payout_release(payout_id) if operation == "payout_hold" else keys.back(key)
            await account.move(name, _REVERSE[operation], -amount, asked_before=True)


async def _take_money(hold: _DeclaredHold) -> str:
    """Takes each amount off the account. Returns the platform's reason when it refuses one, else ""; earlier amounts
    stay taken. A refusal, also one for good, refuses the request: nobody tries it again."""
    platform, login = hold.account.platform, hold.account.login
    await hold.account.loosen_limits()
    for key, operation, amount in hold.operations:
        if hold.repeated and await find_moved(platform, login, key, operation, amount) is not None:
            continue
        try:
            await platform.balance_operation(login, key=key, operation=operation, amount_minor=amount)
        except IdempotencyMismatch:
            raise  # another amount was taken under this key: not a refusal, a person must look at it
        except Conflict as conflict:
            return conflict.message or conflict.type
    return ""


async def _record_hold(db: Database, payout_id: str, why: str) -> bool:
    """Records the hold, or with a reason `why` declares that the money is returned. Returns whether to return it."""
    async with db.transaction() as session:
        payout = await payouts.locked(session, payout_id)
        if await session.get(Intent, keys.payout_undo(payout_id)) is not None:
            return True
        if payout.state == "requested" and why:
            reason = {"reason": why}
            await outbox.declare_intent(session, key=keys.payout_undo(payout_id), kind="payout_undo", payload=reason)
            return True
        if payout.state == "requested":
            await holds.record_held(session, payout)
        return False


async def _return_money(hold: _DeclaredHold) -> None:
    """Puts back each amount that was taken, once, also when repeated."""
    account = hold.account
    for key, operation, amount in hold.operations:
        taken = await find_moved(account.platform, account.login, key, operation, amount) is not None
        if taken and await _find_returned(account, key, operation, amount) is None:
            await account.move(keys.back(key), _REVERSE[operation], -amount, asked_before=True)


async def platform_account(session: AsyncSession, db: Database, platforms: Platforms, payout: Payout) -> AccountEffects:
    """Returns the payout's account on its platform. Raises Conflict for an account without a login, NotConfigured for a
    platform that is not configured in this process."""
    return on_platform(db, platforms, payout, await session.get_one(Account, payout.account_id))


def on_platform(db: Database, platforms: Platforms, payout: Payout, account: Account) -> AccountEffects:
    """Like `platform_account`, for an account that was read already."""
    if account.login is None:
        raise Conflict(f"The account of payout {payout.id} has no login on the platform.")
    return on_account(db, platforms, account, account.login)
