"""What is in the way of a payout now, as the record has it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Select, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.payouts.checks import RiskFacts
from domain.payouts.transfer import MONEY_IS_OUT, OVER
from domain.products.product import Product
from firm import beneficiaries, chargebacks, payment_reviews, screening
from firm.payouts import account as payout_account
from firm.payouts import attempts, conversions, deducted, policies, readings, row
from store import clock, products, rows, surveillance, suspensions
from store.clock import market_now
from store.models import Account, AccountLive, Beneficiary, Dispute, Payout, Trader
from store.read.named import written
from store.read.pages import account_number
from store.together import ManyRows, Param, Rows

_OPEN_DISPUTES: Final = ("opened", "awaiting_decision", "reinstating")


async def risk_facts(session: AsyncSession, payout: Payout) -> RiskFacts:
    """Returns what is in this payout's way now. Locks challenge, account and identity until the transaction ends."""
    challenge, account = await payout_account.lock(session, payout.challenge_id, payout.account_id)
    product = await products.load(session, account.product, account.version)
    identity = await _locked_identity(session, payout.trader_id)
    live = await session.get(AccountLive, account.id, populate_existing=True)
    found = await _read(session, payout, live)
    tainted = deducted.trades(found["tainted"])
    is_suspect = bool(found["confirmed"]) or challenge.replaces is not None
    confirmed = await surveillance.confirmed_against(session, challenge.id) if is_suspect else ()
    return RiskFacts(
        challenge_state=challenge.state,
        account_status=account.status,
        frozen=bool(found["frozen"]),
        breaches=_ids(found["breaches"]),
        open_reviews=payout_account.named_reviews((each["id"], each["kind"]) for each in found["reviews"]),
        levels_beyond=_levels_beyond(payout, account, product, live, found),
        identity=identity,
        unread=bool(found["unread"]),
        open_cases={each["id"]: _held_because(each) for each in found["cases"]},
        denied_by={each["case_id"]: each["rule"] for each in found["denied"]},
        confirmed_cases=tuple(confirmed),
        open_disputes=_ids(found["disputes"]),
        open_chargebacks={each["id"]: each["challenge_id"] for each in found["chargebacks"]},
        open_payment_reviews={
            each["id"]: payment_reviews.happened(each["kind"], each["challenge_id"])
            for each in found["payment_reviews"]
        },
        beneficiary_waits=await _beneficiary_waits(session, payout),
        **await _exchange(session, payout, found["attempts"]),
        sanctions=await screening.facts(session, payout.trader_id, found),
        terms_intact=row.digest(payout, product) == payout.terms_digest,
        halted=payout.halted or "",
        transfer_begun=_begun(found["attempts"]),
        transfers_out=tuple(str(each["id"]) for each in found["attempts"] if each["state"] in MONEY_IS_OUT),
        has_arrived=payout.reopened_at is not None,
        tainted=tainted,
        tainted_part=deducted.part_of(payout, tainted),
    )


async def _locked_identity(session: AsyncSession, trader_id: str) -> str:
    """Returns the state of the trader's identity, which stays as it is until the transaction ends."""
    trader = await session.get(Trader, trader_id, with_for_update={"read": True}, populate_existing=True)
    if trader is None:
        return "gone"
    rows.keep(session, trader)
    return trader.identity


async def _read(session: AsyncSession, payout: Payout, live: AccountLive | None) -> dict[str, Rows]:
    """Returns what the other tables say, read after the locks. Without a checkpoint of the account no money is found.
    The rest of this transaction goes by the market time and the policy that are read here."""
    found = await _ON_RECORD.read(
        session,
        account=payout.account_id,
        challenge=payout.challenge_id,
        trader=payout.trader_id,
        requested=payout.requested_at,
        payout=payout.id,
        hold=keys.payout_hold(payout.id),
        forfeit=keys.payout_forfeit(payout.id),
        checkpoint=None if live is None else live.at,
    )
    await market_now(session, clock.of_json(found["market"]))
    policies.take_known(session, [str(each["content_hash"]) for each in found["policy"]])
    return found


