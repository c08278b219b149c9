"""What was paid and traded before a payout, as far as its terms ask for it."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.payouts import PayoutTerms
from domain.payouts.live_account import LiveAccountStart, SimulatedAccount
from domain.products.product import Product
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

_FEES_BACK: Final = ("fee_refunded", "fee_partly_refunded", "fee_charged_back")


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
        days: await _gross(session, *counted, or_(Payout.closed_at.is_(None), Payout.closed_at > now - _hours(days)))
        for days in sorted(lately)
    }
    waits = [own.after_first_trade for own in every if own.after_first_trade is not None]
    if last is not None and any(wait.since == "last_payout" for wait in waits):
        facts["first_trade_since_payout_at"] = await first_trade(session, account.id, last)
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


async def last_fee(session: AsyncSession, challenge: Challenge) -> int:
    """Returns the fee of a challenge without what went back to the payer. An order is a challenge of its own."""
    went_back = await session.scalar(
        select(func.coalesce(func.sum(Posting.amount_minor), 0))
        .join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)
        .where(
            LedgerTransaction.reference == challenge.id,
            LedgerTransaction.kind.in_(_FEES_BACK),
            Posting.account == f"provider:{challenge.provider}",
        )
    )
    return max(0, challenge.fee_minor + int(went_back or 0))


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
        total += await last_fee(session, await session.get_one(Challenge, each))
    return total


async def closing_payout(session: AsyncSession, challenge_id: str, terms: PayoutTerms) -> str | None:
    """Returns the id of the paid payout that closes the account, if there is one."""
    closing = [cycle.name for cycle in terms.cycles if cycle.closes_account]
    found: str | None = await session.scalar(
        select(Payout.id)
        .where(Payout.challenge_id == challenge_id, Payout.state == "paid", Payout.cycle.in_(closing))
        .limit(1)
    )
    return found


async def first_trade(session: AsyncSession, account_id: str, after: datetime | None = None) -> datetime | None:
    opened = [DealRow.account_id == account_id, DealRow.entry == "in"]
    if after is not None:
        opened.append(DealRow.at > after)
    first = await session.scalar(select(func.min(DealRow.at)).where(*opened))
    return None if first is None else first.astimezone(UTC)


def _hours(days: int) -> timedelta:
    return timedelta(hours=24 * days)


async def _of_challenge(session: AsyncSession, challenge_id: str) -> dict[str, Any]:
    row = (
        await session.execute(
            select(
                func.count(), func.sum(Payout.gross_minor), func.sum(Payout.trader_minor), func.max(Payout.closed_at)
            ).where(Payout.challenge_id == challenge_id, Payout.state == "paid")
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
    """Returns the conditions on the payouts that totals count: paid, of the challenge or of all accounts of the trader
    in this currency. Of the trader's other accounts, payouts on their way count too, if they were requested first."""
    if terms.totals_over == "account":
        return [Payout.challenge_id == account.challenge_id, Payout.state == "paid"]
    on_its_way = and_(Payout.closed_at.is_(None), Payout.account_id != account.id)
    if judged is not None:
        first = or_(
            Payout.requested_at < judged.requested_at,
            and_(Payout.requested_at == judged.requested_at, Payout.recorded_at < judged.recorded_at),
        )
        on_its_way = and_(on_its_way, first)
    own = [Payout.trader_id == account.trader_id, Payout.currency == account.currency]
    return [*own, or_(Payout.state == "paid", on_its_way)]


async def _gross(session: AsyncSession, *conditions: ColumnElement[bool]) -> int:
    total = await session.scalar(select(func.coalesce(func.sum(Payout.gross_minor), 0)).where(*conditions))
    return int(total or 0)


async def _left_by(session: AsyncSession, account_id: str) -> int | None:
    """Returns the balance right after the last paid payout and its excess left the account."""
    last = await session.scalar(
        select(Payout.id)
        .where(Payout.account_id == account_id, Payout.state == "paid")
        .order_by(Payout.closed_at.desc())
        .limit(1)
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
