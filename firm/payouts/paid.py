"""What was paid and traded before a payout, as far as its terms ask for it."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.payouts import PayoutTerms
from domain.payouts.live_account import LiveAccountStart, SimulatedAccount
from domain.products.product import Product
from firm.selling import sales
from store import chains
from store.models import (
    Account,
    AccountLive,
    BalanceOperationRow,
    Challenge,
    DealRow,
    LedgerTransaction,
    Payout,
    Posting,
    Trader,
)
from store.together import Param

_FEES_BACK: Final = (
    *("fee_refunded", "fee_partly_refunded", "fee_refund_failed"),
    *("fee_charged_back", "chargeback_taken", "chargeback_given_back"),
)


# Left the account and was not put back: paid, or paid once and then sent back by the rail. What came back is still owed
# to the trader, so it counts until a person puts it back on the account.
COUNTS_AS_PAID: Final = or_(Payout.state == "paid", and_(Payout.reopened_at.is_not(None), Payout.closed_at.is_(None)))
# Closed when it was paid; a payout that came back is dated by its return, until it is paid again.
_PAID_AT: Final = func.coalesce(Payout.closed_at, Payout.reopened_at)
# On its way for the first time.
ON_ITS_WAY: Final = and_(Payout.closed_at.is_(None), Payout.reopened_at.is_(None))


async def lock_totals(session: AsyncSession, terms: PayoutTerms, trader_id: str) -> None:
    """Where totals are those of all accounts of a trader, requests of these accounts wait for each other until the
    transaction ends. The challenge and the account are locked before."""
    if terms.totals_over == "trader":
        await session.execute(select(Trader.id).where(Trader.id == trader_id).with_for_update(key_share=True))


async def history(
    session: AsyncSession, account: Account, product: Product, now: datetime, judged: Payout | None
) -> dict[str, Any]:
    """Returns the facts about earlier payouts and trades. `judged`: the payout on the record that is judged."""
    terms = product.payout
    every = [own for _, own in terms.variants()]
    facts = await _of_challenge(session, account.challenge_id)
    counted = _counted(terms, account, judged)
    last = facts["last_payout_at"]
    if last is not None:
        facts["payout_balance_minor"] = await _left_by(session, account.id)
    if terms.totals_over == "trader":
        facts["total_paid_minor"] = await _gross(session, *counted)
    lately = {cap.per_days for own in every for cap in own.caps if cap.per_days is not None}
    facts["paid_lately"] = {
        days: await _gross(session, *counted, or_(ON_ITS_WAY, now - _hours(days) < _PAID_AT)) for days in sorted(lately)
    }
    waits = [own.after_first_trade for own in every if own.after_first_trade is not None]
    if last is not None and any(wait.since == "last_payout" for wait in waits):
        facts["first_trade_since_payout_at"] = utc(await session.scalar(first_trade_query(account.id, last)))
    if any(own.split_by_trading_days for own in every):
        facts["trading_days"] = await _trading_days(session, account.id, product)
    if any(own.days_are != "full" for own in every):
        facts["clock"] = product.clock
    if terms.live_account is not None:
        facts["live_start_minor"] = await _live_start(session, account, terms.live_account)
    if terms.fee_refund is not None and terms.fee_refund.amount == "all_fees_paid":
        facts["all_fees_minor"] = await _all_fees(session, account.challenge_id)
    closing = [cycle.name for cycle in terms.cycles if cycle.closes_account]
    if closing:
        facts["closed_by_payout"] = await closing_payout(session, account.challenge_id, terms) is not None
    return facts


def fee_back_query(challenge_id: Param[str], account: Param[str]) -> Select[tuple[int]]:
    """What went back to the payer of a challenge: zero, or below it. `account`: of its provider (`provider_of`)."""
    return (
        select(func.coalesce(func.sum(Posting.amount_minor), 0))
        .join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)
        .where(
            LedgerTransaction.reference == challenge_id,
            LedgerTransaction.kind.in_(_FEES_BACK),
            Posting.account == account,
        )
    )


def provider_of(challenge: Challenge) -> str:
    """Returns the ledger account of the provider that took the fee."""
    return f"provider:{challenge.provider}"


async def last_fee(session: AsyncSession, challenge: Challenge, went_back: int) -> int:
    """Returns the fee of a challenge without what went back to the payer (`fee_back_query`), and without taxes: those
    are not the firm's to give back. A discount was never paid. An order is a challenge of its own."""
    return await sales.net_left(session, challenge, challenge.fee_minor + int(went_back))


