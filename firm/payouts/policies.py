"""The firm's payout policy: read from a file, put in force on the record, and looked up by whoever judges a payout."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.payouts.policy import PayoutPolicy
from firm import policy_files
from store.models import PayoutPolicyRow

_IN_FORCE: Final = "payout_policy"  # as this transaction has read it
_parsed: Final[dict[str, PayoutPolicy]] = {}  # by the hash
SHIPPED: Final = policy_files.FOLDER / "payouts.yaml"


def load_policy(path: Path | None = None) -> PayoutPolicy:
    """Reads a policy file, by default the shipped one. Raises PolicyInvalid."""
    return policy_files.read(path or SHIPPED, PayoutPolicy, shipped=SHIPPED)


async def publish(session: AsyncSession, policy: PayoutPolicy, *, by: str = "system") -> None:
    """Puts a policy in force, with an audit entry. The one that is in force already changes nothing."""
    before = await _row(session)
    if before is not None and before.content_hash == policy.content_hash:
        return
    session.add(PayoutPolicyRow(content_hash=policy.content_hash, body=policy.model_dump(mode="json")))
    await session.flush()
    session.info.pop(_IN_FORCE, None)
    old = before.content_hash if before else None
    await policy_files.record_published(session, "payouts", old=old, new=policy.content_hash, by=by)


async def in_force(session: AsyncSession) -> PayoutPolicy:
    """Returns the policy in force, the same one within a transaction. Before one was published, every payout needs two
    people."""
    known: PayoutPolicy | None = session.info.get(_IN_FORCE)
    if known is None:
        row = await _row(session)
        known = session.info[_IN_FORCE] = PayoutPolicy() if row is None else _of(row)
    return known


def newest_query() -> Select[tuple[str]]:
    """The hash of the policy in force."""
    return select(PayoutPolicyRow.content_hash).order_by(PayoutPolicyRow.number.desc()).limit(1)


def take_known(session: AsyncSession, hashes: Sequence[str]) -> None:
    """Takes the policy of this hash (`newest_query`) as the one in force, if this process has read it before."""
    for content_hash in hashes:
        if content_hash in _parsed:
            session.info.setdefault(_IN_FORCE, _parsed[content_hash])


def _of(row: PayoutPolicyRow) -> PayoutPolicy:
    if row.content_hash not in _parsed:
        _parsed[row.content_hash] = PayoutPolicy.model_validate(row.body)
    return _parsed[row.content_hash]


async def _row(session: AsyncSession) -> PayoutPolicyRow | None:
    newest = select(PayoutPolicyRow).order_by(PayoutPolicyRow.number.desc()).limit(1)
    row: PayoutPolicyRow | None = await session.scalar(newest)
    return row
