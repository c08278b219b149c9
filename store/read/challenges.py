"""Challenges for traders and staff."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, and_, exists, not_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from domain.lifecycle import CHALLENGE
from store import products, suspensions
from store.models import Account, Challenge, Chargeback, ProductVersion, Trader, Transition
from store.read import history, listing, purchases
from store.read.finding import Named
from store.read.history import TransitionView
from store.read.listing import (
    EVERYTHING,
    UPDATED,
    Asked,
    Condition,
    Filter,
    Listing,
    Order,
    Sum,
    before,
    equals,
    since,
    updated_since,
)
from store.read.pages import Page, View, Window, account_number
from store.scope import Scope


class ChallengeRow(View):
    id: str
    updated_at: datetime
    trader_id: str
    trader_name: str
    product: str
    version: int
    product_name: str
    state: str
    phase_index: int
    account_id: str | None
    fee_minor: int
    currency: str
    checkout_id: str | None
    checkout_url: str | None
    fee_of: str
    replaces: str | None
    bought_at: datetime
    changed_at: datetime


class PhaseAccount(View):
    """The account of one phase."""

    account_id: str
    number: str
    platform: str
    phase_index: int
    attempt: int
    phase_name: str
    status: str
    opened_at: datetime | None
    ended_at: datetime | None


class ChallengeView(ChallengeRow):
    """`chargeback`: the state of the newest chargeback of its payment. `suspended`: its accounts may not trade now."""

    chargeback: str | None
    suspended: bool
    accounts: tuple[PhaseAccount, ...]
    transitions: tuple[TransitionView, ...]


def _statement(scope: Scope) -> Select[Any]:
    return (
        select(Challenge, Trader.name.label("trader_name"), ProductVersion.name.label("product_name"))
        .join(Trader, Trader.id == Challenge.trader_id)
        .join(
            ProductVersion,
            (ProductVersion.product == Challenge.product) & (ProductVersion.version == Challenge.version),
        )
        .where(scope.own(Challenge.trader_id))
    )


def _fields(challenge: Challenge, trader_name: str, product_name: str) -> dict[str, Any]:
    return {
        "id": challenge.id,
        "updated_at": challenge.updated_at,
        "trader_id": challenge.trader_id,
        "trader_name": trader_name,
        "product": challenge.product,
        "version": challenge.version,
        "product_name": product_name,
        "state": challenge.state,
        "phase_index": challenge.phase_index,
        "account_id": challenge.account_id,
        "fee_minor": challenge.fee_minor,
        "fee_of": challenge.fee_of,
        "replaces": challenge.replaces,
        "currency": challenge.currency,
        "checkout_id": challenge.checkout_id,
        "checkout_url": challenge.checkout_url,
        "bought_at": challenge.bought_at,
        "changed_at": challenge.changed_at,
    }


def _found(named: Named) -> list[Condition]:
    found = named.beside(Challenge.trader_id, None)
    if named.accounts:
        found.append(Challenge.id.in_(select(Account.challenge_id).where(Account.id.in_(named.accounts))))
    return [*found, Challenge.id == named.text] if named.is_id("chl") else found


def _is_paid_purchase(value: str) -> Any:
    """The condition for what was bought anew, and whose fee was paid: what goes on from a challenge is none."""
    settled = exists().where(
        Transition.subject_kind == "challenge",
        Transition.subject_id == Challenge.id,
        Transition.trigger == "payment_settled",
    )
    found = and_(Challenge.replaces.is_(None), settled)
    return found if value == "yes" else not_(found)


_BOUGHT: Final = ("bought_since",)
CHALLENGES: Final = Listing(
    name="challenges",
    rows=Challenge,
    owner=Challenge.trader_id,
    filters={
        "state": Filter("State", equals(Challenge.state), tuple(sorted(CHALLENGE.states))),
        "product": Filter("Product", equals(Challenge.product)),
        "trader": Filter("Trader", equals(Challenge.trader_id)),
        "bought_since": Filter("Bought since", since(Challenge.bought_at, "bought_since")),
        "bought_before": Filter("Bought before", before(Challenge.bought_at, "bought_before")),
        "paid_purchase": Filter("Paid purchases", _is_paid_purchase, ("yes", "no")),
        "outcome": Filter("Outcome of the purchase", purchases.has_outcome, tuple(purchases.OUTCOMES), needs=_BOUGHT),
        "sold_product": Filter("Sold as product", purchases.sold_as("product"), needs=_BOUGHT),
        "sold_version": Filter("Sold as version", purchases.sold_as("version"), needs=_BOUGHT),
        "updated_since": updated_since(Challenge.updated_at),
    },
    orders={
        "bought": Order(lambda _: [Challenge.recorded_at, Challenge.id]),
        "changed": Order(lambda _: [Challenge.changed_at, Challenge.id]),
        UPDATED: Order(lambda _: [Challenge.updated_at, Challenge.id]),
    },
    order="-bought",
    finds=_found,
    searches="trader’s name or e-mail address, account number, login",
    sums=(Sum("Fees", Challenge.fee_minor, Challenge.currency),),
)


async def page(session: AsyncSession, scope: Scope, window: Window, asked: Asked = EVERYTHING) -> Page[ChallengeRow]:
    found = await listing.rows(session, CHALLENGES, _statement(scope), scope, window, asked)
    items = tuple(ChallengeRow(**_fields(row.Challenge, row.trader_name, row.product_name)) for row in found.rows)
    return Page[ChallengeRow](items=items, next_cursor=found.next_cursor, previous_cursor=found.previous_cursor)


async def phase_accounts(session: AsyncSession, challenge: Challenge) -> tuple[PhaseAccount, ...]:
    """Returns the accounts of a challenge, the oldest first. The caller has checked that it may be seen."""
    terms = await products.load(session, challenge.product, challenge.version)
    accounts = await session.scalars(
        select(Account).where(Account.challenge_id == challenge.id).order_by(Account.phase_index, Account.attempt)
    )
    return tuple(
        PhaseAccount(
            account_id=account.id,
            number=account_number(account.number),
            platform=account.platform,
            phase_index=account.phase_index,
            attempt=account.attempt,
            phase_name=terms.phase(account.phase_index).name,
            status=account.status,
            opened_at=account.opened_at,
            ended_at=account.ended_at,
        )
        for account in accounts
    )


async def one(session: AsyncSession, scope: Scope, challenge_id: str) -> ChallengeView:
    """Raises NotFound."""
    row = (await session.execute(_statement(scope).where(Challenge.id == challenge_id))).one_or_none()
    if row is None:
        raise NotFound
    challenge: Challenge = row.Challenge
    newest = select(Chargeback.state).where(Chargeback.challenge_id == challenge_id)
    newest = newest.order_by(Chargeback.opened_at.desc(), Chargeback.id).limit(1)
    return ChallengeView(
        **_fields(challenge, row.trader_name, row.product_name),
        accounts=await phase_accounts(session, challenge),
        chargeback=await session.scalar(newest),
        suspended=await suspensions.binds(session, challenge_id),
        transitions=await history.transitions(session, scope, "challenge", challenge_id),
    )
