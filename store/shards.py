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
    platform: str
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


async def ensure(session: AsyncSession, count: int, platforms: Sequence[str]) -> list[int]:
    """Create the missing ones of the first `count` shards of each platform; only these take new accounts.

    Returns the numbers of all shards of these platforms. A new shard starts at the newest checkpoint of its platform,
    because it has no earlier events to judge.
    """
    taking: set[int] = set()
    for platform in platforms:
        mine = await _list_shards(session, platform)
        while len(mine) < count:
            await _add_shard(session, platform)
            mine = await _list_shards(session, platform)
        taking.update(mine[:count])
    accepting = Shard.id.in_(taking)
    await session.execute(update(Shard).where(Shard.accepting.is_distinct_from(accepting)).values(accepting=accepting))
    return list(await session.scalars(select(Shard.id).where(Shard.platform.in_(platforms)).order_by(Shard.id)))


async def _list_shards(session: AsyncSession, platform: str) -> list[int]:
    return list(await session.scalars(select(Shard.id).where(Shard.platform == platform).order_by(Shard.id)))


async def _add_shard(session: AsyncSession, platform: str) -> None:
    """Add a shard under the next free number. Does nothing when another transaction takes that number first."""
    number = await session.scalar(select(func.coalesce(func.max(Shard.id) + 1, 0)))
    mine = Shard.platform == platform
    start = select(Shard.batch, Shard.feed, Shard.watermark).where(mine).order_by(Shard.batch.desc()).limit(1)
    row = (await session.execute(start)).one_or_none()
    values = {"id": number, "platform": platform} | ({} if row is None else dict(row._mapping))
    await session.execute(insert(Shard).values(values).on_conflict_do_nothing(index_elements=["id"]))


async def least_loaded(session: AsyncSession, platform: str) -> int:
    """Returns the platform's accepting shard with the fewest live accounts; the lowest number among equals.

    Before the first start of a relay, this adds the platform's first shard.

    Two accounts created at once may get the same shard. The next one evens this out; a lock would make purchases wait
    for each other.
    """
    live = and_(Account.shard == Shard.id, Account.status.in_(LIVE))
    load = select(func.count()).select_from(Account).where(live).correlate(Shard).scalar_subquery()
    mine = select(Shard.id).where(Shard.accepting, Shard.platform == platform).order_by(load, Shard.id).limit(1)
    while (chosen := await session.scalar(mine)) is None:
        await _add_shard(session, platform)
    return int(chosen)


async def overview(session: AsyncSession) -> list[ShardView]:
    """Returns every shard, by number."""

    def moving(end: ColumnElement[int]) -> ColumnElement[int]:
        unfinished = and_(end == Shard.id, ShardMove.state.in_(_UNFINISHED), ShardMoveAccount.move_id == ShardMove.id)
        return select(func.count()).select_from(ShardMoveAccount, ShardMove).where(unfinished).scalar_subquery()

    held = and_(Account.shard == Shard.id, Account.status.in_(LIVE))
    count = select(func.count()).select_from(Account).where(held).correlate(Shard).scalar_subquery()
    rows = await session.execute(
        select(
            *(
                Shard.id,
                Shard.platform,
                Shard.accepting,
                Shard.epoch,
                Shard.owner,
                Shard.batch,
                Shard.watermark,
                Shard.checkpoint_at,
            ),
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

    Raises NotFound for an account or shard that is not there, BadInput for an account of another platform than the
    shard's, Conflict for one that is on its way already.
    """
    target = await session.get(Shard, to)
    if target is None:
        raise NotFound(f"There is no shard {to}: `propos shards list` names those there are.")
    rows = await _find_accounts(session, accounts)
    elsewhere = [row for row in rows if row.platform != target.platform]
    if elsewhere:
        raise BadInput(
            f"Account A-{elsewhere[0].number} is on the platform {elsewhere[0].platform!r}, and shard {to} reads"
            f" {target.platform!r}.",
            field="--to",
            remedy="Choose a shard of the account's platform: see `propos shards list`.",
        )
    busy = await session.scalars(
        select(ShardMoveAccount.account_id)
        .join(ShardMove, ShardMove.id == ShardMoveAccount.move_id)
        .where(ShardMove.state.in_(_UNFINISHED), ShardMoveAccount.account_id.in_([row.id for row in rows]))
    )
    moving = set(busy)
    if moving:
        raise Conflict(f"{len(moving)} of them are on their way already, such as {min(moving)}.", remedy="Wait.")
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
    """Ask for the moves that leave each accepting shard with its share of the live accounts of its platform, and others
    with none."""
    platforms = list(await session.scalars(select(Shard.platform).where(Shard.accepting).distinct()))
    if not platforms:
        raise BadInput("No shard takes new accounts.", remedy="Set PROPOS_SHARDS and start the relay.")
    asked = [await _request_balance(session, platform, actor, reason) for platform in sorted(platforms)]
    return [move_id for ids in asked for move_id in ids]


async def _request_balance(session: AsyncSession, platform: str, actor: str, reason: str) -> list[str]:
    mine = (Shard.accepting, Shard.platform == platform)
    taking = list(await session.scalars(select(Shard.id).where(*mine).order_by(Shard.id)))
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
        .where(Account.platform == platform, Account.shard.is_not(None), Account.status.in_(LIVE), free)
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
