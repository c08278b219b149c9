"""Activities of workflow `Chargeback`: the firm's answer, the acquirer's word, and what follows for trading.

Each step may run again after any of the others. No transaction is open during a call to the outside.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from temporalio import activity

from activities import provisioning
from activities.deps import Deps
from activities.effects import on_account
from contracts.chargebacks import ChargebackStatus
from contracts.messages import ChargebackStart
from domain import chargebacks as life
from domain import keys
from domain.errors import PropOSError, Unavailable
from firm import challenges, chargebacks, refunds
from firm.growth import next_wake
from ports.acquirer import Acquirer, Evidence
from store import chains, suspensions
from store.db import Database
from store.models import Account, Challenge, Chargeback


class ChargebackActivities:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def all(self) -> Sequence[Callable[..., Awaitable[object]]]:
        return [self.follow]

    @activity.defn(name="chargebacks.follow")
    async def follow(self, start: ChargebackStart) -> ChargebackStatus:
        return await follow(self._deps, start.chargeback_id)


async def follow(deps: Deps, chargeback_id: str) -> ChargebackStatus:
    row = await _row(deps.db, chargeback_id)
    acquirer = deps.payments.acquirers.of(row.acquirer)
    await _answer(deps.db, acquirer, row)
    while True:
        looks = (await _row(deps.db, chargeback_id)).looks
        seen = await acquirer.fetch_chargeback(row.provider_id)
        async with deps.db.transaction() as session:
            if await chargebacks.see(session, chargeback_id, seen, looks):
                break
    await _bind_trading(deps, row.challenge_id)
    async with deps.db.transaction() as session:
        await chargebacks.escalate(session, chargeback_id)
    state = (await _row(deps.db, chargeback_id)).state
    return ChargebackStatus(state=state, over=state in life.DECIDED)


async def _row(db: Database, chargeback_id: str) -> Chargeback:
    async with db.transaction() as session:
        return await session.get_one(Chargeback, chargeback_id)


async def _answer(db: Database, acquirer: Acquirer, row: Chargeback) -> None:
    """Sends the firm's answer, if there is one that the acquirer does not have. The chargeback is read first: an
    earlier call may have taken effect although its answer was lost."""
    async with db.transaction() as session:
        answer = await chargebacks.answer(session, row)
    if answer is None or answer.done:
        return
    refused, key = "", keys.chargeback_answer(row.id, row.round)
    if (await acquirer.fetch_chargeback(row.provider_id)).status in life.ANSWERABLE:
        try:
            if answer.verb == "accept":
                await acquirer.accept_chargeback(row.provider_id, key=key)
            else:
                await acquirer.submit_evidence(row.provider_id, Evidence(**answer.evidence), key=key)
        except Unavailable:
            raise
        except PropOSError as refusal:
            refused = refusal.message
    async with db.transaction() as session:
        await chargebacks.answer_arrived(session, row.id, key, refused=refused)


class _Bound(NamedTuple):
    """An account that a chargeback binds now, or bound. `number` counts the suspensions of its challenge by
    chargebacks."""

    account: Account
    login: int
    number: int
    now: bool


async def _bind_trading(deps: Deps, challenge_id: str) -> None:
    """Locks the accounts of this challenge and of those that go on from it, or lets them trade again. A freeze locks
    none: what it does has a message of its own."""
    async with deps.db.transaction() as session:
        bound: list[_Bound] = []
        for each in sorted(await chains.onward_from(session, [challenge_id])):
            account = await challenges.account(session, await session.get_one(Challenge, each))
            number, now = await suspensions.of_chargebacks(session, each)
            if number and account is not None and account.login is not None:
                bound.append(_Bound(account, account.login, number, now))
    for account, login, number, now in bound:
        if now:
            key = keys.suspension(account.id, number, "suspend")
            await on_account(deps.db, deps.platforms, account, login).lock(key)
        else:
            await _restore(deps, account, login, number)
        await _set_clock(deps, account)


async def _restore(deps: Deps, account: Account, login: int, number: int) -> None:
    async with deps.db.transaction() as session:
        frozen = await refunds.under_way(session, account.challenge_id)
    if not frozen:
        await provisioning.restore(deps, account.id, login, keys.suspension(account.id, number, "restore"))


async def _set_clock(deps: Deps, account: Account) -> None:
    """Stops the clock of the phase while its account is suspended; afterwards it goes on where it was."""
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, account.challenge_id)
        if challenge.state in ("active", "funded") and challenge.account_id == account.id:
            product = await challenges.terms(session, challenge)
            current = await session.get_one(Account, account.id)
            await challenges.wake(session, challenge, await next_wake(session, challenge, current, product))
