"""Payouts with checks, decisions, transitions and ledger lines."""

from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import ScalarSelect, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.approvals import APPROVE, RETRACT
from domain.errors import NotFound
from domain.exchange import Conversion
from domain.payouts.payout import PAYOUT, STAGES
from store.models import Account, Decision, LedgerTransaction, MarketClock, Payout, PayoutTransfer, Posting, Trader
from store.read import history, listing
from store.read.finding import Named, of_account
from store.read.history import DecisionView, TransitionView
from store.read.listing import (
    EVERYTHING,
    UPDATED,
    Asked,
    Condition,
    Filter,
    Listing,
    Order,
    Sum,
    equals,
    since,
    updated_since,
)
from store.read.pages import Page, View, Window, account_number, mask_iban
from store.scope import Scope


class ConversionView(View):
    """One unit of `sold` bought `price` of `bought`, as `source` quoted it at `at`. `rounding`: what rounding to the
    minor unit added, in major units of `bought`."""

    sold: str
    bought: str
    price: str
    source: str
    at: str
    rounding: str


class PayoutRow(View):
    """`sent_minor` is what the trader receives: the share plus `refund_minor` of the fee. The bank account gets
    `paid_minor` in `paid_currency`, which differs by `conversion`.

    `forfeited_minor` is taken from the account and paid to nobody. `proof_id` is the proof of a refusal. `told` is the
    reason in words for the trader; `reason` is the one for staff, and equals `told` when a trader reads it. `round`
    counts the times that approvals began anew. `escalated_at`: when it was raised to the role above.
    """

    id: str
    updated_at: datetime
    account_id: str
    account_number: str
    platform: str
    challenge_id: str
    trader_id: str
    trader_name: str
    state: str
    gross_minor: int
    trader_minor: int
    firm_minor: int
    refund_minor: int
    forfeited_minor: int
    sent_minor: int
    paid_minor: int
    paid_currency: str
    conversion: ConversionView | None
    cycle: str | None
    currency: str
    approvals: int
    approvers_needed: int
    round: int
    was_held: bool
    reason: str | None
    told: str | None
    proof_id: str | None
    requested_at: datetime
    decide_by: datetime | None
    escalated_at: datetime | None
    closed_at: datetime | None


class LedgerLine(View):
    """Debit positive."""

    transaction_id: int
    kind: str
    account: str
    currency: str
    amount_minor: int
    occurred_at: datetime


class TransferView(View):
    """An attempt to send a payout; `domain.payouts.transfer` explains `state`. `why`: the rail's last words."""

    key: str
    number: int
    rail: str
    state: str
    transfer_id: str | None
    amount_minor: int
    currency: str
    conversion: ConversionView | None
    why: str | None
    tries: int
    declared_at: datetime
    changed_at: datetime


class SendTo(View):
    """Where a payout can be sent again. `account`: masked. `beneficiary`: its digest, which the decision must carry."""

    rail: str
    account: str | None
    beneficiary: str


class PayoutView(PayoutRow):
    """`checks`: name -> {"ok", "words"}.

    Checks, `halted`, transfers and ledger are for staff: a trader must not learn of surveillance. `seen`: for staff,
    what an approval must carry, so that it is for what was read here; `policy`: the hash of the policy that it was
    judged by. `beneficiary_digest`: for staff. `send_to`: for staff, where it can be sent again; empty when it
    cannot. Over another rail it goes to `beneficiary`.
    """

    beneficiary: str | None
    beneficiary_id: str | None
    seen: str | None = None
    beneficiary_digest: str | None = None
    send_to: tuple[SendTo, ...] = ()
    policy: str | None
    checks: dict[str, Any]
    rail: str
    halted: str | None
    transfer_id: str | None
    transfers: tuple[TransferView, ...]
    decisions: tuple[DecisionView, ...]
    transitions: tuple[TransitionView, ...]
    ledger: tuple[LedgerLine, ...]


