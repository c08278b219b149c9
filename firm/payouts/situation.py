"""All that the eligibility and the amount of a payout request depend on, from the record."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, DateTime, Row, Select, Text, bindparam, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys, record_keys
from domain.errors import BadInput, NotFound
from domain.money import Money
from domain.payouts import PayoutFacts, amounts
from domain.payouts.amounts import PayoutAmount
from domain.payouts.checks import counted_minor, spare_minor
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from domain.proofs.departure import Place, place_of
from domain.rules.base import Consequence, VenueCalendar
from domain.rules.floors import Mark
from domain.rules.room import Room, rooms_after_payout
from domain.rules.state import AccountRules, fresh, from_json
from firm.payouts import account as payout_account
from firm.payouts import by_history, deducted, paid
from firm.payouts.by_history import Past
from store import products
from store.clock import WATERMARK, market_now
from store.models import (
    Account,
    AccountLive,
    BalanceOperationRow,
    Challenge,
    DealRow,
    Offence,
    Payout,
    Proof,
    Trader,
)
from store.together import OneValueEach, Param, as_list

_AT_ONE_EVENT: Final = 50  # more offences than rules that one event can break


class Holdings(NamedTuple):
    """An account's money and positions, as its platform or its checkpoint has them."""

    balance_minor: int
    equity_minor: int
    open_positions: int


class Situation(NamedTuple):
    """Everything that a payout request of an account depends on. `spare`: rule id -> the most that can leave the
    account without breaking that rule."""

    facts: PayoutFacts
    product: Product
    account: Account
    challenge: Challenge
    trader: Trader
    spare: dict[str, int]
    rules: AccountRules
    mark: Mark
    terms: PhaseTerms
    place: Place | None  # where the account came from, if it changed its platform

    @property
    def most(self) -> Money:
        """Returns the most that can be requested now if no other check fails."""
        free = amounts.available_minor(self.facts, self.product.payout, self.account.currency)
        return Money(minor=max(0, min([free, *self.spare.values()])), currency=self.account.currency)

    def amount(self, gross: Money) -> PayoutAmount:
        """Returns the amounts of a payout of `gross`. The forfeited amount never uses up the room above a floor."""
        amount = amounts.payout_amount(self.facts, self.product.payout, gross.currency, gross.minor)
        if not amount.forfeited:
            return amount
        after = rooms_after_payout(self.rules, self.mark, gross.minor)
        forfeited = max(0, min([amount.forfeited, *(room.room_minor - 1 for room in after)]))
        balance = amount.balance + amount.forfeited - forfeited
        return PayoutAmount(amount.base, amount.gross, forfeited, amount.trader, amount.firm, amount.refund, balance)


async def situation(
    session: AsyncSession,
    account_id: str,
    *,
    cycle: str | None = None,
    holdings: Holdings | None = None,
    judged: Payout | None = None,
    requested: Money | None = None,
    calendars: Mapping[str, VenueCalendar] | None = None,
) -> Situation:
    """As of market time now. `cycle`: the payout cycle that is asked for; `holdings`: as the platform reports them,
    where it was asked; `judged`: the payout on the record that is judged again. `requested`: the amount that is asked
    for, which some gates compare with. `calendars`: those of the venues, for gates that name one.

    Raises NotFound; BadInput for a cycle that the product does not have.
    """
    known = await _known(session, account_id, holdings, judged, calendars)
    return _situated(known, cycle, requested)


async def at_most(
    session: AsyncSession, account_id: str, *, cycle: str | None, calendars: Mapping[str, VenueCalendar] | None
) -> tuple[Situation, Money]:
    """Returns the situation in which the most that can be requested now is requested, and that amount. Raises as
    `situation`."""
    known = await _known(session, account_id, None, None, calendars)
    most = _situated(known, cycle, None).most
    return _situated(known, cycle, most), most


class _Known(NamedTuple):
    """What the record says of an account, whatever is asked for. `facts`: of earlier payouts."""

    account: Account
    challenge: Challenge
    trader: Trader
    live: AccountLive | None
    product: Product
    terms: PhaseTerms
    now: datetime
    record: Row[Any]
    holdings: Holdings
    profit: int
    facts: dict[str, Any]
    lowered_split: Decimal | None
    last_fee: int
    past: Past


async def _known(
    session: AsyncSession,
    account_id: str,
    holdings: Holdings | None,
    judged: Payout | None,
    calendars: Mapping[str, VenueCalendar] | None,
) -> _Known:
    account = await session.get(Account, account_id)
    if account is None:
        raise NotFound
    challenge = await session.get_one(Challenge, account.challenge_id)
    trader = await session.get_one(Trader, account.trader_id)
    product = await products.load(session, account.product, account.version)
    live = await session.get(AccountLive, account_id)
    record = await _on_record(session, account, challenge, live)
    now = await market_now(session, record.market)
    holdings, profit = _judged(account, holdings or _checkpoint(account, live, record), record)
    terms = phase_terms(product, account.phase_index, calendars, account.initial_minor)
    offences, tainted = record.deducted or {}, deducted.trades(record.tainted)
    return _Known(
        account,
        challenge,
        trader,
        live,
        product,
        terms,
        now,
        record,
        holdings,
        profit,
        facts=await paid.history(session, account, product, now, judged),
        lowered_split=await _lowered_split(session, challenge.id) if record.lowers_split else None,
        last_fee=await paid.last_fee(session, challenge, record.fee_back),
        past=await by_history.of(session, account, terms, now, offences, tainted),
    )


