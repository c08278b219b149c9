"""One answer per idempotency key: the first one, given again to whoever repeats the request.

Answers are kept in plain: a POST answers with ids, states and amounts, never with names or texts.
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
class Ask:
    """A request as its repetition must look: who, which key, where, and a keyed digest of what was sent."""

    user_id: str
    key: str
    route: str
    input_digest: str


def ask(user_id: str, key: str, route: str, sent: Any) -> Ask:
    """`route` is method and full path; `sent` the parsed body. The digest is keyed: a plain hash would betray an IBAN."""
    body = json.dumps([route, sent], sort_keys=True, separators=(",", ":"), default=str)
    digest = crypto.keys().index(hashlib.sha256(body.encode()).hexdigest())
    return Ask(user_id=user_id, key=key, route=route[:120], input_digest=digest)


async def claim(session: AsyncSession, asked: Ask) -> Answer | None:
    """Take the key. Gives the answer of an earlier request with it, None when there is none yet.

    Waits for a copy that holds the key in an open transaction. Raises IdempotencyMismatch for other input.
    """
    row = {"user_id": asked.user_id, "key": asked.key, "route": asked.route, "input_digest": asked.input_digest}
    await session.execute(insert(IdempotencyKey).values(row).on_conflict_do_nothing())
    kept = (await session.execute(_find(asked))).scalar_one()
    if kept.input_digest != asked.input_digest:
        raise IdempotencyMismatch(asked.key)
    return kept.response


async def remember(session: AsyncSession, asked: Ask, answer: Answer) -> Answer:
    """Keep `answer` unless a copy was faster; gives the one that counts."""
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


def _find(asked: Ask) -> Select[tuple[IdempotencyKey]]:
    return select(IdempotencyKey).where(IdempotencyKey.user_id == asked.user_id, IdempotencyKey.key == asked.key)
