"""What the firm owes its traders now, and what it would owe if every eligible trader asked for a payout now.

The estimate reads the checkpoints of all funded accounts page by page, and judges each with the functions that judge a
request. It asks no platform, so a request may be judged on newer money.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from domain.money import half_up
from domain.payouts import GateFact, PayoutFacts
from domain.payouts.amounts import available_minor, payout_amount
from domain.payouts.checks import counted_minor, spare_minor
from domain.payouts.eligibility import refusals_of_any_amount
from domain.payouts.payout import STAGES
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from domain.rules.state import fresh, from_json
from store import products
from store.clock import market_now
from store.models import Account, AccountLive, Challenge, DealRow, GateStanding, Payout
from store.read.pages import View

_PAGE: Final = 1000
_STAGE: Final = {state: stage for stage, states in STAGES.items() for state in states}


class Owed(View):
    """Open payouts in one stage: what goes to the traders, with the refunded part of the fee."""

    currency: str
    stage: str
    payouts: int
    amount_minor: int


class WouldOwe(View):
    """The funded accounts of one product version. `all_minor`: what the traders get if every eligible one asks for all
    it may; `expected_minor`: with the base rates. `blocked`: how many accounts each reason blocks."""

    product: str
    version: int
    currency: str
    accounts: int
    eligible: int
    all_minor: int
    expected_minor: int
    blocked: dict[str, int]


class LiabilityView(View):
    """`ask`: the share of eligible traders who ask; `passes`: the share of those whose payout is made."""

    as_of: datetime
    ask: Decimal
    passes: Decimal
    owed: tuple[Owed, ...]
    would_owe: tuple[WouldOwe, ...]


@dataclass
class _Sum:
    accounts: int = 0
    eligible: int = 0
    all_minor: int = 0
    blocked: Counter[str] = field(default_factory=Counter)


async def liability(session: AsyncSession, *, ask: Decimal = Decimal(1), passes: Decimal = Decimal(1)) -> LiabilityView:
    """Returns the liability at market time now; the shares are between 0 and 1."""
    sums, now = dict[tuple[str, int, str], _Sum](), await market_now(session)
    known: dict[tuple[Any, ...], PhaseTerms] = {}
    after = ""
    while rows := await _accounts(session, after):
        gates = await _gates(session, [row.Account.id for row in rows])
        for row in rows:
            account: Account = row.Account
            terms = await _terms(session, account, known)
            if account.phase_index == terms.product.funded_index:
                one = sums.setdefault((account.product, account.version, account.currency), _Sum())
                _add(one, row, terms, gates.get(account.id, ()), now)
        after = rows[-1].Account.id
    would = tuple(
        WouldOwe(
            product=product,
            version=version,
            currency=currency,
            accounts=one.accounts,
            eligible=one.eligible,
            all_minor=one.all_minor,
            expected_minor=half_up(one.all_minor * ask * passes),
            blocked=dict(sorted(one.blocked.items())),
        )
        for (product, version, currency), one in sorted(sums.items())
    )
    return LiabilityView(as_of=now, ask=ask, passes=passes, owed=await _owed(session), would_owe=would)


async def _owed(session: AsyncSession) -> tuple[Owed, ...]:
    amount = func.sum(Payout.trader_minor + Payout.refund_minor)
    rows = await session.execute(
        select(Payout.currency, Payout.state, func.count().label("payouts"), amount.label("minor"))
        .where(Payout.closed_at.is_(None))
        .group_by(Payout.currency, Payout.state)
    )
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for row in rows:
        place = row.currency, _STAGE[row.state]
        count, minor = sums.get(place, (0, 0))
        sums[place] = count + row.payouts, minor + int(row.minor)
    order = sorted(sums.items(), key=lambda each: (each[0][0], [*STAGES].index(each[0][1])))
    return tuple(Owed(currency=c, stage=s, payouts=n, amount_minor=minor) for (c, s), (n, minor) in order)


async def _accounts(session: AsyncSession, after: str) -> list[Any]:
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
    found = await session.execute(
        select(Account, AccountLive, paid, Challenge.fee_minor, first_trade.label("traded"), asked.label("asked"))
        .outerjoin(AccountLive, AccountLive.account_id == Account.id)
        .join(Challenge, Challenge.account_id == Account.id)
        .join(paid, true())
        .where(Account.status == "active", Challenge.state == "funded", Account.id > after)
        .order_by(Account.id)
        .limit(_PAGE)
    )
    return list(found)


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


def _add(one: _Sum, row: Any, terms: PhaseTerms, gates: Iterable[GateFact], now: datetime) -> None:
    """Judges one account as a request of all it may ask for would be judged."""
    account, live, pay = row.Account, row.AccountLive, terms.product.payout
    one.accounts += 1
    if live is None:  # before its first checkpoint
        one.blocked["nothing_available"] += 1
        return
    facts = PayoutFacts(
        now=now,
        challenge_state="funded",
        funded_at=account.opened_at,
        last_payout_at=row.last_at,
        balance_minor=live.balance_minor,
        equity_minor=live.equity_minor,
        initial_minor=account.initial_minor,
        open_positions=len(live.positions),
        open_payout_id=row.asked,
        beneficiary_known=True,
        first_trade_at=row.traded,
        payouts_paid=row.payouts,
        paid_gross_minor=int(row.gross),
        paid_trader_minor=int(row.trader),
        trading_days=live.trading_days,
        last_fee_minor=row.fee_minor,
        gates=tuple(gates),
    )
    reasons: set[str] = {refusal.code for refusal in refusals_of_any_amount(facts, pay, account.currency)}
    if row.asked is not None:
        reasons = {"payout_open"}  # it is in what the firm owes now
    rules = from_json(terms.specs, live.rule_state["rules"]) if live.rule_state else fresh(terms.specs)
    spare = [
        spare_minor(spec, state, counted_minor(spec, facts))
        for spec, state in zip(rules.specs, rules.states, strict=True)
    ]
    most = max(0, min([available_minor(facts, pay, account.currency), *spare]))
    if not reasons and not most:
        reasons = {"nothing_available"}
    one.blocked.update(reasons)
    if not reasons:
        amount = payout_amount(facts, pay, account.currency, most)
        one.eligible += 1
        one.all_minor += amount.trader + amount.refund