def _situated(known: _Known, cycle: str | None, requested: Money | None) -> Situation:
    """Raises BadInput for a cycle that the product does not have."""
    account, challenge, product, terms, holdings = (
        known.account, known.challenge, known.product, known.terms, known.holdings
    )  # fmt: skip
    _check_cycle(product, cycle)
    is_funded_phase = challenge.account_id == account.id and account.phase_index == product.funded_index
    money = holdings.balance_minor, holdings.equity_minor
    gates, left_out = by_history.judged(known.past, terms, money, known.now, requested)
    facts = PayoutFacts(
        now=known.now,
        challenge_state=_challenge_state(challenge, account, known.record) if is_funded_phase else "in_evaluation",
        funded_at=account.opened_at,
        balance_minor=holdings.balance_minor,
        equity_minor=holdings.equity_minor,
        initial_minor=account.initial_minor,
        open_positions=holdings.open_positions,
        open_payout_id=known.record.open_payout,
        beneficiary_known=known.trader.beneficiary is not None,
        first_trade_at=paid.utc(known.record.first_trade),
        pending_orders=0,  # no platform we speak with has pending orders: its port reports fills alone
        cycle=cycle,
        profit_minor=known.profit,
        deducted_minor=left_out,
        tainted=known.past.tainted,
        lowered_split_pct=known.lowered_split,
        grown_split_pct=_grown_split(product, account),
        gates=gates,
        last_fee_minor=known.last_fee,
        **known.facts,
    )
    state = known.live.rule_state if known.live else {}
    rules = from_json(terms.specs, state["rules"]) if state else fresh(terms.specs)
    spare = _spare(rules, facts)
    mark = Mark(holdings.balance_minor, facts.worth_minor, 0, known.now)  # an open gain may be gone before the money is
    return Situation(facts, product, account, challenge, known.trader, spare, rules, mark, terms, place_of(state))


def _spare(rules: AccountRules, known: PayoutFacts) -> dict[str, int]:
    return {
        spec.rule_id: spare_minor(spec, state, counted_minor(spec, known))
        for spec, state in zip(rules.specs, rules.states, strict=True)
    }


async def _on_record(
    session: AsyncSession, account: Account, challenge: Challenge, live: AccountLive | None
) -> Row[Any]:
    return await _ON_RECORD.read(
        session,
        account=account.id,
        challenge=challenge.id,
        provider=paid.provider_of(challenge),
        initial_deposit=keys.initial_deposit(account.id),
        checkpoint=live.at if live else None,
    )


def _judged(account: Account, found: Holdings, record: Row[Any]) -> tuple[Holdings, int]:
    """Returns (the money and positions that are judged, the profit of the trader in them). While an offence is to bring
    the balance back to the initial one, there is nothing above it. What an adjustment is to take is not there."""
    due = min(int(record.waiting_adjustment or 0), 0)
    found = Holdings(found.balance_minor + due, found.equity_minor + due, found.open_positions)
    profit = found.balance_minor - account.initial_minor - int(record.credited)
    if record.waiting_reset is None:
        return found, profit
    balance, equity = (min(minor, account.initial_minor) for minor in (found.balance_minor, found.equity_minor))
    return Holdings(balance, equity, found.open_positions), min(profit, 0)


def rooms_left(current: Situation, gross: Money) -> tuple[Room, ...]:
    """Returns the room to every level after this payout has left the account and is paid."""
    return rooms_after_payout(current.rules, current.mark, gross.minor)


def _challenge_state(challenge: Challenge, account: Account, record: Row[Any]) -> str:
    """Returns the challenge's state, or the newer state of the account's rows that the workflow has not received
    yet."""
    if challenge.state != "funded":
        return challenge.state
    if record.breach is not None:
        return "breached"
    return challenge.state if account.status == "active" else account.status


def _check_cycle(product: Product, cycle: str | None) -> None:
    names = [each.name for each in product.payout.cycles]
    if cycle is not None and cycle not in names:
        raise BadInput(
            f"{product.name} has no payout cycle {cycle!r}.",
            field="cycle",
            remedy=f"Use {', '.join(names)}, or leave it out." if names else "Leave it out: the product has none.",
        )


def _checkpoint(account: Account, live: AccountLive | None, record: Row[Any]) -> Holdings:
    """Returns the newest stored money, and the positions of the checkpoint with the deals after it. The hold asks the
    platform itself."""
    if live is None:
        return Holdings(account.initial_minor, account.initial_minor, 0)
    open_lots = {str(position["position_id"]): Decimal(position["lots"]) for position in live.positions}
    for deal in record.newer_deals or ():
        lots = Decimal(deal["lots"])
        before = open_lots.get(deal["position_id"], Decimal(0))
        open_lots[deal["position_id"]] = before + (lots if deal["entry"] == "in" else -lots)
    money = (record.newer_money or ({"balance_minor": live.balance_minor, "close_minor": live.equity_minor},))[0]
    return Holdings(money["balance_minor"], money["close_minor"], sum(1 for lots in open_lots.values() if lots > 0))


