"""The shard of each account: chosen when the account is created, changed by a move.

This module requests moves and shows them. The shards carry them out (`monitor.handover`).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput, Conflict, NotFound
from domain.keys import new_id
from store import audit
from store.clock import market_now
from store.models import Account, Shard, ShardMove, ShardMoveAccount

LIVE: Final = ("opening", "active")
_UNFINISHED: Final = ("requested", "released")


@dataclass(frozen=True, slots=True)
class ShardView:
    """A shard now. `accounts` counts opening and active ones; `leaving` and `coming` count accounts that are moving.

    `watermark` is market time, `checkpoint_at` wall time.
    """

    number: int
    accepting: bool
    epoch: int
    owner: str
    batch: int
    watermark: datetime | None
    checkpoint_at: datetime | None
    accounts: int
    leaving: int
    coming: int


@dataclass(frozen=True, slots=True)
class ShardMoveView:
    move_id: str
    from_shard: int
    to_shard: int
    state: str
    accounts: int


async def ensure(session: AsyncSession, count: int) -> list[int]:
    """Create shards 0 to `count` - 1 and let only these take new accounts. Returns the numbers of all shards.

    A new shard starts at the newest checkpoint of the others, because it has no earlier events to judge.
    """
    known = list(await session.scalars(select(Shard.id).order_by(Shard.id)))
    start = select(Shard.batch, Shard.feed, Shard.watermark).order_by(Shard.batch.desc()).limit(1)
    for number in sorted(set(range(count)) - set(known)):
        row = (await session.execute(start)).one_or_none()
        values = {"id": number} | ({} if row is None else dict(row._mapping))
        await session.execute(insert(Shard).values(values).on_conflict_do_nothing(index_elements=["id"]))
        known.append(number)
    accepting = Shard.id < count
    await session.execute(update(Shard).where(Shard.accepting.is_distinct_from(accepting)).values(accepting=accepting))
    return sorted(known)


async def least_loaded(session: AsyncSession) -> int:
    """Returns the accepting shard with the fewest live accounts; the lowest number among equals.

    Two accounts created at once may get the same shard. The next one evens this out; a lock would make purchases wait
    for each other.
    """
    live = and_(Account.shard == Shard.id, Account.status.in_(LIVE))
    load = select(func.count()).select_from(Account).where(live).correlate(Shard).scalar_subquery()
    chosen = await session.scalar(select(Shard.id).where(Shard.accepting).order_by(load, Shard.id).limit(1))
    return 0 if chosen is None else int(chosen)  # before the first start of a relay, shard 0 is the only one


async def overview(session: AsyncSession) -> list[ShardView]:
    """Returns every shard, by number."""

    def moving(end: ColumnElement[int]) -> ColumnElement[int]:
        unfinished = and_(end == Shard.id, ShardMove.state.in_(_UNFINISHED), ShardMoveAccount.move_id == ShardMove.id)
        return select(func.count()).select_from(ShardMoveAccount, ShardMove).where(unfinished).scalar_subquery()

    held = and_(Account.shard == Shard.id, Account.status.in_(LIVE))
    count = select(func.count()).select_from(Account).where(held).correlate(Shard).scalar_subquery()
    rows = await session.execute(
        select(
            *(Shard.id, Shard.accepting, Shard.epoch, Shard.owner, Shard.batch, Shard.watermark, Shard.checkpoint_at),
            *(count, moving(ShardMove.from_shard.expression), moving(ShardMove.to_shard.expression)),
        ).order_by(Shard.id)
    )
    return [ShardView(*row) for row in rows]


async def moves(session: AsyncSession, move_ids: Sequence[str]) -> list[ShardMoveView]:
    """Returns the state of these moves, by id."""
    rows = await session.execute(
        select(ShardMove.id, ShardMove.from_shard, ShardMove.to_shard, ShardMove.state, func.count())
        .join(ShardMoveAccount, ShardMoveAccount.move_id == ShardMove.id)
        .where(ShardMove.id.in_(move_ids))
        .group_by(ShardMove.id)
        .order_by(ShardMove.id)
    )
    return [ShardMoveView(*row) for row in rows]


async def request_move(
    session: AsyncSession, *, accounts: Sequence[str], to: int, actor: str, reason: str
) -> list[str]:
    """Request that shard `to` judges these accounts (ids, or numbers such as A-10001).

    Returns the ids of the moves, one per source shard. When one account cannot move, none does. Raises NotFound for an
    unknown account or shard, Conflict for an account that is moving already.
    """
    if await session.get(Shard, to) is None:
        raise NotFound(f"There is no shard {to}: `propos shards list` names those there are.")
    rows = await _find_accounts(session, accounts)
    busy = await session.scalars(
        select(ShardMoveAccount.account_id)
        .join(ShardMove, ShardMove.id == ShardMoveAccount.move_id)
        .where(ShardMove.state.in_(_UNFINISHED), ShardMoveAccount.account_id.in_([row.id for row in rows]))
    )
    moving = set(busy)
    if moving:
        raise Conflict(f"{len(moving)} of them are moving already, such as {min(moving)}.", remedy="Wait.")
    by_source: dict[int, list[str]] = defaultdict(list)
    for row in rows:
        if row.shard is not None and row.shard != to:
            by_source[row.shard].append(row.id)
    return [await _request_one(session, source, to, ids, actor, reason) for source, ids in sorted(by_source.items())]


async def _find_accounts(session: AsyncSession, accounts: Sequence[str]) -> list[Account]:
    numbers = [int(name.removeprefix("A-")) for name in accounts if name.removeprefix("A-").isdigit()]
    wanted = or_(Account.id.in_(accounts), Account.number.in_(numbers))
    rows = list(
        await session.scalars(select(Account).where(wanted).order_by(Account.id).with_for_update(key_share=True))
    )
    known = {row.id for row in rows} | {str(row.number) for row in rows}
    missing = [name for name in accounts if name.removeprefix("A-") not in known]
    if missing:
        raise NotFound(f"There is no account {missing[0]}: give ids (acc_...) or numbers (A-10001).")
    return rows


async def _request_one(
    session: AsyncSession, source: int, to: int, account_ids: Sequence[str], actor: str, reason: str
) -> str:
    move_id = new_id("smv")
    session.add(
        ShardMove(id=move_id, from_shard=source, to_shard=to, state="requested", requested_by=actor, reason=reason)
    )
    await session.flush()
    await session.execute(
        insert(ShardMoveAccount), [{"move_id": move_id, "account_id": account_id} for account_id in account_ids]
    )
    await audit.record(
        session,
        action="shard.move_requested",
        subject_kind="shard_move",
        subject_id=move_id,
        occurred_at=await market_now(session),
        actor=actor,
        role="operator",
        reason=reason,
        evidence={"from": source, "to": to, "accounts": len(account_ids)},
    )
    return move_id


async def request_balance(session: AsyncSession, *, actor: str, reason: str) -> list[str]:
    """Request moves that spread the live accounts evenly over the accepting shards and empty the others.

    Returns the ids of the moves. Raises BadInput when no shard accepts accounts.
    """
    taking = list(await session.scalars(select(Shard.id).where(Shard.accepting).order_by(Shard.id)))
    if not taking:
        raise BadInput("No shard takes new accounts.", remedy="Set PROPOS_SHARDS and start the relay.")
    free = (
        ~select(literal(1))
        .where(
            ShardMoveAccount.account_id == Account.id,
            ShardMoveAccount.move_id == ShardMove.id,
            ShardMove.state.in_(_UNFINISHED),
        )
        .exists()
    )
    rows = await session.execute(
        select(Account.shard, Account.id)
        .where(Account.shard.is_not(None), Account.status.in_(LIVE), free)
        .order_by(Account.id)
    )
    held: dict[int, list[str]] = {number: [] for number in taking}
    for shard, account_id in rows.tuples():
        assert shard is not None
        held.setdefault(shard, []).append(account_id)
    return [
        await _request_one(session, source, to, ids, actor, reason)
        for (source, to), ids in sorted(balancing_moves(held, taking).items())
    ]


def balancing_moves(held: dict[int, list[str]], taking: Iterable[int]) -> dict[tuple[int, int], list[str]]:
    """Returns the fewest moves, {(from, to): account ids}, that leave the `taking` shards within one account."""
    targets = sorted(taking)
    share, more = divmod(sum(map(len, held.values())), len(targets))
    by_size = sorted(targets, key=lambda number: (-len(held.get(number, ())), number))
    wanted = {number: share + (place < more) for place, number in enumerate(by_size)}
    spare = [(s, account) for s in sorted(held) for account in held[s][wanted.get(s, 0) :]]
    found: dict[tuple[int, int], list[str]] = defaultdict(list)
    for target in targets:
        for _ in range(wanted[target] - len(held.get(target, ()))):
            source, account = spare.pop()
            found[source, target].append(account)
    return dict(found)
