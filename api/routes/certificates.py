"""Certificates of passed phases and payouts, with links that their trader can revoke."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.certificates import Kind, NameShown
from firm import certificates
from firm.certificates import Choice
from front import certificates as front
from front.auth import Caller, Deps, allowed
from front.certificates import CertificateLinked
from front.fields import CertificateId, Input
from front.once import Keyed
from store.read import certificates as read
from store.read.pages import View

router = APIRouter(prefix="/v1/certificates", tags=["certificates"])
Reader = Annotated[Caller, Depends(allowed("certificates.read"))]
_MAY = Depends(allowed("certificates.manage"))


class ShownBody(Input):
    """What the page shows beside product, phase and date. `name`: full, initials or none."""

    name: NameShown = "initials"
    amount: bool = False

    @property
    def choice(self) -> Choice:
        return Choice(self.name, self.amount)


class CertificateBody(ShownBody):
    """`subject`: a passed phase (psg_…) or a payout that arrived (pay_…), from `earned` of the list."""

    kind: Kind
    subject: Annotated[str, Field(pattern=r"^(psg|pay)_[0-9a-z]{26}$")]


class Certificates(View):
    """`items`: the certificates, never their links. `earned`: what there is or can be a certificate of."""

    items: tuple[read.CertificateView, ...]
    earned: tuple[read.Earned, ...]


class Revoked(View):
    id: str
    state: str


@router.get("")
async def list_certificates(caller: Reader, deps: Deps) -> Certificates:
    async with deps.db.transaction() as session:
        items = await read.certificates(session, caller.scope)
        earned = await read.earned(session, caller.scope)
    return Certificates(items=tuple(items), earned=tuple(earned))


@router.post("", status_code=201, dependencies=[_MAY])
async def make_certificate(body: CertificateBody, once: Keyed) -> CertificateLinked:
    """Makes the page and its link. The link is in this answer and nowhere else. Not for an API key."""
    return await front.make(once, body.kind, body.subject, body.choice, body)


@router.post("/{certificate_id}/renew", status_code=201, dependencies=[_MAY])
async def renew_certificate(certificate_id: CertificateId, body: ShownBody, once: Keyed) -> CertificateLinked:
    """A new link, also for a certificate that was revoked; the old link shows nothing any more."""
    return await front.renew(once, certificate_id, body.choice, body)


@router.post("/{certificate_id}/revoke", dependencies=[_MAY])
async def revoke_certificate(certificate_id: CertificateId, once: Keyed) -> Revoked:
    """The link shows nothing from now on."""

    async def work(session: AsyncSession) -> Revoked:
        row = await certificates.revoke(session, certificate_id, actor=once.actor)
        return Revoked(id=row.id, state="revoked")

    return await once.write(Revoked, None, work)