def _begun(found: Rows) -> bool:
    """Returns whether the rail was asked to make the attempt that the payout waits for, and has not answered."""
    waiting = [each for each in found if each["state"] not in OVER]
    current = [*found, *waiting][-1:]
    return any(attempts.waits(each["state"], each["tries"]) for each in current)


def _held_because(case: Mapping[str, Any]) -> str:
    """Returns why a case holds a payout and until when, as operators read it."""
    until = case["hold_until"] and datetime.fromisoformat(case["hold_until"]).astimezone(UTC)
    ends = f" The hold ends on {until:%Y-%m-%d %H:%M} UTC." if until else ""
    raised = " The case is escalated to admin." if case["escalated_at"] else ""
    names = {account_id: account_number(number) for account_id, number in (case["numbers"] or {}).items()}
    return f"{written(case['sentence'], names)}{ends}{raised}"


def _ids(found: Rows) -> tuple[str, ...]:
    return tuple(str(each["id"]) for each in found)


def _levels_beyond(
    payout: Payout, account: Account, product: Product, live: AccountLive | None, found: dict[str, Rows]
) -> tuple[str, ...]:
    if live is None:
        return ()
    money = live.balance_minor, live.equity_minor
    for newer in found["money"]:
        money = newer["balance_minor"], newer["close_minor"]
    left = [each["key"] for each in found["left"]]
    return payout_account.levels_beyond(payout, account, product, live, money, left)


def disputes_query(challenge_id: Param[str]) -> Select[tuple[str]]:
    """The ids of the disputes of this challenge that are not decided. An appeal against what was decided about a case
    holds no payout."""
    of_breach = Dispute.breach_id.is_not(None)
    found = select(Dispute.id).where(Dispute.challenge_id == challenge_id, of_breach, Dispute.state.in_(_OPEN_DISPUTES))
    return found.order_by(Dispute.id)


async def _exchange(session: AsyncSession, payout: Payout, made: Rows) -> dict[str, str]:
    """Returns what is exchanged, and why its rate may not be used. The first call to send has fixed the rate."""
    conversion = conversions.of(payout)
    if conversion is None:
        return {}
    fixed = _begun(made) or any(each["state"] in MONEY_IS_OUT for each in made)
    policy, now = await policies.in_force(session), await market_now(session)
    waits = "" if fixed else conversions.why_waits(conversion, policy, now)
    return {"converted": conversions.sentence(conversion), "rate_waits": waits}


async def _beneficiary_waits(session: AsyncSession, payout: Payout) -> str:
    paid_to = await session.get(Beneficiary, payout.beneficiary_id or "", populate_existing=True)
    if paid_to is None:
        return ""
    return beneficiaries.why_waits(paid_to, await policies.in_force(session), await market_now(session))


_ON_RECORD: Final = ManyRows(
    market=clock.WATERMARK,
    policy=policies.newest_query(),
    money=payout_account.newer_money_query(bindparam("account"), bindparam("checkpoint")),
    left=payout_account.left_query(bindparam("account"), bindparam("hold"), bindparam("forfeit")),
    breaches=payout_account.breaches_query(bindparam("account")),
    frozen=suspensions.freeze_query(bindparam("challenge")),
    reviews=payout_account.open_reviews_query(bindparam("account")),
    cases=surveillance.holding_query(bindparam("challenge")),
    denied=surveillance.denied_query(bindparam("payout")),
    confirmed=surveillance.confirmed_query(bindparam("challenge")),
    disputes=disputes_query(bindparam("challenge")),
    chargebacks=chargebacks.undecided_query(bindparam("trader")),
    payment_reviews=payment_reviews.holding_query(bindparam("trader")),
    attempts=attempts.states_query(bindparam("payout")),
    tainted=deducted.in_force_query(bindparam("account")),
    unread=readings.unread_query(),
    **screening.queries(bindparam("trader")),
)
