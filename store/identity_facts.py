"""Facts about who stands behind a trader, kept as keyed digests: nobody can read an address or a card out of them.

A fact is a value of a kind that a source told of a trader, when first, when last, and how often. Equal values have
equal digests, so that two traders with one card are seen; the values themselves are not kept here.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import NotFound
from store import audit, crypto
from store.clock import market_now
from store.models import Account, IdentityFact, Trader

Kind = Literal["ip", "device", "card", "beneficiary", "address", "document"]
_HOME_BITS: Final = 64  # of an IPv6 address: the rest changes from day to day


async def note(session: AsyncSession, trader_id: str, kind: Kind, value: str, *, source: str) -> None:
    """Records that `source` told this value of the trader. Nothing is recorded of an empty one."""
    plain = _plain(kind, value)
    if not plain:
        return
    row = {
        "trader_id": trader_id,
        "kind": kind,
        "digest": crypto.keys().digest(f"{kind}:{plain}"),
        "source": source,
        "first_at": func.clock_timestamp(),
        "last_at": func.clock_timestamp(),
        "times": 1,
    }
    made = insert(IdentityFact).values(row)
    again = {"last_at": func.clock_timestamp(), "times": IdentityFact.times + 1}
    await session.execute(
        made.on_conflict_do_update(index_elements=["trader_id", "kind", "digest", "source"], set_=again)
    )


def _plain(kind: Kind, value: str) -> str:
    """Returns the value as it is compared."""
    text = " ".join(value.split()).casefold()
    if kind == "ip":
        return _network(text)
    return text.replace(" ", "") if kind in ("card", "beneficiary", "document") else text


def _network(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _HOME_BITS), strict=False))
    return str(address)


@dataclass(frozen=True, slots=True)
class AccountFact:
    """A fact of an account's trader, `at` wall time when it was told last."""

    account_id: str
    kind: str
    digest: str
    at: datetime


async def of_accounts(session: AsyncSession, *, trader_id: str | None = None) -> list[AccountFact]:
    """Returns the facts of all traders, or of one, for each of their accounts."""
    query = (
        select(Account.id, IdentityFact.kind, IdentityFact.digest, func.max(IdentityFact.last_at))
        .join(IdentityFact, IdentityFact.trader_id == Account.trader_id)
        .group_by(Account.id, IdentityFact.kind, IdentityFact.digest)
        .order_by(Account.id, IdentityFact.kind, IdentityFact.digest)
    )
    if trader_id is not None:
        query = query.where(Account.trader_id == trader_id)
    return [AccountFact(*row) for row in await session.execute(query)]


@dataclass(frozen=True, slots=True)
class SeenFact:
    """A fact as a person sees it. `mark`: the first digits of its digest, to compare two. `traders`: how many traders
    have the same."""

    kind: str
    mark: str
    source: str
    first_at: datetime
    last_at: datetime
    times: int
    traders: int


async def read(session: AsyncSession, trader_id: str, actor: Actor, reason: str) -> Sequence[SeenFact]:
    """Returns the facts of a trader, and writes to the audit log who read them and why. Raises NotFound."""
    if await session.get(Trader, trader_id) is None:
        raise NotFound
    other = IdentityFact.__table__.alias("other")
    sharing = (
        select(func.count(other.c.trader_id.distinct()))
        .where(other.c.kind == IdentityFact.kind, other.c.digest == IdentityFact.digest)
        .correlate(IdentityFact)
        .scalar_subquery()
    )
    rows = await session.execute(
        select(IdentityFact, sharing)
        .where(IdentityFact.trader_id == trader_id)
        .order_by(IdentityFact.kind, IdentityFact.last_at.desc(), IdentityFact.digest)
    )
    found = [
        SeenFact(row.kind, row.digest[:8], row.source, row.first_at, row.last_at, row.times, int(count))
        for row, count in rows
    ]
    await audit.record(
        session,
        action="trader.identity_facts_read",
        subject_kind="trader",
        subject_id=trader_id,
        occurred_at=await market_now(session),
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence={"facts": len(found)},
    )
    return found
