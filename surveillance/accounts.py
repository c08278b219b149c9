"""Accounts as the record knows them, numbered in the order in which they came: a number never changes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from surveillance.book import OUTCOMES, Accounts, Indexes, Ints


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """One account. Times in microseconds, amounts in minor units of `currency`; see `Accounts`. `platform`: where it
    is, whose sequence numbers its deals have; "" when it has been at several. `venue`: where it is now, in any case;
    `ahead`: microseconds by which the clock there is ahead of ours, None when it is not estimated."""

    id: str
    owner: str
    challenge: str
    phase: str
    product: str
    currency: str
    zone: str
    platform: str
    size_minor: int
    daily_loss_minor: int
    max_loss_minor: int
    target_minor: int
    min_days: int
    opened: int
    ended: int
    outcome: str
    venue: str = ""
    ahead: int | None = None


def clocks_of(facts: Sequence[AccountFacts]) -> tuple[Ints, Indexes]:
    """Returns (how far the clock of each account's venue is ahead, 0 when it is not estimated; the group of each
    account's clock), as a book has them."""
    offset = np.array([each.ahead or 0 for each in facts], dtype=np.int64)
    unknown = sorted({each.venue for each in facts if each.ahead is None})
    number = {venue: n for n, venue in enumerate(unknown, start=1)}
    group = np.array([0 if each.ahead is not None else number[each.venue] for each in facts], dtype=np.int32)
    return offset, group


def accounts_of(facts: Sequence[AccountFacts]) -> Accounts:
    """Returns the table, one row per fact in the given order. Names are numbered as they come: rows that are added
    later change no number."""

    def named(name: str) -> tuple[Indexes, tuple[str, ...]]:
        told = [getattr(each, name) for each in facts]
        known = {each: n for n, each in enumerate(dict.fromkeys(told))}
        return np.array([known[each] for each in told], dtype=np.int32), tuple(known)

    def amounts(name: str) -> Ints:
        return np.array([getattr(each, name) for each in facts], dtype=np.int64)

    owner, owners = named("owner")
    challenge, challenges = named("challenge")
    phase, phases = named("phase")
    product, products = named("product")
    currency, currencies = named("currency")
    zone, zones = named("zone")
    ids: npt.NDArray[np.object_] = np.empty(len(facts), dtype=object)
    ids[:] = [each.id for each in facts]
    return Accounts(
        id=ids,
        owner=owner,
        challenge=challenge,
        phase=phase,
        product=product,
        currency=currency,
        zone=zone,
        size_minor=amounts("size_minor"),
        daily_loss_minor=amounts("daily_loss_minor"),
        max_loss_minor=amounts("max_loss_minor"),
        target_minor=amounts("target_minor"),
        min_days=amounts("min_days"),
        opened=amounts("opened"),
        ended=amounts("ended"),
        outcome=np.array([OUTCOMES.index(each.outcome) for each in facts], dtype=np.int8),
        owners=owners,
        challenges=challenges,
        phases=phases,
        products=products,
        currencies=currencies,
        zones=zones,
    )
