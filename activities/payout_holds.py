"""What leaves an account with a payout, at the platform; and how it comes back."""

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
from ports.platform import BalanceKind, Platforms, TradingPlatform
from store import outbox
from store.db import Database
from store.models import Account, Intent, Payout

_BACKWARDS: Final[dict[BalanceKind, BalanceKind]] = {"payout_hold": "payout_release", "adjustment": "adjustment"}
GIVEN_BACK: Final = "the platform could not hold all of the money"
Taking = tuple[str, BalanceKind, int]  # (key, operation, minor units, negative: they leave the account)


def taken(payout: Payout) -> tuple[Taking, ...]:
    """Returns what leaves the account with this payout: what is paid, and what lies beyond the cap."""
    hold: Taking = (keys.payout_hold(payout.id), "payout_hold", -payout.gross_minor)
    if not payout.forfeited_minor:
        return (hold,)
    return hold, (keys.payout_forfeit(payout.id), "adjustment", -payout.forfeited_minor)


@dataclass(frozen=True)
class Home:
    """Where the account of a payout is: its platform, and its login there."""

    platform: TradingPlatform
    login: int


async def place(db: Database, platforms: Platforms, payout_id: str) -> None:
    """Hold the money of a requested payout, all of it, or refuse the request with nothing held.

    Once the hold is declared the request is no longer judged: the balance may already be without the money. Giving back
    what was taken is declared before it begins; from then on the payout can only be refused, whatever is killed on the
    way and whatever another attempt still takes.
    """
    turn = await _declare(db, platforms, payout_id)
    if turn is None:
        return
    if not turn.undoing:
        given_back = turn.repeated and await was_given_back(turn.home, turn.operations)
        why = GIVEN_BACK if given_back else await _take(turn)
        if not await _record_taken(db, payout_id, why):
            return
    await _give_back(turn)
    async with db.transaction() as session:
        payout = await payouts.locked(session, payout_id)
        if payout.state == "requested":
            undo = await session.get_one(Intent, keys.payout_undo(payout_id))
            await outbox.fulfil_intent(session, key=undo.key, result={})
            await payouts.advance(
                session, payout, "request_refused", reason=str(undo.payload["reason"]), told=trader_messages.NOT_HELD
            )


@dataclass(frozen=True)
class _Turn:
    """What is to be taken. `repeated`: an earlier attempt may have taken it; `undoing`: it is being given back."""

    home: Home
    operations: tuple[Taking, ...]
    repeated: bool = False
    undoing: bool = False


async def _declare(db: Database, platforms: Platforms, payout_id: str) -> _Turn | None:
    """Commit to the hold, if the request can still be granted; None when there is nothing to do (any more)."""
    async with db.transaction() as session:
        payout = await payouts.locked(session, payout_id)
        undoing = await session.get(Intent, keys.payout_undo(payout_id)) is not None
        if payout.state != "requested" and not undoing:
            return None
        home = await home_of(session, platforms, payout)
        if undoing or await session.get(Intent, keys.payout_hold(payout_id)) is not None:
            return _Turn(home, taken(payout), repeated=True, undoing=undoing)
    snapshot = await home.platform.snapshot(home.login)
    holdings = Holdings(snapshot.balance_minor, snapshot.equity_minor, len(snapshot.positions))
    async with db.transaction() as session:
        payout = await payouts.locked(session, payout_id)
        if payout.state != "requested":
            return None
        if await session.get(Intent, keys.payout_hold(payout_id)) is not None:
            return _Turn(home, taken(payout), repeated=True)
        if await holds.refuse(session, payout, holdings):
            return None
        for key, operation, amount in taken(payout):
            await outbox.declare_intent(session, key=key, kind=operation, payload={"amount_minor": amount})
        return _Turn(home, taken(payout))


async def was_given_back(home: Home, operations: Sequence[Taking]) -> bool:
    """Whether something of what was taken is back on the account. This code records that as refused; one that did not
    may have left payouts that count as held."""
    for key, operation, _ in operations:
        if await _found_back(home, key, operation) is not None:
            return True
    return False


async def _found_back(home: Home, key: str, operation: BalanceKind) -> int | None:
    return await home.platform.find_balance_operation(home.login, key=keys.back(key), operation=_BACKWARDS[operation])


async def release(home: Home, payout_id: str, operations: Sequence[Taking]) -> None:
    """Put back all that was taken, once; a hold that is back already stays as it is."""
    for key, operation, amount in operations:
        if await _found_back(home, key, operation) is None:
            name = keys.payout_release(payout_id) if operation == "payout_hold" else keys.back(key)
            await home.platform.balance_operation(
                home.login, key=name, operation=_BACKWARDS[operation], amount_minor=-amount
            )


async def _take(turn: _Turn) -> str:
    """Take each out of the account. Returns why the platform refused one; what was taken before it stays taken."""
    for key, operation, amount in turn.operations:
        try:
            await turn.home.platform.balance_operation(
                turn.home.login, key=key, operation=operation, amount_minor=amount
            )
        except IdempotencyMismatch:
            raise  # another amount is taken under this key: no refusal, but something a person must see
        except Conflict as conflict:
            return conflict.message or conflict.type
    return ""


async def _record_taken(db: Database, payout_id: str, why: str) -> bool:
    """Record the hold, or declare that it is given back because of `why`; returns whether it is to be given back."""
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


async def _give_back(turn: _Turn) -> None:
    """Put back each that was taken, once, however often this is repeated."""
    platform, login = turn.home.platform, turn.home.login
    for key, operation, amount in turn.operations:
        if await platform.find_balance_operation(login, key=key, operation=operation) is not None:
            await platform.balance_operation(
                login, key=keys.back(key), operation=_BACKWARDS[operation], amount_minor=-amount
            )


async def home_of(session: AsyncSession, platforms: Platforms, payout: Payout) -> Home:
    """Returns where the payout's account is. Raises Conflict for an account without a login, NotConfigured for a
    platform that this process does not know."""
    account = await session.get_one(Account, payout.account_id)
    if account.login is None:
        raise Conflict(f"The account of payout {payout.id} has no login on the platform.")
    return Home(platforms.of(account.platform), account.login)
