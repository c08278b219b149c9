"""One answer per idempotency key: a repeated request gets the first answer again.

Answers are stored unencrypted: a POST answers with ids, states and amounts, never with names or free text.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import IdempotencyMismatch
from store import crypto
from store.models import IdempotencyKey

Answer = dict[str, Any]


@dataclass(frozen=True)
class RequestKey:
    """Identifies a request and its repetitions: user, idempotency key, route, and a keyed digest of the input."""

    user_id: str
    key: str
    route: str
    input_digest: str


def ask(user_id: str, key: str, route: str, sent: Any) -> RequestKey:
    """`route` is the method and full path, `sent` the parsed body.

    The digest is keyed, because an IBAN could be guessed from a plain hash.
    """
    body = json.dumps([route, sent], sort_keys=True, separators=(",", ":"), default=str)
    digest = crypto.keys().digest(hashlib.sha256(body.encode()).hexdigest())
    return RequestKey(user_id=user_id, key=key, route=route[:120], input_digest=digest)


async def claim(session: AsyncSession, asked: RequestKey) -> Answer | None:
    """Take the key. Returns the answer of an earlier request with this key, or None.

    Waits while another request holds the key in an open transaction. Raises IdempotencyMismatch for other input.
    """
    row = {"user_id": asked.user_id, "key": asked.key, "route": asked.route, "input_digest": asked.input_digest}
    await session.execute(insert(IdempotencyKey).values(row).on_conflict_do_nothing())
    kept = (await session.execute(_find(asked))).scalar_one()
    if kept.input_digest != asked.input_digest:
        raise IdempotencyMismatch(asked.key)
    return kept.response


async def remember(session: AsyncSession, asked: RequestKey, answer: Answer) -> Answer:
    """Store `answer` unless another request stored one first. Returns the stored answer."""
    await session.execute(
        update(IdempotencyKey)
        .where(
            IdempotencyKey.user_id == asked.user_id, IdempotencyKey.key == asked.key, IdempotencyKey.response.is_(None)
        )
        .values(response=answer)
        .execution_options(synchronize_session=False)
    )
    kept = (await session.execute(_find(asked).execution_options(populate_existing=True))).scalar_one()
    return kept.response or answer


def _find(asked: RequestKey) -> Select[tuple[IdempotencyKey]]:
    return select(IdempotencyKey).where(IdempotencyKey.user_id == asked.user_id, IdempotencyKey.key == asked.key)
