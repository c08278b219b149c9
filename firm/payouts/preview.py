"""What a payout would do, before it is asked for: who gets what, and the room it leaves to every limit."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncSession

from domain.money import Money
from domain.payouts.amounts import split
from domain.payouts.checks import leaves_no_room
from domain.proofs.sheets import RefusalPart
from domain.rules.base import VenueCalendar
from domain.rules.room import Room, rooms
from firm.payouts import refusals as payout_refusals
from firm.payouts import situation as payout_facts
from store.read.pages import View


class RoomChange(View):
    """One limit before and after; `room_after_minor` of 0 or less is no room at all."""

    rule_id: str
    floor_minor: int
    floor_after_minor: int
    room_minor: int
    room_after_minor: int


class PayoutPreview(View):
    """`refusals` say why it could not be asked for now, `refusal_figures` the same for programs ({"code", "sentence",
    "figures"}); `warnings` what it would lead to. `least_room_minor` is the smallest room to any limit afterwards.
    `sent_minor` goes to the trader: the share, and `refund_minor` of the fee; `forfeited_minor` leaves the account for
    nobody. `cycle`: the payout cycle that these figures are for; None: the usual one."""

    currency: str
    cycle: str | None
    gross_minor: int
    trader_minor: int
    firm_minor: int
    refund_minor: int
    forfeited_minor: int
    sent_minor: int
    most_minor: int
    rooms: tuple[RoomChange, ...]
    least_room_minor: int
    refusals: tuple[str, ...]
    refusal_figures: tuple[RefusalPart, ...]
    warnings: tuple[str, ...]


async def preview(
    session: AsyncSession,
    account_id: str,
    gross: Money,
    *,
    cycle: str | None = None,
    calendars: Mapping[str, VenueCalendar] | None = None,
) -> PayoutPreview:
    """Raises NotFound, or BadInput for an unknown cycle; the caller has made sure that the account may be seen."""
    current = await payout_facts.situation(session, account_id, cycle=cycle, requested=gross, calendars=calendars)
    share, firm = split(gross, current.product.payout, current.facts)
    amount, reasons = current.amount(gross), payout_refusals.refusals(current, gross)
    before, after = rooms(current.rules, current.mark), payout_facts.rooms_left(current, gross)
    return PayoutPreview(
        currency=gross.currency,
        cycle=cycle,
        gross_minor=gross.minor,
        trader_minor=share.minor,
        firm_minor=firm.minor,
        refund_minor=amount.refund,
        forfeited_minor=amount.forfeited,
        sent_minor=share.minor + amount.refund,
        most_minor=current.most.minor,
        rooms=tuple(_change(old, new) for old, new in zip(before, after, strict=True)),
        least_room_minor=min(room.room_minor for room in after),
        refusals=tuple(part.sentence for part in reasons),
        refusal_figures=reasons,
        warnings=tuple(leaves_no_room(room, gross.currency) for room in after if room.is_none),
    )


def _change(before: Room, after: Room) -> RoomChange:
    return RoomChange(
        rule_id=before.spec.key,
        floor_minor=before.floor_minor,
        floor_after_minor=after.floor_minor,
        room_minor=before.room_minor,
        room_after_minor=after.room_minor,
    )
