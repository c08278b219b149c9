"""What a payout would do, before it is asked for: who gets what, the room it leaves to every limit, and what is in its
way until when. Every figure is computed as the request itself computes it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput
from domain.exchange import Conversion
from domain.money import Money
from domain.payouts.amounts import split
from domain.payouts.blocks import (
    Block,
    beneficiary_block,
    closing_block,
    dispute_block,
    identity_block,
    open_payout_block,
    payment_block,
    platform_change_block,
    possible_from,
    refusal_block,
)
from domain.payouts.checks import leaves_no_room
from domain.payouts.tainted import TaintedTrade
from domain.proofs.sheets import RefusalPart
from domain.rules.base import VenueCalendar
from domain.rules.room import Room, rooms
from firm import beneficiaries
from firm.payouts import account as payout_account
from firm.payouts import conversions, policies
from firm.payouts import refusals as payout_refusals
from firm.payouts import situation as payout_facts
from firm.payouts.requests import Payable, sent_of
from firm.payouts.risk import disputes_query
from firm.payouts.situation import Situation
from store import changing
from store.models import Beneficiary, Payout
from store.read.pages import View
from store.together import OneValueEach, as_list


class RoomChange(View):
    """One limit before and after; `room_after_minor` of 0 or less is no room at all."""

    rule_id: str
    floor_minor: int
    floor_after_minor: int
    room_minor: int
    room_after_minor: int


class RateView(View):
    """One unit of the account's currency buys `price` of the other one, as `source` quoted it at `at`."""

    price: str
    source: str
    at: datetime


class PayoutPreview(View):
    """`refusals` say why it could not be asked for now, `refusal_figures` the same for programs ({"code", "sentence",
    "figures"}); `warnings` what it would lead to. `least_room_minor` is the smallest room to any limit afterwards.
    `base_minor`: the profit that payouts come from, without what the rules left out of it (`deducted_minor`) and
    without the profit of the trades in `tainted`. `sent_minor` goes to the trader: the share, and `refund_minor` of the
    fee; `forfeited_minor` leaves the account for nobody. `cycle`: the payout cycle that these figures are for; None:
    the usual one. `blocks`: everything in the way of the request and of the payment after it, with its end where that
    is known. `possible_from`: the market time from which the request is possible if the account stays as it is; None
    when more than time is in its way. `paid_minor` in `paid_currency` is what the bank account gets, at `rate` if it is
    exchanged; None where no rate can be used."""

    currency: str
    cycle: str | None
    gross_minor: int
    trader_minor: int
    firm_minor: int
    refund_minor: int
    forfeited_minor: int
    base_minor: int
    deducted_minor: int
    tainted: tuple[TaintedTrade, ...]
    sent_minor: int
    paid_minor: int | None
    paid_currency: str
    rate: RateView | None = None
    most_minor: int
    rooms: tuple[RoomChange, ...]
    least_room_minor: int
    refusals: tuple[str, ...]
    refusal_figures: tuple[RefusalPart, ...]
    warnings: tuple[str, ...]
    blocks: tuple[Block, ...] = ()
    possible_from: datetime | None = None


_IN_THE_WAY: Final = OneValueEach(
    change=changing.under_way_query(bindparam("account")),
    closing=payout_account.approved_closing_query(bindparam("account")),
    policy=policies.newest_query(),
    disputes=as_list(disputes_query(bindparam("challenge"))),
)