def _approvals() -> ScalarSelect[int]:
    """The persons who approve the payout in its round and have not taken it back; roles of this moment are not read."""
    later = aliased(Decision)
    withdrawn = select(later.id).where(
        later.subject_kind == "payout",
        later.subject_id == Decision.subject_id,
        later.person_id == Decision.person_id,
        later.decision == RETRACT,
        later.id > Decision.id,
    )
    now = select(func.min(MarketClock.watermark)).scalar_subquery()
    return (
        select(func.count(func.distinct(Decision.person_id)))
        .where(
            Decision.subject_kind == "payout",
            Decision.subject_id == Payout.id,
            Decision.decision == APPROVE,
            Decision.subject_digest == Payout.terms_digest,
            Decision.round == Payout.round,
            or_(Decision.expires_at.is_(None), now.is_(None), Decision.expires_at > now),
            ~withdrawn.exists(),
        )
        .correlate(Payout)
        .scalar_subquery()
    )


def _statement(scope: Scope) -> Select[Any]:
    return _all().where(scope.own(Payout.trader_id))


@cache
def _all() -> Select[Any]:
    return (
        select(
            Payout, Account.number, Account.platform, Trader.name.label("trader_name"), _approvals().label("approvals")
        )
        .join(Account, Account.id == Payout.account_id)
        .join(Trader, Trader.id == Payout.trader_id)
    )


def _fields(scope: Scope, row: Any) -> dict[str, Any]:
    payout: Payout = row.Payout
    sent, conversion = payout.trader_minor + payout.refund_minor, _conversion(payout.conversion)
    return {
        "id": payout.id,
        "updated_at": payout.updated_at,
        "account_id": payout.account_id,
        "account_number": account_number(row.number),
        "platform": row.platform,
        "challenge_id": payout.challenge_id,
        "trader_id": payout.trader_id,
        "trader_name": row.trader_name,
        "state": payout.state,
        "gross_minor": payout.gross_minor,
        "trader_minor": payout.trader_minor,
        "firm_minor": payout.firm_minor,
        "refund_minor": payout.refund_minor,
        "forfeited_minor": payout.forfeited_minor,
        "sent_minor": sent,
        "paid_minor": sent if conversion is None else conversion.bought.minor,
        "paid_currency": payout.currency if conversion is None else conversion.bought.currency,
        "conversion": _exchange(conversion),
        "cycle": payout.cycle,
        "currency": payout.currency,
        "approvals": row.approvals,
        "approvers_needed": payout.approvers_needed,
        "round": payout.round,
        "was_held": scope.staff and payout.was_held,
        "reason": payout.reason if scope.staff else payout.told,
        "told": payout.told,
        "proof_id": payout.proof_id,
        "requested_at": payout.requested_at,
        "decide_by": payout.decide_by,
        "escalated_at": payout.escalated_at if scope.staff else None,
        "closed_at": payout.closed_at,
    }


def _conversion(stored: dict[str, Any] | None) -> Conversion | None:
    return None if stored is None else Conversion.model_validate(stored)


def _exchange(conversion: Conversion | None) -> ConversionView | None:
    if conversion is None:
        return None
    said = conversion.evidence()
    same = {name: said[name] for name in ("sold", "bought", "source", "at", "rounding")}
    return ConversionView(price=said["rate"], **same)


def _found(named: Named) -> list[Condition]:
    found = [*named.beside(Payout.trader_id, Payout.account_id), Payout.transfer_id == named.text]
    return [*found, Payout.id == named.text] if named.is_id("pay") else found


def _in_stage(stage: str) -> Condition:
    """Payouts that are not closed, in one of the states of the stage."""
    return and_(Payout.closed_at.is_(None), Payout.state.in_(STAGES[stage]))


