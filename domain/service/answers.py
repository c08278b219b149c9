"""The likely answer to a ticket: what the record says about its account, as sentences that a person can check."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from domain.payouts.blocks import Block
from domain.wording import instant, money

Topic = Literal["breach", "payout", "room", "identity", "account"]
_ENDS: Final = {
    "time": "it ends by itself",
    "trader": "the trader can end it",
    "firm": "the firm has to act",
    "nobody": "it does not end",
}


@dataclass(frozen=True, slots=True)
class Likely:
    """One sentence and where it is proved: a kind of page and an id; empty when it has no page of its own."""

    topic: Topic
    sentence: str
    kind: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """A breach of the account. `counts`: it was not overturned."""

    rule: str
    at: datetime
    equity_minor: int
    floor_minor: int | None
    proof_id: str
    counts: bool
    dispute_until: datetime | None


@dataclass(frozen=True, slots=True)
class Least:
    """The limit with the least room."""

    rule: str
    room_minor: int
    floor_minor: int
    at: datetime | None


def moment(at: datetime) -> str:
    """Returns "2026-03-01 12:00 UTC", whatever the zone of `at`."""
    return instant(at.astimezone(UTC))


def blocks_sentence(blocks: Sequence[Block]) -> str:
    """Returns everything in the way of a payout as one sentence; empty when nothing is."""
    return "; ".join(_block(block) for block in blocks)


def _block(block: Block) -> str:
    until = f" until {moment(block.until)}" if block.until else ""
    return f"{block.sentence} ({_ENDS[block.ended_by]}{until})"


def likely(
    *,
    currency: str,
    broken: Broken | None,
    payout: tuple[str, str] | None,
    blocks: Sequence[Block],
    possible_from: datetime | None,
    now: datetime,
    least: Least | None,
    identity: str,
) -> list[Likely]:
    """Returns the sentences, the most pressing first. `payout`: id and what the trader is told of the newest one."""
    found = list[Likely]()
    if broken is not None:
        found.append(_breach(broken, currency))
    if payout is not None:
        found.append(Likely("payout", f"The newest payout: {payout[1]}", "payout", payout[0]))
    if blocks:
        found.append(Likely("payout", f"In the way of a payout: {blocks_sentence(blocks)}."))
        if possible_from is not None and possible_from > now:
            found.append(
                Likely("payout", f"A payout can be requested from {moment(possible_from)}, if nothing changes.")
            )
    if least is not None:
        at = f" at {moment(least.at)}" if least.at else ""
        room, floor = money(least.room_minor, currency), money(least.floor_minor, currency)
        found.append(Likely("room", f"Least room: {room} to {least.rule}, whose floor is {floor}{at}."))
    if identity != "verified":
        found.append(Likely("identity", f"The identity of the trader is {identity}.", "trader"))
    return found


def _breach(broken: Broken, currency: str) -> Likely:
    floor = "" if broken.floor_minor is None else f", the floor {money(broken.floor_minor, currency)}"
    sentence = (
        f"{broken.rule} was broken at {moment(broken.at)}: equity was {money(broken.equity_minor, currency)}{floor}."
    )
    if not broken.counts:
        sentence += " The breach was overturned."
    elif broken.dispute_until is not None:
        sentence += f" It can be disputed until {moment(broken.dispute_until)}."
    return Likely("breach", sentence, "proof", broken.proof_id)
