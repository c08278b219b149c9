"""The funded accounts one by one: what each trader would get if he asked for a payout now, or why he cannot ask.

The judgement is that of a request, on the checkpoints. It asks no platform, so a request may be judged on newer money.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from domain.payouts import GateFact, PayoutFacts
from domain.payouts.amounts import available_minor, payout_amount
from domain.payouts.checks import counted_minor, spare_minor
from domain.payouts.eligibility import RefusalCode, refusals_of_any_amount
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from domain.rules.state import fresh, from_json
from store import products
from store.clock import market_now
from store.models import Account, AccountLive, Challenge, DealRow, GateStanding, Payout
from store.read.pages import Page, View, Window, account_number, bound_of, cut_page, goes_back, size_of

Reason = RefusalCode | Literal["payout_open", "nothing_available"]
_READ: Final = 1000  # accounts at a time


class CannotAsk(View):
    """One reason why a trader cannot request a payout now."""

    code: Reason
    sentence: str


class FundedAccount(View):
    """`amount_minor`: what the trader gets for the largest request that is possible now, with the refunded part of the
    fee; 0 for one who cannot ask. `reasons`: all that speaks against it, empty for an eligible account."""

    account_id: str
    account_number: str
    product: str
    version: int
    currency: str
    amount_minor: int
    reasons: tuple[CannotAsk, ...]

    @property
    def codes(self) -> frozenset[str]:
        """The reasons, or "eligible"."""
        return frozenset(each.code for each in self.reasons) or frozenset({"eligible"})


_NOTHING: Final = CannotAsk(code="nothing_available", sentence="there is no profit that can be paid out")
_OPEN: Final = CannotAsk(code="payout_open", sentence="a payout is open, and is part of what the firm owes now")


async def funded_accounts(
    session: AsyncSession,
    product: str = "",
    version: int | None = None,
    bound: str = "",
    *,
    backwards: bool = False,
) -> AsyncIterator[FundedAccount]:
    """Yields the funded accounts after the id `bound`, judged at market time now, by id. `product` and `version`: of
    these only. `backwards`: those before `bound`, descending."""
    known: dict[tuple[Any, ...], PhaseTerms] = {}
    now = await market_now(session)
    while rows := await _read(session, product, version, bound, backwards=backwards):
        gates = await _gates(session, [row.Account.id for row in rows])
        for row in rows:
            terms = await _terms(session, row.Account, known)
            if row.Account.phase_index == terms.product.funded_index:
                yield _judged(row, terms, gates.get(row.Account.id, ()), now)
        bound = rows[-1].Account.id


async def page(
    session: AsyncSession, window: Window, product: str = "", version: int | None = None, reason: str = ""
) -> Page[FundedAccount]:
    """Returns the accounts that a number of the report counts, by id. `reason`: "eligible" for those that can ask, or
    one that speaks against it; empty for all. It reads on until its page is full."""
    bound = "".join(bound_of(window, [str]))
    found = list[FundedAccount]()
    async for each in funded_accounts(session, product, version, bound, backwards=goes_back(window)):
        if not reason or reason in each.codes:
            found.append(each)
        if len(found) > size_of(window):
            break
    items, after, before = cut_page(found, window, lambda row: [row.account_id])
    return Page(items=tuple(items), next_cursor=after, previous_cursor=before)


async def _read(session: AsyncSession, product: str, version: int | None, bound: str, *, backwards: bool) -> list[Any]:
    """Returns the next funded accounts with their checkpoint and what their challenge was paid before."""
    paid = (
        select(
            func.count().label("payouts"),
            func.coalesce(func.sum(Payout.gross_minor), 0).label("gross"),
            func.coalesce(func.sum(Payout.trader_minor), 0).label("trader"),
            func.max(Payout.requested_at).label("last_at"),
        )
        .where(Payout.challenge_id == Challenge.id, Payout.state == "paid")
        .lateral()
    )
    first_trade = (
        select(DealRow.at).where(DealRow.account_id == Account.id).order_by(DealRow.at).limit(1).scalar_subquery()
    )
    asked = select(Payout.id).where(Payout.account_id == Account.id, Payout.closed_at.is_(None)).scalar_subquery()
    statement = (
        select(Account, AccountLive, paid, Challenge.fee_minor, first_trade.label("traded"), asked.label("asked"))
        .outerjoin(AccountLive, AccountLive.account_id == Account.id)
        .join(Challenge, Challenge.account_id == Account.id)
        .join(paid, true())
        .where(Account.status == "active", Challenge.state == "funded")
        .order_by(Account.id.desc() if backwards else Account.id)
        .limit(_READ)
    )
    if product:
        statement = statement.where(Account.product == product)
    if version is not None:
        statement = statement.where(Account.version == version)
    if bound:
        statement = statement.where(Account.id < bound if backwards else Account.id > bound)
    return list(await session.execute(statement))


async def _gates(session: AsyncSession, account_ids: list[str]) -> dict[str, tuple[GateFact, ...]]:
    rows = await session.scalars(select(GateStanding).where(GateStanding.account_id.in_(account_ids)))
    found: dict[str, tuple[GateFact, ...]] = {}
    for row in rows:
        if "payout" in row.blocks:
            gate = GateFact(rule_id=row.rule_id, met=row.met, sentence=row.sentence)
            found[row.account_id] = (*found.get(row.account_id, ()), gate)
    return found


async def _terms(session: AsyncSession, account: Account, known: dict[tuple[Any, ...], PhaseTerms]) -> PhaseTerms:
    place = (account.product, account.version, account.phase_index, account.initial_minor)
    if place not in known:
        product: Product = await products.load(session, account.product, account.version)
        known[place] = phase_terms(product, account.phase_index, None, account.initial_minor)
    return known[place]


def _judged(row: Any, terms: PhaseTerms, gates: Iterable[GateFact], now: datetime) -> FundedAccount:
    """Judges one account as a request of all it may ask for would be judged."""
    account, live, pay = row.Account, row.AccountLive, terms.product.payout
    if live is None:  # before its first checkpoint
        return _account(account, reasons=[_NOTHING])
    if row.asked is not None:
        return _account(account, reasons=[_OPEN])
    facts = PayoutFacts(
        now=now,
        challenge_state="funded",
        funded_at=account.opened_at,
        last_payout_at=row.last_at,
        balance_minor=live.balance_minor,
        equity_minor=live.equity_minor,
        initial_minor=account.initial_minor,
        open_positions=len(live.positions),
        open_payout_id=None,
        beneficiary_known=True,
        first_trade_at=row.traded,
        payouts_paid=row.payouts,
        paid_gross_minor=int(row.gross),
        paid_trader_minor=int(row.trader),
        trading_days=live.trading_days,
        last_fee_minor=row.fee_minor,
        gates=tuple(gates),
    )
    if refusals := refusals_of_any_amount(facts, pay, account.currency):
        return _account(account, reasons=[CannotAsk(code=each.code, sentence=each.sentence) for each in refusals])
    rules = from_json(terms.specs, live.rule_state["rules"]) if live.rule_state else fresh(terms.specs)
    spare = [
        spare_minor(spec, state, counted_minor(spec, facts))
        for spec, state in zip(rules.specs, rules.states, strict=True)
    ]
    most = max(0, min([available_minor(facts, pay, account.currency), *spare]))
    if not most:
        return _account(account, reasons=[_NOTHING])
    amount = payout_amount(facts, pay, account.currency, most)
    return _account(account, amount_minor=amount.trader + amount.refund)


def _account(account: Account, *, amount_minor: int = 0, reasons: Iterable[CannotAsk] = ()) -> FundedAccount:
    return FundedAccount(
        account_id=account.id,
        account_number=account_number(account.number),
        product=account.product,
        version=account.version,
        currency=account.currency,
        amount_minor=amount_minor,
        reasons=tuple(reasons),
    )
