"""What has a workflow with a history that people read."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from store.models import Challenge, Dispute, Payout

_MODELS: Final[Mapping[str, type[Challenge] | type[Dispute] | type[Payout]]] = {
    "challenge": Challenge,
    "payout": Payout,
    "dispute": Dispute,
}


async def check_there(session: AsyncSession, kind: str, subject_id: str) -> None:
    """Raises NotFound."""
    model = _MODELS.get(kind)
    if model is None or await session.get(model, subject_id) is None:
        raise NotFound