async def preview(
    session: AsyncSession,
    account_id: str,
    gross: Money | None = None,
    *,
    cycle: str | None = None,
    beneficiary_id: str | None = None,
    payable: Payable | None = None,
    calendars: Mapping[str, VenueCalendar] | None = None,
) -> PayoutPreview:
    """`gross`: what is asked for; None: the most that can be requested. `beneficiary_id`: the bank account that is
    paid; None: the newest. `payable`: as in a request; None: the rails are not asked.

    Raises NotFound; BadInput for an unknown cycle or bank account. The caller has made sure that the account may be
    seen.
    """
    if gross is None:
        current, gross = await payout_facts.at_most(session, account_id, cycle=cycle, calendars=calendars)
    else:
        current = await payout_facts.situation(session, account_id, cycle=cycle, requested=gross, calendars=calendars)
    share, firm = split(gross, current.product.payout, current.facts)
    amount, reasons = current.amount(gross), payout_refusals.refusals(current, gross)
    paid_to = await beneficiaries.named(session, current.trader, beneficiary_id)
    blocks = await _blocks(session, current, reasons, paid_to)
    currency = gross.currency if paid_to is None or paid_to.currency is None else paid_to.currency
    sent, exchanged = sent_of(current, gross), None
    try:
        if paid_to is not None and payable is not None:
            payable(paid_to.rail, paid_to.account, current.trader.name, currency)
        exchanged = await conversions.of_amount(session, sent, currency)
    except BadInput as refusal:
        blocks = (*blocks, payment_block(refusal))
    paid = sent if currency == sent.currency else None if exchanged is None else exchanged.bought
    before, after = rooms(current.rules, current.mark), payout_facts.rooms_left(current, gross)
    return PayoutPreview(
        currency=gross.currency,
        cycle=cycle,
        gross_minor=gross.minor,
        trader_minor=share.minor,
        firm_minor=firm.minor,
        refund_minor=amount.refund,
        forfeited_minor=amount.forfeited,
        base_minor=amount.base,
        deducted_minor=current.facts.deducted_minor,
        tainted=current.facts.tainted,
        sent_minor=share.minor + amount.refund,
        paid_minor=None if paid is None else paid.minor,
        paid_currency=currency,
        rate=_rate_view(exchanged),
        most_minor=current.most.minor,
        rooms=tuple(room_change(old, new) for old, new in zip(before, after, strict=True)),
        least_room_minor=min(room.room_minor for room in after),
        refusals=tuple(part.sentence for part in reasons),
        refusal_figures=reasons,
        warnings=tuple(leaves_no_room(room, gross.currency) for room in after if room.is_none),
        blocks=blocks,
        possible_from=possible_from(blocks, current.facts.now),
    )


def _rate_view(exchanged: Conversion | None) -> RateView | None:
    if exchanged is None:
        return None
    rate = exchanged.rate
    return RateView(price=f"{rate.price:f}", source=rate.source, at=rate.at)


async def _blocks(
    session: AsyncSession, current: Situation, reasons: Sequence[RefusalPart], paid_to: Beneficiary | None
) -> tuple[Block, ...]:
    """Returns what is in the way. What surveillance and screening know is not among it: its trader reads this too."""
    found = [refusal_block(part.code, part.sentence, part.figures) for part in reasons]
    if current.facts.open_payout_id is not None:
        payout = await session.get_one(Payout, current.facts.open_payout_id)
        found.append(open_payout_block(payout.decide_by))
    known = await _IN_THE_WAY.read(session, account=current.account.id, challenge=current.challenge.id)
    if known.change is not None:
        found.append(platform_change_block())
    if known.closing is not None:
        found.append(closing_block())
    policies.take_known(session, [known.policy])
    policy, now = await policies.in_force(session), current.facts.now
    waits = "" if paid_to is None else beneficiaries.why_waits(paid_to, policy, now)
    usable_at = None if paid_to is None else beneficiaries.usable_at(paid_to, policy)
    others = [identity_block(current.trader.identity), beneficiary_block(waits, usable_at)]
    others += [dispute_block(row["id"]) for row in known.disputes or ()]
    return (*found, *(block for block in others if block is not None))


def room_change(before: Room, after: Room) -> RoomChange:
    return RoomChange(
        rule_id=before.spec.key,
        floor_minor=before.floor_minor,
        floor_after_minor=after.floor_minor,
        room_minor=before.room_minor,
        room_after_minor=after.room_minor,
    )
