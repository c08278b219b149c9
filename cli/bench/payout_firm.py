"""The firm of the payout benchmark: funded accounts with profit, their traders, and two people who approve."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cli.bench.outside import BALANCE, RAIL, VENUE
from domain.approvals import Actor
from domain.keys import derived_id
from domain.money import Money
from domain.payouts.policy import CurrencyPolicy, PayoutPolicy
from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.rules.state import fresh, to_json
from firm.payouts import policies
from firm.payouts import refusals as payout_refusals
from firm.payouts import requests as payouts
from firm.products.shelf import load_products
from store import products
from store.db import Database
from store.identity import add_user, open_session
from store.models import Account, AccountLive, Beneficiary, Challenge, MarketClock, Trader, User
from store.models.base import Base

AUTOMATIC: Final = 50_000  # gross minor units; nobody approves it under the policy of the benchmark
BY_TWO: Final = 400_000  # two people approve it
_PRODUCT: Final = "two-step"
_OPENED: Final = datetime(2014, 5, 2, 21, tzinfo=UTC)
_NOW: Final = _OPENED + timedelta(days=20)
_IBAN: Final = "DE89370400440532013000"


@dataclass(frozen=True)
class Approver:
    actor: Actor
    token: str


async def open_firm(db: Database) -> list[Approver]:
    """Publishes the shelf and a policy without limits of a day, sets market time; returns two people of finance."""
    async with db.transaction() as session:
        for product in load_products():
            await products.publish(session, product)
        band = CurrencyPolicy(automatic_up_to=Decimal(1_000), one_checker_up_to=Decimal(2_000))
        await policies.publish(session, PayoutPolicy(currencies={"USD": band}))
        await session.execute(insert(MarketClock).values(feed=VENUE, watermark=_NOW))
        return [await _approver(session, name) for name in ("fay", "gus")]


async def _approver(session: AsyncSession, name: str) -> Approver:
    actor = await add_user(
        session, login=name, name=name.title(), password_hash="-", role="finance", person_id=f"person-{name}"
    )
    return Approver(actor, (await open_session(session, actor)).token)


async def add_traders(db: Database, first: int, count: int) -> list[Actor]:
    """Adds verified traders, each with a funded account that may ask for a payout now."""
    made = list[Actor]()
    async with db.transaction() as session:
        terms = await products.newest(session, _PRODUCT)
        for rows in zip(*(_rows(number, terms) for number in range(first, first + count)), strict=True):
            session.add_all(rows)
            await session.flush()
    for number in range(first, first + count):
        user, trader = derived_id("usr", number), derived_id("trd", number)
        made.append(Actor(user_id=user, person_id=trader, role="trader", trader_id=trader))
    return made


def _rows(number: int, terms: Product) -> Sequence[Base]:
    """Returns the rows of one trader in the order in which they may be stored."""
    return (*_person(number, derived_id("trd", number)), *_account(number, derived_id("trd", number), terms))


def _person(number: int, trader: str) -> Sequence[Base]:
    return (
        Trader(
            id=trader,
            name=f"Trader {number}",
            email=f"{number}@example.org",
            email_index=trader,
            country="DE",
            beneficiary=_IBAN,
            identity="verified",
            email_confirmed_at=_OPENED,
            created_at=_OPENED,
        ),
        User(
            id=derived_id("usr", number),
            login=f"{number}@example.org",
            login_index=trader,
            name=f"Trader {number}",
            password_hash="-",
            role="trader",
            person_id=trader,
            trader_id=trader,
        ),
        Beneficiary(
            id=derived_id("ben", number),
            trader_id=trader,
            rail=RAIL,
            account=_IBAN,
            account_index=trader,
            state="confirmed",
            changes=False,
            added_at=_OPENED,
        ),
    )


def _account(number: int, trader: str, terms: Product) -> Sequence[Base]:
    account, challenge = (derived_id(noun, number) for noun in ("acc", "chl"))
    phase = phase_terms(terms, terms.funded_index)
    return (
        Challenge(
            id=challenge,
            trader_id=trader,
            product=terms.product,
            version=terms.version,
            state="funded",
            phase_index=terms.funded_index,
            account_id=account,
            fee_minor=terms.fee_minor,
            currency=terms.currency,
            provider=RAIL,
            bought_at=_OPENED,
            changed_at=_OPENED,
        ),
        Account(
            id=account,
            challenge_id=challenge,
            trader_id=trader,
            phase_index=terms.funded_index,
            product=terms.product,
            version=terms.version,
            platform=VENUE,
            login=number,
            clock_group=terms.clock.group,
            currency=terms.currency,
            initial_minor=terms.initial_minor,
            status="active",
            opened_at=_OPENED,
        ),
        AccountLive(
            account_id=account,
            batch=1,
            at=_OPENED,
            balance_minor=BALANCE,
            equity_minor=BALANCE,
            positions=[],
            floors={},
            rule_state={"rules": to_json(fresh(phase.specs))},
        ),
    )


async def request(db: Database, payable: payouts.Payable, trader: Actor, number: int, gross_minor: int) -> str:
    """Asks for a payout as the API does; returns its id."""
    async with payout_refusals.kept(db), db.transaction() as session:
        payout = await payouts.request_payout(
            session,
            account_id=derived_id("acc", number),
            actor=trader,
            gross=Money(minor=gross_minor, currency="USD"),
            rail=RAIL,
            payable=payable,
        )
        return payout.id
