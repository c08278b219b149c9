"""Identity check on Stripe Identity: verification sessions with a document."""

from typing import Final, Literal

from adapters.stripe import shapes
from adapters.stripe.client import KEY, REFERENCE, EventSettings, known_id
from adapters.stripe.events import EventConnection
from adapters.stripe.kinds import IDENTITY_KINDS
from domain.errors import NotFound, Unavailable
from domain.quoting import storable_text
from ports.identity import IdentityChecker, IdentitySession
from ports.plugin import Plugin

_NAME: Final = "verified_outputs"  # Stripe sends it only when asked


class StripeIdentity(EventConnection):
    """An IdentityChecker."""

    def __init__(self, name: str, settings: EventSettings) -> None:
        super().__init__(name, settings, IDENTITY_KINDS)

    async def start(self, *, key: str, reference: str, return_url: str) -> IdentitySession:
        call = self._v1.identity.verification_sessions.create_async(
            {
                "type": "document",
                "client_reference_id": key,  # the only mark of ours that sessions can be listed by
                "metadata": {KEY: key, REFERENCE: reference},
                "return_url": return_url,
                "expand": [_NAME],
            },
            {"idempotency_key": key},
        )
        return _session(await self._api.write(shapes.Verification, key, call))

    async def fetch(self, session_id: str) -> IdentitySession:
        call = self._v1.identity.verification_sessions.retrieve_async(known_id(session_id, "vs"), {"expand": [_NAME]})
        return _session(await self._api.read(shapes.Verification, call))

    async def find(self, key: str) -> IdentitySession | None:
        call = self._v1.identity.verification_sessions.list_async({"client_reference_id": key, "limit": 1})
        async for session in self._api.rows(shapes.Verification, call):
            if session.metadata.get(KEY) == key:
                return await self.fetch(session.id)
        return None


def _session(session: shapes.Verification) -> IdentitySession:
    """Raises NotFound for a session that this firm's system did not start."""
    if KEY not in session.metadata or REFERENCE not in session.metadata:
        raise NotFound("This identity check was not started here.")
    status, outputs = _status(session), session.verified_outputs or shapes.VerifiedOutputs()
    return IdentitySession(
        session_id=session.id,
        key=session.metadata[KEY],
        reference=session.metadata[REFERENCE],
        url=(session.url or "") if status == "pending" else "",
        status=status,
        why=storable_text((session.last_error.code if session.last_error else None) or ""),
        full_name=" ".join(filter(None, (outputs.first_name, outputs.last_name))),
        born=str(outputs.dob or ""),
    )


def _status(session: shapes.Verification) -> Literal["pending", "verified", "failed", "cancelled"]:
    """A session that asks for input has either not begun or has failed, and then it names the error."""
    if session.status == "verified":
        return "verified"
    if session.status == "canceled":
        return "cancelled"
    if session.status == "requires_input":
        return "failed" if session.last_error is not None and session.last_error.code else "pending"
    if session.status == "processing":
        return "pending"
    raise Unavailable("Stripe names a status of an identity check that is not known here.")


def _build(name: str, settings: EventSettings) -> IdentityChecker:
    return StripeIdentity(name, settings)


PLUGIN: Final = Plugin(EventSettings, None, _build)
