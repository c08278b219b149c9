"""The firm's policy of disputes: read from a file, and put in force on the record."""

from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain.dispute_policy import DisputePolicy
from firm import policy_files
from store.models import DisputePolicyRow
from store.read import disputes

SHIPPED: Final = policy_files.FOLDER / "disputes.yaml"


def load_policy(path: Path | None = None) -> DisputePolicy:
    """Reads a policy file, by default the shipped one. Raises PolicyInvalid."""
    return policy_files.read(path or SHIPPED, DisputePolicy, shipped=SHIPPED)


async def publish(session: AsyncSession, policy: DisputePolicy, *, by: str = "system") -> None:
    """Puts a policy in force, with an audit entry. The one that is in force already changes nothing."""
    before = await disputes.newest_policy(session)
    if before is not None and before.content_hash == policy.content_hash:
        return
    session.add(DisputePolicyRow(content_hash=policy.content_hash, body=policy.model_dump(mode="json")))
    await session.flush()
    old = before.content_hash if before else None
    await policy_files.record_published(session, "disputes", old=old, new=policy.content_hash, by=by)


async def in_force(session: AsyncSession) -> DisputePolicy:
    """Returns the policy in force. Before one was published, whatever a band could allow takes two people."""
    return await disputes.policy(session)
