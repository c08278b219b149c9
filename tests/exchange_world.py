"""A firm with accounts in USD whose bank pays in other currencies: the real bank rail on the simulated bank."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from activities.deps import Deps
from activities.payouts import PayoutActivities
from activities.reconciliation import ReconciliationActivities
from adapters.bank.rail import PLUGIN
from adapters.identity.manual import ManualChecker
from contracts.messages import ReconciliationStart
from domain.approvals import Actor
from domain.exchange import Rate
from domain.money import Money
from domain.payouts.policy import PayoutPolicy
from firm import beneficiaries
from firm.payouts import policies, rates, requests
from ports.acquirer import Acquirers
from ports.identity import IdentityCheckers
from ports.payments import Payments
from ports.rail import PaymentRail, Rails
from ports.statements import StatementSource, StatementSources
from sandbox.bank.ibans import iban_of
from store import ledger
from store.ledger_check import check
from store.models import LedgerTransaction, Payout, PayoutTransfer, Trader
from store.reconciliation import breaks
from tests.adapters import platforms
from tests.bank_world import MONDAY, BankWorld
from tests.payout_world import World, nobody_approves, ref
from tests.payout_world import a_firm as a_small_firm

QUOTED: Final = MONDAY - timedelta(hours=1)


def rate(bought: str, price: str, *, sold: str = "USD", at: datetime = QUOTED, source: str = "ECB") -> Rate:
    return Rate(sold=sold, bought=bought, price=Decimal(price), source=source, at=at)


@dataclass
class Exchange:
    """`small`: the record and the venue, with USD accounts. `bank`: pays EUR, JPY and KWD, and no USD."""

    small: World
    bank: BankWorld
    activities: PayoutActivities = field(init=False)

    def __post_init__(self) -> None:
        self.activities = PayoutActivities(self.deps, call_seconds=0)
        self.small.activities = self.activities

    @property
    def rails(self) -> Rails:
        rail: PaymentRail = self.bank.rail
        return Rails({"bank": rail}, "bank", {"bank": PLUGIN.capabilities})

    @property
    def deps(self) -> Deps:
        statements: StatementSource = self.bank.statements
        checker = ManualChecker()
        payments = Payments(
            Acquirers({}, ""),
            self.rails,
            StatementSources({"bank": statements}),
            IdentityCheckers({checker.name: checker}, checker.name),
        )
        return Deps(db=self.small.db, platforms=platforms(self.small.venue), payments=payments)

    async def add_trader(self, name: str, currency: str | None) -> Actor:
        """A trader with an account of the firm in USD and a bank account in `currency`."""
        trader = await self.small.add_trader(name)
        async with self.small.db.transaction() as session:
            (await session.get_one(Trader, f"trd_{name}")).beneficiary = None
        await self.bank_account(trader, name, currency)
        return trader

    async def bank_account(self, trader: Actor, text: str, currency: str | None) -> str:
        async with self.small.db.transaction() as session:
            row = await beneficiaries.add(
                session,
                trader_id=str(trader.trader_id),
                account=iban_of(text),
                rail="bank",
                currency=currency,
                actor=trader,
            )
            return row.id

    async def quote(self, *quoted: Rate) -> int:
        async with self.small.db.transaction() as session:
            return await rates.add(session, quoted)

    async def request(self, trader: Actor, gross_minor: int) -> str:
        async with self.small.db.transaction() as session:
            payout = await requests.request_payout(
                session,
                account_id=f"acc_{trader.user_id[4:]}",
                actor=trader,
                gross=Money(minor=gross_minor, currency="USD"),
                rail="bank",
                payable=self.rails.check,
            )
            return payout.id

    async def held(self, trader: Actor, gross_minor: int) -> str:
        payout_id = await self.request(trader, gross_minor)
        await self.activities.hold_and_judge(ref(payout_id))
        return payout_id

    async def judged(self, payout_id: str) -> str:
        return (await self.activities.check_risk(ref(payout_id))).state

    async def policy(self, **changes: Any) -> None:
        """No payout needs anybody, but for the changes."""
        async with self.small.db.transaction() as session:
            body = nobody_approves().model_dump() | changes
            await policies.publish(session, PayoutPolicy.model_validate(body))

    async def later(self, *, hours: int) -> None:
        """Time passes for the firm and not for its bank."""
        await self.small.market_time(self.bank.now + timedelta(hours=hours))

    async def bank_days(self, days: int) -> None:
        """The bank carries out what it has and writes statements; the firm asks it what became of its orders."""
        await self.bank.advance(days)
        await self.small.market_time(self.bank.now)

    async def payout(self, payout_id: str) -> Payout:
        return await self.small.payout(payout_id)

    async def attempts(self, payout_id: str) -> list[PayoutTransfer]:
        async with self.small.db.transaction() as session:
            mine = select(PayoutTransfer).where(PayoutTransfer.payout_id == payout_id)
            return list(await session.scalars(mine.order_by(PayoutTransfer.number)))

    async def reconcile(self) -> int:
        """Returns what is left to explain."""
        return (await ReconciliationActivities(self.deps).reconcile(ReconciliationStart())).unreconciled

    async def balance(self, account: str, currency: str) -> int:
        async with self.small.db.transaction() as session:
            return await ledger.balance(session, account, currency) + await ledger.pending(session, account, currency)

    async def exchanges(self) -> list[dict[str, str]]:
        """The evidence of each exchange in the books, the first one first."""
        async with self.small.db.transaction() as session:
            mine = select(LedgerTransaction).where(LedgerTransaction.kind == "payout_converted")
            return [row.evidence or {} for row in await session.scalars(mine.order_by(LedgerTransaction.id))]

    async def assert_whole(self) -> None:
        """The books keep every invariant, and everything on them is on the bank's statement."""
        async with self.small.db.transaction() as session:
            assert [each for each in await check(session, is_copy=True) if each.faults] == []
            assert await ledger.imbalance(session) == 0
            assert await breaks.open_ends(session) == 0


@asynccontextmanager
async def an_exchange(database_url: str, folder: Path) -> AsyncIterator[Exchange]:
    """Market time is that of the bank. Nobody needs to approve."""
    bank = BankWorld(folder)
    async with a_small_firm(database_url) as small:
        made = Exchange(small, bank)
        await made.policy()
        await small.market_time(bank.now)
        yield made
    await bank.close()
