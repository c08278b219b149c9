"""A small firm on the record for the console's tests: every page has something to show, every proof holds."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain import dispute_pack
from domain.approvals import Actor, Role
from domain.keys import new_id
from domain.ledger import fee_paid, payout_reserved
from domain.money import Money
from domain.payouts.amounts import split
from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.proofs import money as proof
from domain.proofs.money import BalancePart, EventPart, JudgedAccount, Movement
from domain.rules import floors
from domain.rules.floors import RuleState
from domain.rules.marking import Instrument, Position, QuoteBoard
from firm import dispute_evidence, dispute_policies
from firm.payouts import policies
from firm.payouts import row as payout_row
from store import audit, crypto, identity, ledger
from store.db import Database
from store.models import (
    Account,
    Alert,
    BalanceOperationRow,
    Breach,
    Challenge,
    Dispute,
    MarketClock,
    Payout,
    Proof,
    Ticket,
    TicketMessage,
    Trader,
    Transition,
)
from tests import case_rows
from tests.console_doubts import doubts
from tests.console_history import INITIAL, NOW, deal, live, trade
from tests.console_surroundings import surroundings
from tests.shelf import publish_shelf, shipped

PASSWORD: Final = "correct horse battery"
KEYS: Final = crypto.FieldKeys({"k1": bytes(32)})
HOSTILE_NAME: Final = "<script>alert('name')</script>"
HOSTILE_TEXT: Final = "\"><img src=x onerror=alert('ticket')>"
_STAFF: Final[tuple[tuple[str, str, Role], ...]] = (
    ("ana@firm.example", "Ana Ruiz", "admin"),
    ("finn@firm.example", "Finn Okafor", "finance"),
    ("rosa@firm.example", "Rosa Lindgren", "risk"),
    ("sam@firm.example", "Sam Novak", "support"),
    ("uma@firm.example", "Uma Petit", "auditor"),
)


@dataclass
class Firm:
    """Ids of what was made, and the account numbers as people write them."""

    active: str = ""
    breached: str = ""
    funded: str = ""
    payout: str = ""
    big_payout: str = ""
    dispute: str = ""
    breach: str = ""
    proof: str = ""
    case: str = ""
    ticket: str = ""
    waiting_trader: str = ""
    review: str = ""
    doubtful: str = ""


async def build(db: Database) -> Firm:
    """Fill an empty database. Market time stands at NOW; people sign in with PASSWORD."""
    crypto.install(KEYS)
    firm = Firm()
    password = await identity.hash_password(PASSWORD)
    async with db.transaction() as session:
        session.add(MarketClock(feed="sandbox", watermark=NOW, last_tick_at=NOW))
        await session.flush()
        sold = {product.product: product for product in shipped()}
        await publish_shelf(session)
        await policies.publish(session, policies.load_policy())
        await dispute_policies.publish(session, dispute_policies.load_policy())
        for login, name, role in _STAFF:
            await identity.add_user(
                session, login=login, name=name, password_hash=password, role=role, person_id=f"person-{role}"
            )
        mara = await _trader(session, "Mara Lindqvist", "mara@example.org", password, "SE")
        otto = await _trader(session, "Otto Brandt", "otto@example.org", password, "DE")
        hostile = await _trader(session, HOSTILE_NAME, "eve@example.org", password, "FR")
        await _active(session, firm, mara, sold["two-step"])
        await breached(session, firm, otto, sold["two-step"])
        await _funded(session, firm, mara, sold["one-step-futures"])
        await _case(session, firm, hostile, otto, sold["instant"])
        await _tickets(session, firm, hostile, mara)
        await _identity_check(session, firm, hostile, sold["two-step"])
        await _crowd(session, otto, sold["instant"])
        firm.review = await surroundings(session)
    return firm


async def _trader(session: AsyncSession, name: str, email: str, password: str, country: str) -> Actor:
    made = await identity.sign_up_trader(session, name=name, email=email, password_hash=password, country=country)
    (await session.get_one(Trader, made.trader_id)).email_confirmed_at = NOW
    return made


async def _open(
    session: AsyncSession, trader: Actor, product: Product, phase: int, state: str, *, days: int, status: str = "active"
) -> tuple[Challenge, Account]:
    bought = NOW - timedelta(days=days)
    challenge = Challenge(
        id=new_id("chl"),
        trader_id=trader.trader_id or "",
        product=product.product,
        version=product.version,
        state=state,
        phase_index=phase,
        fee_minor=product.fee_minor,
        currency=product.currency,
        checkout_id=new_id("ord"),
        bought_at=bought,
        changed_at=bought,
    )
    session.add(challenge)
    await session.flush()
    account = Account(
        id=new_id("acc"),
        challenge_id=challenge.id,
        trader_id=challenge.trader_id,
        phase_index=phase,
        product=product.product,
        version=product.version,
        platform="sandbox",
        login=random.Random(challenge.id).randrange(10**6, 10**7),
        clock_group=product.clock.group,
        currency=product.currency,
        initial_minor=product.initial_minor,
        status=status,
        opened_at=bought + timedelta(hours=1),
    )
    session.add(account)
    await session.flush()
    challenge.account_id = account.id
    steps = (("payment_settled", "awaiting_payment", "provisioning"), ("phase_started", "provisioning", "active"))
    session.add_all(
        Transition(
            subject_kind="challenge",
            subject_id=challenge.id,
            key=trigger,
            trigger=trigger,
            from_state=before,
            to_state=after,
            detail={},
            occurred_at=bought,
        )
        for trigger, before, after in steps
    )
    await ledger.post(
        session, fee_paid(challenge.id, Money(minor=product.fee_minor, currency="USD"), "sandbox"), occurred_at=bought
    )
    session.add(
        BalanceOperationRow(
            account_id=account.id,
            key=f"{account.id}/initial",
            operation="deposit",
            seq=1,
            at=bought,
            amount_minor=INITIAL,
            balance_minor=INITIAL,
        )
    )
    return challenge, account


async def _active(session: AsyncSession, firm: Firm, trader: Actor, product: Product) -> None:
    _, account = await _open(session, trader, product, 2, "active", days=4)
    await trade(session, account, product, minutes=3 * 1440, drift=60, seed=11, open_now=True)
    firm.active = f"A-{account.number}"
    firm.doubtful = await doubts(session, account, product)


async def breached(session: AsyncSession, firm: Firm, trader: Actor, product: Product) -> None:
    """An account that broke its daily loss, with its proof sheet and a dispute that waits for people."""
    challenge, account = await _open(session, trader, product, 1, "breached", days=2, status="locked")
    await trade(session, account, product, minutes=1000, drift=-505, seed=5, open_now=False)
    body, spec, state, equity = _sheet(account, challenge, product)
    row = Proof(id=body["proof_id"], account_id=account.id, kind="breach", digest=body["hash"], body=body)
    session.add(row)
    await session.flush()
    at = NOW - timedelta(minutes=6)
    breach = Breach(
        id=new_id("brc"),
        account_id=account.id,
        challenge_id=challenge.id,
        phase_index=1,
        rule_id=spec.rule_id,
        offence=1,
        proof_id=row.id,
        seq=90_210,
        occurred_at=at,
        floor_minor=state.floor_minor,
        equity_minor=equity,
        status="confirmed",
        epoch=1,
        received_at=datetime.now(UTC) - timedelta(milliseconds=9),
        locked_at=datetime.now(UTC),
    )
    session.add(breach)
    account.ended_at = at
    await session.flush()
    firm.breached, firm.breach, firm.proof = f"A-{account.number}", breach.id, row.id
    dispute = Dispute(
        id=new_id("dsp"),
        breach_id=breach.id,
        challenge_id=challenge.id,
        account_id=account.id,
        trader_id=account.trader_id,
        state="awaiting_decision",
        opened_at=NOW - timedelta(minutes=4),
        decide_by=NOW + timedelta(days=3, minutes=-4),
        statement="The spread of gold was ten times the usual one for half a second; my stop was never reached.",
        evidence={
            "proof_id": row.id,
            "cause": "tick",
            "deals_24h": {"count": 9, "profit_minor": -412_300, "ids": []},
            "equity_around": {"bars": 36, "low_minor": equity, "high_minor": equity + 91_000},
            "spread_symbol": "XAUUSD",
            "spread": "3.40",
            "spread_median": "0.34",
            "spread_ratio": "10.00",
        },
    )
    session.add(dispute)
    await session.flush()
    frozen = await dispute_evidence.freeze(session, dispute)
    dispute.evidence = dispute.evidence | {dispute_pack.FIELD: frozen}
    firm.dispute = dispute.id


def _sheet(
    account: Account, challenge: Challenge, product: Product
) -> tuple[dict[str, object], floors.FloorSpec, RuleState, int]:
    """A true proof: one long position in gold falls through the daily floor."""
    terms = phase_terms(product, 1)
    spec = terms.specs[0]
    state = floors.opened(spec)
    at = NOW - timedelta(minutes=6)
    board = QuoteBoard()
    board.put("XAUUSD", Decimal("1281.10"), Decimal("1284.50"), 90_210, at)
    instruments = {"XAUUSD": Instrument("XAUUSD", Decimal(100), "USD")}
    position = Position("P0042", "XAUUSD", "buy", Decimal("3.0"), Decimal("1284.40"), at - timedelta(hours=1))
    movement = Movement(seq=88_001, at=at - timedelta(hours=3), kind="deal", reference="D0007", amount_minor=-412_300)
    balance = INITIAL - 412_300
    equity = balance + sum(part.profit_minor for part in [proof.position_part(position, board, instruments, "USD")])
    scene = JudgedAccount(
        account_id=account.id,
        challenge_id=challenge.id,
        login=account.login or 0,
        terms=terms,
        event=EventPart(kind="tick", seq=90_210, at=at, symbol="XAUUSD"),
        balance=BalancePart(
            opening_minor=INITIAL, opening_at=None, opening_seq=0, movements=(movement,), balance_minor=balance
        ),
        positions=(position,),
        equity_minor=equity,
        trading_days=(),
    )
    body = proof.breach_sheet(new_id("prf"), scene, spec, state, board, instruments)
    return body, spec, state, equity


async def _funded(session: AsyncSession, firm: Firm, trader: Actor, product: Product) -> None:
    (await session.get_one(Trader, trader.trader_id or "")).identity = "verified"
    _, account = await _open(session, trader, product, 2, "funded", days=20)
    await trade(session, account, product, minutes=2 * 1440, drift=130, seed=23, open_now=False)
    firm.funded = f"A-{account.number}"
    firm.payout = await _payout(session, account, product, trader, 124_000, decide_in=timedelta(hours=1, minutes=20))
    _, other = await _open(session, trader, product, 2, "funded", days=25)
    await trade(session, other, product, minutes=600, drift=300, seed=3, open_now=False)
    firm.big_payout = await _payout(session, other, product, trader, 480_000, decide_in=timedelta(days=3))


async def _payout(
    session: AsyncSession, account: Account, product: Product, trader: Actor, gross: int, *, decide_in: timedelta
) -> str:
    share, rest = split(Money(minor=gross, currency="USD"), product.payout)
    payout = Payout(
        id=new_id("pay"),
        account_id=account.id,
        challenge_id=account.challenge_id,
        trader_id=account.trader_id,
        requested_by=trader.user_id,
        state="awaiting_approval",
        gross_minor=gross,
        trader_minor=share.minor,
        firm_minor=rest.minor,
        refund_minor=0,
        forfeited_minor=0,
        currency="USD",
        beneficiary="DE89370400440532014821",
        approvers_needed=1 if gross < 300_000 else 2,
        requested_at=NOW - timedelta(hours=4),
        decide_by=NOW + decide_in,
        was_held=False,
        checks={
            "eligibility": {"ok": True, "words": "Eligible at the time of the request."},
            "identity": {"ok": True, "words": "The trader's identity is verified."},
            "cases": {"ok": True, "words": "No surveillance case names the trader."},
            "room:trailing_loss": {"ok": True, "words": "2,172.55 USD of room would be left under trailing loss."},
        },
    )
    payout.terms_digest = payout_row.digest(payout, product)
    session.add(payout)
    await session.flush()
    await ledger.post(session, payout_reserved(payout.id, share), occurred_at=payout.requested_at)
    await audit.record(
        session,
        action="payout.requested",
        subject_kind="payout",
        subject_id=payout.id,
        occurred_at=payout.requested_at,
        actor=trader.user_id,
        role="trader",
        evidence={"gross_minor": gross, "currency": "USD"},
    )
    return payout.id


async def _case(session: AsyncSession, firm: Firm, one: Actor, other: Actor, product: Product) -> None:
    _, leader = await _open(session, one, product, 1, "funded", days=3)
    _, follower = await _open(session, other, product, 1, "funded", days=3)
    pairs = []
    for number in range(1, 9):
        at = NOW - timedelta(hours=30 - 3 * number)
        deals = [
            deal(account, moment, 500 + number, "in", 0, INITIAL, random.Random(number))
            for account, moment in ((leader, at), (follower, at + timedelta(seconds=7, milliseconds=90 * number)))
        ]
        deals[1].lots = Decimal("0.75")
        session.add_all(deals)
        await session.flush()
        pairs.append(
            {
                "leader_deal": deals[0].id,
                "follower_deal": deals[1].id,
                "symbol": deals[0].symbol,
                "side": "buy",
                "lag_seconds": str(7 + Decimal("0.1") * number),
                "ratio": "0.750",
            }
        )
    for account, profit in ((leader, 180_000), (follower, 91_000)):
        specs = phase_terms(product, 1).specs
        levels = {spec.rule_id: floors.opened(spec).floor_minor for spec in specs}
        live(session, account, INITIAL + profit, INITIAL + profit, levels, open_now=False)
    alert = Alert(
        id=new_id("alr"),
        key=f"copy_trading/{leader.id}/{follower.id}",
        detector="copy_trading",
        score=Decimal("0.91"),
        sentence=f"{follower.id} copies {leader.id}: 8 of 9 trades opened about 7 seconds after the same trade of"
        f" {leader.id}, at 0.50 times the size.",
        evidence={"leader": leader.id, "follower": follower.id, "openings": 9, "pairs": pairs},
        occurred_at=NOW,
    )
    firm.case = new_id("cas")
    accounts = (leader.id, follower.id)
    await case_rows.add_case(session, firm.case, alert, accounts, opened_at=NOW - timedelta(minutes=20))


async def _tickets(session: AsyncSession, firm: Firm, hostile: Actor, mara: Actor) -> None:
    for number, (actor, subject, body) in enumerate(
        ((hostile, HOSTILE_TEXT, HOSTILE_TEXT), (mara, "When is my next payout?", "I would like to know the date."))
    ):
        at = NOW - timedelta(hours=2 + number)
        ticket = Ticket(
            id=new_id("tkt"),
            trader_id=actor.trader_id or "",
            subject=subject,
            state="open",
            opened_at=at,
            changed_at=at,
        )
        session.add(ticket)
        await session.flush()
        session.add(
            TicketMessage(id=new_id("msg"), ticket_id=ticket.id, author_id=actor.user_id, body=body, occurred_at=at)
        )
        firm.ticket = firm.ticket or ticket.id


async def _identity_check(session: AsyncSession, firm: Firm, trader: Actor, product: Product) -> None:
    _, account = await _open(session, trader, product, 2, "identity_check", days=9, status="closed")
    await trade(session, account, product, minutes=120, drift=0, seed=8, open_now=False)
    firm.waiting_trader = trader.trader_id or ""


async def _crowd(session: AsyncSession, trader: Actor, product: Product) -> None:
    """Enough accounts that the list has something to sort."""
    draw = random.Random(2)
    specs = phase_terms(product, 1).specs
    for _ in range(18):
        _, account = await _open(session, trader, product, 1, "funded", days=2)
        equity = INITIAL + draw.randrange(-280_000, 400_000)
        levels = {spec.rule_id: floors.opened(spec).floor_minor for spec in specs}
        live(session, account, INITIAL, equity, levels, open_now=True)