async def _all_fees(session: AsyncSession, challenge_id: str) -> int:
    """Returns the fees of a challenge and of those that it goes on from, up to one whose payout refunded the fees
    until then."""
    total = 0
    for each in await chains.back_from(session, challenge_id):
        refunded = select(Payout.id).where(
            Payout.challenge_id == each,
            Payout.refund_minor > 0,
            or_(Payout.state == "paid", Payout.closed_at.is_(None)),
        )
        if each != challenge_id and await session.scalar(refunded.limit(1)) is not None:
            break
        challenge = await session.get_one(Challenge, each)
        went_back = await session.scalar(fee_back_query(challenge.id, provider_of(challenge)))
        total += await last_fee(session, challenge, went_back or 0)
    return total


async def closing_payout(session: AsyncSession, challenge_id: str, terms: PayoutTerms) -> str | None:
    """Returns the id of the paid payout that closes the account, if there is one."""
    closing = [cycle.name for cycle in terms.cycles if cycle.closes_account]
    found: str | None = await session.scalar(
        select(Payout.id).where(Payout.challenge_id == challenge_id, COUNTS_AS_PAID, Payout.cycle.in_(closing)).limit(1)
    )
    return found


def first_trade_query(account_id: Param[str], after: datetime | None = None) -> Select[tuple[datetime]]:
    opened = [DealRow.account_id == account_id, DealRow.entry == "in"]
    if after is not None:
        opened.append(DealRow.at > after)
    return select(func.min(DealRow.at)).where(*opened)


def utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.astimezone(UTC)


def _hours(days: int) -> timedelta:
    return timedelta(hours=24 * days)


async def _of_challenge(session: AsyncSession, challenge_id: str) -> dict[str, Any]:
    row = (
        await session.execute(
            select(func.count(), func.sum(Payout.gross_minor), func.sum(Payout.trader_minor), func.max(_PAID_AT)).where(
                Payout.challenge_id == challenge_id, COUNTS_AS_PAID
            )
        )
    ).one()
    count, gross, trader, last = row
    return {
        "payouts_paid": count,
        "paid_gross_minor": int(gross or 0),
        "paid_trader_minor": int(trader or 0),
        "last_payout_at": last,
    }


def _counted(terms: PayoutTerms, account: Account, judged: Payout | None) -> list[ColumnElement[bool]]:
    """Returns the conditions on the payouts that totals count: `COUNTS_AS_PAID`, of the challenge, or of all accounts
    of the trader in this currency. Of the other accounts, payouts on their way count too, if they were requested
    first."""
    if terms.totals_over == "account":
        return [Payout.challenge_id == account.challenge_id, COUNTS_AS_PAID]
    on_its_way = and_(ON_ITS_WAY, Payout.account_id != account.id)
    if judged is not None:
        first = or_(
            Payout.requested_at < judged.requested_at,
            and_(Payout.requested_at == judged.requested_at, Payout.recorded_at < judged.recorded_at),
        )
        on_its_way = and_(on_its_way, first)
    own = [Payout.trader_id == account.trader_id, Payout.currency == account.currency]
    return [*own, or_(COUNTS_AS_PAID, on_its_way)]


async def _gross(session: AsyncSession, *conditions: ColumnElement[bool]) -> int:
    total = await session.scalar(select(func.coalesce(func.sum(Payout.gross_minor), 0)).where(*conditions))
    return int(total or 0)


async def _left_by(session: AsyncSession, account_id: str) -> int | None:
    """Returns the balance right after the last paid payout and its excess left the account."""
    last = await session.scalar(
        select(Payout.id).where(Payout.account_id == account_id, COUNTS_AS_PAID).order_by(_PAID_AT.desc()).limit(1)
    )
    if last is None:
        return None
    left: int | None = await session.scalar(
        select(BalanceOperationRow.balance_minor)
        .where(
            BalanceOperationRow.account_id == account_id,
            BalanceOperationRow.key.in_((keys.payout_hold(last), keys.payout_forfeit(last))),
        )
        .order_by(BalanceOperationRow.seq.desc())
        .limit(1)
    )
    return left


async def _trading_days(session: AsyncSession, account_id: str, product: Product) -> int:
    """Returns the number of trading days on which a position was opened."""
    opened = await session.scalars(
        select(func.min(DealRow.at))
        .where(DealRow.account_id == account_id, DealRow.entry == "in")
        .group_by(DealRow.position_id)
    )
    return len({product.clock.trading_day(at.astimezone(UTC)) for at in opened})


async def _live_start(session: AsyncSession, account: Account, start: LiveAccountStart) -> int:
    """Returns what a live account would start with: by the trader's funded accounts in this currency."""
    funded = await session.execute(
        select(Account.initial_minor, AccountLive.balance_minor)
        .join(Challenge, Challenge.account_id == Account.id)
        .outerjoin(AccountLive, AccountLive.account_id == Account.id)
        .where(
            Account.trader_id == account.trader_id,
            Account.currency == account.currency,
            Account.status == "active",
            Challenge.state == "funded",
        )
    )
    accounts = [SimulatedAccount(size, size if balance is None else balance) for size, balance in funded]
    return start.start_balance(accounts)
