"""Interventions on the record: one person proposes to adjust, close or reset an account, and another one approves.

An approved adjustment is carried out by the outbox (`relay/adjusting.py`), a closing and a free reset by the workflow
of the challenge; a challenge that has ended is opened again at once.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import challenge_workflow
from contracts.messages import ChallengeStart, ClosedByFirm, PhaseGivenAnew
from domain import interventions as rules
from domain import record_keys
from domain.adjustments import Adjusted, adjusted
from domain.approvals import Actor, check_may_withdraw, check_other_person, check_reason
from domain.errors import BadInput, Conflict, NotAllowed, NotFound
from domain.interventions import INTERVENTION, TRIGGERS, WITHDRAWN, InterventionFacts, Kind, Verb
from domain.keys import new_id
from domain.lifecycle import CHALLENGE
from domain.money import Money
from domain.products.phase_terms import phase_terms
from domain.rules.floors import Mark
from domain.rules.state import from_json
from firm import account_waits, challenges, messages, orders, people
from firm import decide as guard
from firm.intervention_ends import KIND, about, done, step
from firm.payouts import account as payout_account
from store import audit, reasons, rows
from store.clock import market_now
from store.models import Account, AccountLive, Challenge, Intervention, User
from store.read import places


async def facts(
    session: AsyncSession, challenge: Challenge, account: Account, *, moves_balances: bool, but: str = ""
) -> InterventionFacts:
    """Returns what the record says of an account. `moves_balances`: what its platform can do. `but`: the intervention
    itself."""
    product = await challenges.terms(session, challenge)
    waits = select(Intervention.state).where(
        Intervention.account_id == account.id, Intervention.state.in_(rules.OPEN), Intervention.id != but
    )
    return InterventionFacts(
        status=account.status,
        current=challenge.account_id == account.id,
        state=challenge.state,
        evaluates=account.phase_index < product.funded_index,
        payout=bool(await account_waits.open_payouts(session, account.id)),
        dispute=bool(await account_waits.open_disputes(session, account.id)),
        case=bool(await account_waits.open_cases(session, account.id)),
        order=await orders.is_ordered(session, challenge.id),
        change=await places.unfinished(session, account.id) is not None,
        reset=await payout_account.reset_waits(session, account.id),
        spent=await orders.has_no_successor(session, challenge),
        waits=await session.scalar(waits.limit(1)) or "",
        judged=await challenges.verdict_waits(session, account.id),
        known=await session.get(AccountLive, account.id) is not None,
        moves_balances=moves_balances,
        platform=account.platform,
    )


async def propose(
    session: AsyncSession,
    account_id: str,
    kind: Kind,
    *,
    change: Money | None,
    moves_balances: bool,
    actor: Actor,
    reason: str,
    message: str,
) -> Intervention:
    """One person proposes it; nothing changes before another one approves. `change`: what an adjustment adds to the
    balance, None for the other kinds. `reason` is for the firm, `message` for the trader.

    Raises NotAllowed, SelfApproval (their own account), BadInput, NotFound, Conflict (it cannot be done now).
    """
    if actor.role not in rules.PROPOSERS:
        raise NotAllowed(
            f"Proposing this needs the role {' or '.join(sorted(rules.PROPOSERS))}; yours is {actor.role}."
        )
    check_reason(reason)
    if not message.strip():
        raise BadInput("Say what the trader is told.", field="message", remedy="One sentence is enough.")
    challenge, account = await _locked(session, account_id)
    await _check_not_own(session, account.trader_id, actor)
    _check(kind, await facts(session, challenge, account, moves_balances=moves_balances))
    if change is not None:
        await _check_change(session, account, change)
    now = await market_now(session)
    made = Intervention(
        id=new_id("itv"),
        account_id=account.id,
        challenge_id=challenge.id,
        trader_id=account.trader_id,
        kind=kind,
        change_minor=None if change is None else change.minor,
        currency=account.currency,
        reason=await reasons.seal(session, reason),
        message=await reasons.seal(session, message),
        state=INTERVENTION.initial,
        proposed_by=actor.user_id,
        proposed_at=now,
    )
    session.add(made)
    await session.flush()
    await audit.record(
        session,
        action="intervention.proposed",
        subject_kind=KIND,
        subject_id=made.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence=about(made),
    )
    return made


async def decide(
    session: AsyncSession,
    intervention_id: str,
    *,
    verb: Verb,
    moves_balances: bool,
    actor: Actor,
    reason: str,
    key: str,
) -> Intervention:
    """Another person approves or rejects it. An approval begins it. The same key again changes nothing.

    Raises NotFound, NotAllowed, NeedsPerson, SelfApproval, AlreadyDecided, BadInput, IllegalTransition, Conflict (it
    cannot be done any more).
    """
    found = await session.get(Intervention, intervention_id)
    if found is None:
        raise NotFound
    challenge, account = await _locked(session, found.account_id)
    made = await rows.locked(session, Intervention, intervention_id)
    subject = guard.Subject(
        kind=KIND,
        id=made.id,
        digest=rules.digest(made.id, made.kind, made.account_id, made.change_minor),
        evidence=about(made),
        asked_by=(await session.get_one(User, made.proposed_by)).person_id,
        once=True,
    )

    async def still_open(_made: object) -> None:
        INTERVENTION.next(made.state, TRIGGERS[verb])
        await _check_not_own(session, made.trader_id, actor)
        if verb == "approve":
            _check(made.kind, await facts(session, challenge, account, moves_balances=moves_balances, but=made.id))
            if made.change_minor is not None:
                await _check_change(session, account, Money(minor=made.change_minor, currency=made.currency))

    now = await guard.record(session, subject, guard.Choice(verb, actor, reason, key), still_open)
    if now is None:
        return made
    await step(session, made, TRIGGERS[verb], now, actor=actor, reason=reason)
    if verb == "approve":
        await _begin(session, made, challenge, account, now)
    return made


async def withdraw(session: AsyncSession, intervention_id: str, *, actor: Actor, reason: str) -> Intervention:
    """Take a proposal back; only who made it may. Raises NotFound, NotAllowed, BadInput, IllegalTransition."""
    made = await rows.locked(session, Intervention, intervention_id)
    check_may_withdraw(actor, made.proposed_by, reason)
    await step(session, made, WITHDRAWN, await market_now(session), actor=actor, reason=reason)
    return made


async def _begin(
    session: AsyncSession, made: Intervention, challenge: Challenge, account: Account, now: datetime
) -> None:
    key = record_keys.intervention(made.id)
    if made.kind == "adjust":
        await messages.adjust_balance(session, account, made.id)
    elif made.kind == "close":
        await messages.signal(session, challenge_workflow(challenge.id), ClosedByFirm(key=key, case_id=""))
    elif challenge.state in CHALLENGE.terminal:
        await give_anew(session, made, challenge, account, now)
        start = ChallengeStart(challenge_id=challenge.id, state=challenge.state, phase_index=challenge.phase_index)
        await messages.start_again(session, challenge_workflow(challenge.id), start)
    else:
        fact = PhaseGivenAnew(key=key, intervention_id=made.id)
        await messages.signal(session, challenge_workflow(challenge.id), fact)


async def give_anew(
    session: AsyncSession, made: Intervention, challenge: Challenge, account: Account, now: datetime
) -> None:
    """Has the phase of a locked challenge opened once more on a new account, without a fee."""
    detail = {"account_id": account.id, "phase_index": account.phase_index, "intervention_id": made.id}
    await challenges.end_account(session, challenge, "closed" if account.status == "active" else account.status, now)
    await challenges.wake(session, challenge, None)
    await challenges.move(
        session, challenge, "retake_granted", key=record_keys.intervention(made.id), at=now, detail=detail
    )
    challenge.phase_index = account.phase_index - 1  # the next account opens phase_index + 1
    await done(session, made, now)


async def adjustment(session: AsyncSession, account: Account, change: Money) -> Adjusted:
    """Returns what a change of the balance on record would do to it and to the room to every level. Raises BadInput for
    another currency, Conflict when the balance is not known."""
    if change.currency != account.currency:
        raise BadInput(f"The account is in {account.currency}.", field="amount", remedy="Give an amount in it.")
    live = await session.get(AccountLive, account.id, populate_existing=True)
    if live is None:
        raise Conflict("The balance of the account is not known yet.", remedy="Try again in a minute.")
    challenge = await session.get_one(Challenge, account.challenge_id)
    product = await challenges.terms(session, challenge)
    terms = phase_terms(product, account.phase_index, initial_minor=account.initial_minor)
    mark = Mark(live.balance_minor, live.equity_minor, 0, live.at)
    return adjusted(from_json(terms.specs, live.rule_state["rules"]), mark, change)


async def ahead(
    session: AsyncSession, account: Account, change: Money, *, moves_balances: bool
) -> tuple[Adjusted, str]:
    """Returns what an adjustment would do now, and why it could not be proposed: a sentence, empty when it could.
    Nothing is locked. Raises BadInput for another currency, Conflict when the balance is not known."""
    found = await adjustment(session, account, change)
    challenge = await session.get_one(Challenge, account.challenge_id)
    why = rules.why_not("adjust", await facts(session, challenge, account, moves_balances=moves_balances))
    try:
        rules.check_change(found)
    except BadInput as refused:
        return found, why or f"{refused.message} {refused.remedy}"
    return found, why


async def _check_change(session: AsyncSession, account: Account, change: Money) -> None:
    rules.check_change(await adjustment(session, account, change))


def _check(kind: str, found: InterventionFacts) -> None:
    why = rules.why_not(_kind(kind), found)
    if why:
        raise Conflict(why, field="account", remedy="Look at the account again.")


def _kind(kind: str) -> Kind:
    return next(each for each in rules.KINDS if each == kind)


async def _locked(session: AsyncSession, account_id: str) -> tuple[Challenge, Account]:
    """Returns an account with its challenge, both locked in the order in which everybody locks. Raises NotFound."""
    found = await session.get(Account, account_id)
    if found is None:
        raise NotFound
    challenge = await challenges.lock(session, found.challenge_id)
    return challenge, await rows.locked(session, Account, account_id)


async def _check_not_own(session: AsyncSession, trader_id: str, actor: Actor) -> None:
    owner = await people.person_of(session, trader_id)
    check_other_person(actor, [owner], "This account is yours; somebody else must do this.")