async def credited(session: AsyncSession, account_id: str) -> int:
    return int(await session.scalar(_credited_query(account_id, keys.initial_deposit(account_id))) or 0)


def _credited_query(account_id: Param[str], initial_deposit: Param[str]) -> Select[tuple[int]]:
    """The amount that the firm paid into the account after its start (negative: took out). It is not profit of
    the trader. Leaves out forfeited amounts, which were profit, adjustments, which correct it, and everything up to the
    last time that an offence brought the balance back to the initial one: profit begins anew there."""
    of_account = BalanceOperationRow.account_id == account_id
    begun = select(func.max(BalanceOperationRow.seq)).where(
        of_account, BalanceOperationRow.key.startswith(keys.RESET_BALANCE, autoescape=True)
    )
    return select(func.coalesce(func.sum(BalanceOperationRow.amount_minor), 0)).where(
        of_account,
        BalanceOperationRow.seq > func.coalesce(begun.scalar_subquery(), 0),
        or_(BalanceOperationRow.operation == "adjustment", BalanceOperationRow.operation == "deposit"),
        BalanceOperationRow.key != initial_deposit,
        BalanceOperationRow.key.not_like("pay\\_%"),
        ~BalanceOperationRow.key.startswith(record_keys.ADJUSTMENT, autoescape=True),
    )


def _lowers_split(challenge_id: Param[str]) -> tuple[ColumnElement[bool], ...]:
    return Offence.challenge_id == challenge_id, Offence.consequence == "lower_split"


async def _lowered_split(session: AsyncSession, challenge_id: str) -> Decimal | None:
    """Returns the share that the last such offence of the challenge left to the trader. Its proof sheet has it, which
    keeps the terms of that time; None: the share was never lowered. Of several at one event, the last one in the order
    of the product counts."""
    found = await session.execute(
        select(Offence.seq, Offence.occurred_at, Offence.rule_id, Proof.body)
        .join(Proof, Offence.proof_id == Proof.id)
        .where(*_lowers_split(challenge_id))
        .order_by(Offence.seq.desc(), Offence.occurred_at.desc())
        .limit(_AT_ONE_EVENT)
    )
    rows = found.all()
    last = [row for row in rows if (row.seq, row.occurred_at) == (rows[0].seq, rows[0].occurred_at)]
    if not last:
        return None
    decides = last[0] if len(last) == 1 else max(last, key=lambda row: _place(row.rule_id, row.body))
    return Consequence.model_validate(decides.body["consequence"]).split_pct


def _place(rule_id: str, sheet: Mapping[str, Any]) -> int:
    """Returns the place of a rule in the phase of its sheet."""
    terms, index = sheet["product"]["terms"], sheet["account"]["phase_index"]
    phase = terms["phases"][index - 1] if index <= len(terms["phases"]) else terms["funded"]
    return next(place for place, rule in enumerate(phase["rules"]) if rule["id"] == rule_id)


def _grown_split(product: Product, account: Account) -> Decimal | None:
    """Returns the share after a step of the scaling plan; None before one, or if the plan does not change it."""
    plan = product.payout.scaling
    grown = account.initial_minor > product.initial_of(account.phase_index)
    return plan.split_pct if plan is not None and grown else None


def _newer_deals_query(account_id: Param[str], after: Param[datetime]) -> Select[tuple[str, str, str]]:
    """The deals after the checkpoint, in order. Lots are text: JSON has no exact decimals."""
    return (
        select(DealRow.position_id, DealRow.entry, cast(DealRow.lots, Text).label("lots"))
        .where(DealRow.account_id == account_id, DealRow.at > after)
        .order_by(DealRow.seq)
    )


_CHECKPOINT: Final = bindparam("checkpoint", type_=DateTime(timezone=True))
_ON_RECORD: Final = OneValueEach(
    market=WATERMARK,
    credited=_credited_query(bindparam("account"), bindparam("initial_deposit")),
    waiting_reset=payout_account.waiting_reset_query(bindparam("account")),
    waiting_adjustment=payout_account.waiting_adjustment_query(bindparam("account")),
    deducted=deducted.offences_query(bindparam("account")),
    tainted=as_list(deducted.in_force_query(bindparam("account"))),
    breach=payout_account.breaches_query(bindparam("account")).limit(1),
    open_payout=select(Payout.id).where(Payout.account_id == bindparam("account"), paid.ON_ITS_WAY),
    first_trade=paid.first_trade_query(bindparam("account")),
    lowers_split=select(Offence.id).where(*_lowers_split(bindparam("challenge"))).limit(1),
    fee_back=paid.fee_back_query(bindparam("challenge"), bindparam("provider")),
    newer_deals=as_list(_newer_deals_query(bindparam("account"), _CHECKPOINT)),
    newer_money=as_list(payout_account.newer_money_query(bindparam("account"), _CHECKPOINT)),
)
