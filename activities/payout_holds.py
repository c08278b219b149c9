"""Takes a payout's money off its account on the platform, and puts it back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.errors import Conflict, IdempotencyMismatch
from domain.payouts import trader_messages
from firm.payouts import holds
from firm.payouts import row as payouts
from firm.payouts.situation import Holdings
from ports.calendars import NONE, Calendars
from ports.platform import BalanceKind, Platforms, TradingPlatform
from store import outbox
from store.db import Database
from store.models import Account, Intent, Payout

_REVERSE: Final[dict[BalanceKind, BalanceKind]] = {"payout_hold": "payout_release", "adjustment": "adjustment"}
NOT_ALL_HELD: Final = "the platform could not hold all of the money"
HoldOperation = tuple[str, BalanceKind, int]  # (key, operation, minor units; negative: taken off the account)


def hold_operations(payout: Payout) -> tuple[HoldOperation, ...]:
    """Returns the balance operations that take this payout off the account: the gross amount, and the forfeited
    amount."""
    hold: HoldOperation = (keys.payout_hold(payout.id), "payout_hold", -payout.gross_minor)
    if not payout.forfeited_minor:
        return (hold,)
    return hold, (keys.payout_forfeit(payout.id), "adjustment", -payout.forfeited_minor)


@dataclass(frozen=True)
class PlatformAccount:
    """The account of a payout on its platform."""

    platform: TradingPlatform
    login: int


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

    account: PlatformAccount
    operations: tuple[HoldOperation, ...]
    repeated: bool = False
    undoing: bool = False


async def _declare_hold(
    db: Database, platforms: Platforms, payout_id: str, calendars: Calendars
) -> _DeclaredHold | None:
    """Declares the hold if the request can still be granted. Returns None when nothing is left to do."""
    async with db.transaction() as session:
        payout = await payouts.locked(session, payout_id)
        undoing = await session.get(Intent, keys.payout_undo(payout_id)) is not None
        if payout.state != "requested" and not undoing:
            return None
        account = await platform_account(session, platforms, payout)
        if undoing or await session.get(Intent, keys.payout_hold(payout_id)) is not None:
            return _DeclaredHold(account, hold_operations(payout), repeated=True, undoing=undoing)
    snapshot = await account.platform.snapshot(account.login)
    holdings = Holdings(snapshot.balance_minor, snapshot.equity_minor, len(snapshot.positions))
    async with db.transaction() as session:
        payout = await payouts.locked(session, payout_id)
        if payout.state != "requested":
            return None
        if await session.get(Intent, keys.payout_hold(payout_id)) is not None:
            return _DeclaredHold(account, hold_operations(payout), repeated=True)
        if await holds.refuse(session, payout, holdings, calendars):
            return None
        for key, operation, amount in hold_operations(payout):
            await outbox.declare_intent(session, key=key, kind=operation, payload={"amount_minor": amount})
        return _DeclaredHold(account, hold_operations(payout))


async def was_returned(account: PlatformAccount, operations: Sequence[HoldOperation]) -> bool:
    """Returns whether any of the money is back on the account. This code then refuses the payout; an older version may
    have left such payouts recorded as held."""
    for key, operation, _ in operations:
        if await _find_returned(account, key, operation) is not None:
            return True
    return False


async def _find_returned(account: PlatformAccount, key: str, operation: BalanceKind) -> int | None:
    return await account.platform.find_balance_operation(
        account.login, key=keys.back(key), operation=_REVERSE[operation]
    )


async def release_hold(account: PlatformAccount, payout_id: str, operations: Sequence[HoldOperation]) -> None:
    """Puts back every amount once. Skips amounts that are already back."""
    for key, operation, amount in operations:
        if await _find_returned(account, key, operation) is None:
            name = keys.payout_release(payout_id) if operation == "payout_hold" else keys.back(key)
            await account.platform.balance_operation(
                account.login, key=name, operation=_REVERSE[operation], amount_minor=-amount
            )


async def _take_money(hold: _DeclaredHold) -> str:
    """Takes each amount off the account. Returns the platform's reason when it refuses one, else ""; earlier amounts
    stay taken."""
    for key, operation, amount in hold.operations:
        try:
            await hold.account.platform.balance_operation(
                hold.account.login, key=key, operation=operation, amount_minor=amount
            )
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
    platform, login = hold.account.platform, hold.account.login
    for key, operation, amount in hold.operations:
        if await platform.find_balance_operation(login, key=key, operation=operation) is not None:
            await platform.balance_operation(
                login, key=keys.back(key), operation=_REVERSE[operation], amount_minor=-amount
            )


async def platform_account(session: AsyncSession, platforms: Platforms, payout: Payout) -> PlatformAccount:
    """Returns the payout's account on its platform. Raises Conflict for an account without a login, NotConfigured for a
    platform that is not configured in this process."""
    account = await session.get_one(Account, payout.account_id)
    if account.login is None:
        raise Conflict(f"The account of payout {payout.id} has no login on the platform.")
    return PlatformAccount(platforms.of(account.platform), account.login)