PAYOUTS: Final = Listing(
    name="payouts",
    rows=Payout,
    owner=Payout.trader_id,
    filters={
        "state": Filter("State", equals(Payout.state), tuple(sorted(PAYOUT.states))),
        "stage": Filter("Stage", _in_stage, tuple(STAGES)),
        "currency": Filter("Currency", equals(Payout.currency), needs=("stage",)),
        "account": Filter("Account", of_account(Payout.account_id)),
        "trader": Filter("Trader", equals(Payout.trader_id)),
        "closed_since": Filter("Closed since", since(Payout.closed_at, "closed_since")),
        "updated_since": updated_since(Payout.updated_at),
    },
    orders={
        "requested": Order(lambda _: [Payout.recorded_at, Payout.id]),
        "changed": Order(lambda _: [Payout.changed_at, Payout.id]),
        "amount": Order(lambda _: [Payout.gross_minor, Payout.id]),
        UPDATED: Order(lambda _: [Payout.updated_at, Payout.id]),
    },
    order="-requested",
    finds=_found,
    searches="trader’s name or e-mail address, account number, login, transfer",
    sums=(
        Sum("Gross", Payout.gross_minor, Payout.currency),
        Sum("To the traders", Payout.trader_minor + Payout.refund_minor, Payout.currency),
    ),
)


async def page(
    session: AsyncSession,
    scope: Scope,
    window: Window,
    asked: Asked = EVERYTHING,
    *,
    account_id: str | None = None,
    trader_id: str | None = None,
) -> Page[PayoutRow]:
    """`account_id`, `trader_id`: of this account or trader only."""
    statement = _statement(scope)
    for column, wanted in ((Payout.account_id, account_id), (Payout.trader_id, trader_id)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    found = await listing.rows(session, PAYOUTS, statement, scope, window, asked)
    items = tuple(PayoutRow(**_fields(scope, row)) for row in found.rows)
    return Page[PayoutRow](items=items, next_cursor=found.next_cursor, previous_cursor=found.previous_cursor)


async def one(session: AsyncSession, scope: Scope, payout_id: str) -> PayoutView:
    """Raises NotFound."""
    row = (await session.execute(_statement(scope).where(Payout.id == payout_id))).one_or_none()
    if row is None:
        raise NotFound
    payout: Payout = row.Payout
    return PayoutView(
        **_fields(scope, row),
        beneficiary=mask_iban(payout.beneficiary),
        beneficiary_id=payout.beneficiary_id,
        policy=payout.policy_hash if scope.staff else None,
        checks=payout.checks if scope.staff else {},
        rail=payout.rail,
        halted=payout.halted if scope.staff else None,
        transfer_id=payout.transfer_id if scope.staff else None,
        transfers=await _transfers(session, payout_id) if scope.staff else (),
        decisions=await _decisions(session, scope, payout_id),
        transitions=await history.transitions(session, scope, "payout", payout_id),
        ledger=await _ledger(session, payout_id) if scope.staff else (),
    )


async def _decisions(session: AsyncSession, scope: Scope, payout_id: str) -> tuple[DecisionView, ...]:
    """Returns the decisions. A trader sees only reasons written to or by the trader."""
    made = await history.decisions(session, scope, "payout", payout_id)
    if scope.staff:
        return made
    own = [one.decision == "return_to_trader" or one.role == "trader" for one in made]
    return tuple(
        one if is_own else one.model_copy(update={"reason": ""}) for one, is_own in zip(made, own, strict=True)
    )


async def _transfers(session: AsyncSession, payout_id: str) -> tuple[TransferView, ...]:
    """The attempts, the first one first."""
    rows = await session.scalars(
        select(PayoutTransfer).where(PayoutTransfer.payout_id == payout_id).order_by(PayoutTransfer.number)
    )
    same = ("number", "rail", "state", "amount_minor", "currency", "why", "tries", "declared_at", "changed_at")
    return tuple(
        TransferView(
            key=row.id,
            transfer_id=row.provider_id,
            conversion=_exchange(_conversion(row.conversion)),
            **{name: getattr(row, name) for name in same},
        )
        for row in rows
    )


async def _ledger(session: AsyncSession, payout_id: str) -> tuple[LedgerLine, ...]:
    rows = await session.execute(
        select(Posting, LedgerTransaction)
        .join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)
        .where(LedgerTransaction.reference == payout_id)
        .order_by(Posting.id)
    )
    return tuple(
        LedgerLine(
            transaction_id=transaction.id,
            kind=transaction.kind,
            account=posting.account,
            currency=posting.currency,
            amount_minor=posting.amount_minor,
            occurred_at=transaction.occurred_at,
        )
        for posting, transaction in rows
    )
