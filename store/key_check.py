"""Whether this process's keys are those of the database, by a few values of each encrypted column."""

from collections import Counter
from typing import Any, Final

from sqlalchemy import LargeBinary, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict
from store import crypto
from store.crypto import Encrypted, Undecipherable
from store.key_rotation import tables

_SAMPLE: Final = 3
_LOOKED_AT: Final = 10_000  # rows of a table: a column may be empty in all of them
_REMEDY: Final = "Start with the keys that this database was used with: docs/runbooks/rotate-keys.md."


async def check_keys(session: AsyncSession) -> None:
    """Raises Conflict when a key of the database is missing, or is another one than ours of the same name. One altered
    value says nothing about a key while others under it, or all others, can be read."""
    readable, unreadable = Counter[str](), Counter[str]()
    for table in tables():
        for column in table.columns:
            if isinstance(column.type, Encrypted):
                for value in await _sample(session, column):
                    kind = readable if _can_read(value, column.type.context) else unreadable
                    kind[_key_id(value)] += 1
    del unreadable[""]  # written by none of our keys
    for key_id in sorted(unreadable):
        if readable[key_id] or (readable and unreadable.total() == 1):
            continue
        if key_id in crypto.keys().ids:
            raise Conflict(
                f"The key {key_id} in PROPOS_PAYLOAD_KEYS is not the one of that name that the database was used with.",
                remedy=_REMEDY,
            )
        raise Conflict(
            f"The database has values under the key {key_id}, which is not in PROPOS_PAYLOAD_KEYS.", remedy=_REMEDY
        )


async def _sample(session: AsyncSession, column: Any) -> list[bytes]:
    rows = select(type_coerce(column, LargeBinary).label("value")).limit(_LOOKED_AT).subquery()
    raw = rows.c.value
    found = await session.scalars(select(raw).where(func.octet_length(raw) > 0).limit(_SAMPLE))
    return [bytes(value) for value in found]


def _can_read(value: bytes, context: str) -> bool:
    try:
        crypto.keys().decrypt(value, context)
    except Undecipherable:
        return False
    return True


def _key_id(value: bytes) -> str:
    return value.partition(b"\x00")[0].decode(errors="replace")
