"""The account behind a payout, as the record has it under the account's lock: breaches, reviews, and its room now."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.payouts.checks import beyond_level
from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.reviews import KINDS, holding
from domain.rules.floors import Mark
from domain.rules.room import rooms_after_payout
from domain.rules.state import from_json
from store.models import (
    Account,
    AccountLive,
    BalanceOperationRow,
    Breach,
    Challenge,
    EquityBar,
    Offence,
    OutboxMessage,
    Payout,
    Review,
)


async def lock(session: AsyncSession, challenge_id: str, account_id: str) -> tuple[Challenge, Account]:
    """Lock the challenge, then the account, as everybody does.

    The monitor updates the account's row in the transaction that commits a breach. So this call
    waits for a breach that is being committed, and a later one waits until the caller's transaction ends.
    """
    challenge = await session.get_one(Challenge, challenge_id, with_for_update={"read": True}, populate_existing=True)
    account = await session.get_one(Account, account_id, with_for_update={"key_share": True}, populate_existing=True)
    return challenge, account


async def breaches(session: AsyncSession, account_id: str) -> tuple[str, ...]:
    """Ids of the account's breaches that were not overturned, oldest first."""
    found = await session.scalars(
        select(Breach.id)
        .where(Breach.account_id == account_id, Breach.status == "confirmed")
        .order_by(Breach.seq, Breach.rule_id)
    )
    return tuple(found)


async def open_reviews(session: AsyncSession, account_id: str) -> tuple[str, ...]:
    """Returns the account's open reviews, as "rev_1 (doubtful breach)". Reviews of payments are not among them.

    Each of these kinds says that the money of the account is in doubt: a breach that no good data have judged,
    estimated or drifting equity, a reset that was missed, an offence that a person must look at. A review of the feed
    alone names no account; it concerns one through the doubtful breach that it leads to. Reviews of a fee hold all the
    trader's payouts and are listed apart (`payment_reviews.holding`).
    """
    found = await session.execute(
        select(Review.id, Review.kind)
        .where(Review.account_id == account_id, Review.status == "open", Review.kind.in_(holding("account")))
        .order_by(Review.id)
    )
    return tuple(f"{review_id} ({KINDS[kind].words})" for review_id, kind in found)


async def reset_waits(session: AsyncSession, account_id: str) -> bool:
    """Returns whether an offence is to bring the balance of the account back to the initial one, and the venue has not
    been told yet."""
    key = func.concat(keys.RESET_BALANCE, Offence.id)
    waiting = (
        select(Offence.id)
        .join(OutboxMessage, OutboxMessage.key == key)
        .where(Offence.account_id == account_id, OutboxMessage.dispatched_at.is_(None))
        .limit(1)
    )
    return await session.scalar(waiting) is not None


async def levels_beyond(session: AsyncSession, payout: Payout, account: Account, product: Product) -> tuple[str, ...]:
    """A sentence for each level that the account's equity on record would be beyond once the payout is paid."""
    live = await session.get(AccountLive, account.id, populate_existing=True)
    if live is None:
        return ()
    rules = from_json(
        phase_terms(product, account.phase_index, initial_minor=account.initial_minor).specs, live.rule_state["rules"]
    )
    balance, equity = await money_now(session, live)
    gross, forfeited = await _still_to_leave(session, payout)
    mark = Mark(balance - forfeited, min(balance, equity) - forfeited, 0, live.at)
    rooms = rooms_after_payout(rules, mark, gross)
    return tuple(words for room in rooms if (words := beyond_level(room, account.currency)))


async def money_now(session: AsyncSession, live: AccountLive) -> tuple[int, int]:
    """(balance, equity) of the checkpoint, or of a newer one-minute bar: a merely marked account's row may wait."""
    newest = await session.scalar(
        select(EquityBar)
        .where(EquityBar.account_id == live.account_id, EquityBar.minute > live.at)
        .order_by(EquityBar.minute.desc())
        .limit(1)
    )
    if newest is None:
        return live.balance_minor, live.equity_minor
    return newest.balance_minor, newest.close_minor


async def _still_to_leave(session: AsyncSession, payout: Payout) -> tuple[int, int]:
    """(gross, forfeited) in minor units that the record has not seen leaving the account yet."""
    hold, forfeit = keys.payout_hold(payout.id), keys.payout_forfeit(payout.id)
    found: Sequence[str] = (
        await session.scalars(
            select(BalanceOperationRow.key).where(
                BalanceOperationRow.account_id == payout.account_id, BalanceOperationRow.key.in_((hold, forfeit))
            )
        )
    ).all()
    return (0 if hold in found else payout.gross_minor, 0 if forfeit in found else payout.forfeited_minor)
