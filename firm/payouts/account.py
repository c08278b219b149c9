"""The account behind a payout, as the record has it under the account's lock: breaches, reviews, and its room now."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import Select, bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.errors import Conflict
from domain.payouts.checks import beyond_level
from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.reviews import KINDS, holding
from domain.rules.floors import Mark
from domain.rules.room import rooms_after_payout
from domain.rules.state import from_json
from store import outbox, rows
from store.models import (
    Account,
    AccountLive,
    BalanceOperationRow,
    Breach,
    Challenge,
    EquityBar,
    Intervention,
    Offence,
    OutboxMessage,
    Payout,
    Review,
)
from store.together import Param

# The server takes the locks of a row in the order of the clauses.
_LOCKED: Final = (
    select(Challenge, Account)
    .join(Account, Account.challenge_id == Challenge.id)
    .where(Challenge.id == bindparam("challenge"), Account.id == bindparam("account"))
    .with_for_update(of=Challenge, read=True)
    .suffix_with(text("FOR NO KEY UPDATE OF accounts"))
    .execution_options(populate_existing=True)
)


async def lock(session: AsyncSession, challenge_id: str, account_id: str) -> tuple[Challenge, Account]:
    """Lock the challenge, then the account, as everybody does.

    The monitor updates the account's row in the transaction that commits a breach. So this call
    waits for a breach that is being committed, and a later one waits until the caller's transaction ends.
    """
    names = {"challenge": challenge_id, "account": account_id}
    challenge, account = (await session.execute(_LOCKED, names)).one()
    rows.keep(session, challenge)
    rows.keep(session, account)
    return challenge, account


def breaches_query(account_id: Param[str]) -> Select[tuple[str]]:
    """Ids of the account's breaches that were not overturned, oldest first."""
    of_account = (Breach.account_id == account_id, Breach.status == "confirmed")
    return select(Breach.id).where(*of_account).order_by(Breach.seq, Breach.rule_id)


async def breaches(session: AsyncSession, account_id: str) -> tuple[str, ...]:
    return tuple(await session.scalars(breaches_query(account_id)))


def open_reviews_query(account_id: Param[str]) -> Select[tuple[str, str]]:
    """The account's open reviews: (id, kind). Reviews of payments are not among them.

    Each of these kinds says that the money of the account is in doubt: a breach that no good data have judged,
    estimated or drifting equity, a reset that was missed, an offence that a person must look at. A review of the feed
    alone names no account; it concerns one through the doubtful breach that it leads to. Reviews of a fee hold all the
    trader's payouts and are listed apart (`payment_reviews.holding_query`).
    """
    of_account = (Review.account_id == account_id, Review.status == "open", Review.kind.in_(holding("account")))
    return select(Review.id, Review.kind).where(*of_account).order_by(Review.id)


async def open_reviews(session: AsyncSession, account_id: str) -> tuple[str, ...]:
    return named_reviews((await session.execute(open_reviews_query(account_id))).tuples())


def named_reviews(found: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Returns reviews as "rev_1 (doubtful breach)"."""
    return tuple(f"{review_id} ({KINDS[kind].words})" for review_id, kind in found)


async def reset_waits(session: AsyncSession, account_id: str) -> bool:
    return await session.scalar(waiting_reset_query(account_id)) is not None


def waiting_reset_query(account_id: Param[str]) -> Select[tuple[str]]:
    """An offence that is to bring the balance of the account back to the initial one, and the venue has not been told
    yet. It has not been told either when a person gave the message up."""
    key = func.concat(keys.RESET_BALANCE, Offence.id)
    return (
        select(Offence.id)
        .join(OutboxMessage, OutboxMessage.key == key)
        .where(Offence.account_id == account_id, OutboxMessage.dispatched_at.is_(None) | outbox.GIVEN_UP)
        .limit(1)
    )


def waiting_adjustment_query(account_id: Param[str]) -> Select[tuple[int | None]]:
    """What an approved adjustment will add to the balance of the account, negative for what it will take."""
    waits = (Intervention.account_id == account_id, Intervention.kind == "adjust", Intervention.state == "approved")
    return select(func.sum(Intervention.change_minor)).where(*waits)


async def adjustment_waits(session: AsyncSession, account_id: str) -> bool:
    """Returns whether an approved adjustment of its balance is being carried out."""
    return await session.scalar(waiting_adjustment_query(account_id)) is not None


def approved_closing_query(account_id: Param[str]) -> Select[tuple[str]]:
    """The approved closing of the account that is being carried out."""
    waits = (Intervention.account_id == account_id, Intervention.kind == "close", Intervention.state == "approved")
    return select(Intervention.id).where(*waits).limit(1)


async def check_not_closing(session: AsyncSession, account_id: str) -> None:
    """Raises Conflict while an approved closing of the account is being carried out."""
    if await session.scalar(approved_closing_query(account_id)) is not None:
        raise Conflict(
            "The account is being closed, so no payout of it can be requested.",
            field="account",
            remedy="Ask support about the money of the account.",
        )


async def resets(session: AsyncSession, account_id: str) -> int:
    """Returns how many offences brought, or are to bring, the balance of the account back to the initial one."""
    of_account = (Offence.account_id == account_id, Offence.consequence == "reset_balance")
    return int(await session.scalar(select(func.count()).select_from(Offence).where(*of_account)) or 0)


def levels_beyond(
    payout: Payout, account: Account, product: Product, live: AccountLive, money: tuple[int, int], left: Collection[str]
) -> tuple[str, ...]:
    """A sentence for each level that the account's equity on record would be beyond once the payout is paid.

    `money`: (balance, equity) now. `left`: the keys of the payout's own balance operations that the record has seen.
    """
    rules = from_json(
        phase_terms(product, account.phase_index, initial_minor=account.initial_minor).specs, live.rule_state["rules"]
    )
    balance, equity = money
    gross = 0 if keys.payout_hold(payout.id) in left else payout.gross_minor
    forfeited = 0 if keys.payout_forfeit(payout.id) in left else payout.forfeited_minor
    mark = Mark(balance - forfeited, min(balance, equity) - forfeited, 0, live.at)
    rooms = rooms_after_payout(rules, mark, gross)
    return tuple(words for room in rooms if (words := beyond_level(room, account.currency)))


def newer_money_query(account_id: Param[str], after: Param[datetime]) -> Select[tuple[int, int]]:
    """(balance, equity) of the newest bar after the checkpoint: a merely marked account's row may wait."""
    return (
        select(EquityBar.balance_minor, EquityBar.close_minor)
        .where(EquityBar.account_id == account_id, EquityBar.minute > after)
        .order_by(EquityBar.minute.desc())
        .limit(1)
    )


def left_query(account_id: Param[str], hold: Param[str], forfeit: Param[str]) -> Select[tuple[str]]:
    """Of the keys of a payout's operations, those that the record has seen leaving the account."""
    return select(BalanceOperationRow.key).where(
        BalanceOperationRow.account_id == account_id, BalanceOperationRow.key.in_((hold, forfeit))
    )
