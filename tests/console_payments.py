"""Payments of the console's firm that went wrong: a charged back fee, a payout that came back after it arrived."""

from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import inspect, select

from domain.keys import new_id
from domain.payouts.transfer import RailStatus, RailWord
from firm import challenges, chargebacks
from firm.payouts import attempts, row, transfers
from ports.acquirer import Chargeback as Seen
from store.clock import market_now
from store.models import Account, Challenge, Payout, Suspension
from tests.console_history import NOW
from tests.console_world import ConsoleWorld
from tests.shelf import shipped

T = TypeVar("T")


async def more_payouts(world: ConsoleWorld, *due_in: timedelta) -> list[str]:
    """Payouts like the small one of the firm, each of an account of its own and due in this time."""
    made = list[str]()
    async with world.db.transaction() as session:
        like = await session.get_one(Payout, world.firm.payout)
        account = await session.get_one(Account, like.account_id)
        challenge = await session.get_one(Challenge, account.challenge_id)
        product = next(each for each in shipped() if each.product == account.product)
        for left in due_in:
            bought = _copy(challenge, id=new_id("chl"), checkout_id=new_id("ord"))
            other = _copy(account, id=new_id("acc"), challenge_id=bought.id, login=None)
            waits = {
                "state": "awaiting_approval",
                "decide_by": NOW + left,
                "reason": None,
                "told": None,
                "closed_at": None,
            }
            payout = _copy(like, id=new_id("pay"), account_id=other.id, challenge_id=bought.id, **waits)
            payout.terms_digest = row.digest(payout, product)
            for each in (bought, other, payout):
                session.add(each)
                await session.flush()
            made.append(payout.id)
    return made


def _copy(like: T, **changes: Any) -> T:
    """A new row with the columns of another one."""
    own = {"number", "recorded_at"}
    mapper: Any = inspect(type(like))
    columns = {each.key for each in mapper.column_attrs} - own
    return type(like)(**{name: getattr(like, name) for name in columns} | changes)


async def challenge_of_active(world: ConsoleWorld) -> str:
    async with world.db.transaction() as session:
        number = int(world.firm.active.removeprefix("A-"))
        return (await session.scalars(select(Account.challenge_id).where(Account.number == number))).one()


async def charge_back(world: ConsoleWorld) -> str:
    """The payment of the active account is charged back. Returns the id of the chargeback."""
    challenge_id = await challenge_of_active(world)
    async with world.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        found = await chargebacks.note(session, challenge, "dp_1", event="stripe/ev_1")
        seen = Seen(
            chargeback_id="dp_1",
            checkout_id="co_1",
            reference=challenge.id,
            status="evidence_due",
            amount_minor=challenge.fee_minor,
            currency=challenge.currency,
            reason="product_not_received",
            evidence_due_at=await market_now(session) + timedelta(days=2),
            withdrawn=True,
            fee_minor=1_500,
        )
        assert await chargebacks.see(session, found.id, seen, 0)
        assert await session.scalar(select(Suspension.id)) is not None
    return found.id


async def send_and_return(world: ConsoleWorld, payout_id: str) -> None:
    """The payout is sent, arrives, and comes back."""
    async with world.db.transaction() as session:
        payout = await session.get_one(Payout, payout_id)
        await row.advance(session, payout, "approvals_complete")
        attempt = await attempts.begin(session, payout, None, payout.terms_digest, seconds=0)
        said: tuple[RailStatus, ...] = ("pending", "paid")
        for status in said:
            word = RailWord("tr_1", status, row.sent_of(payout))
            await transfers.record(session, payout, attempt, word)
        await row.advance(session, payout, "payout_settled")
        word = RailWord("tr_1", "returned", row.sent_of(payout), "AC04: The account is closed.")
        await transfers.record(session, payout, attempt, word)
        assert payout.state == "returned"
