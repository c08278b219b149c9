"""What the API and the console share about certificates: their links, and who may open one how often."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from domain.certificates import Kind
from domain.key_errors import TooManyRequests
from firm import certificates
from firm.certificates import Choice
from front.deps import ApiDeps
from front.once import Once
from store import buckets
from store.models import Certificate
from store.read import certificates as read
from store.read.certificates import PublicCertificate
from store.read.pages import View
from store.scope import FIRM

OPENED: Final = 60  # pages that one address may open in a minute
_WINDOW: Final = 60
_COUNTERS: Final = 4096
Work = Callable[[AsyncSession], Awaitable[tuple["CertificateLinked", str]]]


class CertificateLinked(View):
    """`link`: to the public page, in the first answer only; it is stored nowhere. None when this request is
    repeated."""

    id: str
    state: str
    linked_at: datetime
    link: str | None = None


async def make(once: Once, kind: Kind, subject_id: str, choice: Choice, body: BaseModel) -> CertificateLinked:
    """Raises NotFound, Conflict."""

    async def work(session: AsyncSession) -> tuple[CertificateLinked, str]:
        made = await certificates.make(session, actor=once.actor, kind=kind, subject_id=subject_id, choice=choice)
        return _linked(once.deps, *made)

    return await _shown(once, body, work)


async def renew(once: Once, certificate_id: str, choice: Choice, body: BaseModel) -> CertificateLinked:
    """Raises NotFound."""

    async def work(session: AsyncSession) -> tuple[CertificateLinked, str]:
        made = await certificates.renew(session, certificate_id, actor=once.actor, choice=choice)
        return _linked(once.deps, *made)

    return await _shown(once, body, work)


async def _shown(once: Once, body: BaseModel, work: Work) -> CertificateLinked:
    made, link = await once.reveal(CertificateLinked, body, work)
    return made.model_copy(update={"link": link})


def _linked(deps: ApiDeps, row: Certificate, token: str) -> tuple[CertificateLinked, str]:
    return CertificateLinked(id=row.id, state="live", linked_at=row.linked_at), f"{deps.public_url}/c/{token}"


async def opened(deps: ApiDeps, address: str, token: str) -> PublicCertificate:
    """Raises NotFound, or TooManyRequests for an address that opened many. An address is stored nowhere: a digest of it
    chooses one of some thousand counters."""
    chosen = int.from_bytes(hashlib.sha256(address.encode()).digest()[:4]) % _COUNTERS
    holder = f"certificate_{chosen}"
    taken = await buckets.take(deps.db, holder, capacity=OPENED, fill_seconds=_WINDOW, wanted=1)
    if taken.granted < 1:
        raise TooManyRequests("address", OPENED, _WINDOW, 1)
    async with deps.db.transaction(FIRM) as session:
        return await read.public(session, token)
